//! When which swarm is looked up in a family: at the start in the list's order, then again and again, with jitter.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use tokio::time::Instant;

/// Searches under way in one family at once.
const RUNNING_MAX: usize = 24;
/// A search that nobody answered is repeated this soon, then less often, up to the regular interval.
const AGAIN: Duration = Duration::from_secs(10);

/// The searches of one family.
#[derive(Debug)]
pub(super) struct Plan {
    every: Duration,
    due: BinaryHeap<Reverse<(Instant, usize, u32)>>,
    running: usize,
}

/// A search that is to be made: of which swarm, and how many in a row were in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub swarm: usize,
    pub in_vain: u32,
}

impl Plan {
    pub fn new(swarms: usize, every: Duration, now: Instant) -> Self {
        Self { every, due: (0..swarms).map(|swarm| Reverse((now, swarm, 0))).collect(), running: 0 }
    }

    /// The next search that is due, if there is a place for it; it is running then.
    pub fn next(&mut self, now: Instant) -> Option<Turn> {
        if self.wake().is_none_or(|at| at > now) {
            return None;
        }
        let Reverse((_, swarm, in_vain)) = self.due.pop()?;
        self.running += 1;
        Some(Turn { swarm, in_vain })
    }

    /// When to ask again; none while all places are taken.
    pub fn wake(&self) -> Option<Instant> {
        let next = self.due.peek().map(|Reverse((at, ..))| *at);
        next.filter(|_| self.running < RUNNING_MAX)
    }

    /// A search is over; `jitter` is anything.
    pub fn finished(&mut self, now: Instant, turn: Turn, is_answered: bool, jitter: u16) {
        self.running = self.running.saturating_sub(1);
        let in_vain = if is_answered { 0 } else { turn.in_vain.saturating_add(1) };
        let delay =
            if is_answered { self.every } else { (AGAIN * (1 << turn.in_vain.min(8))).min(self.every) };
        // Between 90 and 110 %, so that searches that began together drift apart.
        let delay = delay.mul_f64(0.9 + 0.2 * f64::from(jitter) / f64::from(u16::MAX));
        self.due.push(Reverse((now + delay, turn.swarm, in_vain)));
    }

    /// A swarm is not to be looked up any more.
    pub fn dropped(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn searches_are_few_at_once_and_repeated() {
        let now = Clock::start().instant();
        let mut plan = Plan::new(30, Duration::from_mins(10), now);
        let first: Vec<Turn> = std::iter::from_fn(|| plan.next(now)).collect();
        assert_eq!((first.len(), first[0].swarm, plan.wake()), (RUNNING_MAX, 0, None));
        plan.dropped();
        plan.finished(now, first[1], true, 0);
        assert_eq!([plan.next(now), plan.next(now)].map(|turn| turn.unwrap().swarm), [24, 25]);
        first[2..].iter().for_each(|&turn| plan.finished(now, turn, true, u16::MAX));
        while plan.next(now).is_some() {}
        assert_eq!(plan.wake(), Some(now + Duration::from_mins(9)));
        assert_eq!(plan.next(now + Duration::from_mins(9)).unwrap().swarm, 1);
    }

    #[test]
    fn a_search_in_vain_is_repeated_sooner_and_sooner_less_often() {
        let mut now = Clock::start().instant();
        let mut plan = Plan::new(1, Duration::from_mins(1), now);
        let mut delays = Vec::new();
        for _ in 0..5 {
            let turn = plan.next(now).unwrap();
            plan.finished(now, turn, false, u16::MAX / 2);
            let next = plan.wake().unwrap();
            delays.push((next - now).as_secs_f64().round());
            now = next;
        }
        assert!(
            delays.iter().zip([10.0, 20.0, 40.0, 60.0, 60.0]).all(|(a, b): (&f64, f64)| (a - b).abs() < 1.0)
        );
    }
}
