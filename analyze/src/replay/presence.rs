//! When peers were online: contacts in order of time → sessions, and how long each confirmed peer stayed.
//!
//! A handshake proves that a peer is there until the contact ends; an outgoing connection that is refused, times out or
//! finds no route, that it is gone. What lies between two proofs of presence is presence. A session ends with the first
//! failure after its last proof, unless the peer is there again within `BRIDGE_US`. Times are microseconds.

use polars::prelude::{
    DataFrame, Expr, IntoColumn, IntoLazy, NULL, NamedFrom, PolarsResult, Series, SortMultipleOptions,
    UniqueKeepStrategy, col, lit, when,
};
use schema::table::ContactOutcome;

use super::{
    Rules,
    identity::{KEY, is_out, key, left_join},
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
struct Session {
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
    pub seen: Vec<survival::Session>,
    /// Sessions that may have begun before the watch did.
    pub left_truncated: u64,
}

/// The sessions of a range's peers.
pub struct Presence {
    /// The key and its `number`.
    numbers: DataFrame,
    /// Sorted by the peer's number and time.
    sessions: Vec<(u32, Session)>,
    /// `info_hash`, `watched_from`, `watched_until`.
    watched: DataFrame,
}

/// A contact: when its peer was there, or seen not to be.
#[derive(Clone, Copy, Debug)]
enum Proof {
    There { from: i64, until: i64 },
    Gone { at: i64 },
}

impl Presence {
    /// Follows the peers through resolved contacts; `watched` has `info_hash`, `watched_from`, `watched_until`.
    pub fn of(contacts: &DataFrame, watched: DataFrame, rules: &Rules) -> PolarsResult<Self> {
        let absent = ABSENT
            .iter()
            .fold(lit(false), |any, outcome| any.or(col("outcome").eq(lit(outcome.as_str()))))
            .and(is_out());
        let there = || col("handshake").fill_null(lit(false));
        let proofs = contacts
            .clone()
            .lazy()
            .filter(col("own").not().and(rules.selection.in_time()).and(there().or(absent)))
            .select(
                [
                    key(),
                    vec![
                        there().alias("there"),
                        from().alias("from"),
                        col("time").alias("until"),
                        when(is_out()).then(col("port")).otherwise(lit(NULL)).alias("met_at"),
                    ],
                ]
                .concat(),
            )
            .collect()?;
        let numbers = proofs
            .clone()
            .lazy()
            .select(key())
            .unique(None, UniqueKeepStrategy::Any)
            .sort(KEY, SortMultipleOptions::default())
            .with_row_index("number", None)
            .collect()?;
        let proofs = proofs
            .lazy()
            .join(numbers.clone().lazy(), key(), key(), left_join())
            .select(["number", "from", "until", "there", "met_at"].map(col))
            .sort(["number", "from", "until", "there", "met_at"], SortMultipleOptions::default())
            .collect()?;
        Ok(Self { numbers, sessions: follow_all(&proofs)?, watched })
    }

    /// Sessions by length.
    pub fn sessions(&self) -> PolarsResult<Sessions> {
        let begins = self
            .numbers
            .clone()
            .lazy()
            .join(self.watched.clone().lazy(), [col("info_hash")], [col("info_hash")], left_join())
            .sort(["number"], SortMultipleOptions::default())
            .collect()?;
        let watched =
            begins.column("watched_from")?.i64()?.iter().zip(begins.column("watched_until")?.i64()?.iter());
        let begins: Vec<Option<i64>> = watched.map(|(from, until)| Some(warmed_up(from?, until?))).collect();
        let mut sessions = Sessions::default();
        for (number, session) in &self.sessions {
            let from = begins.get(*number as usize).copied().flatten();
            if from.is_some_and(|from| session.start < from) {
                sessions.left_truncated += 1;
            } else {
                sessions.seen.push(session.measured());
            }
        }
        Ok(sessions)
    }

    /// Adds to peers `watched_from`, and `stayed_us` and `gone_us` of those that reached the threshold: how long they were
    /// seen after it, and after how long they were found gone (null where they were not).
    pub fn add_stays(&self, peers: DataFrame) -> PolarsResult<DataFrame> {
        let peers = peers
            .lazy()
            .join(self.numbers.clone().lazy(), key(), key(), left_join())
            .join(
                self.watched.clone().lazy().drop(polars::prelude::by_name(["watched_until"], true, false)),
                [col("info_hash")],
                [col("info_hash")],
                left_join(),
            )
            .collect()?;
        let (mut stayed, mut gone) = (Vec::new(), Vec::new());
        let numbers = peers.column("number")?.u32()?.iter();
        for (number, reached_at) in numbers.zip(peers.column("reached_at")?.i64()?.iter()) {
            let session =
                number.zip(reached_at).and_then(|(number, at)| Some((self.session_at(number, at)?, at)));
            stayed.push(session.map(|(session, at)| (session.last_seen - at).max(0)));
            gone.push(session.and_then(|(session, at)| Some((session.gone_by? - at).max(0))));
        }
        let mut peers = peers.drop("number")?;
        peers.with_column(Series::new("stayed_us".into(), stayed).into_column())?;
        peers.with_column(Series::new("gone_us".into(), gone).into_column())?;
        Ok(peers)
    }

    /// The peer's last session that began by then.
    fn session_at(&self, number: u32, at: i64) -> Option<Session> {
        let after = self.sessions.partition_point(|(other, session)| (*other, session.start) <= (number, at));
        let (other, session) = self.sessions.get(after.checked_sub(1)?)?;
        (*other == number).then_some(*session)
    }
}

impl Session {
    /// Its length as far as it was seen; an end lies halfway between the last proof of presence and that of absence.
    fn measured(&self) -> survival::Session {
        let end = self.gone_by.map_or(self.last_seen, |gone_by| i64::midpoint(self.last_seen, gone_by));
        survival::Session { length: end - self.start, ended: self.gone_by.is_some() }
    }
}

fn from() -> Expr {
    when(col("handshake").fill_null(lit(false)))
        .then(polars::prelude::coalesce(&[col("handshake_at"), col("time")]))
        .otherwise(col("time"))
}

/// When sessions may be trusted to begin where they seem to: after a tenth of the watch, an hour at most.
fn warmed_up(watched_from: i64, watched_until: i64) -> i64 {
    watched_from + ((watched_until - watched_from) / 10).clamp(0, WARM_UP_US)
}

fn follow_all(proofs: &DataFrame) -> PolarsResult<Vec<(u32, Session)>> {
    let times = proofs.column("from")?.i64()?.iter().zip(proofs.column("until")?.i64()?.iter());
    let rows = proofs.column("number")?.u32()?.iter().zip(times).zip(proofs.column("there")?.bool()?.iter());
    let ports = proofs.column("met_at")?.i64()?.iter();
    let mut sessions = Vec::new();
    let mut of_peer: (u32, Vec<Proof>) = (0, Vec::new());
    // The port at which the peer was met last: that it is not at an earlier one any more proves nothing.
    let mut met_at = None;
    let mut finish = |(number, proofs): &mut (u32, Vec<Proof>)| {
        sessions.extend(follow(proofs).into_iter().map(|session| (*number, session)));
        proofs.clear();
    };
    for (((number, (from, until)), there), port) in rows.zip(ports) {
        let (Some(number), Some(from), Some(until)) = (number, from, until) else { continue };
        if number != of_peer.0 {
            finish(&mut of_peer);
            (of_peer.0, met_at) = (number, None);
        }
        if there.unwrap_or_default() {
            met_at = port.or(met_at);
            of_peer.1.push(Proof::There { from, until: until.max(from) });
        } else if met_at.is_none_or(|met_at| Some(met_at) == port) {
            of_peer.1.push(Proof::Gone { at: until });
        }
    }
    finish(&mut of_peer);
    Ok(sessions)
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
