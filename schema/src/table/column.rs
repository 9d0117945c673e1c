//! What a table knows of its columns, and the order its rows stand in.

use std::{net::IpAddr, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::{Field, Schema},
};

use crate::{
    cell::{Cell, ColumnKind, Member, Scalar},
    table::Table,
};

/// A column, as the files and the reference have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type on disk.
    pub kind: ColumnKind,
    /// Whether it may be null.
    pub nullable: bool,
    /// The text of a closed set is one of these; empty for every other column.
    pub members: Vec<Member>,
    /// Meaning, unit, and when it is null.
    pub doc: &'static str,
}

impl Column {
    pub(crate) fn of<T: Cell>(name: &'static str, doc: &'static str) -> Self {
        let members = T::Scalar::members();
        Self { name, kind: T::Scalar::KIND, nullable: T::NULLABLE, members, doc }
    }
}

/// The columns every table begins with.
pub(super) fn common_columns() -> Vec<Column> {
    let column = |name, kind, doc| Column { name, kind, nullable: false, members: Vec::new(), doc };
    vec![
        column("time", ColumnKind::Time, "When what the row tells happened."),
        column("run", ColumnKind::Text, "The capture run that saw it: its start time and a random part."),
    ]
}

impl Table {
    /// The table's Arrow schema, from which Parquet's follows.
    pub fn arrow_schema(self) -> Arc<Schema> {
        let field = |column: &Column| Field::new(column.name, column.kind.data_type(), column.nullable);
        Arc::new(Schema::new(self.columns().iter().map(field).collect::<Vec<_>>()))
    }

    /// The columns a segment is sorted by: those of `info_hash`, `ip`, `port` that the table has, then `time`.
    pub fn sorted_by(self) -> Vec<&'static str> {
        let columns = self.columns();
        let has = |name: &&str| columns.iter().any(|column| column.name == *name);
        ["info_hash", "ip", "port", "time"].into_iter().filter(has).collect()
    }
}

/// A row type: what `define_table!` derives from its definition.
pub trait TableRow: Sized {
    /// The table's name.
    const TABLE: &'static str;
    /// What a row is.
    const DOC: &'static str;

    /// The columns besides `time` and `run`.
    fn columns() -> Vec<Column>;

    /// Where the row stands in a segment, apart from its time.
    fn sort_key(&self) -> SortKey;

    /// The columns of these rows, in the order of [`columns`](Self::columns).
    fn arrays(rows: &[&Self]) -> Vec<ArrayRef>;

    /// The rows of a batch.
    ///
    /// # Errors
    /// A column is missing, is of another type, or holds what its type does not allow.
    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ColumnError>;
}

/// A column of a file that is not what this version's reference says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column `{column}` {problem}")]
pub struct ColumnError {
    /// The column's name.
    pub column: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// A column's values; a nullable column that a file of an older version lacks is null throughout.
pub(crate) fn column_values<T: Cell>(batch: &RecordBatch, name: &str) -> Result<Vec<T>, ColumnError> {
    let error = |problem| ColumnError { column: name.to_owned(), problem };
    let Some(array) = batch.column_by_name(name) else {
        let nulls = (0..batch.num_rows()).map(|_| T::from_scalar(None)).collect::<Option<_>>();
        return nulls.ok_or_else(|| error("is missing"));
    };
    let values =
        T::Scalar::values(array).ok_or_else(|| error("has another type or a value that is none of its"))?;
    values
        .into_iter()
        .map(T::from_scalar)
        .collect::<Option<_>>()
        .ok_or_else(|| error("is null where it must not be"))
}

/// A row's place in a segment; equal keys are ordered by time, then by the order of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey {
    /// The swarm.
    pub info_hash: [u8; 20],
    /// The address.
    pub ip: IpText,
    /// The port.
    pub port: u16,
}

/// An address's canonical text, compared as Parquet compares text: byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IpText([u8; Self::CAPACITY]);

impl IpText {
    /// The longest text: eight groups of four digits.
    const CAPACITY: usize = 39;

    /// The text of an address, padded with zero bytes, which sort before every character.
    pub fn new(ip: IpAddr) -> Self {
        let mut text = Self::default();
        let mut rest = text.0.as_mut_slice();
        let written = std::io::Write::write_fmt(&mut rest, format_args!("{}", ip.to_canonical()));
        debug_assert!(written.is_ok(), "an address longer than the longest");
        text
    }
}

impl Default for IpText {
    fn default() -> Self {
        Self([0; Self::CAPACITY])
    }
}
