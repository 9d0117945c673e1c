//! Columns of a table's data frame as plain vectors, whatever integer or float width they have.

use std::ops::Range;

use polars::prelude::{
    Column, DataFrame, DataType, IdxCa, IdxSize, IntoColumn as _, NamedFrom as _, PolarsResult, Series,
    StringChunked, TimeUnit,
};
use polars::series::amortized_iter::AmortSeries;

use crate::replay::workers;

/// A column of text; null stays `None`.
pub fn texts(frame: &DataFrame, name: &str) -> PolarsResult<Vec<Option<String>>> {
    let column = frame.column(name)?.cast(&DataType::String)?;
    Ok(column.str()?.iter().map(|value| value.map(str::to_owned)).collect())
}

/// A column of numbers; null and NaN are `None`.
pub fn numbers(frame: &DataFrame, name: &str) -> PolarsResult<Vec<Option<f64>>> {
    column_numbers(frame.column(name)?)
}

/// The numbers of a column that are known, in order; neither null nor NaN.
pub fn known_numbers(frame: &DataFrame, name: &str) -> PolarsResult<Vec<f64>> {
    let column = frame.column(name)?.cast(&DataType::Float64)?;
    Ok(column.f64()?.iter().flatten().filter(|value| !value.is_nan()).collect())
}

/// A column of lists: the known numbers of each.
pub fn number_lists(frame: &DataFrame, name: &str) -> PolarsResult<Vec<Vec<f64>>> {
    let numbers = |list: Option<AmortSeries>| {
        list.map_or(Ok(Vec::new()), |list| Ok(list.as_ref().f64()?.iter().flatten().collect()))
    };
    frame.column(name)?.list()?.amortized_iter().map(numbers).collect()
}

/// The numbers of one column; null and NaN are `None`.
pub fn column_numbers(column: &Column) -> PolarsResult<Vec<Option<f64>>> {
    let column = column.cast(&DataType::Float64)?;
    Ok(column.f64()?.iter().map(|value| value.filter(|value| !value.is_nan())).collect())
}

/// A column of counts; null counts as none.
pub fn counts(frame: &DataFrame, name: &str) -> PolarsResult<Vec<f64>> {
    Ok(numbers(frame, name)?.into_iter().map(Option::unwrap_or_default).collect())
}

/// A column of times, as microseconds since the Unix epoch.
pub fn times(frame: &DataFrame, name: &str) -> PolarsResult<Vec<Option<i64>>> {
    column_times(frame.column(name)?)
}

/// The times of one column, as microseconds since the Unix epoch.
pub fn column_times(column: &Column) -> PolarsResult<Vec<Option<i64>>> {
    let column = match column.dtype() {
        DataType::Datetime(_, zone) => {
            column.cast(&DataType::Datetime(TimeUnit::Microseconds, zone.clone()))?.cast(&DataType::Int64)?
        }
        _ => column.cast(&DataType::Int64)?,
    };
    Ok(column.i64()?.iter().collect())
}

/// Rows of a folded frame from which on it is made small again.
const MANY_ROWS: usize = 50_000;

/// What `read` makes of each piece of work, on all cores, one below the other in its order; `shrink` makes many rows few,
/// and is used on the way and at last where there is more than one piece. `None` without work.
pub fn folded<W: Sync>(
    work: &[W],
    read: impl Fn(&W) -> PolarsResult<DataFrame> + Sync,
    shrink: impl Fn(DataFrame) -> PolarsResult<DataFrame>,
) -> PolarsResult<Option<DataFrame>> {
    let (mut all, mut few, mut is_small): (Option<DataFrame>, usize, bool) = (None, 0, true);
    workers::in_order(work, read, |part| {
        let mut rows = match all.take() {
            Some(mut rows) => {
                rows.vstack_mut(&part)?;
                is_small = false;
                rows
            }
            None => part,
        };
        if rows.height() > few * 2 + MANY_ROWS {
            rows = shrink(rows)?;
            few = rows.height();
        }
        all = Some(rows);
        Ok(())
    })?;
    all.map(|rows| if is_small { Ok(rows) } else { shrink(rows) }).transpose()
}

/// Each text of a column with the rows that have it, where equal texts follow one another.
pub fn runs(texts: &StringChunked) -> Vec<(Option<&str>, Range<usize>)> {
    // Equal texts of a dictionary are mostly one text, which need not be compared.
    let is_same = |one: Option<&str>, other: Option<&str>| match (one, other) {
        (Some(one), Some(other)) => std::ptr::eq(one, other) || one == other,
        (one, other) => one == other,
    };
    let mut runs: Vec<(Option<&str>, Range<usize>)> = Vec::new();
    for (row, text) in texts.iter().enumerate() {
        match runs.last_mut() {
            Some((last, rows)) if is_same(*last, text) => rows.end = row + 1,
            _ => runs.push((text, row..row + 1)),
        }
    }
    runs
}

/// Some rows by their places, with texts of their own: a text that is merely taken keeps those of all rows in memory.
pub fn take(frame: &DataFrame, places: Vec<IdxSize>) -> PolarsResult<DataFrame> {
    let taken = frame.take(&IdxCa::from_vec("row".into(), places))?;
    let columns = taken.columns().iter().map(|column| match column.str() {
        Ok(texts) => Series::new(column.name().clone(), texts.iter().collect::<Vec<_>>()).into_column(),
        Err(_) => column.clone(),
    });
    DataFrame::new(taken.height(), columns.collect())
}
