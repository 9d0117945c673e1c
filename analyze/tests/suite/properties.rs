//! The replay against random histories: an oracle that is slow and plain, and what no cutting of files may change.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{LogWriter, all_csv, columns, hash, options};
use analyze::estimate::{chao2, chapman};
use proptest::prelude::*;
use schema::table::{
    ContactOutcome, Direction,
    ProgressKind::{self, Bitfield, Have, HaveAll, HaveNone, Silence},
    Source,
};

/// One contact of a random history; times in whole seconds.
#[derive(Clone, Debug)]
struct History {
    /// The peer's address is 2.2.2.`host`.
    host: u8,
    direction: Direction,
    /// For an outgoing contact the endpoint's port, for an incoming one the port it says it listens on.
    port: Option<u16>,
    id: u8,
    handshake_s: u16,
    opening: ProgressKind,
    settled: bool,
    pieces: u32,
    /// Seconds after the settle time, and pieces on top.
    haves: Vec<(u16, u32)>,
}

/// A row of `progress` as the oracle sees it.
#[derive(Clone, Debug)]
struct Observation {
    time: u32,
    pieces: u32,
    contact: usize,
    handshake: u32,
    id: u8,
    opening: bool,
    claims: bool,
    settled: bool,
}

fn history() -> impl Strategy<Value = History> {
    let opening = prop_oneof![Just(Bitfield), Just(Bitfield), Just(HaveAll), Just(HaveNone), Just(Silence)];
    let pieces = prop_oneof![0..=100_u32, 94..=100_u32];
    let haves = proptest::collection::vec((1..40_u16, 1..60_u32), 0..4);
    let port = prop_oneof![Just(Some(6881_u16)), Just(Some(7000)), Just(None)];
    let who = (1..=24_u8, prop_oneof![Just(Direction::Out), Just(Direction::In)], port, b'a'..=b'c');
    (who, 0..400_u16, opening, proptest::bool::weighted(0.85), pieces, haves).prop_map(
        |((host, direction, port, id), handshake_s, opening, settled, pieces, haves)| {
            let port = if direction == Direction::Out { port.or(Some(6881)) } else { port };
            let pieces = match opening {
                HaveAll => crate::common::PIECES,
                HaveNone | Silence => 0,
                Bitfield | Have => pieces,
            };
            let haves = if settled { haves } else { Vec::new() };
            // A peer is never silent and unsettled at once: nothing was claimed, so no row is written.
            let settled = settled || opening == Silence;
            History { host, direction, port, id, handshake_s, opening, settled, pieces, haves }
        },
    )
}

/// The times and counts of a history's rows.
fn rows(history: &History) -> Vec<(u32, ProgressKind, u32, bool)> {
    let settle = if history.settled { 2 } else { 1 };
    let mut time = u32::from(history.handshake_s) + settle;
    let mut pieces = history.pieces;
    let mut rows = vec![(time, history.opening, pieces, history.settled)];
    for (seconds, more) in &history.haves {
        time += u32::from(*seconds);
        pieces = (pieces + more).min(crate::common::PIECES);
        rows.push((time, Have, pieces, true));
    }
    rows
}

fn log(histories: &[History]) -> LogWriter {
    let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
    log.torrent(hash(1));
    for (number, history) in histories.iter().enumerate() {
        let begun = f64::from(history.handshake_s);
        let remote = match (history.direction, history.port) {
            (Direction::Out, Some(port)) => port,
            _ => 40_000 + u16::try_from(number).expect("few contacts"),
        };
        let peer = format!("2.2.2.{}:{remote}", history.host);
        let contact = match history.direction {
            Direction::Out => log.out(begun, hash(1), &peer),
            Direction::In => log.incoming(begun, hash(1), &peer),
        };
        let mut contact = contact.id(history.id);
        if let (Direction::In, Some(port)) = (history.direction, history.port) {
            contact = contact.listens(port);
        }
        let mut end = 0;
        for (time, kind, pieces, settled) in rows(history) {
            contact = contact.observes(f64::from(time), kind, Some(pieces), settled);
            end = time;
        }
        contact.end_as(f64::from(end + 1), ContactOutcome::ClosedByRemote);
    }
    log
}

/// Who a contact of one host was with: a port, or a peer ID where no port is known.
fn identity(history: &History, of_host: &[&History]) -> Result<u16, u8> {
    let ports_of_id = |direction: Direction| {
        let same_id = of_host.iter().filter(|other| other.id == history.id);
        same_id.filter(move |other| other.direction == direction).filter_map(|other| other.port).min()
    };
    ports_of_id(Direction::Out).or(ports_of_id(Direction::In)).ok_or(history.id)
}

/// `ip`, `port`, `below_at`, `confirmed_at` in seconds, and whether live: rule 3 by looking back again and again.
type Confirmed = (String, String, u32, u32, bool);

