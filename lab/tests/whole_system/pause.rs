//! Captures whose disk takes nothing for a while: they say so, contact nobody meanwhile, go on when it does again, and
//! have lost nothing.
//!
//! Connections are counted by the lab's peers. A while is two rounds of announces: in so long, a capture that is not
//! paused makes dozens.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use lab::truth::{self, Request, RequestKind};
use schema::table::{Row, RunEvent, Table};
use tempfile::tempdir;

use crate::{
    log::Log,
    namespace::{done, in_namespace, mounted, run},
    programs::{Lab, Program, wait_until},
};

/// Announces of one round: each swarm at each of its living trackers.
const ROUND: usize = 5;
const SIZE: [&str; 6] = ["--peers", "240", "--swarms", "4", "--for", "150s"];
const PACE: [&str; 6] = ["--rotate-every", "2s", "--gauge-every", "200ms", "--sync-every", "100ms"];
/// What a capture says when its disk takes nothing.
pub const PAUSED: &str = "the log cannot be written";
/// … and when it does again.
pub const RESUMED: &str = "the log is written again";

/// A capture of a lab, and what both tell.
struct Scene {
    lab: Lab,
    log: Log,
    told: PathBuf,
    capture: Program,
}

impl Scene {
    fn start(folder: &Path, out: &Path) -> Self {
        let lab = Lab::start(&folder.join("lab"), &SIZE);
        let told = folder.join("stderr");
        let mut command = lab.capture_command(out, &PACE);
        command.args(["--no-dht", "--no-rdns"]).stderr(File::create(&told).unwrap());
        let capture = Program::start("capture", &mut command);
        Self { lab, log: Log::at(out), told, capture }
    }

    fn told(&self) -> String {
        fs::read_to_string(&self.told).unwrap()
    }

    /// Connections that the lab's peers have accepted of the capture.
    fn connections(&self) -> usize {
        fs::read_to_string(self.lab.file("connections.csv")).unwrap().lines().count() - 1
    }

    /// Announces of the capture that the trackers have answered with peers.
    fn announces(&self) -> usize {
        let requests: Vec<Request> = truth::read(&self.lab.file("requests.csv")).unwrap_or_default();
        requests.iter().filter(|request| request.kind == RequestKind::Announce && request.peers > 0).count()
    }

    /// Waits for so many rounds of announces.
    fn rounds(&self, count: usize) {
        let enough = self.announces() + count * ROUND;
        wait_until("the capture announces", || self.announces() >= enough);
    }

    /// Every row on the disk, in segments or ahead of them.
    fn rows(&self) -> BTreeSet<String> {
        let events = Table::ALL.iter().flat_map(|table| self.log.rows(*table)).map(|(_, event)| event);
        let ahead = self.log.wals().flat_map(|(_, events)| events);
        events.chain(ahead).map(|event| format!("{event:?}")).collect()
    }

    /// Contacts nobody while the disk takes nothing, and goes on afterwards; gives the rows it had meanwhile.
    fn sits_out(&self, cause: &str, fail: impl Fn(), heal: impl Fn()) -> BTreeSet<String> {
        wait_until("peers are contacted and rows are segments", || {
            self.connections() > 60 && self.log.contacts().len() > 60
        });
        let before = self.connections();
        self.rounds(2);
        let usual = self.connections() - before;
        assert!(usual > 20, "{usual} connections in two rounds: too few to miss");

        let pauses = self.told().matches(PAUSED).count();
        fail();
        wait_until("the capture says so", || self.told().matches(PAUSED).count() > pauses);
        assert!(self.told().contains(cause), "{}", self.told());
        // What was begun is connected by then; and a disk that had room for a last file has it no more.
        self.rounds(1);
        fail();
        self.rounds(1);
        let (resumed, before, durable) =
            (self.told().matches(RESUMED).count(), self.connections(), self.rows());
        self.rounds(2);
        assert_eq!(self.told().matches(RESUMED).count(), resumed, "{}", self.told());
        assert_eq!(self.connections(), before, "a paused capture made a connection");

        heal();
        wait_until("the capture says so", || self.told().matches(RESUMED).count() > resumed);
        wait_until("peers are contacted again", || self.connections() > before + 20);
        let observed = |log: &Log| log.rows(Table::Progress).len();
        let seen = observed(&self.log);
        wait_until("peers are observed again", || observed(&self.log) > seen + 20);
        durable
    }

