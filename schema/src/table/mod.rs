//! The raw tables, one file each: their rows, columns and the closed sets in them.
//!
//! Every table has `time` (of the event) and `run` besides the columns defined here. Absent is `None`, stored as null.

mod addresses;
mod column;
mod contacts;
mod gauges;
mod hostnames;
mod progress;
mod requests;
mod runs;
#[cfg(test)]
pub(crate) mod sample;
mod sightings;
mod torrents;

pub use addresses::Address;
pub(crate) use column::column_values;
pub use column::{Column, ColumnError, IpText, SortKey, TableRow};
pub use contacts::{Contact, ContactOutcome, Direction, Encryption, Transport};
pub use gauges::Gauge;
pub use hostnames::{Hostname, HostnameOutcome};
pub use progress::{Progress, ProgressKind};
pub use requests::{Family, Request, RequestKind, RequestOutcome};
pub use runs::{Run, RunEvent};
pub use sightings::{Sighting, Source};
pub use torrents::{Torrent, TorrentOrigin};

use arrow::array::{ArrayRef, RecordBatch};
use serde::{Deserialize, Serialize};

use crate::value::{Timestamp, UnknownText};

/// One row of any table.
///
/// The order of the variants is the WAL's code: append, never reorder.
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
    Address(Address),
}

/// A row with the time it stands for; the run is the WAL's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When what the row tells happened.
    pub time: Timestamp,
    /// What happened.
    pub row: Row,
}

/// Ties each table's name to its row type.
macro_rules! tables {
    ($( $table:ident: $row:ident; )*) => {
        /// The raw tables.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each variant is documented by its row type")]
        pub enum Table { $( $table, )* }

        impl Table {
            /// Every table, in alphabetical order.
            pub const ALL: &'static [Self] = &[ $( Self::$table, )* ];

            /// The table's name, and so its folder's.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$table => <$row as TableRow>::TABLE, )* }
            }

            /// What a row of it is.
            pub const fn doc(self) -> &'static str {
                match self { $( Self::$table => <$row as TableRow>::DOC, )* }
            }

            /// Every column in the order of the file, `time` and `run` first.
            pub fn columns(self) -> Vec<Column> {
                let mut columns = column::common_columns();
                columns.extend(match self { $( Self::$table => <$row as TableRow>::columns(), )* });
                columns
            }

            /// The columns of these rows besides `time` and `run`; rows of other tables are left out.
            pub(crate) fn arrays<'a>(self, rows: impl Iterator<Item = &'a Row>) -> Vec<ArrayRef> {
                match self { $( Self::$table => {
                    let own = rows.filter_map(|row| match row {
                        Row::$row(row) => { let row: &$row = row; Some(row) }
                        _ => None,
                    });
                    <$row as TableRow>::arrays(&own.collect::<Vec<_>>())
                } )* }
            }

            /// The rows of a batch of this table.
            pub(crate) fn rows(self, batch: &RecordBatch) -> Result<Vec<Row>, ColumnError> {
                match self { $( Self::$table => {
                    Ok(<$row as TableRow>::from_batch(batch)?.into_iter().map(Row::from).collect())
                } )* }
            }
        }

        impl std::str::FromStr for Table {
            type Err = UnknownText;

            fn from_str(text: &str) -> Result<Self, UnknownText> {
                let table = Self::ALL.iter().copied().find(|table| table.name() == text);
                table.ok_or_else(|| UnknownText { what: "table", text: text.to_owned() })
            }
        }

        impl Row {
            /// The table this is a row of.
            pub const fn table(&self) -> Table {
                match self { $( Self::$row(_) => Table::$table, )* }
            }

            /// Where the row stands in a segment, apart from its time.
            pub fn sort_key(&self) -> SortKey {
                match self { $( Self::$row(row) => row.sort_key(), )* }
            }
        }

        $( impl From<$row> for Row {
            fn from(row: $row) -> Self { Self::$row(row.into()) }
        } )*
    };
}

tables! {
    Addresses: Address;
    Contacts: Contact;
    Gauges: Gauge;
    Hostnames: Hostname;
    Progress: Progress;
    Requests: Request;
    Runs: Run;
    Sightings: Sighting;
    Torrents: Torrent;
}
