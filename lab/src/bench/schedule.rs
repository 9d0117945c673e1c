//! Confirmed downloads per budget: the capture's schedule against one that visits everybody at a fixed interval.
//!
//! Both play the same swarm, drawn from a seed, on a simulated clock and without sockets, so that the result is the
//! same on every machine. The fixed schedule is given the best of several intervals.

mod fixed;
mod simulation;

use std::{fmt, time::Duration};

use capture::{
    address::AddressPolicy,
    registry::{PeerKey, Registry, Sighted},
    schedule::{Action, ContactNumbers, Limit, Origin, Pacing, Rungs, Schedule, Seen},
    swarm::SwarmId,
};
use schema::table::ContactOutcome;

use self::{
    fixed::Fixed,
    simulation::{Act, Meeting, Visitor, play},
};
use crate::plan::{Plan, PlanOptions};

/// Intervals the fixed schedule is tried with.
pub const INTERVALS: [Duration; 4] =
    [Duration::from_secs(15), Duration::from_secs(30), Duration::from_mins(1), Duration::from_mins(3)];

/// What a schedule may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Contacts begun per second.
    pub per_second: u32,
    /// Contacts open at once.
    pub max_open: usize,
}

/// Budgets from far too small to ample, for two thousand peers.
pub const BUDGETS: [Budget; 6] = [
    Budget { per_second: 1, max_open: 1_000 },
    Budget { per_second: 2, max_open: 1_000 },
    Budget { per_second: 5, max_open: 1_000 },
    Budget { per_second: 1_000, max_open: 5 },
    Budget { per_second: 1_000, max_open: 20 },
    Budget { per_second: 1_000, max_open: 2_000 },
];

/// What came of one budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The budget.
    pub budget: Budget,
    /// Peers that crossed the threshold, and could be reached.
    pub crossings: usize,
    /// Confirmed downloads that the capture's schedule found.
    pub ours: usize,
    /// Those the fixed schedule found, with its best interval.
    pub fixed: usize,
    /// That interval.
    pub interval: Duration,
}

impl Found {
    /// How many times as many we found.
    pub fn ratio(&self) -> f64 {
        self.ours as f64 / self.fixed.max(1) as f64
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Budget { per_second, max_open } = self.budget;
        write!(
            f,
            "{per_second:>5}/s {max_open:>5} open  {:>5} crossings  ours {:>5}  every {:>3} s {:>5}  ratio {:.2}",
            self.crossings,
            self.ours,
            self.interval.as_secs(),
            self.fixed,
            self.ratio()
        )
    }
}

/// Plays a swarm under one budget.
pub fn measure(options: &PlanOptions, budget: Budget) -> Found {
    let plan = Plan::draw(options);
    let ours = play(&plan, options, budget, |start| Ours::new(start, &plan, options, budget));
    let best = INTERVALS
        .map(|interval| (play(&plan, options, budget, |start| Fixed::new(start, interval, budget)), interval))
        .into_iter()
        .max_by_key(|(found, interval)| (found.confirmed, std::cmp::Reverse(*interval)));
    let (fixed, interval) = best.map_or((0, INTERVALS[0]), |(found, interval)| (found.confirmed, interval));
    Found { budget, crossings: ours.crossings, ours: ours.confirmed, fixed, interval }
}

/// The capture's schedule, as the simulation sees it.
struct Ours {
    schedule: Schedule,
    registry: Registry,
    /// The plan's peer behind each key.
    peers: Vec<usize>,
}

impl Ours {
    fn new(start: std::time::Instant, plan: &Plan, options: &PlanOptions, budget: Budget) -> Self {
        let pacing = Pacing {
            max_out: budget.max_open,
            per_second: budget.per_second,
            hold: Duration::from_mins(30),
            revisit: Duration::from_mins(2),
            rungs: Rungs::new(false, false),
            ip: Limit::IP,
            network: Limit::NETWORK,
        };
        let policy = std::sync::Arc::new(AddressPolicy::new(true, &[]));
        Self {
            schedule: Schedule::new(start, pacing, ContactNumbers::default(), options.seed),
            registry: Registry::new(policy, plan.torrents.len()),
            peers: Vec::new(),
        }
    }

    fn plan_peer(&self, peer: PeerKey) -> usize {
        self.peers.get(peer.index()).copied().unwrap_or(usize::MAX)
    }
}

impl Visitor for Ours {
    fn named(&mut self, now: std::time::Instant, peer: usize, plan: &Plan) {
        let Some(place) = plan.peers.get(peer) else { return };
        let swarm = SwarmId(u32::try_from(place.swarm).unwrap_or(u32::MAX));
        if let Sighted::New(key) = self.registry.sight(swarm, (place.ip, 6881).into()) {
            self.peers.push(peer);
            self.schedule.add(now, key, Origin::Tracker);
        }
    }

    fn next(&mut self, now: std::time::Instant) -> Option<Act> {
        Some(match self.schedule.next(now, &self.registry)? {
            Action::Close { contact, .. } => Act::Close(contact),
            Action::Dial { contact, peer, .. } => Act::Dial(contact, self.plan_peer(peer)),
        })
    }

    fn wake(&self, now: std::time::Instant) -> Option<std::time::Instant> {
        self.schedule.next_wake(now)
    }

    fn met(&mut self, now: std::time::Instant, contact: u64, meeting: Meeting) {
        match meeting {
            Meeting::Handshake(peer_id) => self.schedule.handshake(contact, &peer_id),
            Meeting::Claimed { pieces, piece_count } => {
                self.schedule.claimed(now, contact, Some(pieces), Some(piece_count));
            }
            Meeting::Seen { pieces, piece_count, claimed, opening, settled } => {
                let seen = Seen {
                    claimed,
                    complete: pieces == piece_count,
                    opening,
                    piece_count: Some(piece_count),
                    pieces: Some(pieces),
                    settled,
                };
                self.schedule.observed(now, contact, seen);
            }
            Meeting::Settled => self.schedule.settled(now, contact),
        }
    }

    fn ended(&mut self, now: std::time::Instant, contact: u64, outcome: ContactOutcome) {
        self.schedule.ended(now, contact, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(seed: u64) -> PlanOptions {
        PlanOptions { peers: 400, swarms: 4, length: Duration::from_mins(10), seed }
    }

    #[test]
    fn the_same_seed_finds_the_same() {
        let budget = Budget { per_second: 1, max_open: 100 };
        assert_eq!(measure(&options(1), budget), measure(&options(1), budget));
    }

    #[test]
    fn under_a_budget_too_small_ours_finds_clearly_more_than_a_fixed_interval() {
        for budget in [Budget { per_second: 1, max_open: 400 }, Budget { per_second: 1_000, max_open: 3 }] {
            let (mut ours, mut fixed) = (0, 0);
            for seed in 1..=3 {
                let found = measure(&options(seed), budget);
                println!("{found}");
                assert!(found.ratio() >= 1.0, "{found}");
                ours += found.ours;
                fixed += found.fixed;
            }
            assert!(ours as f64 >= 1.2 * fixed as f64, "{budget:?}: {ours} against {fixed}");
        }
    }

    #[test]
    fn with_places_to_spare_nearly_every_crossing_is_found() {
        let found = measure(&options(4), Budget { per_second: 1_000, max_open: 1_000 });
        println!("{found}");
        assert!(found.ours * 100 >= found.crossings * 97, "{found}");
        assert!(found.ours >= found.fixed, "{found}");
    }
}
