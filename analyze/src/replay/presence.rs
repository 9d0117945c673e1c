//! When peers were online: contacts in order of time → sessions, and how long each confirmed peer stayed.
//!
//! A handshake proves that a peer is there until the contact ends; an outgoing connection that is refused, times out or
//! finds no route, that it is gone. What lies between two proofs of presence is presence. A session ends with the first
//! failure after its last proof, unless the peer is there again within `BRIDGE_US`. Times are microseconds.

use schema::table::ContactOutcome;

use super::{
    Rules,
    identity::{Identities, Who},
    unit::Unit,
};
use crate::estimate::survival;

/// A peer that is back so soon was never away: a connection may fail while its client is full.
const BRIDGE_US: i64 = 1_800_000_000;

/// Sessions that begin within so long after the watch, at most, may have begun before it.
const WARM_UP_US: i64 = 3_600_000_000;

/// Outcomes that prove that nobody is there.
const ABSENT: [ContactOutcome; 4] = [
    ContactOutcome::ConnectFailed,
    ContactOutcome::ConnectTimedOut,
    ContactOutcome::Refused,
    ContactOutcome::Unreachable,
];

/// One stay of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The first proof of presence.
    start: i64,
    /// The last one.
    last_seen: i64,
    /// The first proof of absence after it; `None` where nobody looked again.
    gone_by: Option<i64>,
}

/// What is known about being online.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    /// Sessions whose beginning was seen.
    pub seen: survival::Sessions,
    /// Sessions that may have begun before the watch did.
    pub left_truncated: u64,
}

impl Sessions {
    /// Adds another range's.
    pub fn merge(&mut self, other: Self) {
        self.seen.merge(other.seen);
        self.left_truncated += other.left_truncated;
    }
}

/// A contact: when its peer was there, or seen not to be.
#[derive(Clone, Copy, Debug)]
enum Proof {
    There { from: i64, until: i64 },
    Gone { at: i64 },
}

/// The sessions of a unit's peers, in the order of peers and times.
#[derive(Debug, Default)]
pub struct Presence(Vec<(Who, Session)>);

impl Presence {
    /// Follows the peers through their contacts.
    pub fn of(unit: &Unit<'_>, identities: &Identities, rules: &Rules) -> Self {
        let mut proofs = Vec::new();
        for (contact, of) in unit.contacts.iter().zip(&identities.of_contacts) {
            let is_absent = contact.out && contact.outcome.is_some_and(|outcome| ABSENT.contains(&outcome));
            if of.own || !rules.selection.holds(contact.time) || !(of.handshake || is_absent) {
                continue;
            }
            let from = contact.handshake_at.filter(|_| of.handshake).unwrap_or(contact.time);
            let met_at = contact.out.then_some(contact.port);
            proofs.push((of.who, from, contact.time, of.handshake, met_at));
        }
        proofs.sort_unstable();
        let mut sessions = Vec::new();
        for of_peer in proofs.chunk_by(|one, other| one.0 == other.0) {
            let Some((who, ..)) = of_peer.first() else { continue };
            let mut known = Vec::with_capacity(of_peer.len());
            // The port at which the peer was met last: that it is not at an earlier one any more proves nothing.
            let mut last_met_at = None;
            for (_, from, until, there, met_at) in of_peer {
                if *there {
                    last_met_at = met_at.or(last_met_at);
                    known.push(Proof::There { from: *from, until: *until.max(from) });
                } else if last_met_at.is_none_or(|last| Some(last) == *met_at) {
                    known.push(Proof::Gone { at: *until });
                }
            }
            sessions.extend(follow(&known).into_iter().map(|session| (*who, session)));
        }
        Self(sessions)
    }

    /// Adds the sessions by length; `watched` is when the torrent was.
    pub fn add_to(&self, sessions: &mut Sessions, watched: Option<(i64, i64)>) {
        let trusted_from = watched.map(|(from, until)| warmed_up(from, until));
        for (_, session) in &self.0 {
            if trusted_from.is_some_and(|from| session.start < from) {
                sessions.left_truncated += 1;
            } else {
                sessions.seen.add(session.measured());
            }
        }
    }

    /// How long a peer was seen after it reached the threshold, and after how long it was found gone (`None` where it was
    /// not), µs; `None` where it was not met.
    pub fn stay(&self, who: Who, reached_at: i64) -> Option<(i64, Option<i64>)> {
        // The peer's last session that began by then.
        let after = self.0.partition_point(|(other, session)| (*other, session.start) <= (who, reached_at));
        let (_, session) = self.0.get(after.checked_sub(1)?).filter(|(other, _)| *other == who)?;
        let since = |at: i64| (at - reached_at).max(0);
        Some((since(session.last_seen), session.gone_by.map(since)))
    }
}

