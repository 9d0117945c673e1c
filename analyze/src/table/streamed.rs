//! Tables with a row per peer, made part by part where all rows at once may be more than memory holds.

use std::sync::Arc;

use polars::prelude::{
    DataFrame, IntoLazy as _, LazyFrame, PolarsError, PolarsResult, Scalar, SortMultipleOptions,
    UniqueKeepStrategy, col,
};

use super::{Column, Definition, Kind, confirmed_downloads, flagged, speeds};
use crate::replay::{spool::Spool, workers};

/// Rows of each part that are kept at hand; a page shows fewer.
const FIRST_ROWS: usize = 100;

/// A table whose rows are made when they are asked for.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// The table.
    pub definition: &'static Definition,
    peers: Arc<Spool>,
    of_peers: fn(LazyFrame) -> LazyFrame,
    /// Every row, but only the columns that are drawn, speeds and truths; the others are empty.
    pub numbers: DataFrame,
    /// The rows with the highest values of each column of numbers or times, whole.
    pub first: DataFrame,
}

impl Streamed {
    /// The table as one to be streamed; `None` for a table of another kind, and where the peers are few.
    pub fn of(definition: &'static Definition, peers: &Arc<Spool>) -> PolarsResult<Option<Self>> {
        let of_peers: fn(LazyFrame) -> LazyFrame = match definition.name {
            "confirmed_downloads" => confirmed_downloads::of_peers,
            "flagged" => flagged::of_peers,
            "speeds" => speeds::measured,
            _ => return Ok(None),
        };
        if !peers.is_spilled() {
            return Ok(None);
        }
        let (numbers, first) = (definition.empty()?, definition.empty()?);
        let mut streamed = Self { definition, peers: Arc::clone(peers), of_peers, numbers, first };
        streamed.look_through()?;
        Ok(Some(streamed))
    }

    /// The rows in parts, one after the other in the table's order.
    ///
    /// Peers come in the order of torrents and addresses, and no address is in two parts.
    pub fn parts(&self) -> PolarsResult<Vec<LazyFrame>> {
        let parts = self.peers.parts()?.into_iter();
        Ok(parts.map(|part| self.definition.in_form((self.of_peers)(part))).collect())
    }

    fn look_through(&mut self) -> PolarsResult<()> {
        let mut firsts = self.definition.empty()?;
        let mut drawn: Vec<DataFrame> = Vec::new();
        let mut height = 0;
        let definition = self.definition;
        let look = |part: &LazyFrame| -> PolarsResult<_> {
            let rows = part.clone().collect()?;
            Ok((rows.height(), rows.select(of_figures(definition))?, highest(definition, &rows)?))
        };
        workers::in_order(&self.parts()?, look, |(rows, numbers, first)| -> Result<(), PolarsError> {
            height += rows;
            drawn.push(numbers);
            firsts.vstack_mut(&first)?;
            Ok(())
        })?;
        self.first = highest(definition, &firsts)?;
        let mut all = definition.empty()?.select(of_figures(definition))?;
        for numbers in &drawn {
            all.vstack_mut(numbers)?;
        }
        let columns = definition.columns.iter().map(|column| match all.column(column.name) {
            Ok(numbers) => numbers.clone(),
            Err(_) => polars::prelude::Column::new_scalar(
                column.name.into(),
                Scalar::null(column.kind.dtype()),
                height,
            ),
        });
        self.numbers = DataFrame::new(height, columns.collect())?;
        Ok(())
    }
}

fn of_figures(definition: &Definition) -> Vec<&'static str> {
    let drawn = |column: &&Column| matches!(column.kind, Kind::BytesPerSecond | Kind::Truth);
    let columns = definition.columns.iter().filter(drawn);
    columns.map(|column| column.name).collect()
}

