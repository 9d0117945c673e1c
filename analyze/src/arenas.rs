//! Few arenas for the allocator: glibc gives up to eight of them per core to threads, and what a thread once needed of its
//! own one stays there ([decision 66](../../docs/decisions/0066-what-needs-every-number-is-read-again.md)).

/// From now on there are few. The number is read when a program starts, so that it is started anew, as the same process;
/// comes back where that was done, where the user chose a number, where it cannot be done, and where the allocator is
/// another one.
pub fn limit() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    start_anew();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn start_anew() {
    use std::{
        env,
        os::unix::process::CommandExt as _,
        process::{self, Command},
    };

    use crate::replay::workers;

    const SETTING: &str = "MALLOC_ARENA_MAX";
    const PER_CORE: usize = 2;

    let mut arguments = env::args_os();
    let (Ok(program), Some(name)) = (env::current_exe(), arguments.next()) else { return };
    if env::var_os(SETTING).is_some() {
        return;
    }
    let few = (workers::count() * PER_CORE).to_string();
    let error = Command::new(program).arg0(name).args(arguments).env(SETTING, few).exec();
    tracing::debug!("process {} goes on with many arenas: {error}", process::id());
}
