//! The command line: options, their texts and their limits.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use schema::conceal::Addresses;

use crate::{
    replay::{Identity, Threshold},
    table,
    table_file::Format,
    time,
};

const EXAMPLES: &str = "\
Examples:
  analyze report data/                                      tables, figures and report/report.html
  analyze report data/ --threshold 0.95 --out report-95     another threshold, no new capture
  analyze report berlin/ tokyo/ --since 2026-01-02          two captures together, from a day on
  analyze report s3://bucket/berlin s3://bucket/tokyo       ... from where they uploaded it
  analyze report data/ --only summary,confirmed_downloads   only these tables
  analyze report data/ --geoip-city city.mmdb               cities and a better country
  analyze verify data/                                      is anything damaged or missing?
  analyze compact data/                                     fewer bytes, the same rows (or s3://…)
  analyze anonymize data/ --out shared/                     the same log without addresses
";

/// Replays a Swarmtally log into tables, figures and a report.
#[derive(Debug, Parser)]
#[command(name = "analyze", version, before_help = EXAMPLES, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write CSV tables, figures and an HTML page from one or more data folders
    #[command(before_help = EXAMPLES)]
    Report(ReportOptions),

    /// Read every byte of a log and tell what is there, missing and damaged
    ///
    /// Reads every segment to its end, and the write-ahead files of running and killed captures. Exit code 0: nothing
    /// is damaged; 1: something is, and the output names it with what can be saved. Gaps are told, not judged.
    Verify(VerifyOptions),

    /// Merge a log's many small segments into one per table and day, with the same rows
    ///
    /// Makes a log smaller and reports over it faster, and changes nothing in them. May be interrupted at any moment
    /// and run beside a capture. Exit code 1: a file could not be merged and is left as it is.
    Compact(CompactOptions),

    /// Print the same derivations as SQL views over one or more data folders
    ///
    /// The views `peers`, `confirmed_downloads`, `confirmed_hourly`, `speeds` and `sources_hourly` have the report's rows; times
    /// are microseconds since the Unix epoch. Countries and names of clients are the report's alone.
    #[command(before_help = SQL_EXAMPLES)]
    Sql(SqlOptions),
    /// Write a log again without addresses, as `capture --addresses prefix|pseudonym` would have
    ///
    /// A pseudonym stands for every peer's and node's address, made with a key in a file of its own, which is made at
    /// first use and may be destroyed afterwards. Identity stays exact: reports over the copy say the same, but for the
    /// addresses and host names. Exit code 1: a file is damaged and left out.
    Anonymize(AnonymizeOptions),
}

/// Options of `analyze anonymize`.
#[derive(Clone, Debug, Args)]
pub struct AnonymizeOptions {
    /// What `capture --out` wrote to: a folder, or `s3://BUCKET/PREFIX` (also `gs://`, `az://`)
    #[arg(value_name = "DATA")]
    pub data: PathBuf,

    /// New folder for the copy
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Keep of an address its pseudonym and its /24 or /48 (prefix), or the pseudonym alone (pseudonym)
    #[arg(long, value_name = "MODE", default_value = "pseudonym", value_parser = parse_addresses)]
    pub addresses: Addresses,

    /// File of the key, made at first use [default: state/address-key in the copy's folder]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// MMDB for the addresses' countries [default: an embedded table of the registries]
    #[arg(long, value_name = "FILE")]
    pub geoip_city: Option<PathBuf>,

    /// MMDB for the addresses' networks
    #[arg(long, value_name = "FILE")]
    pub geoip_asn: Option<PathBuf>,
}

/// Options of `analyze verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyOptions {
    /// What `capture --out` wrote to: folders, or `s3://BUCKET/PREFIX` (also `gs://`, `az://`)
    #[arg(required = true, value_name = "DATA")]
    pub data: Vec<PathBuf>,

    /// Time without any row that counts as a gap: 30s, 5m, 1h
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = time::parse_duration)]
    pub gap: i64,

    /// How the result is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: VerifyFormat,
}

/// How the result of `analyze verify` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum VerifyFormat {
    /// One JSON object
    Json,
    /// For people
    Text,
}

/// Options of `analyze compact`.
#[derive(Clone, Debug, Args)]
pub struct CompactOptions {
    /// What `capture --out` wrote to: a folder, or `s3://BUCKET/PREFIX` (also `gs://`, `az://`)
    #[arg(value_name = "DATA")]
    pub data: PathBuf,

    /// Also days that are not over (UTC)
    #[arg(long)]
    pub open_days: bool,
}

const SQL_EXAMPLES: &str = "\
Examples:
  analyze sql data/ > views.sql && duckdb -init views.sql    SELECT * FROM peers; …
  analyze sql --engine spark data/ > views.sql               for spark-sql -i views.sql
  analyze sql data/ --threshold 0.95                         another threshold
  analyze sql s3://bucket/berlin > views.sql                 views that read the bucket