/// The rows that are among the first by any column that rows may be ordered by, in the table's order.
fn highest(definition: &Definition, rows: &DataFrame) -> PolarsResult<DataFrame> {
    let mut found = rows.head(Some(FIRST_ROWS));
    let ordered = definition.columns.iter().filter(|column| column.kind != Kind::Text);
    for column in ordered {
        let descending = SortMultipleOptions::default().with_order_descending(true).with_nulls_last(true);
        found.vstack_mut(&rows.sort([column.name], descending)?.head(Some(FIRST_ROWS)))?;
    }
    let all: Vec<_> = definition.columns.iter().map(|column| col(column.name)).collect();
    definition.finish(found.lazy().select(all).unique(None, UniqueKeepStrategy::Any))
}

#[cfg(test)]
mod tests {
    use polars::prelude::{DataType, IntoColumn as _, NamedFrom as _, Series};

    use super::*;
    use crate::{
        replay::peers,
        table_file::{self, Format},
    };

    const ROWS: i64 = 60;

    /// Peers of two torrents, every third without a speed and every fifth flagged.
    fn some_peers(from: i64) -> DataFrame {
        let rows = from..from + ROWS;
        let text = |name: &str, read: &dyn Fn(i64) -> String| {
            Series::new(name.into(), rows.clone().map(read).collect::<Vec<_>>())
        };
        let columns = peers::COLUMNS.iter().map(|(name, dtype)| {
            let values = match (*name, dtype) {
                ("info_hash", _) => {
                    text(name, &|row| if row < 150 { "a".repeat(40) } else { "b".repeat(40) })
                }
                ("ip", _) => text(name, &|row| format!("10.0.0.{}", 1_000 + row)),
                ("mean_speed_bytes_per_s", _) => {
                    let speeds =
                        rows.clone().map(|row| (row % 3 > 0).then_some((row * 7_919 % 1_000) as f64));
                    Series::new((*name).into(), speeds.collect::<Vec<_>>())
                }
                ("flagged" | "confirmed", _) => {
                    let flagged = rows.clone().map(|row| (row % 5 == 0) == (*name == "flagged"));
                    Series::new((*name).into(), flagged.collect::<Vec<_>>())
                }
                (_, DataType::Int64) => Series::new((*name).into(), rows.clone().collect::<Vec<_>>()),
                (_, DataType::String) => text(name, &|row| format!("\"{name}\", {}", row % 4)),
                (_, dtype) => Series::full_null((*name).into(), 60, dtype),
            };
            values.cast(dtype).unwrap().into_column()
        });
        DataFrame::new(60, columns.collect()).unwrap()
    }

    #[test]
    fn a_streamed_table_is_the_table() {
        let (mut many, mut few) = (Spool::new(1), Spool::default());
        for part in 0..5 {
            many.push(some_peers(part * ROWS)).unwrap();
            few.push(some_peers(part * ROWS)).unwrap();
        }
        let (many, few) = (Arc::new(many), Arc::new(few));
        let folder = tempfile::tempdir().unwrap();
        for definition in [&confirmed_downloads::DEFINITION, &flagged::DEFINITION, &speeds::DEFINITION] {
            assert!(Streamed::of(definition, &few).unwrap().is_none());
            let streamed = Streamed::of(definition, &many).unwrap().unwrap();
            let whole = definition.finish((streamed.of_peers)(few.lazy().unwrap())).unwrap();
            assert!(streamed.parts().unwrap().len() > 1 && whole.height() > 10);
            assert_eq!(streamed.numbers.height(), whole.height());
            for name in of_figures(definition) {
                let (numbers, column) = (streamed.numbers.column(name).unwrap(), whole.column(name).unwrap());
                assert!(numbers.equals_missing(column), "{name}");
            }
            for format in [Format::Csv, Format::Json] {
                let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
                table_file::write_parts(format, &streamed, &one).unwrap();
                table_file::write(format, definition, &whole, &other).unwrap();
                assert!(std::fs::read(one).unwrap() == std::fs::read(other).unwrap(), "{}", definition.name);
            }
        }
    }
}
