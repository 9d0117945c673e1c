//! How raw columns are read into a `DataFrame`, whichever version wrote the file.
//!
//! An integer of any width becomes `Int64`, a time microseconds since the Unix epoch, a missing column nulls.

use polars::prelude::{DataType, Expr, NULL, Schema, TimeUnit, col, lit};
use schema::{
    cell::ColumnKind,
    table::{Column, Table},
};

/// The raw tables the replay reads.
pub const TABLES: [Table; 9] = [
    Table::Addresses,
    Table::Contacts,
    Table::Gauges,
    Table::Hostnames,
    Table::Progress,
    Table::Requests,
    Table::Runs,
    Table::Sightings,
    Table::Torrents,
];

/// The columns the replay can read; lists are of no use to it.
pub fn columns(table: Table) -> impl Iterator<Item = Column> {
    table.columns().into_iter().filter(|column| column.kind != ColumnKind::TextList)
}

/// The column's type in a `DataFrame`.
pub fn dtype(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Binary => DataType::Binary,
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::Int32 | ColumnKind::Int64 | ColumnKind::Time => DataType::Int64,
        ColumnKind::Text => DataType::String,
        ColumnKind::TextList => DataType::List(Box::new(DataType::String)),
    }
}

/// Whether a column of this type on disk can be read.
pub fn reads(kind: ColumnKind, on_disk: &DataType) -> bool {
    match kind {
        ColumnKind::Int32 | ColumnKind::Int64 => on_disk.is_integer(),
        ColumnKind::Time => matches!(on_disk, DataType::Datetime(_, _)),
        _ => *on_disk == dtype(kind),
    }
}

/// The expression that reads the column of a file with this schema.
pub fn read(column: &Column, schema: &Schema) -> Expr {
    let name = column.name;
    let target = dtype(column.kind);
    match schema.get(name) {
        None => lit(NULL).cast(target).alias(name),
        Some(on_disk) if *on_disk == target => col(name),
        Some(DataType::Datetime(unit, _)) if *unit != TimeUnit::Microseconds => {
            col(name).cast(DataType::Datetime(TimeUnit::Microseconds, None)).cast(target)
        }
        Some(_) => col(name).cast(target),
    }
}
