//! The write-ahead file that comes next, made while the one before it is written: a rotation is then a swap of handles,
//! and nobody waits for the disk to make a file and three names durable.
//!
//! One thread; at most one spare file at a time, empty but for its header. Where it could not be made the writer makes
//! its file itself.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use schema::{RunId, disk::Disk};

use super::{LogError, failed_to, wal::Wal};
use crate::clock::Clock;

/// The thread that makes spare files.
pub(super) struct Spares {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    run: RunId,
    clock: Clock,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
enum State {
    /// Nothing is wanted.
    #[default]
    Idle,
    /// A file of this number is wanted.
    Wanted(u32),
    /// It is being made.
    Making,
    /// It is there, or could not be made.
    Made(io::Result<Box<Wal>>),
    /// The log is closing.
    Closing,
}

impl Spares {
    pub(super) fn start(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        run: RunId,
        clock: Clock,
    ) -> Result<Self, LogError> {
        let error = failed_to("start the thread that makes files in", &folder);
        let shared =
            Arc::new(Shared { disk, folder, run, clock, state: Mutex::default(), changed: Condvar::new() });
        let own = shared.clone();
        let thread = std::thread::Builder::new().name("log-spare".to_owned()).spawn(move || own.run());
        Ok(Self { shared, thread: thread.map_err(error)? })
    }

    /// Has a file of this number made, unless there is a spare one.
    pub(super) fn want(&self, seq: u32) {
        let mut state = self.shared.lock();
        if matches!(*state, State::Idle) {
            *state = State::Wanted(seq);
            drop(state);
            self.shared.changed.notify_all();
        }
    }

    /// The spare file, if one was wanted and could be made; waits for one that is being made.
    pub(super) fn take(&self) -> Option<Wal> {
        let is_coming = |state: &mut State| matches!(state, State::Wanted(_) | State::Making);
        let waited = self.shared.changed.wait_while(self.shared.lock(), is_coming);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *state) {
            State::Made(Ok(wal)) => Some(*wal),
            State::Made(Err(error)) => {
                tracing::debug!(%error, "no write-ahead file could be made in advance");
                None
            }
            State::Idle | State::Wanted(_) | State::Making | State::Closing => None,
        }
    }

    /// Ends the thread and removes a file that was not needed.
    pub(super) fn finish(self) {
        if let Some(wal) = self.take() {
            wal.discard(self.shared.disk.as_ref());
        }
        *self.shared.lock() = State::Closing;
        self.shared.changed.notify_all();
        if self.thread.join().is_err() {
            tracing::error!("the thread that makes write-ahead files in advance has ended early");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let has_nothing_to_do = |state: &mut State| !matches!(state, State::Wanted(_) | State::Closing);
            let waited = self.changed.wait_while(self.lock(), has_nothing_to_do);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            let State::Wanted(seq) = *state else { return };
            *state = State::Making;
            drop(state);
            let made =
                Wal::create(self.disk.as_ref(), &self.folder, (&self.run, seq), &[], self.clock.instant());
            *self.lock() = State::Made(made.map(Box::new));
            self.changed.notify_all();
        }
    }
}
