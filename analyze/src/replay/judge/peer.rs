//! One peer's history → its verdict, in one pass.
//!
//! ```text
//! settled, below the threshold ──▶ below ──(at or above it, later)──▶ crossed
//! at or above it ───────────────────────────────────────────────────▶ already complete
//! ```
//!
//! A count that is lower than one known before comes from a contact that lags behind another one: it moves nothing.

use super::{Claim, Crossing, Observation, Opening, Reached, Torrent, Verdict, generations::Member};
use crate::replay::speed::Speedometer;

/// What is used again from peer to peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// The highest count up to each observation.
    highest: Vec<u32>,
    speed: Speedometer,
    verdict: Verdict,
}

impl Reading {
    /// Judges one peer; `None` without observations. `thresholds` are in pieces, the first is the one in force.
    pub fn judge(
        &mut self,
        torrent: &Torrent,
        thresholds: &[u32],
        members: &[Member],
        opening: impl Fn(u32) -> Opening,
    ) -> Option<&Verdict> {
        let first = members.first()?.row;
        let Self { highest, speed, verdict } = self;
        fill_highest(highest, members);
        speed.clear();
        verdict.begin(&first, thresholds.len());
        let mut below = Below::default();
        let mut earlier = Earlier::default();
        let (mut known, mut partly, mut named_in) = (0, false, None);
        // The lowest threshold that is not reached yet.
        let mut next = thresholds.iter().copied().min();
        for (member, highest_now) in members.iter().zip(highest.iter()) {
            let Member { row, told_before, returns, .. } = member;
            verdict.backwards |= *returns || row.settled && goes_back(member, members, highest, &mut earlier);
            verdict.believed |= told_before.is_none() && claims_pieces(row);
            let lags = row.pieces < known;
            known = *highest_now;
            if lags {
                continue;
            }
            partly |= (1..torrent.piece_count).contains(&row.pieces);
            if member.is_named {
                named_in = Some(row.contact);
            }
            // Nobody watches a finished peer closely: its last pieces, seen an hour late, would be an hour's work.
            let downloading = verdict.reached.first().is_some_and(Option::is_none);
            if let Some(bytes) = torrent.bytes.filter(|_| downloading) {
                speed.observe(row.time, bytes.of(row.pieces, torrent.piece_count), row.settled);
            }
            if next.is_some_and(|next| row.pieces >= next) {
                next = None;
                for (threshold, reached) in thresholds.iter().zip(&mut verdict.reached) {
                    if reached.is_none() && row.pieces >= *threshold {
                        *reached = Some(below.reach(row));
                    } else if reached.is_none() {
                        next = Some(next.map_or(*threshold, |next: u32| next.min(*threshold)));
                    }
                }
            }
            if row.settled {
                below.note(row);
            }
        }
        verdict.peer_id = named_in.and_then(|contact| opening(contact).peer_id);
        verdict.believed &= partly;
        (verdict.mean_speed, verdict.max_speed) = speed.read();
        Some(verdict)
    }
}

/// Writes the highest count up to each observation.
fn fill_highest(highest: &mut Vec<u32>, members: &[Member]) {
    highest.clear();
    highest.extend(members.iter().scan(0, |highest, member| {
        *highest = member.row.pieces.max(*highest);
        Some(*highest)
    }));
}

/// Within a contact counts only rise; a contact's first is held against what was known before its handshake.
fn goes_back(member: &Member, members: &[Member], highest: &[u32], earlier: &mut Earlier) -> bool {
    let known = member.told_before.or_else(|| {
        let earlier = earlier.among(members, |other| other.row.time < member.opened_at);
        highest.get(earlier.checked_sub(1)?).copied()
    });
    known.is_some_and(|known| member.row.pieces < known)
}

/// How many of what is in order of time are earlier than the time last asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Earlier {
    count: usize,
}

impl Earlier {
    /// So many are looked at one by one.
    const NEAR: usize = 16;

    /// How many are earlier than a time, which mostly is soon after the one asked for before.
    fn among<T>(&mut self, all: &[T], is_earlier: impl Fn(&T) -> bool) -> usize {
        let rest = all.get(self.count..).unwrap_or_default();
        let near = rest.iter().take(Self::NEAR).position(|one| !is_earlier(one));
        let is_later = self.count == 0 || all.get(self.count - 1).is_some_and(&is_earlier);
        self.count = match near {
            Some(near) if is_later => self.count + near,
            _ => all.partition_point(is_earlier),
        };
        self.count
    }
}

/// Whether, as the first of its contact, it shows that the peer does not super-seed.
fn claims_pieces(row: &Observation) -> bool {
    row.settled && row.claim == Claim::Handshake && row.pieces > 0
}

/// The last settled observation, and the last one that is earlier than it. All are below every threshold not reached.
#[derive(Clone, Copy, Debug, Default)]
struct Below {
    last: Option<Observation>,
    earlier: Option<Observation>,
}

impl Below {
    fn note(&mut self, row: &Observation) {
        if self.last.is_none_or(|last| last.time < row.time) {
            self.earlier = self.last;
        }
        self.last = Some(*row);
    }

    fn reach(&self, row: &Observation) -> Reached {
        let before = self.last.filter(|last| last.time < row.time).or(self.earlier);
        let Some(below) = before else { return Reached::Already };
        Reached::Crossed(Crossing {
            below_at: below.time,
            below_pieces: below.pieces,
            at: row.time,
            pieces: row.pieces,
            live: below.contact == row.contact,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn earlier_ones_are_counted_whatever_time_is_asked_for(
            mut times in prop::collection::vec(0_i64..200, 0..100),
            asked in prop::collection::vec(-1_i64..202, 0..30),
        ) {
            times.sort_unstable();
            let mut earlier = Earlier::default();
            for asked in asked {
                let expected = times.iter().filter(|time| **time < asked).count();
                prop_assert_eq!(earlier.among(&times, |time| *time < asked), expected);
            }
        }
    }
}
