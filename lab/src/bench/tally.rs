//! Which peers were shaken hands with, and how long that took, by the peers' own account.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// Counts peers at their first handshake.
#[derive(Debug, Default)]
pub struct Tally {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    seen: HashSet<SocketAddr>,
    span: Option<(Instant, Instant)>,
}

impl Tally {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handshake for this peer has arrived.
    pub fn note(&self, peer: SocketAddr, now: Instant) {
        let mut state = self.state();
        if state.seen.insert(peer) {
            state.span = Some(state.span.map_or((now, now), |(first, _)| (first, now)));
            self.changed.notify_waiters();
        }
    }

    /// Starts over.
    pub fn reset(&self) {
        *self.state() = State::default();
    }

    /// Peers counted.
    pub fn peers(&self) -> usize {
        self.state().seen.len()
    }

    /// From the first peer counted to the last.
    pub fn span(&self) -> Duration {
        self.state().span.map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first))
    }

    /// Waits until so many peers are counted.
    pub async fn reaches(&self, peers: usize) {
        loop {
            let changed = self.changed.notified();
            if self.peers() >= peers {
                return;
            }
            changed.await;
        }
    }
}