impl Session {
    /// Its length as far as it was seen; an end lies halfway between the last proof of presence and that of absence.
    fn measured(&self) -> survival::Session {
        let end = self.gone_by.map_or(self.last_seen, |gone_by| i64::midpoint(self.last_seen, gone_by));
        survival::Session { length: end - self.start, ended: self.gone_by.is_some() }
    }
}

/// When sessions may be trusted to begin where they seem to: after a tenth of the watch, an hour at most.
fn warmed_up(watched_from: i64, watched_until: i64) -> i64 {
    watched_from + ((watched_until - watched_from) / 10).clamp(0, WARM_UP_US)
}

/// The sessions of one peer; proofs come in order of time.
fn follow(proofs: &[Proof]) -> Vec<Session> {
    let mut sessions = Vec::new();
    let mut open: Option<Session> = None;
    for proof in proofs {
        match (*proof, &mut open) {
            (Proof::Gone { .. }, None) => {}
            (Proof::Gone { at }, Some(session)) => {
                if at > session.last_seen {
                    session.gone_by.get_or_insert(at);
                }
            }
            (Proof::There { from, until }, Some(session))
                if session.gone_by.is_none() || from - session.last_seen <= BRIDGE_US =>
            {
                session.last_seen = session.last_seen.max(until);
                session.gone_by = None;
            }
            (Proof::There { from, until }, _) => {
                sessions.extend(open.replace(Session { start: from, last_seen: until, gone_by: None }));
            }
        }
    }
    sessions.extend(open);
    sessions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn there(from: i64, until: i64) -> Proof {
        Proof::There { from: from * MINUTE, until: until * MINUTE }
    }

    fn gone(at: i64) -> Proof {
        Proof::Gone { at: at * MINUTE }
    }

    fn sessions(proofs: &[Proof]) -> Vec<(i64, i64, Option<i64>)> {
        let minutes = |session: Session| {
            (session.start / MINUTE, session.last_seen / MINUTE, session.gone_by.map(|at| at / MINUTE))
        };
        follow(proofs).into_iter().map(minutes).collect()
    }

    #[test]
    fn a_session_lasts_from_the_first_proof_to_the_first_failure() {
        assert_eq!(sessions(&[there(0, 5), there(200, 201), gone(300), gone(400)]), [(0, 201, Some(300))]);
        assert_eq!(sessions(&[there(0, 5)]), [(0, 5, None)]);
        assert_eq!(sessions(&[gone(1), gone(2)]), []);
    }

    #[test]
    fn a_short_failure_does_not_end_it_and_a_long_one_does() {
        assert_eq!(sessions(&[there(0, 5), gone(10), there(30, 31)]), [(0, 31, None)]);
        assert_eq!(
            sessions(&[there(0, 5), gone(10), gone(20), there(60, 61)]),
            [(0, 5, Some(10)), (60, 61, None)]
        );
    }

    #[test]
    fn a_failure_beside_an_open_contact_proves_nothing() {
        assert_eq!(sessions(&[there(0, 50), gone(20), gone(60)]), [(0, 50, Some(60))]);
    }

    #[test]
    fn an_end_lies_halfway_between_its_proofs() {
        let session = Session { start: 0, last_seen: 10, gone_by: Some(20) };
        assert_eq!(session.measured(), survival::Session { length: 15, ended: true });
        let cut_off = Session { gone_by: None, ..session };
        assert_eq!(cut_off.measured(), survival::Session { length: 10, ended: false });
    }

    proptest! {
        #[test]
        fn sessions_follow_one_another_and_hold_every_proof(
            spans in proptest::collection::vec((0..300_i64, 0..60_i64, any::<bool>()), 0..30),
        ) {
            let mut spans = spans;
            spans.sort_unstable();
            let proofs: Vec<Proof> = spans
                .iter()
                .map(|(from, length, is_there)| if *is_there { there(*from, from + length) } else { gone(*from) })
                .collect();
            let sessions = follow(&proofs);
            for pair in sessions.windows(2) {
                prop_assert!(pair[0].gone_by.is_some_and(|gone| gone > pair[0].last_seen && gone <= pair[1].start));
                prop_assert!(pair[1].start - pair[0].last_seen > BRIDGE_US);
            }
            for proof in &proofs {
                if let Proof::There { from, until } = proof {
                    let held = sessions.iter().filter(|held| held.start <= *from && *until <= held.last_seen).count();
                    prop_assert_eq!(held, 1);
                }
            }
            prop_assert_eq!(sessions.is_empty(), !spans.iter().any(|(.., is_there)| *is_there));
        }
    }
}
