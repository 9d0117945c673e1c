//! The log's state, kept by its threads and read by everyone.

use std::{
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, futures::Notified},
    time::Instant,
};

use super::queue::QueueState;

/// The state of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Rows appended.
    pub rows: u64,
    /// Rows appended and not yet durable.
    pub rows_not_durable: u64,
    /// Rows that could not be taken: too long for a frame, or after the close.
    pub rows_refused: u64,
    /// Appends that found no room, and waited until the log took rows.
    pub waits: u64,
    /// Age of the oldest row that is not durable; `None` if all are.
    pub oldest_not_durable: Option<Duration>,
    /// Bytes written to write-ahead files.
    pub wal_bytes: u64,
    /// Bytes of finished segments.
    pub segment_bytes: u64,
    /// Segments finished.
    pub segments: u64,
    /// Write-ahead files that are closed and not yet segments.
    pub wals_waiting: u64,
    /// Whether rows reach the disk.
    pub state: LogState,
    /// Why segments cannot be written at the moment, in words; `None` while they can. Rows are safe meanwhile.
    pub rotation_failure: Option<String>,
}

/// Whether rows reach the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogState {
    /// They do.
    #[default]
    Ok,
    /// They wait in memory, and appenders wait once it is full.
    Paused {
        /// What failed, in words.
        cause: String,
    },
}

/// What the threads write down.
#[derive(Default)]
pub(super) struct Stats {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) durable_rows: u64,
    /// When the oldest row came that the writer has and the disk has not.
    pub(super) oldest_unsynced: Option<Instant>,
    pub(super) wal_bytes: u64,
    pub(super) segment_bytes: u64,
    pub(super) segments: u64,
    pub(super) wals_waiting: u64,
    pub(super) state: LogState,
    pub(super) rotation_failure: Option<String>,
}

impl Stats {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everyone who waits for a state of the log.
    pub(super) fn tell(&self) {
        self.changed.notify_waiters();
    }

    /// Wakes when something was told after this call.
    pub(super) fn changed(&self) -> Pin<Box<Notified<'_>>> {
        let mut changed = Box::pin(self.changed.notified());
        changed.as_mut().enable();
        changed
    }

    pub(super) fn snapshot(&self, queue: QueueState, now: Instant) -> LogStats {
        let inner = self.lock();
        let oldest = inner.oldest_unsynced.into_iter().chain(queue.since).min();
        LogStats {
            rows: queue.rows,
            rows_not_durable: queue.rows.saturating_sub(inner.durable_rows),
            rows_refused: queue.refused,
            waits: queue.waits,
            oldest_not_durable: oldest.map(|since| now.saturating_duration_since(since)),
            wal_bytes: inner.wal_bytes,
            segment_bytes: inner.segment_bytes,
            segments: inner.segments,
            wals_waiting: inner.wals_waiting,
            state: inner.state.clone(),
            rotation_failure: inner.rotation_failure.clone(),
        }
    }
}
