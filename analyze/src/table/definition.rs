//! What a result table is: its name, what it tells, and its columns with their units.

use polars::prelude::{
    DataFrame, DataType, IntoColumn, LazyFrame, PolarsResult, Series, SortMultipleOptions, TimeUnit, col,
};

/// What a column holds: its unit, its type in a `DataFrame`, and how it is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes; an unsigned integer.
    Bytes,
    /// Bytes per second; a float, written with one decimal.
    BytesPerSecond,
    /// A number of things; an unsigned integer.
    Count,
    /// Latitude or longitude in degrees; a float, written with four decimals.
    Degrees,
    /// A duration in microseconds; an unsigned integer.
    Microseconds,
    /// A number that names something (port, autonomous system); an unsigned integer.
    Number,
    /// A number of things per second; a float, written with three decimals.
    PerSecond,
    /// A part of a whole, 0 to 1; a float, written with six decimals.
    Share,
    /// Text.
    Text,
    /// A moment, UTC; microseconds since the Unix epoch, written as RFC 3339.
    Time,
    /// Yes or no; written `true` or `false`.
    Truth,
}

impl Kind {
    /// The column's type in a `DataFrame`.
    pub fn dtype(self) -> DataType {
        match self {
            Self::Bytes | Self::Count | Self::Microseconds | Self::Number => DataType::UInt64,
            Self::BytesPerSecond | Self::Degrees | Self::PerSecond | Self::Share => DataType::Float64,
            Self::Text => DataType::String,
            Self::Time => DataType::Datetime(TimeUnit::Microseconds, None),
            Self::Truth => DataType::Boolean,
        }
    }
}

/// A column of a result table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name in the CSV header and in the `DataFrame`.
    pub name: &'static str,
    /// Unit and type.
    pub kind: Kind,
    /// What it means and when it is empty, one sentence.
    pub about: &'static str,
}

/// A result table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The file stem of the CSV, and of the figure that draws the table.
    pub name: &'static str,
    /// A heading for people.
    pub title: &'static str,
    /// What a row is and what the table tells, one or two sentences.
    pub about: &'static str,
    /// The columns in order.
    pub columns: &'static [Column],
    /// How many of the first columns are the key: rows are unique by it and sorted by it, nulls last.
    pub key: usize,
}

impl Definition {
    /// The table without rows.
    pub fn empty(&self) -> PolarsResult<DataFrame> {
        let columns = self
            .columns
            .iter()
            .map(|column| Series::new_empty(column.name.into(), &column.kind.dtype()).into_column());
        DataFrame::new(0, columns.collect())
    }

    /// Puts rows into the table's form: its columns, types and one total order.
    pub fn finish(&self, rows: LazyFrame) -> PolarsResult<DataFrame> {
        self.in_form(rows).collect()
    }

    /// The same, when it is asked for.
    pub fn in_form(&self, rows: LazyFrame) -> LazyFrame {
        let columns = self.columns.iter().map(|column| col(column.name).cast(column.kind.dtype()));
        let order: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        let nulls_last = SortMultipleOptions::default().with_nulls_last(true);
        rows.select(columns.collect::<Vec<_>>()).sort(order, nulls_last)
    }

    /// The columns of the key.
    pub fn key_columns(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.columns.iter().take(self.key).map(|column| column.name)
    }
}

/// A definition's column, written on one line.
pub(crate) const fn column(name: &'static str, kind: Kind, about: &'static str) -> Column {
    Column { name, kind, about }
}
