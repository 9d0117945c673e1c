//! Who waits for its time, and who is due and waits for a place.

use std::{cmp::Reverse, collections::VecDeque, time::Instant};

use super::{
    Schedule,
    plan::{Class, Plan, Stage, Tick},
};
use crate::registry::{PeerKey, Registry};

/// Lists that grow with the peers known grow by this part of themselves, as doubling would waste as much as is used.
const GROWTH: usize = 32;

impl Schedule {
    pub(super) fn queue_due(&mut self, now: Instant, registry: &Registry) {
        let tick = self.tick(now);
        while let Some(&Reverse((due, peer))) = self.waiting.peek() {
            if self.start + due.elapsed() > now {
                return;
            }
            self.waiting.pop();
            let piece_count = registry
                .peer(peer)
                .and_then(|place| self.piece_counts.get(place.swarm.index()).copied().flatten());
            let Some(plan) = self.plans.get_mut(peer.index()) else { continue };
            if plan.due != due {
                continue;
            }
            match plan.stage {
                Stage::Waiting => {
                    plan.stage = Stage::Queued;
                    self.waiting_count -= 1;
                    self.queued += 1;
                }
                Stage::Queued if plan.class == Class::Revisit => {}
                Stage::Blocked | Stage::Busy | Stage::Idle | Stage::Queued => continue,
            }
            if plan.class == Class::Revisit {
                if plan.should_have_crossed(tick, piece_count) {
                    plan.class = Class::Crossed;
                } else if let Some(eta) = plan.eta(tick, piece_count).filter(|eta| !eta.is_zero()) {
                    // If it is not served until then, it is worth more.
                    plan.due = Tick::at(now.saturating_duration_since(self.start) + eta).max(Tick(due.0 + 1));
                    self.waiting.push(Reverse((plan.due, peer)));
                }
            }
            if let Some(queue) = self.queues.get_mut(plan.class as usize) {
                if queue.len() == queue.capacity() {
                    queue.reserve_exact(64 + queue.len() / GROWTH);
                }
                queue.push_back(peer);
            }
        }
    }

    pub(super) fn take_queued(&mut self) -> Option<PeerKey> {
        loop {
            let queues = &self.queues;
            let waits = |class: Class| queues.get(class as usize).is_some_and(|queue| !queue.is_empty());
            let class = self.worth.choose(waits)?;
            let peer = self.queues.get_mut(class as usize)?.pop_front()?;
            // A peer that came to us meanwhile, was found to be ourselves, or changed its class, is not queued here.
            let is_queued = |plan: &Plan| plan.stage == Stage::Queued && plan.class == class;
            if self.plans.get(peer.index()).is_some_and(is_queued) {
                self.queued -= 1;
                return Some(peer);
            }
        }
    }

    /// Whether somebody waits for whom a held contact may be given up.
    pub(super) fn is_worth_a_place(&self) -> bool {
        let worthy = |class: &Class| !matches!(class, Class::Complete | Class::Retry | Class::Seed);
        let waits = |class: Class| self.queues.get(class as usize).is_some_and(|queue| !queue.is_empty());
        Class::ALL.into_iter().filter(worthy).any(waits)
    }

    pub(super) fn wait(&mut self, peer: PeerKey, class: Class, until: Instant) {
        let due = Tick::at(until.saturating_duration_since(self.start));
        let Some(plan) = self.plans.get_mut(peer.index()) else { return };
        if plan.stage == Stage::Blocked {
            return;
        }
        plan.class = class;
        plan.stage = Stage::Waiting;
        plan.due = due;
        self.waiting_count += 1;
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.reserve_exact(64 + self.waiting.len() / GROWTH);
        }
        self.waiting.push(Reverse((due, peer)));
    }

    pub(super) fn wait_as_before(&mut self, peer: PeerKey, until: Instant) {
        let class = self.plans.get(peer.index()).map(|plan| plan.class).unwrap_or_default();
        self.wait(peer, class, until);
    }

    /// A peer that waits or is due leaves the round.
    pub(super) fn leave_waiting(&mut self, peer: PeerKey) {
        match self.plans.get(peer.index()).map(|plan| plan.stage) {
            Some(Stage::Waiting) => self.waiting_count -= 1,
            Some(Stage::Queued) => self.queued -= 1,
            _ => {}
        }
    }

    pub(super) fn grow(&mut self, peer: PeerKey) {
        let len = peer.index() + 1;
        if self.plans.len() >= len {
            return;
        }
        if self.plans.capacity() < len {
            self.plans.reserve_exact(len - self.plans.len() + len / GROWTH);
        }
        self.plans.resize(len, Plan::default());
    }

    /// Bytes taken by what grows with the peers known.
    pub fn memory_bytes(&self) -> usize {
        let queues: usize = self.queues.iter().map(VecDeque::capacity).sum();
        self.plans.capacity() * size_of::<Plan>()
            + self.waiting.capacity() * size_of::<Reverse<(Tick, PeerKey)>>()
            + queues * size_of::<PeerKey>()
    }
}
