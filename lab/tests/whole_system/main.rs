//! The real programs together: a lab swarm, a capture of it, a report, a score.
//!
//! `capture` and `analyze` are taken from the folder of the `lab` under test, where `cargo nextest run --workspace`
//! (or `cargo build --workspace`) puts them; a run of this package alone finds them stale, or not at all.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod actors;
mod log;
mod namespace;
mod pause;
mod privacy;
mod programs;
mod servers;
mod store;
mod told;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lab::{
    score::{Rules, Score, score_files},
    truth::{self, Request, RequestKind, Truth},
};
use schema::{RunId, table::Table};
use tempfile::tempdir;

use crate::{
    actors::Actors,
    log::Log,
    programs::{Lab, Program, wait_until},
};

/// A lab of this size, captured under this budget and by another vantage for a while, and the report on it; held to
/// what is true of every lab.
fn told_truly(folder: &Path, size: &[&str], budget: &[&str]) -> (Score, PathBuf, PathBuf) {
    let (log, report) = (folder.join("log"), folder.join("report"));
    let mut lab = Lab::start(&folder.join("lab"), size);
    let mut capture = lab.capture(&log, budget);
    let other = ["--vantage", "other", "--max-open", "40", "--for", "20s"];
    lab.capture(&folder.join("other"), &other).ends_well_within(Duration::from_mins(1));
    capture.ends_well_within(Duration::from_secs(150));
    lab.ends_well();
    Program::analyze(&log, &report).ends_well_within(Duration::from_mins(2));

    let score = score_files(&lab.file("truth.csv"), &report, Rules::default()).unwrap();
    eprintln!("{score}");
    assert!(score.false_ones.is_empty(), "{score}");
    // Over every crossing, also of peers nobody could have seen: no definition of "could be seen" helps to pass.
    assert!(score.recall_of(|_| true) >= 0.95, "{score}");
    assert_eq!(fs::read_to_string(lab.file("offences.csv")).unwrap().lines().nth(1), None);
    let truths: Vec<Truth> = truth::read(&lab.file("truth.csv")).unwrap();
    Actors::read(&truths, &log, &report).check();
    (score, log, report)
}

#[test]
fn a_minute_of_500_peers_is_told_without_a_false_one_and_nearly_without_a_miss() {
    let folder = tempdir().unwrap();
    let size = ["--peers", "500", "--swarms", "10", "--for", "60s"];
    let (score, log, report) = told_truly(folder.path(), &size, &["--for", "59s"]);
    assert!(score.crossings.iter().filter(|crossing| crossing.visible).count() > 150, "{score}");

    let again = folder.path().join("again");
    Program::analyze(&log, &again).ends_well_within(Duration::from_mins(2));
    let mut compared = 0;
    for entry in fs::read_dir(&report).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let other = again.join(path.file_name().unwrap());
            assert!(fs::read(&path).unwrap() == fs::read(&other).unwrap(), "{} differs", path.display());
            compared += 1;
        }
    }
    assert!(compared >= 10, "{compared} CSV files");
}

/// Two minutes on two cores that have nothing else to do:
/// `cargo nextest run --release --workspace --run-ignored only five_thousand`
#[test]
#[ignore = "needs the machine for itself for two minutes"]
fn five_thousand_peers_in_fifty_swarms_are_told_without_a_false_one_and_99_of_100() {
    let folder = tempdir().unwrap();
    let size = ["--peers", "5000", "--swarms", "50", "--for", "120s"];
    let budget = ["--max-open", "9000", "--contacts-per-second", "1000", "--for", "119s"];
    let (score, ..) = told_truly(folder.path(), &size, &budget);
    assert!(score.crossings.iter().filter(|crossing| crossing.visible).count() > 2_500, "{score}");
    assert!(score.recall() >= 0.99, "{score}");
}

#[test]
fn sigterm_ends_a_capture_cleanly_within_seconds() {
    let folder = tempdir().unwrap();
    let log = Log::at(&folder.path().join("log"));
    let lab = Lab::start(&folder.path().join("lab"), &["--peers", "60", "--swarms", "2", "--for", "120s"]);
    let mut capture = lab.capture(log.folder(), &[]);
    wait_until("every swarm is announced and rows are durable", || {
        announced(&lab, "started").len() == 3 && log.wal_rows() > 200
    });
    capture.terminate();
    capture.ends_well_within(Duration::from_secs(10));
    assert!(log.wal_files().is_empty(), "{:?}", log.wal_files());
    assert!(log.unfinished_files().is_empty(), "{:?}", log.unfinished_files());
    assert!(!log.rows(Table::Contacts).is_empty() && !log.rows(Table::Sightings).is_empty());
    assert_eq!(log.rows(Table::Runs).len(), 2, "started and stopped");
    assert_eq!(announced(&lab, "stopped"), announced(&lab, "started"));
    assert!(announced(&lab, "completed").is_empty());
}

