//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    bench::{contacts::ContactsOptions, hold::HoldOptions, log::LogBenchOptions, replay::ReplayOptions},
    log::LogOptions,
    plan::PlanOptions,
    score::Rules,
    swarm::SwarmOptions,
};

const EXAMPLES: &str = "\
Examples:
  A minute of 500 peers in four swarms; list.txt, truth.csv and more go to /tmp/lab:
      lab swarm --out /tmp/lab
  The same schedules, starting with the first announce of a capture:
      lab swarm --out /tmp/lab --wait-for-capture
      capture --torrents /tmp/lab/list.txt --out /tmp/log --allow-private --revisit 5s --for 58s
  A report against the truth:
      analyze report /tmp/log --out /tmp/report
      lab score /tmp/lab/truth.csv /tmp/report/confirmed_downloads.csv";

const SCORE_HELP: &str = "\
A crossing is the moment in which a peer of the lab comes to have 0.98 of the pieces. Peers that are
above that when they come, and super-seeders, whatever they reveal, have none.

A row of the report is true if its swarm and IP address are those of a crossing which it does not
precede, and if it is the only one of that peer; ports are compared only where several peers were at
an address, because a peer behind a NAT is seen at another. All others are false: precision is the share of the true ones.

A crossing happened while the capture ran if it lies between the swarm's first announce and its
`stopped`, as told by requests.csv beside the truth; without that file the capture always ran. It
could be seen if, moreover, the peer was up, known and watched for --lead before it (to be visited
once), and up and watched for --tail after it (the next visit: visits lie 2 s apart, and read for
2 s) unless its client tells of each piece at once. A peer is known once a tracker has named it to
somebody from outside the lab, or, behind a NAT, once it has connected to somebody from there.
Recall is the share of those that could be seen that are in the report; it is told for the others
as well.";

/// A swarm in a box with known truth, and the score of a report against it
#[derive(Debug, Parser)]
#[command(name = "lab", version, term_width = 100, before_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a seeded swarm on loopback addresses, and write down what truly happened
    Swarm(Swarm),
    /// Measure programs against the lab's peers
    #[command(subcommand)]
    Bench(Bench),
    /// Write a realistic log of any size, for measuring what reads it
    Log(LogArgs),
    /// Compare a report's confirmed downloads with a lab's truth; 1 if below what is required
    #[command(after_help = SCORE_HELP)]
    Score(Score),
}

/// Options of `lab swarm`.
#[derive(Args, Debug)]
pub struct Swarm {
    /// Folder for list.txt, torrents/, truth.csv, requests.csv, connections.csv and offences.csv; made if it is missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Peers over all swarms
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..60_000))]
    pub peers: u32,

    /// Swarms
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=128))]
    pub swarms: u32,

    /// Length of the lab; downloads are paced to end within it
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    pub for_: Duration,

    /// Another seed is another lab
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// The trackers' announce interval
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    pub interval: Duration,

    /// Peers in a tracker's answer, at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub answer_peers: usize,

    /// Start the schedules with the first announce, not at once
    #[arg(long)]
    pub wait_for_capture: bool,

    /// File to create when the trackers and the first peers accept connections; `ready …` goes to stdout too
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

impl Swarm {
    /// The options as the lab takes them.
    pub fn options(self) -> SwarmOptions {
        SwarmOptions {
            plan: PlanOptions { peers: self.peers, swarms: self.swarms, length: self.for_, seed: self.seed },
            out: self.out,
            interval: self.interval,
            answer_peers: self.answer_peers,
            wait_for_capture: self.wait_for_capture,
            ready_file: self.ready_file,
        }
    }
}