fn oracle(histories: &[History]) -> Vec<Confirmed> {
    let mut peers: BTreeMap<(u8, Result<u16, u8>), Vec<Observation>> = BTreeMap::new();
    for (contact, history) in histories.iter().enumerate() {
        let of_host: Vec<&History> = histories.iter().filter(|other| other.host == history.host).collect();
        let key = (history.host, identity(history, &of_host));
        for (index, (time, kind, pieces, settled)) in rows(history).into_iter().enumerate() {
            peers.entry(key).or_default().push(Observation {
                time,
                pieces,
                contact,
                handshake: history.handshake_s.into(),
                id: history.id,
                opening: index == 0,
                claims: matches!(kind, Bitfield | HaveAll),
                settled,
            });
        }
    }
    let mut confirmed = Vec::new();
    for ((host, identity), mut observations) in peers {
        observations.sort_by_key(|row| (row.time, row.pieces, row.contact));
        let port = identity.map_or_else(|_| String::new(), |port| port.to_string());
        for (flagged, peer) in generations(&observations) {
            let believed = peer.iter().any(|row| row.opening && row.settled && row.claims && row.pieces > 0);
            let partly = known(&peer).iter().any(|row| (1..crate::common::PIECES).contains(&row.pieces));
            if let Some((below_at, at, live)) = crossing(&known(&peer))
                && !flagged
                && believed
                && partly
            {
                confirmed.push((format!("2.2.2.{host}"), port.clone(), below_at, at, live));
            }
        }
    }
    confirmed.sort();
    confirmed
}

/// Observations that tell something: not lagging behind an earlier one.
fn known(peer: &[Observation]) -> Vec<Observation> {
    let highest = |at: usize| peer[..at].iter().map(|row| row.pieces).max().unwrap_or(0);
    let told = peer.iter().enumerate().filter(|(at, row)| row.pieces >= highest(*at));
    told.map(|(_, row)| row.clone()).collect()
}

/// The peers that followed one another at an endpoint, each with whether it is flagged.
fn generations(observations: &[Observation]) -> Vec<(bool, Vec<Observation>)> {
    let openings: Vec<&Observation> = observations.iter().filter(|row| row.opening).collect();
    let ids: BTreeSet<u8> = openings.iter().map(|row| row.id).collect();
    let names_peers = openings.len() < 3 || ids.len() < openings.len();
    let starts_over = |(nth, opening): (usize, &&Observation)| {
        let before = observations.iter().rfind(|row| row.settled && row.time < opening.handshake);
        let is_new = nth > 0 && openings[..nth].iter().all(|earlier| earlier.id != opening.id);
        names_peers
            && is_new
            && opening.settled
            && before.is_some_and(|before| opening.pieces < before.pieces)
    };
    let order = |row: &Observation| (row.handshake, row.contact);
    let starts: Vec<(u32, usize)> = openings
        .iter()
        .enumerate()
        .filter(|(nth, opening)| starts_over((*nth, opening)))
        .map(|(_, opening)| order(opening))
        .collect();
    let generation = |row: &Observation| starts.iter().filter(|start| **start <= order(row)).count();
    let mut peers: Vec<(bool, Vec<Observation>)> = vec![(false, Vec::new()); starts.len() + 1];
    let mut last = 0;
    for row in observations {
        if generation(row) >= last {
            last = generation(row);
            peers[last].1.push(row.clone());
        }
    }
    let mut gone = BTreeSet::new();
    for (flagged, rows) in &mut peers {
        let goes_back = |row: &&Observation| {
            let before =
                rows.iter().filter(|other| other.time < row.handshake).map(|other| other.pieces).max();
            row.opening && row.settled && before.is_some_and(|before| row.pieces < before)
        };
        *flagged = rows.iter().any(|row| goes_back(&row) || gone.contains(&row.id));
        gone.extend(rows.iter().map(|row| row.id));
    }
    peers
}

/// The first observation at or above 98 pieces with one below before it: rule 3.
fn crossing(known: &[Observation]) -> Option<(u32, u32, bool)> {
    let above = known.iter().find(|row| row.pieces >= 98)?;
    let below = known.iter().rfind(|row| row.settled && row.pieces < 98 && row.time < above.time)?;
    Some((below.time, above.time, below.contact == above.contact))
}

