//! Several servers: one swarm seen from two of them, and one list shared by two.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use lab::{
    profile::Role,
    truth::{self, Truth},
};
use schema::table::{Row, Table};
use tempfile::tempdir;

use crate::{
    actors::CAPTURES,
    log::Log,
    programs::{Lab, Program, program, wait_until},
    told::Told,
};

type Rows = Vec<BTreeMap<String, String>>;

/// A report over these logs; its tables.
fn report(folder: &Path, logs: &[&Log], name: &str) -> impl Fn(&str) -> Rows + use<> {
    let out = folder.join(name);
    let mut command = program("analyze");
    command.arg("report").args(logs.iter().map(|log| log.folder())).arg("--out").arg(&out);
    command.args(["--only", "summary,confirmed_downloads"]);
    Program::start("analyze", &mut command).ends_well_within(Duration::from_mins(2));
    move |table| {
        let text = fs::read_to_string(out.join(table).with_extension("csv")).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader.deserialize().map(|row| row.unwrap()).collect()
    }
}

fn number(row: &BTreeMap<String, String>, column: &str) -> u64 {
    row[column].parse().unwrap()
}

/// A column of the summary, by swarm; the row of all swarms is `all`.
fn by_swarm(rows: &Rows, column: &str) -> BTreeMap<String, u64> {
    rows.iter().map(|row| (row["info_hash"].clone(), number(row, column))).collect()
}

/// The row of all swarms.
fn total(rows: &Rows, column: &str) -> u64 {
    by_swarm(rows, column)["all"]
}

/// Peers of a table by swarm, address and port.
fn peers(rows: &Rows) -> Vec<(String, String, String)> {
    let mut peers: Vec<_> =
        rows.iter().map(|row| (row["info_hash"].clone(), row["ip"].clone(), row["port"].clone())).collect();
    peers.sort();
    peers
}

/// How many of these there are by swarm and address.
fn by_address(of: impl Iterator<Item = (String, String)>) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for address in of {
        *counts.entry(address).or_default() += 1;
    }
    counts
}

fn swarms(log: &Log) -> BTreeSet<String> {
    let hash = |row: Row| match row {
        Row::Torrent(torrent) => Some(torrent.info_hash.to_string()),
        _ => None,
    };
    log.rows(Table::Torrents).into_iter().filter_map(|(_, event)| hash(event.row)).collect()
}

/// The report over these logs counts whom they tell of, each once in each swarm, and no capture; and they tell of nobody
/// who was not in the lab.
fn counts_each_once(logs: &[&Log], report: &dyn Fn(&str) -> Rows, truth: &[Truth]) {
    let there: BTreeSet<_> = truth.iter().map(|peer| (&*peer.info_hash, peer.ip, peer.port)).collect();
    let told = Told::by(logs, CAPTURES);
    let mut unique = by_swarm(&report("summary"), "unique_peers");
    let all = unique.remove("all").unwrap();
    assert_eq!(all, unique.values().sum::<u64>());
    assert!(told.keys().eq(unique.keys()), "{:?} and {:?}", told.keys(), unique.keys());
    for (swarm, told) in &told {
        for (ip, port) in &told.endpoints {
            assert!(there.contains(&(&**swarm, *ip, *port)), "{ip}:{port} is no peer of {swarm}");
        }
        let (count, right) = (unique[swarm], told.fewest()..=told.most());
        eprintln!("{swarm}: {count} peers of {right:?}");
        assert!(right.contains(&count), "{count} peers of {swarm}, and not {right:?}: {told:?}");
        assert!(told.captures > 0, "no capture is named in {swarm}");
    }
    // Nothing but a peer that moves leaves it open.
    let moves = truth.iter().filter(|peer| peer.profile.role == Role::Moves).count();
    let open: u64 = told.values().map(|told| told.most() - told.fewest()).sum();
    assert!(open <= moves as u64, "{open} ports more than peers, {moves} of peers that move: {told:?}");
}

#[test]
fn peers_seen_from_two_servers_count_once_and_shards_make_the_whole() {
    let folder = tempdir().unwrap();
    let lab_folder = folder.path().join("lab");
    let mut lab = Lab::start(&lab_folder, &["--peers", "90", "--swarms", "5", "--for", "40s"]);
    let servers = [
        ("berlin", &[][..]),
        ("tokyo", &[]),
        ("first", &["--shard", "1/2"]),
        ("second", &["--shard", "2/2"]),
    ];
    let mut captures: Vec<(Log, Program)> = servers
        .iter()
        .map(|(vantage, shard)| {
            let log = Log::at(&folder.path().join(vantage));
            let options = [&["--vantage", *vantage, "--no-dht", "--no-rdns"], *shard].concat();
            let capture = lab.capture(log.folder(), &options);
            (log, capture)
        })
        .collect();
    for (log, _) in &captures {
        wait_until("rows are durable", || log.wal_rows() > 20);
    }
    lab.ends_well();
    for (_, capture) in &mut captures {
        capture.terminate();
        capture.ends_well_within(Duration::from_secs(20));
    }
    let logs: Vec<Log> = captures.into_iter().map(|(log, _)| log).collect();
    let [berlin, tokyo, first, second] = logs.as_slice() else { panic!() };
    let truth: Vec<Truth> = truth::read(&lab.file("truth.csv")).unwrap();

    // Two servers of one list.
    let one = report(folder.path(), &[berlin], "one");
    let other = report(folder.path(), &[tokyo], "other");
    let both = report(folder.path(), &[berlin, tokyo], "both");
    // By address: a peer goes by its lowest port that was met, so that both may name it by another one than either.
    let confirmed = |report: &dyn Fn(&str) -> Rows| {
        by_address(peers(&report("confirmed_downloads")).into_iter().map(|(swarm, ip, _)| (swarm, ip)))
    };
    let crossed = truth.iter().filter(|peer| peer.crossed_at.is_some());
    let crossed = by_address(crossed.map(|peer| (peer.info_hash.clone(), peer.ip.to_string())));
    let by_both = confirmed(&both);
    assert!(by_both.len() > 10, "{by_both:?}");
    for (address, count) in &by_both {
        assert!(crossed.get(address) >= Some(count), "{count} confirmed at {address:?} of {crossed:?}");
    }
    for (address, count) in confirmed(&one).iter().chain(&confirmed(&other)) {
        assert!(by_both.get(address) >= Some(count), "{count} confirmed at {address:?} by one, not by both");
    }
    counts_each_once(&[berlin], &one, &truth);
    counts_each_once(&[tokyo], &other, &truth);
    counts_each_once(&[berlin, tokyo], &both, &truth);
    assert_eq!(both("summary").len(), one("summary").len());

    // One list shared by two.
    let (of_first, of_second) = (swarms(first), swarms(second));
    assert!(of_first.is_disjoint(&of_second) && !of_first.is_empty() && !of_second.is_empty());
    assert_eq!(&of_first | &of_second, swarms(berlin), "each swarm is somebody's");
    let parts = [report(folder.path(), &[first], "part1"), report(folder.path(), &[second], "part2")];
    let whole = report(folder.path(), &[first, second], "whole");
    for column in ["unique_peers", "contacted_peers", "confirmed_downloads", "already_complete"] {
        let sum: u64 = parts.iter().map(|part| total(&part("summary"), column)).sum();
        assert_eq!(total(&whole("summary"), column), sum, "{column}");
    }
    let mut all: Vec<_> = parts.iter().flat_map(|part| peers(&part("confirmed_downloads"))).collect();
    all.sort();
    assert_eq!(peers(&whole("confirmed_downloads")), all);
}
