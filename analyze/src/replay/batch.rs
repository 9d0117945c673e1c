//! Rows next to each other in a file: columns that were decoded, and texts that all rows of a row group have and that its
//! statistics tell, so that nothing has to be decoded.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use parquet::file::{metadata::RowGroupMetaData, statistics::Statistics};

/// Rows next to each other.
pub struct Batch {
    rows: RecordBatch,
    constants: Arc<[Constant]>,
}

/// A column with the same text in every row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constant {
    /// The column.
    pub name: String,
    text: String,
}

impl Batch {
    /// Decoded rows with what they have in common.
    pub fn new(rows: RecordBatch, constants: Arc<[Constant]>) -> Self {
        Self { rows, constants }
    }

    /// How many rows.
    pub fn num_rows(&self) -> usize {
        self.rows.num_rows()
    }

    /// A column that was decoded.
    pub fn column_by_name(&self, name: &str) -> Option<&ArrayRef> {
        self.rows.column_by_name(name)
    }

    /// The text that all rows have in a column, where it was not decoded.
    pub fn constant(&self, name: &str) -> Option<&str> {
        self.constants.iter().find(|constant| constant.name == name).map(|constant| constant.text.as_str())
    }
}

/// Those of some text columns that have one text in all rows of a row group.
pub fn constants<'a>(group: &RowGroupMetaData, columns: impl Iterator<Item = &'a str>) -> Arc<[Constant]> {
    let constant = |name: &str| {
        let column = group.columns().iter().find(|column| column.column_descr().name() == name)?;
        let Some(Statistics::ByteArray(found)) = column.statistics() else { return None };
        let is_told = found.min_is_exact() && found.max_is_exact() && found.null_count_opt() == Some(0);
        let text = found.min_opt().filter(|min| is_told && found.max_opt() == Some(*min))?;
        Some(Constant { name: name.to_owned(), text: text.as_utf8().ok()?.to_owned() })
    };
    columns.filter_map(constant).collect()
}
