//! Temporary folders of this process, which go with it, also where it is interrupted: they hold addresses of peers.

use std::{
    fs, io,
    path::PathBuf,
    process,
    sync::{Mutex, PoisonError},
    thread,
};

use tempfile::TempDir;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

/// Every folder that was made; some are gone.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// How often a folder is emptied in which others still write.
const TRIES: usize = 100;

/// A new folder where `TMPDIR` says, which goes when it is dropped.
pub fn folder() -> io::Result<TempDir> {
    let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::Builder::new().prefix("swarmtally-").tempdir()?;
    folders.push(folder.path().to_path_buf());
    Ok(folder)
}

/// From now on SIGINT and SIGTERM end the process with its folders, and the exit code that shells know for it.
///
/// # Errors
/// Signals cannot be listened to.
pub fn goes_on_interrupt() -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _guard = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::spawn(move || {
        let code = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            }
        });
        // Held to the end, so that no other folder is made.
        let folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in folders.iter() {
            let remove = || fs::remove_dir_all(folder).is_ok() || !folder.exists();
            let _is_gone = (0..TRIES).any(|_| remove());
        }
        process::exit(code);
    });
    Ok(())
}
