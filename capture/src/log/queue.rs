//! Between those who append and the writer: rows, already encoded, in a buffer of bounded size.
//!
//! Appending is an encoding, a lock, a copy and no system call; the writer takes the whole buffer at once. Full means
//! waiting.

use std::{
    cell::RefCell,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schema::{
    frame::{self, FrameBuilder},
    table::Event,
};
use tokio::{sync::Notify, time::Instant};

use crate::clock::Clock;

/// Appenders wait while the buffer has this many bytes.
const FULL_BYTES: usize = 16 << 20;
/// The writer is woken early when the buffer has this many bytes.
const WAKE_BYTES: usize = 1 << 20;
/// A thread keeps a buffer of at most so many bytes for its next row.
const ROW_BYTES: usize = 64 << 10;

thread_local! {
    /// The row a thread is about to append, encoded outside of the lock.
    static ROW: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The rows on their way to the writer.
pub(super) struct Queue {
    clock: Clock,
    state: Mutex<State>,
    /// For the writer: rows came, or the log closes.
    changed: Condvar,
    /// For appenders: the writer has taken the rows.
    taken: Notify,
}

#[derive(Default)]
struct State {
    frame: FrameBuilder,
    /// When the first row of the frame came.
    since: Option<Instant>,
    /// Rows ever appended.
    rows: u64,
    /// Rows that could not be taken: too long for a frame, or after the close.
    refused: u64,
    closed: bool,
}

/// What the statistics need of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueState {
    pub(super) rows: u64,
    pub(super) refused: u64,
    pub(super) since: Option<Instant>,
}

/// What the writer gets of the queue.
pub(super) struct Taken {
    pub(super) frame: FrameBuilder,
    /// When the first row of the frame came.
    pub(super) since: Option<Instant>,
    /// Nothing will follow.
    pub(super) closed: bool,
}

impl Queue {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default(), changed: Condvar::new(), taken: Notify::new() }
    }

    /// Appends a row; waits while the buffer is full.
    pub(super) async fn push(&self, event: &Event) {
        while !self.try_push(event) {
            let mut taken = std::pin::pin!(self.taken.notified());
            // From here on a wake-up is not missed, so the buffer may be looked at.
            taken.as_mut().enable();
            if self.try_push(event) {
                return;
            }
            taken.await;
        }
    }

    /// Whether the row was dealt with; if not, the buffer is full.
    pub(super) fn try_push(&self, event: &Event) -> bool {
        ROW.with_borrow_mut(|row| {
            let encoded = frame::encode(event, row);
            let dealt_with = self.try_push_encoded(event, encoded.map(|()| row.as_slice()));
            row.shrink_to(ROW_BYTES);
            dealt_with
        })
    }

    fn try_push_encoded(&self, event: &Event, row: Result<&[u8], frame::EncodeError>) -> bool {
        let mut state = self.lock();
        if state.closed {
            state.refused += 1;
            drop(state);
            tracing::error!(
                table = event.row.table().name(),
                "a row came after the log was closed and is lost"
            );
            return true;
        }
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                state.refused += 1;
                drop(state);
                tracing::error!(table = event.row.table().name(), %error, "a row cannot be written and is lost");
                return true;
            }
        };
        if state.frame.len() >= FULL_BYTES || !state.frame.push_encoded(row) {
            return false;
        }
        state.rows += 1;
        let first = state.frame.rows() == 1;
        if first {
            state.since = Some(self.clock.instant());
        }
        if first || state.frame.len() >= WAKE_BYTES {
            drop(state);
            self.changed.notify_one();
        }
        true
    }

    /// Refuses rows from now on; the writer gets those that are there.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
        self.taken.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn state(&self) -> QueueState {
        let state = self.lock();
        QueueState { rows: state.rows, refused: state.refused, since: state.since }
    }

    /// Waits for rows: until they are `gather` old or many, until `deadline`, or until the log closes; then takes
    /// them. Without a deadline it waits for the first row however long that takes.
    pub(super) fn take(&self, gather: Duration, deadline: Option<Instant>) -> Taken {
        let mut state = self.lock();
        while !state.closed && state.frame.len() < WAKE_BYTES {
            let gathered = state.since.map(|since| since + gather);
            let Some(until) = gathered.into_iter().chain(deadline).min() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(self.clock.instant());
            if left.is_zero() {
                break;
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        let frame = std::mem::take(&mut state.frame);
        let taken = Taken { frame, since: state.since.take(), closed: state.closed };
        drop(state);
        self.taken.notify_waiters();
        taken
    }

    /// Waits this long, or until the log closes.
    pub(super) fn wait_for_close(&self, at_most: Duration) {
        let waited = self.changed.wait_timeout_while(self.lock(), at_most, |state| !state.closed);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
