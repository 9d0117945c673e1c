//! Several servers: one swarm seen from two of them, and one list shared by two.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use lab::truth::{self, Truth};
use schema::table::{Row, Table};
use tempfile::tempdir;

use crate::{
    log::Log,
    programs::{Lab, Program, program, wait_until},
};

type Rows = Vec<BTreeMap<String, String>>;

/// A report over these logs; its tables.
fn report(folder: &Path, logs: &[&Log], name: &str) -> impl Fn(&str) -> Rows + use<> {
    let out = folder.join(name);
    let mut command = program("analyze");
    command.arg("report").args(logs.iter().map(|log| log.folder())).arg("--out").arg(&out);
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

/// The row of all swarms.
fn total(rows: &Rows, column: &str) -> u64 {
    number(rows.iter().find(|row| row["info_hash"] == "all").unwrap(), column)
}

/// Peers of a table by swarm, address and port.
fn peers(rows: &Rows) -> Vec<(String, String, String)> {
    let mut peers: Vec<_> =
        rows.iter().map(|row| (row["info_hash"].clone(), row["ip"].clone(), row["port"].clone())).collect();
    peers.sort();
    peers
}

fn swarms(log: &Log) -> BTreeSet<String> {
    let hash = |row: Row| match row {
        Row::Torrent(torrent) => Some(torrent.info_hash.to_string()),
        _ => None,
    };
    log.rows(Table::Torrents).into_iter().filter_map(|(_, event)| hash(event.row)).collect()
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
    let addresses: BTreeSet<String> = truth.iter().map(|peer| peer.ip.to_string()).collect();

    // Two servers of one list.
    let one = report(folder.path(), &[berlin], "one");
    let other = report(folder.path(), &[tokyo], "other");
    let both = report(folder.path(), &[berlin, tokyo], "both");
    let confirmed = peers(&both("confirmed_downloads"));
    let distinct: BTreeSet<_> = confirmed.iter().cloned().collect();
    assert_eq!(distinct.len(), confirmed.len(), "nobody is confirmed twice");
    assert!(confirmed.len() > 10);
    for peer in peers(&one("confirmed_downloads")).into_iter().chain(peers(&other("confirmed_downloads"))) {
        assert!(distinct.contains(&peer), "{peer:?} is confirmed by one and not by both");
    }
    for (.., ip, _) in &confirmed {
        assert!(addresses.contains(ip), "{ip} is no peer");
    }
    let unique = |report: &dyn Fn(&str) -> Rows| total(&report("summary"), "unique_peers");
    let seen = truth.iter().filter(|peer| peer.known_at.is_some()).count() as u64;
    // Who tells no port counts twice behind a NAT: where it is named, and where it connects from.
    let tells_no_port = |peer: &&Truth| peer.profile.nat && peer.profile.client.version.is_none();
    let seen_most = seen + truth.iter().filter(tells_no_port).count() as u64;
    let alone = [unique(&one), unique(&other)];
    for count in [alone[0], alone[1], unique(&both)] {
        assert!(count <= seen_most, "{count} of {seen}: a peer counts once, and a capture is none");
    }
    assert!(unique(&both) >= alone[0].max(alone[1]), "{} of {alone:?}", unique(&both));
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
