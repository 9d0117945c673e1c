//! The schedule to compare with: every peer is visited again after the same time, first come, first served.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::{Duration, Instant},
};

use schema::table::ContactOutcome;

use super::{
    Budget,
    simulation::{Act, Meeting, Visitor},
};
use crate::plan::Plan;

pub(super) struct Fixed {
    interval: Duration,
    budget: Budget,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    open: HashMap<u64, usize>,
    /// Contacts that have told what they are for.
    done: Vec<u64>,
    next_begin: Instant,
    contacts: u64,
}

impl Fixed {
    pub(super) fn new(start: Instant, interval: Duration, budget: Budget) -> Self {
        Self {
            interval,
            budget,
            due: BinaryHeap::new(),
            open: HashMap::new(),
            done: Vec::new(),
            next_begin: start,
            contacts: 0,
        }
    }
}

impl Visitor for Fixed {
    fn named(&mut self, now: Instant, peer: usize, _: &Plan) {
        self.due.push(Reverse((now, peer)));
    }

    fn next(&mut self, now: Instant) -> Option<Act> {
        if let Some(contact) = self.done.pop() {
            return Some(Act::Close(contact));
        }
        let &Reverse((due, peer)) = self.due.peek()?;
        if due > now || now < self.next_begin || self.open.len() >= self.budget.max_open {
            return None;
        }
        self.due.pop();
        self.next_begin =
            self.next_begin.max(now) + Duration::from_secs_f64(1.0 / f64::from(self.budget.per_second));
        self.contacts += 1;
        self.open.insert(self.contacts, peer);
        Some(Act::Dial(self.contacts, peer))
    }

    fn wake(&self, _: Instant) -> Option<Instant> {
        let &Reverse((due, _)) = self.due.peek()?;
        (self.open.len() < self.budget.max_open).then(|| due.max(self.next_begin))
    }

    fn met(&mut self, _: Instant, contact: u64, meeting: Meeting) {
        if matches!(meeting, Meeting::Settled) {
            self.done.push(contact);
        }
    }

    fn ended(&mut self, now: Instant, contact: u64, _: ContactOutcome) {
        self.done.retain(|done| *done != contact);
        if let Some(peer) = self.open.remove(&contact) {
            self.due.push(Reverse((now + self.interval, peer)));
        }
    }
}