/// Options of `lab log`.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// Rows over all tables, about
    #[arg(long, value_name = "N")]
    pub rows: u64,

    /// The log's folder; made if it is missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Swarms; the n-th has 1/n of the first one's peers
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub swarms: u32,

    /// Time the log covers
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
    pub length: Duration,

    /// Share of IPv6 peers
    #[arg(long, value_name = "SHARE", default_value_t = 0.15)]
    pub ipv6: f64,

    /// Another seed is another log
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl LogArgs {
    /// The options as the generator takes them.
    pub fn options(self) -> LogOptions {
        let Self { rows, out, swarms, length, ipv6, seed } = self;
        LogOptions { rows, of: None, out, swarms, length, ipv6: ipv6.clamp(0.0, 1.0), seed }
    }
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Contacts per second: a capture's first contacts against a bare connect-handshake-close loop
    ///
    /// Both contact every peer of the same swarm of seeders, in turn, and the peers say how long that took from the
    /// first handshake to the last. The ratio is that of the medians. Build with --release to compare like with like.
    Contacts(BenchContacts),

    /// Memory of a held contact: a capture's resident memory with a few of them, and with many
    ///
    /// All leechers of a swarm that gain no piece are held at once; the difference to a swarm of 100 is shared among
    /// the contacts. Build with --release to measure.
    Hold(BenchHold),

    /// Confirmed downloads under several budgets: the capture's schedule against visits at a fixed interval
    ///
    /// Both play the same swarm on a simulated clock and without sockets; the fixed interval is the best of several.
    Schedule(BenchSchedule),
    /// Rows per second made durable by a capture's log, and bytes per row, of a realistic log
    ///
    /// A day's rows of 200 Zipf swarms with churn and IPv6 are prepared, appended as fast as the log takes them, and the
    /// segments merged as `analyze compact` does; a plain write of as many bytes tells what the disk can do. Build with
    /// --release to measure.
    Log(BenchLog),

    /// Rows per second of a report's replay, and its peak of memory, against DuckDB and a bare scan of the same files
    ///
    /// A realistic log is written as a capture leaves it, and compacted; then `analyze report` replays both into
    /// confirmed downloads and speeds, DuckDB runs a plain query that says less (lag over each peer, who crossed the
    /// threshold, highest speed) and one that writes the same rows, which are compared, and the columns that the replay
    /// reads are decoded and thrown away. Build with --release to measure.
    Replay(BenchReplay),
}

/// Options of `lab bench replay`.
#[derive(Args, Debug)]
pub struct BenchReplay {
    /// Rows of the table `progress`, about; beside them come as many contacts and sightings
    #[arg(long, value_name = "N", default_value_t = 20_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    pub rows: u64,

    /// Folder of the logs `raw` and `compacted`, which are made where they are missing; 100 bytes a row for both
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,

    /// Time the log covers [default: a day for each 20 million rows]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub length: Option<Duration>,

    /// Swarms; the n-th has 1/n of the first one's peers
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub swarms: u32,

    /// A Python with the package `duckdb`; DuckDB is left out without one
    #[arg(long, value_name = "FILE")]
    pub python: Option<PathBuf>,

    /// Also have DuckDB run all of `analyze sql`, the report's own derivation
    #[arg(long, requires = "python")]
    pub views: bool,

    /// The analyze program [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub analyze: Option<PathBuf>,

    /// Another seed is another log
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Exit with 1 if the replay of the raw log is less than this many times as fast as DuckDB, both writing the same rows
    #[arg(long, value_name = "RATIO", requires = "python")]
    pub require_raw: Option<f64>,

    /// Exit with 1 if that of the compacted log is
    #[arg(long, value_name = "RATIO", requires = "python")]
    pub require_compacted: Option<f64>,

    /// Exit with 1 if the replay needs more memory, MiB
    #[arg(long, value_name = "N")]
    pub require_memory: Option<f64>,
}

impl BenchReplay {
    /// The options as the measurement takes them.
    pub fn options(&self) -> ReplayOptions {
        let Self { rows, length, swarms, views, seed, .. } = *self;
        let (data, analyze, python) = (self.data.clone(), self.analyze.clone(), self.python.clone());
        ReplayOptions { rows, length, swarms, data, analyze, python, views, seed }
    }
}

/// Options of `lab bench log`.
#[derive(Args, Debug)]
pub struct BenchLog {
    /// Rows, about; they are prepared in memory, some 250 bytes each
    #[arg(long, value_name = "N", default_value_t = 3_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    pub rows: u64,

    /// Tasks that append at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub appenders: u32,

