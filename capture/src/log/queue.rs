//! Between those who append and the writer: rows, already encoded, in frames of bounded number and size.
//!
//! Appending is an encoding, a lock and a copy; the writer takes all frames at once and gives their room back when it has
//! packed them. Nobody asks the system for memory under the lock: while the sorting thread gives some back, the system
//! lets whoever asks for some wait, and with it everyone at the lock. Full means waiting.

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

/// Appenders wait while the frames have this many bytes.
const FULL_BYTES: usize = 16 << 20;
/// A frame that has so many bytes is full, and the writer is woken for it.
const FRAME_BYTES: usize = 1 << 20;
/// As many frames as ever wait, and as many again while the writer packs those it took, each with one being filled. Memory
/// that a frame has never held rows in is none.
const FRAMES_MAX: usize = 2 * (FULL_BYTES / FRAME_BYTES + 2);
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
    full: Vec<FrameBuilder>,
    /// The bytes of these.
    full_bytes: usize,
    filling: FrameBuilder,
    /// Empty frames with room.
    free: Vec<FrameBuilder>,
    /// When the first row came that has not been taken.
    since: Option<Instant>,
    /// Rows ever appended.
    rows: u64,
    /// Rows that could not be taken: too long for a frame, or after the close.
    refused: u64,
    /// Appends that found no room.
    waits: u64,
    closed: bool,
}

/// What the statistics need of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueState {
    pub(super) rows: u64,
    pub(super) refused: u64,
    pub(super) waits: u64,
    pub(super) since: Option<Instant>,
}

/// What the writer gets of the queue.
pub(super) struct Taken {
    pub(super) frames: Vec<FrameBuilder>,
    /// When the first row of them came.
    pub(super) since: Option<Instant>,
    /// Nothing will follow.
    pub(super) closed: bool,
}

impl State {
    /// Begins another frame.
    fn turn_over(&mut self) {
        let next = self.free.pop().unwrap_or_default();
        let full = std::mem::replace(&mut self.filling, next);
        self.full_bytes += full.len();
        self.full.push(full);
    }
}

impl Queue {
    pub(super) fn new(clock: Clock) -> Self {
        let mut free: Vec<_> = (0..FRAMES_MAX).map(|_| FrameBuilder::with_capacity(FRAME_BYTES)).collect();
        let filling = free.pop().unwrap_or_default();
        let state = State { full: Vec::with_capacity(FRAMES_MAX), filling, free, ..State::default() };
        Self { clock, state: Mutex::new(state), changed: Condvar::new(), taken: Notify::new() }
    }

    /// Appends a row; waits while the buffer is full.
    pub(super) async fn push(&self, event: &Event) {
        if self.try_push(event) {
            return;
        }
        self.lock().waits += 1;
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
        if state.full_bytes + state.filling.len() >= FULL_BYTES {
            return false;
        }
        let was_full = !state.filling.is_empty() && state.filling.len() + row.len() > FRAME_BYTES;
        if was_full {
            state.turn_over();
        }
        if !state.filling.push_encoded(row) {
            return false;
        }
        state.rows += 1;
        let is_first = state.since.is_none();
        if is_first {
            state.since = Some(self.clock.instant());
        }
        if is_first || was_full {
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
        QueueState { rows: state.rows, refused: state.refused, waits: state.waits, since: state.since }
    }

    /// Waits for rows: until they are `gather` old or many, until `deadline`, or until the log closes; then takes
    /// them. Without a deadline it waits for the first row however long that takes.
    pub(super) fn take(&self, gather: Duration, deadline: Option<Instant>) -> Taken {
        let mut frames = Vec::with_capacity(FRAMES_MAX);
        let mut state = self.lock();
        while !state.closed && state.full.is_empty() {
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
        if !state.filling.is_empty() {
            state.turn_over();
        }
        std::mem::swap(&mut frames, &mut state.full);
        state.full_bytes = 0;
        let taken = Taken { frames, since: state.since.take(), closed: state.closed };
        drop(state);
        self.taken.notify_waiters();
        taken
    }

    /// Takes back the room of frames that have been packed.
    pub(super) fn give_back(&self, frames: Vec<FrameBuilder>) {
        for mut frame in frames {
            frame.clear();
            // One that grew for a long row is given back to the system, and another takes its place.
            if frame.capacity() > 2 * FRAME_BYTES {
                frame = FrameBuilder::with_capacity(FRAME_BYTES);
            }
            let mut state = self.lock();
            if state.free.len() < FRAMES_MAX {
                state.free.push(frame);
            }
        }
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
