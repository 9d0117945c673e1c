//! The raw tables, one file each: their rows, columns and the closed sets in them.
//!
//! Every table has `time` (of the event) and `run` besides the columns defined here. Absent is `None`, stored as null.

mod contacts;
mod gauges;
mod hostnames;
mod progress;
mod requests;
mod runs;
mod sightings;
mod torrents;

pub use contacts::{Contact, ContactOutcome, Direction, Encryption, Transport};
pub use gauges::Gauge;
pub use hostnames::{Hostname, HostnameOutcome};
pub use progress::{Progress, ProgressKind};
pub use requests::{Family, Request, RequestKind, RequestOutcome};
pub use runs::{Run, RunEvent};
pub use sightings::{Sighting, Source};
pub use torrents::{Torrent, TorrentOrigin};

use serde::{Deserialize, Serialize};

use crate::value::Timestamp;

/// One row of any table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is its row type")]
pub enum Row {
    Run(Run),
    Torrent(Torrent),
    Request(Request),
    Sighting(Sighting),
    Contact(Box<Contact>),
    Progress(Progress),
    Hostname(Hostname),
    Gauge(Box<Gauge>),
}

/// A row with the time it stands for; the run is the WAL's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When what the row tells happened.
    pub time: Timestamp,
    /// What happened.
    pub row: Row,
}