fn second(text: &str) -> u32 {
    let time = analyze::time::parse_time(text).expect("a time");
    u32::try_from(time / 1_000_000 - crate::common::EPOCH_S).expect("a second of the log")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn hiding_addresses_changes_no_table(histories in proptest::collection::vec(history(), 1..30)) {
        use crate::anonymize::{but_for_addresses, concealed};
        let log = log(&histories);
        let hidden = concealed(&log, schema::conceal::Addresses::Pseudonym);
        prop_assert_eq!(but_for_addresses(&log.report()), but_for_addresses(&hidden.report()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_agrees_with_the_oracle(histories in proptest::collection::vec(history(), 1..120)) {
        let report = log(&histories).report_with(|options| {
            options.only = vec!["confirmed_downloads".to_owned()];
            options.max_plausible_speed = u64::MAX;
        });
        let names = ["ip", "port", "below_at", "confirmed_at", "evidence"];
        let mut found: Vec<Confirmed> = columns(&report, "confirmed_downloads", &names)
            .into_iter()
            .map(|row| (row[0].clone(), row[1].clone(), second(&row[2]), second(&row[3]), row[4] == "live"))
            .collect();
        found.sort();
        prop_assert_eq!(found, oracle(&histories));
    }

    #[test]
    fn a_higher_threshold_is_reached_by_no_more_peers(histories in proptest::collection::vec(history(), 1..120)) {
        let report = log(&histories).report_with(|options| options.only = vec!["thresholds".to_owned()]);
        let names = ["confirmed_downloads", "already_complete"];
        let reached: Vec<u64> = columns(&report, "thresholds", &names)
            .into_iter()
            .map(|row| row.iter().map(|count| count.parse::<u64>().expect("a count")).sum())
            .collect();
        prop_assert!(reached.windows(2).all(|pair| pair[0] >= pair[1]), "{:?}", reached);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn no_cut_into_files_and_no_order_changes_a_byte(
        histories in proptest::collection::vec(history(), 1..60),
        files in 1..7_usize,
        turn in 0..60_usize,
    ) {
        let whole = log(&histories);
        let mut cut = whole.clone();
        cut.events.reverse();
        let turn = turn % cut.events.len();
        cut.events.rotate_left(turn);
        let folder = tempfile::tempdir().expect("a folder");
        cut.write(folder.path(), files);
        let cut = analyze::run::compute(&options(&[folder.path()])).expect("a report");
        prop_assert_eq!(all_csv(&cut), all_csv(&whole.report()));
    }
}

/// One address in one answer: source, host, port, minute.
type Named = (Source, u8, u16, u8);

fn named() -> impl Strategy<Value = Named> {
    let source = prop_oneof![Just(Source::Dht), Just(Source::Pex), Just(Source::TrackerUdp)];
    (source, 1..40_u8, 1..3_u16, 0..6_u8)
}

/// Who named which peers, and in which minutes, counted one by one.
struct Counted {
    by_source: BTreeMap<Source, BTreeSet<(u8, u16)>>,
    minutes: BTreeMap<(u8, u16), BTreeSet<u8>>,
    rounds: u64,
}

fn counted(answers: &[Named]) -> Counted {
    let mut counted = Counted { by_source: BTreeMap::new(), minutes: BTreeMap::new(), rounds: 0 };
    for (source, host, port, minute) in answers {
        counted.by_source.entry(*source).or_default().insert((*host, *port));
        counted.minutes.entry((*host, *port)).or_default().insert(*minute);
    }
    counted.rounds = answers.iter().map(|(.., minute)| minute).collect::<BTreeSet<_>>().len() as u64;
    counted
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn sources_and_population_agree_with_counting_one_by_one(answers in proptest::collection::vec(named(), 1..200)) {
        let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
        log.torrent(hash(1));
        for (source, host, port, minute) in &answers {
            log.sighting(60.0 * f64::from(*minute), hash(1), *source, &format!("2.2.2.{host}:{port}"));
        }
        let report = log.report_with(|options| {
            options.bucket = Some(60_000_000);
            options.only = vec!["sources".to_owned(), "population".to_owned()];
        });
        let Counted { by_source, minutes, rounds } = counted(&answers);

        for row in columns(&report, "sources", &["source", "unique_peers", "only_here", "also_dht", "received"]) {
            let source: Source = row[0].parse().expect("a source");
            let own = &by_source[&source];
            let others = by_source.iter().filter(|(other, _)| **other != source).flat_map(|(_, peers)| peers);
            let others: BTreeSet<_> = others.collect();
            let of_dht = by_source.get(&Source::Dht).map_or(0, |dht| dht.intersection(own).count());
            let only_here = own.iter().filter(|peer| !others.contains(peer)).count();
            let received = answers.iter().filter(|(named_by, ..)| *named_by == source).count();
            prop_assert_eq!(&row[1..], [own.len(), only_here, of_dht, received].map(|count| count.to_string()));
        }

        let times = |count: usize| minutes.values().filter(|seen| seen.len() == count).count() as u64;
        let incidence =
            chao2::Incidence { rounds, seen: minutes.len() as u64, once: times(1), twice: times(2) };
        let mut expected: Vec<(String, String)> = chao2::estimate(incidence)
            .map(|found| (String::new(), format!("{:.0}", found.estimate().value.round())))
            .into_iter()
            .collect();
        for (first, peers) in &by_source {
            for (second, others) in by_source.iter().filter(|(second, _)| first < *second) {
                let both = peers.intersection(others).count() as u64;
                if let Some(found) = chapman::estimate(peers.len() as u64, others.len() as u64, both) {
                    let value = found.estimate().value.round();
                    expected.push((format!("{first} {second}"), format!("{value:.0}")));
                }
            }
        }
        let rows = columns(&report, "population", &["info_hash", "method", "of", "peers"]);
        let mut found: Vec<(String, String)> = rows
            .into_iter()
            .filter(|row| row[0] != "all" && (row[1] == "chao2" || row[1] == "chapman"))
            .map(|row| (row[2].clone(), row[3].clone()))
            .collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}
