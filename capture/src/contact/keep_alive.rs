//! How often a client is to hear from us so that it does not hang up on an idle connection.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::schedule::{Program, keep_alive_by_table};

/// What the scheduler learnt of clients' idle limits, for the contacts to go by.
#[derive(Debug, Default)]
pub struct KeepAlives(Mutex<HashMap<Program, Duration>>);

impl KeepAlives {
    /// Notes what was learnt of a program.
    pub fn set(&self, program: Program, keep_alive: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(program, keep_alive);
    }

    /// How often a peer of this ID is to hear from us.
    pub fn of(&self, peer_id: &[u8; 20]) -> Duration {
        let learnt = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.get(&Program::of(peer_id)).copied().unwrap_or_else(|| keep_alive_by_table(peer_id))
    }
}