    /// Bytes at which a write-ahead file becomes segments
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 20, value_parser = clap::value_parser!(u64).range(1_000_000..))]
    pub rotate_size: u64,

    /// Folder for the log and the merged segments; made if it is missing, and must be empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Another seed is another log
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Exit with 1 if fewer rows are made durable per second
    #[arg(long, value_name = "N")]
    pub require_rows_per_s: Option<f64>,

    /// Exit with 1 if a row takes more bytes in fresh segments
    #[arg(long, value_name = "BYTES")]
    pub require_fresh: Option<f64>,

    /// Exit with 1 if a row takes more bytes in merged segments
    #[arg(long, value_name = "BYTES")]
    pub require_compacted: Option<f64>,
}

impl BenchLog {
    /// The options as the measurement takes them.
    pub fn options(&self) -> LogBenchOptions {
        let Self { rows, appenders, rotate_size, ref out, seed, .. } = *self;
        let appenders = usize::try_from(appenders).unwrap_or(1);
        LogBenchOptions { rows, appenders, rotate_size, out: out.clone(), seed }
    }
}

/// Options of `lab bench schedule`.
#[derive(Args, Clone, Debug)]
pub struct BenchSchedule {
    /// Peers over all swarms
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..60_000))]
    pub peers: u32,

    /// Swarms
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=128))]
    pub swarms: u32,

    /// Simulated time
    #[arg(long = "for", value_name = "DURATION", default_value = "20m", value_parser = humantime::parse_duration)]
    pub for_: Duration,

    /// Another seed is another swarm
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Exit with 1 if the ratio is lower under any budget
    #[arg(long, value_name = "RATIO")]
    pub require_ratio: Option<f64>,
}

impl BenchSchedule {
    /// The options as the simulation takes them.
    pub const fn options(&self) -> PlanOptions {
        PlanOptions { peers: self.peers, swarms: self.swarms, length: self.for_, seed: self.seed }
    }
}

/// Options of `lab bench contacts`.
#[derive(Args, Debug)]
pub struct BenchContacts {
    /// Seeders in the swarm
    #[arg(long, value_name = "N", default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..60_000))]
    pub peers: u32,

    /// Connections open at once in the bare loop
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub open: usize,

    /// Rounds of each; the medians count
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,

    /// The capture program [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub capture: Option<PathBuf>,

    /// Folder for what the capture writes; made if it is missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Exit with 1 if the ratio is lower
    #[arg(long, value_name = "RATIO")]
    pub require_ratio: Option<f64>,
}

impl BenchContacts {
    /// The options as the measurement takes them.
    pub fn options(self) -> ContactsOptions {
        let Self { peers, open, rounds, capture, out, .. } = self;
        ContactsOptions { peers, open, rounds, capture, out }
    }
}

/// Options of `lab bench hold`.
#[derive(Args, Debug)]
pub struct BenchHold {
    /// Leechers in the large swarm; each takes two files here and one in the capture
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(101..30_000))]
    pub peers: u32,

    /// The capture program [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub capture: Option<PathBuf>,

    /// Folder for what the captures write; made if it is missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Exit with 1 if a held contact takes more bytes
    #[arg(long, value_name = "BYTES")]
    pub require_bytes: Option<f64>,
}

impl BenchHold {
    /// The options as the measurement takes them.
    pub fn options(self) -> HoldOptions {
        let Self { peers, capture, out, .. } = self;
        HoldOptions { peers, capture, out }
    }
}

/// Options of `lab score`.
#[derive(Args, Debug)]
pub struct Score {
    /// The lab's truth.csv
    pub truth: PathBuf,

    /// The report's CSV of confirmed downloads, or the report's folder
    pub confirmed: PathBuf,

    /// Exit with 1 if fewer of the report's rows are true
    #[arg(long, value_name = "SHARE")]
    pub require_precision: Option<f64>,

    /// Exit with 1 if the report has fewer of the crossings that could be seen
    #[arg(long, value_name = "SHARE")]
    pub require_recall: Option<f64>,

    /// How far a row's interval may lie from the crossing
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    pub tolerance: Duration,

    /// Time a peer is up, known and watched before it crosses, if it could be seen
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    pub lead: Duration,

    /// Time it is up and watched after that, unless its client tells of each piece at once
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    pub tail: Duration,
}

impl Score {
    /// The rules asked for.
    pub const fn rules(&self) -> Rules {
        Rules { tolerance: self.tolerance, lead: self.lead, tail: self.tail }
    }
}