    /// Ends well with these rows, and no row that was appended is missing or there twice.
    fn ends_whole(mut self, durable: &BTreeSet<String>) {
        self.capture.terminate();
        self.capture.ends_well_within(Duration::from_secs(30));
        assert!(self.log.wal_files().is_empty() && self.log.unfinished_files().is_empty());
        whole(&self.log);
        let rows = self.rows();
        let lost: Vec<_> = durable.difference(&rows).collect();
        assert!(durable.len() > 100 && lost.is_empty(), "{} of {} rows: {lost:?}", lost.len(), durable.len());
    }
}

/// No row that was appended to this log is missing or there twice.
pub fn whole(log: &Log) {
    let mut gauges: Vec<_> = log.rows(Table::Gauges).into_iter().map(|(_, event)| event).collect();
    gauges.sort_by_key(|event| event.time);
    let Some(Row::Gauge(last)) = gauges.pop().map(|last| last.row) else { panic!("no gauge") };
    assert_eq!(last.log_paused, Some(false));
    let rows: usize = Table::ALL.iter().map(|table| log.rows(*table).len()).sum();
    assert_eq!(rows as u64, last.log_rows + 2, "what the last gauge counts, itself and the end of the run");
    let ends = log.rows(Table::Runs).into_iter().filter_map(|(_, event)| match event.row {
        Row::Run(run) => Some(run.event),
        _ => None,
    });
    assert_eq!(ends.collect::<BTreeSet<_>>(), BTreeSet::from([RunEvent::Started, RunEvent::Stopped]));
    let numbers: Vec<_> = log.contacts().into_iter().map(|(_, number)| number).collect();
    let unique: BTreeSet<_> = numbers.iter().collect();
    assert_eq!(unique.len(), numbers.len(), "a contact is there twice");
}

/// Writes until there is no room.
fn fill(ballast: &Path) {
    let mut file = File::options().create(true).append(true).open(ballast).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn child_capturing_to_a_disk_that_is_full_for_a_while() {
    let Some(disk) = mounted() else { return };
    let folder = tempdir().unwrap();
    let scene = Scene::start(folder.path(), &disk.join("out"));
    let ballast = disk.join("ballast");
    let heal = || fs::remove_file(&ballast).unwrap();
    let durable = scene.sits_out("No space left on device", || fill(&ballast), heal);
    scene.ends_whole(&durable);
    done();
}

#[test]
fn child_capturing_to_a_folder_that_is_read_only_for_a_while() {
    let Some(disk) = mounted() else { return };
    let folder = tempdir().unwrap();
    let out = disk.join("out");
    let scene = Scene::start(folder.path(), &out);
    let view = disk.join("view");
    fs::create_dir(&view).unwrap();
    let [path, view] = [&out, &view].map(|path| path.to_str().unwrap());
    // Files may be open on it.
    let heal = || run("umount", &["--lazy", path]);
    let is_mounted = std::cell::Cell::new(false);
    let fail = || {
        if !is_mounted.replace(true) {
            // Elsewhere first: a mount through which a file is being written cannot be made read-only.
            run("mount", &["--bind", path, view]);
            run("mount", &["-o", "remount,bind,ro", view]);
            run("mount", &["--move", view, path]);
        }
    };
    let durable = scene.sits_out("Read-only file system", fail, heal);
    scene.ends_whole(&durable);
    done();
}

#[test]
fn a_capture_contacts_nobody_while_its_disk_is_full() {
    in_namespace("pause::child_capturing_to_a_disk_that_is_full_for_a_while", 64);
}

#[test]
fn a_capture_contacts_nobody_while_its_folder_is_read_only() {
    in_namespace("pause::child_capturing_to_a_folder_that_is_read_only_for_a_while", 64);
}
