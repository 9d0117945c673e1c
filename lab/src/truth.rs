//! What happened in a lab: `truth.csv`, a row for every address that was in a swarm, and `requests.csv`, a row for
//! every request the trackers answered.

use std::{fs::File, io::Write, net::IpAddr, path::Path};

use anyhow::{Context, Result};
use schema::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{clock, profile::Profile};

/// A row of `truth.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// The swarm, lower-case hex.
    pub info_hash: String,
    /// The peer's address.
    pub ip: IpAddr,
    /// The port it listens on, or says it does.
    pub port: u16,
    /// Who it was.
    #[serde(with = "profile_text")]
    pub profile: Profile,
    /// When it came up.
    #[serde(serialize_with = "time_to_text", deserialize_with = "time_from_text")]
    pub joined: Timestamp,
    /// When it went, at the latest when the lab ended.
    #[serde(serialize_with = "time_to_text", deserialize_with = "time_from_text")]
    pub left: Timestamp,
    /// When it came to have 0.98 of the pieces; empty when it never did, or had them when it came.
    #[serde(serialize_with = "some_time_to_text", deserialize_with = "some_time_from_text")]
    pub crossed_at: Option<Timestamp>,
    /// Bytes of the pieces it got over the time from `joined` to the last of them, bytes/s; empty when it got none.
    pub mean_speed_bytes_per_s: Option<f64>,
    /// When a tracker or a peer first named it to somebody from outside, or, behind a NAT, when it first connected to somebody
    /// from outside; empty when it never did.
    #[serde(serialize_with = "some_time_to_text", deserialize_with = "some_time_from_text")]
    pub known_at: Option<Timestamp>,
}

/// What a request asked a tracker for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// Peers.
    Announce,
    /// Counts.
    Scrape,
}

/// A row of `requests.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// When it came.
    #[serde(serialize_with = "time_to_text", deserialize_with = "time_from_text")]
    pub time: Timestamp,
    /// The tracker's announce URL.
    pub tracker: String,
    /// Announce or scrape.
    pub kind: RequestKind,
    /// The swarm, lower-case hex.
    pub info_hash: String,
    /// Who asked.
    pub ip: IpAddr,
    /// The port it announced; empty for a scrape.
    pub port: Option<u16>,
    /// `started`, `completed` or `stopped`; empty for a regular announce and for a scrape.
    pub event: String,
    /// Bytes it said it lacks; empty for a scrape.
    pub left: Option<u64>,
    /// Peers named to it.
    pub peers: usize,
}

/// Reads a CSV file with a header.
pub fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>> {
    let mut reader =
        csv::Reader::from_path(path).with_context(|| format!("cannot read {}", path.display()))?;
    reader
        .deserialize()
        .enumerate()
        .map(|(index, row)| row.with_context(|| format!("{}: row {}", path.display(), index + 1)))
        .collect()
}

/// Writes a CSV file with a header, as a whole or not at all.
pub fn write<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let describe = || format!("cannot write {}", path.display());
    let temporary = path.with_extension("csv.tmp");
    let mut writer = csv::Writer::from_path(&temporary).with_context(describe)?;
    for row in rows {
        writer.serialize(row).with_context(describe)?;
    }
    writer.flush().with_context(describe)?;
    std::fs::rename(&temporary, path).with_context(describe)
}

/// A CSV file that grows by whole rows, each readable as soon as it is written.
#[derive(Debug)]
pub struct Growing {
    writer: csv::Writer<File>,
}

impl Growing {
    /// Creates the file with this header.
    pub fn create(path: &Path, header: &[&str]) -> Result<Self> {
        let describe = || format!("cannot write {}", path.display());
        let mut file = File::create(path).with_context(describe)?;
        writeln!(file, "{}", header.join(",")).with_context(describe)?;
        Ok(Self { writer: csv::WriterBuilder::new().has_headers(false).from_writer(file) })
    }

    /// Adds a row.
    pub fn push<T: Serialize>(&mut self, row: &T) -> Result<()> {
        self.writer.serialize(row)?;
        Ok(self.writer.flush()?)
    }
}

/// Writes a time as RFC 3339.
pub fn time_to_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&clock::to_text(*time))
}

/// Reads a time from RFC 3339.
pub fn time_from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    clock::from_text(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no RFC 3339 time")))
}

#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
fn some_time_to_text<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.map(clock::to_text).unwrap_or_default())
}

fn some_time_from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    clock::from_text(&text).map(Some).ok_or_else(|| D::Error::custom(format!("{text:?} is no RFC 3339 time")))
}

mod profile_text {
    use super::Profile;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(profile: &Profile, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(profile)
    }

    pub fn deserialize<'de, De: Deserializer<'de>>(deserializer: De) -> Result<Profile, De::Error> {
        String::deserialize(deserializer)?.parse().map_err(De::Error::custom)
    }
}
