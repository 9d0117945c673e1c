//! The order of a segment's rows, compared where they stand: in the columns of a batch.

use std::cmp::Ordering;

use arrow::{
    array::{Array as _, AsArray as _, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{Int32Type, TimestampMicrosecondType},
};

use crate::table::ColumnError;

/// The columns of a batch that decide its rows' order; equal in all of them, rows keep the order they came in.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    texts: [Option<StringArray>; 2],
    port: Option<Int32Array>,
    time: TimestampMicrosecondArray,
}

impl Keys {
    pub(super) fn of(batch: &RecordBatch) -> Result<Self, ColumnError> {
        let text = |name: &str| match batch.column_by_name(name) {
            None => Ok(None),
            Some(column) => column.as_string_opt::<i32>().cloned().map(Some).ok_or_else(|| wrong(name)),
        };
        let port = match batch.column_by_name("port") {
            None => None,
            Some(column) => {
                Some(column.as_primitive_opt::<Int32Type>().cloned().ok_or_else(|| wrong("port"))?)
            }
        };
        let time = batch.column_by_name("time");
        let time = time.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let time = time.cloned().ok_or_else(|| wrong("time"))?;
        Ok(Self { texts: [text("info_hash")?, text("ip")?], port, time })
    }

    /// How a row of this batch stands to a row of another of the same table. Null is before everything.
    pub(super) fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        for (own, other) in self.texts.iter().zip(&other.texts) {
            if let (Some(own), Some(other)) = (own, other) {
                let text = |array: &'_ StringArray, row: usize| array.is_valid(row).then_some(row);
                let ordering = match (text(own, row), text(other, other_row)) {
                    (Some(row), Some(other_row)) => own.value(row).cmp(other.value(other_row)),
                    (own, other) => own.is_some().cmp(&other.is_some()),
                };
                if ordering.is_ne() {
                    return ordering;
                }
            }
        }
        let ports = self.port.as_ref().zip(other.port.as_ref());
        let ports = ports.map_or(Ordering::Equal, |(own, other)| own.value(row).cmp(&other.value(other_row)));
        ports.then_with(|| self.time.value(row).cmp(&other.time.value(other_row)))
    }
}

fn wrong(name: &str) -> ColumnError {
    ColumnError { column: name.to_owned(), problem: "is missing or has another type" }
}
