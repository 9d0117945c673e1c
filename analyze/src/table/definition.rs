//! What a result table is: its name, what it tells, and its columns with their units.

use std::cmp::Ordering;

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
        let columns = self.columns.iter().map(|column| col(column.name).cast(column.kind.dtype()));
        let rows = rows.select(columns.collect::<Vec<_>>()).collect()?;
        if self.is_in_order(&rows)? {
            return Ok(rows);
        }
        let order: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        rows.sort(order, SortMultipleOptions::default().with_nulls_last(true))
    }

    /// Whether each row's key is after that of the row before, so that sorting would leave the rows as they are: those of
    /// peers mostly come so, and looking is far cheaper than sorting.
    fn is_in_order(&self, rows: &DataFrame) -> PolarsResult<bool> {
        let mut orders = vec![Ordering::Equal; rows.height().saturating_sub(1)];
        for column in self.key_columns() {
            let column = rows.column(column)?;
            match column.dtype() {
                DataType::String => refine(&mut orders, column.str()?.iter()),
                DataType::UInt64 => refine(&mut orders, column.u64()?.iter()),
                DataType::Datetime(..) => refine(&mut orders, column.datetime()?.physical().iter()),
                _ => return Ok(false),
            }
            if orders.contains(&Ordering::Greater) {
                return Ok(false);
            }
        }
        Ok(orders.iter().all(|order| order.is_lt()))
    }

    /// The columns of the key.
    pub fn key_columns(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.columns.iter().take(self.key).map(|column| column.name)
    }
}

/// Tells apart rows next to each other that the columns before left equal; null is after every value.
fn refine<T: Ord + Copy>(orders: &mut [Ordering], values: impl Iterator<Item = Option<T>>) {
    let mut values = values.map(|value| (value.is_none(), value));
    let Some(mut before) = values.next() else { return };
    for (order, value) in orders.iter_mut().zip(values) {
        *order = order.then_with(|| before.cmp(&value));
        before = value;
    }
}

/// A definition's column, written on one line.
pub(crate) const fn column(name: &'static str, kind: Kind, about: &'static str) -> Column {
    Column { name, kind, about }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{IntoLazy as _, NamedFrom as _};

    use super::*;

    const TABLE: Definition = Definition {
        name: "of_a_test",
        title: "",
        about: "",
        key: 2,
        columns: &[
            column("name", Kind::Text, ""),
            column("port", Kind::Number, ""),
            column("speed", Kind::BytesPerSecond, ""),
        ],
    };

    fn rows(of: &[(&str, Option<u64>, f64)]) -> DataFrame {
        let columns = [
            Series::new("name".into(), of.iter().map(|row| row.0).collect::<Vec<_>>()),
            Series::new("port".into(), of.iter().map(|row| row.1).collect::<Vec<_>>()),
            Series::new("speed".into(), of.iter().map(|row| row.2).collect::<Vec<_>>()),
        ];
        DataFrame::new(of.len(), columns.map(IntoColumn::into_column).to_vec()).unwrap()
    }

    #[test]
    fn rows_in_order_stay_and_others_are_sorted() {
        let in_order = [("a", Some(2), 9.0), ("a", Some(10), 1.0), ("a", None, 5.0), ("b", Some(1), 0.0)];
        assert!(TABLE.is_in_order(&rows(&in_order)).unwrap());
        let mut mixed = in_order;
        for (one, other) in [(0, 1), (1, 2), (2, 3), (0, 3)] {
            mixed.swap(one, other);
            assert!(!TABLE.is_in_order(&rows(&mixed)).unwrap(), "{mixed:?}");
            assert!(TABLE.finish(rows(&mixed).lazy()).unwrap().equals_missing(&rows(&in_order)), "{mixed:?}");
        }
        // Rows with one key are told apart by the other columns.
        let twins = [("a", None, 2.0), ("a", None, 1.0)];
        assert!(!TABLE.is_in_order(&rows(&twins)).unwrap());
        let sorted = TABLE.finish(rows(&twins).lazy()).unwrap();
        assert!(sorted.equals_missing(&rows(&[twins[1], twins[0]])), "{sorted:?}");
        assert!(TABLE.is_in_order(&rows(&[])).unwrap() && TABLE.is_in_order(&rows(&twins[..1])).unwrap());
    }
}