#[test]
fn after_kill_9_the_next_start_recovers_every_durable_row_once() {
    let folder = tempdir().unwrap();
    let log = Log::at(&folder.path().join("log"));
    let lab = Lab::start(&folder.path().join("lab"), &["--peers", "60", "--swarms", "2", "--for", "120s"]);
    let mut capture = lab.capture(log.folder(), &[]);
    wait_until("contacts are durable", || log.wal_rows() > 500);
    capture.kill();
    let (run, durable) = (log.wal_run(), log.wal_rows());
    assert_eq!(log.rows_of(&run), 0, "nothing was rotated yet");

    lab.capture(log.folder(), &["--for", "5s"]).ends_well_within(Duration::from_secs(20));
    assert_eq!(log.rows_of(&run), durable);
    assert!(log.wal_files().is_empty(), "{:?}", log.wal_files());
    let contacts = log.contacts();
    assert_eq!(contacts.iter().collect::<BTreeSet<_>>().len(), contacts.len(), "a contact is there twice");
    assert_eq!(log.rows(Table::Runs).len(), 3, "started, started and stopped");
}

#[test]
fn killed_again_and_again_a_capture_leaves_a_whole_log() {
    let folder = tempdir().unwrap();
    let log = Log::at(&folder.path().join("log"));
    let lab = Lab::start(&folder.path().join("lab"), &["--peers", "120", "--swarms", "2", "--for", "120s"]);
    let pace = ["--rotate-every", "300ms", "--sync-every", "50ms"];
    let mut durable = Vec::new();
    for life in 0..6_u64 {
        let mut capture = lab.capture(log.folder(), &pace);
        // Some contacts of this life are segments, and others still in the write-ahead file or between. What the life
        // before left there becomes segments first, of its own run.
        let before: BTreeSet<_> = durable.iter().map(|(run, _): &(RunId, u64)| run.clone()).collect();
        let of_this_life = || log.contacts().into_iter().filter(|(run, _)| !before.contains(run)).count();
        wait_until("this life's contacts are segments", || of_this_life() > 40);
        // Any moment will do: nothing is waited for.
        std::thread::sleep(Duration::from_millis(61 * life));
        capture.kill();
        durable = log.contacts();
    }
    lab.capture(log.folder(), &["--for", "2s"]).ends_well_within(Duration::from_secs(20));
    let contacts = log.contacts();
    let lost: Vec<_> = durable.iter().filter(|contact| !contacts.contains(contact)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(contacts.iter().collect::<BTreeSet<_>>().len(), contacts.len(), "a contact is there twice");
    assert_eq!(contacts.iter().map(|(run, _)| run).collect::<BTreeSet<_>>().len(), 7, "a life left nothing");
    assert!(log.wal_files().is_empty() && log.unfinished_files().is_empty());
    Program::analyze_with(&["verify", log.folder().to_str().unwrap()])
        .ends_well_within(Duration::from_mins(1));
}

#[test]
fn a_compacted_log_gives_the_same_tables_byte_for_byte() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let options = lab::log::LogOptions {
        of: None,
        rows: 40_000,
        out: data.clone(),
        swarms: 40,
        length: Duration::from_hours(60),
        ipv6: 0.15,
        seed: 7,
    };
    lab::log::generate(&options).unwrap();
    let (raw, compacted) = (folder.path().join("raw"), folder.path().join("compacted"));
    Program::analyze(&data, &raw).ends_well_within(Duration::from_mins(2));
    let before = Log::at(&data);
    let rows: Vec<_> = Table::ALL.iter().map(|table| before.rows(*table).len()).collect();
    let path = data.to_str().unwrap();
    Program::analyze_with(&["compact", path]).ends_well_within(Duration::from_mins(2));
    assert_eq!(Table::ALL.iter().map(|table| before.rows(*table).len()).collect::<Vec<_>>(), rows);
    Program::analyze_with(&["verify", path]).ends_well_within(Duration::from_mins(2));
    Program::analyze(&data, &compacted).ends_well_within(Duration::from_mins(2));
    let mut compared = 0;
    for entry in fs::read_dir(&raw).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let other = compacted.join(path.file_name().unwrap());
            assert!(fs::read(&path).unwrap() == fs::read(&other).unwrap(), "{} differs", path.display());
            compared += 1;
        }
    }
    assert!(compared >= 10, "{compared} CSV files");
}

/// The trackers and swarms of the announces with this event.
fn announced(lab: &Lab, event: &str) -> BTreeSet<(String, String)> {
    let requests: Vec<Request> = truth::read(&lab.file("requests.csv")).unwrap_or_default();
    let chosen = requests
        .into_iter()
        .filter(|request| request.kind == RequestKind::Announce && request.event == event);
    chosen.map(|request| (request.tracker, request.info_hash)).collect()
}