";

/// Options of `analyze sql`.
#[derive(Clone, Debug, Args)]
pub struct SqlOptions {
    /// What `capture --out` wrote to: folders, or `s3://BUCKET/PREFIX` (also `gs://`, `az://`)
    #[arg(value_name = "DATA", default_value = "data")]
    pub data: Vec<PathBuf>,

    /// Whose dialect the preamble is in; the views are the same for all
    #[arg(long, default_value = "duckdb")]
    pub engine: Engine,

    /// Share of the pieces at which a download counts
    #[arg(long, value_name = "SHARE", default_value = "0.98")]
    pub threshold: Threshold,

    /// Peers faster than this many bytes per second are flagged and not confirmed
    #[arg(long, value_name = "B", default_value_t = 125_000_000)]
    pub max_plausible_speed: u64,

    /// Length of the buckets of the tables over time: 10m, 1h, 1d; a report of less than six hours has shorter ones
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = time::parse_duration)]
    pub bucket: i64,
}

/// An engine that runs the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// DuckDB
    Duckdb,
    /// Apache Spark
    Spark,
}

/// Options of `analyze report`.
#[derive(Clone, Debug, Args)]
pub struct ReportOptions {
    /// What `capture --out` wrote to: folders, or `s3://BUCKET/PREFIX` (also `gs://`, `az://`)
    #[arg(required = true, value_name = "DATA", help_heading = "Input")]
    pub data: Vec<PathBuf>,

    /// Only rows at or after this time, UTC: 2026-01-02 or 2026-01-02T03:04:05Z
    #[arg(long, value_name = "T", value_parser = time::parse_time, help_heading = "Input")]
    pub since: Option<i64>,

    /// Only rows before this time, UTC
    #[arg(long, value_name = "T", value_parser = time::parse_time, help_heading = "Input")]
    pub until: Option<i64>,

    /// Only these torrents, 40 hex digits each
    #[arg(
        long,
        value_name = "H",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = parse_info_hash,
        help_heading = "Input"
    )]
    pub info_hash: Vec<String>,

    /// Share of the pieces at which a download counts
    #[arg(long, value_name = "SHARE", default_value = "0.98", help_heading = "Rules")]
    pub threshold: Threshold,

    /// Peers faster than this many bytes per second are flagged and not confirmed
    #[arg(long, value_name = "B", default_value_t = 125_000_000, help_heading = "Rules")]
    pub max_plausible_speed: u64,

    /// What makes two contacts, or two sightings, those of one peer
    #[arg(long, value_name = "RULE", default_value = "endpoint", help_heading = "Rules")]
    pub identity: Identity,

    /// Country, city and coordinates from this MMDB (GeoIP2, GeoLite2, DB-IP)
    #[arg(long, value_name = "FILE", help_heading = "Places")]
    pub geoip_city: Option<PathBuf>,

    /// Autonomous systems from this MMDB
    #[arg(long, value_name = "FILE", help_heading = "Places")]
    pub geoip_asn: Option<PathBuf>,

    /// Folder to write to
    #[arg(long, value_name = "DIR", default_value = "report", help_heading = "Output")]
    pub out: PathBuf,

    /// Only these tables
    #[arg(
        long,
        value_name = "TABLE",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = parse_table,
        help_heading = "Output"
    )]
    pub only: Vec<String>,

    /// Length of the buckets of the tables over time: 10m, 1h, 1d [default: 1h; less for logs under six hours]
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration, help_heading = "Output")]
    pub bucket: Option<i64>,

    /// How tables are written, one or several of
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "csv",
        num_args = 1..,
        value_delimiter = ',',
        help_heading = "Output"
    )]
    pub format: Vec<Format>,
}

fn parse_addresses(text: &str) -> Result<Addresses, String> {
    match text.parse() {
        Ok(addresses) if addresses != Addresses::Full => Ok(addresses),
        _ => Err("write prefix or pseudonym".to_owned()),
    }
}

fn parse_info_hash(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text)
    } else {
        Err("an info-hash has 40 hex digits".to_owned())
    }
}

fn parse_table(text: &str) -> Result<String, String> {
    if table::find(text).is_some() {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = table::TABLES.iter().map(|definition| definition.name).collect();
    Err(format!("no such table; there are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_help_begins_with_examples() {
        let mut command = Cli::command();
        let report = command.find_subcommand_mut("report").expect("the command");
        insta::assert_snapshot!(report.render_long_help().to_string());
    }

    #[test]
    fn options_are_consistent() {
        Cli::command().debug_assert();
    }
}
