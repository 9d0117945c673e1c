//! A program run to its end, with the time it took and the memory it needed at most.

use std::{
    fs,
    process::{Child, Command},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::clock::Clock;

/// Between two looks at a child's peak of memory.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// From its start to its end.
    pub took: Duration,
    /// The most memory it held at once, as the kernel counts it.
    pub peak_bytes: u64,
}

/// Runs a program; one that fails is an error.
pub fn run(command: &mut Command) -> Result<Measured> {
    let clock = Clock::start();
    let started = clock.instant();
    let describe = || format!("cannot run {}", command.get_program().display());
    let text = describe();
    let mut child = command.spawn().context(text.clone())?;
    let mut peak_bytes = 0;
    let status = loop {
        // The kernel forgets the peak with the process; it is told until then, and only rises.
        peak_bytes = peak(&child).unwrap_or(peak_bytes);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(LOOK_EVERY);
    };
    let took = started.elapsed();
    ensure!(status.success(), "{text}: {status}");
    Ok(Measured { took, peak_bytes })
}

/// `VmHWM` of a process.
fn peak(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
