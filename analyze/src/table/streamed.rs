//! Tables with a row per peer, kept in files where all rows at once may be more than memory holds.

use polars::prelude::{DataFrame, IdxSize, IntoLazy as _, LazyFrame, PolarsError, PolarsResult, Scalar};

use super::{Definition, Kind, confirmed_downloads, flagged, speeds};
use crate::{
    figure::frame::{column_numbers, take},
    replay::{spool::Spool, workers},
};

/// Rows that are kept at hand by each column; a page shows fewer.
const FIRST_ROWS: usize = 100;

/// Bytes of a part's rows, about: some parts are in memory at once when they are read on all cores.
const PART_BYTES: usize = 8 << 20;

/// What makes a table's rows of peers.
type OfPeers = fn(LazyFrame) -> LazyFrame;

/// A table whose rows are made once, part by part, and read when they are asked for.
#[derive(Debug)]
pub struct Streamed {
    /// The table.
    pub definition: &'static Definition,
    rows: Spool,
    /// Every row, but only the columns that are drawn; the others are empty.
    pub drawn: DataFrame,
    /// The rows with the highest values of each column of numbers or times, whole.
    pub first: DataFrame,
}

impl Streamed {
    /// The table as one to be streamed; `None` for a table of another kind, and where the peers are few.
    ///
    /// Peers come in the order of torrents and addresses, and no address is in two parts.
    pub fn of(definition: &'static Definition, peers: &Spool) -> PolarsResult<Option<Self>> {
        Self::in_parts(definition, peers, PART_BYTES)
    }

    fn in_parts(
        definition: &'static Definition,
        peers: &Spool,
        part_bytes: usize,
    ) -> PolarsResult<Option<Self>> {
        let of_peers: OfPeers = match definition.name {
            "confirmed_downloads" => confirmed_downloads::of_peers,
            "flagged" => flagged::of_peers,
            "speeds" => speeds::measured,
            _ => return Ok(None),
        };
        if !peers.is_spilled() {
            return Ok(None);
        }
        let look = |part: &LazyFrame| -> PolarsResult<_> {
            let rows = definition.finish(of_peers(part.clone()))?;
            let drawn = rows.select(drawn(definition))?;
            let first = highest(definition, &rows)?;
            Ok((rows, drawn, first))
        };
        let mut rows = Spool::new(part_bytes);
        let mut all_drawn = definition.empty()?.select(drawn(definition))?;
        let mut firsts = definition.empty()?;
        workers::in_order(&peers.parts()?, look, |(part, drawn, first)| -> Result<(), PolarsError> {
            rows.push(part)?;
            all_drawn.vstack_mut(&drawn)?;
            firsts.vstack_mut(&first)?;
            Ok(())
        })?;
        let height = all_drawn.height();
        let columns = definition.columns.iter().map(|column| match all_drawn.column(column.name) {
            Ok(values) => values.clone(),
            Err(_) => polars::prelude::Column::new_scalar(
                column.name.into(),
                Scalar::null(column.kind.dtype()),
                height,
            ),
        });
        Ok(Some(Self {
            definition,
            rows,
            drawn: DataFrame::new(height, columns.collect())?,
            first: highest(definition, &firsts)?,
        }))
    }

    /// The rows in parts, one after the other in the table's order; at least one.
    pub fn parts(&self) -> PolarsResult<Vec<LazyFrame>> {
        let parts = self.rows.parts()?;
        if parts.is_empty() { Ok(vec![self.definition.empty()?.lazy()]) } else { Ok(parts) }
    }
}

/// The columns that the table's own figure draws.
fn drawn(definition: &Definition) -> Vec<&'static str> {
    let of_kind = |kind| definition.columns.iter().filter(move |column| column.kind == kind);
    match definition.name {
        "confirmed_downloads" => vec!["below_at", "confirmed_at", "evidence"],
        "flagged" => of_kind(Kind::Truth).map(|column| column.name).collect(),
        _ => of_kind(Kind::BytesPerSecond).map(|column| column.name).collect(),
    }
}

/// The rows that are among the first by any column that rows may be ordered by, in the table's order.
fn highest(definition: &Definition, rows: &DataFrame) -> PolarsResult<DataFrame> {
    let mut places: Vec<IdxSize> = (0..).take(rows.height().min(FIRST_ROWS)).collect();
    for column in definition.columns.iter().filter(|column| column.kind != Kind::Text) {
        let numbers = column_numbers(rows.column(column.name)?)?;
        let mut known: Vec<(f64, IdxSize)> =
            numbers.into_iter().zip(0..).filter_map(|(number, place)| Some((number?, place))).collect();
        if known.len() > FIRST_ROWS {
            known.select_nth_unstable_by(FIRST_ROWS, |one, other| {
                other.0.total_cmp(&one.0).then(one.1.cmp(&other.1))
            });
            known.truncate(FIRST_ROWS);
        }
        places.extend(known.into_iter().map(|(_, place)| place));
    }
    places.sort_unstable();
    places.dedup();
    take(rows, places)
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

    fn draw(definition: &Definition, rows: &DataFrame) -> String {
        use crate::figure;
        let figure = match definition.name {
            "confirmed_downloads" => figure::confirmed_downloads::draw(rows),
            "flagged" => figure::flagged::draw(rows),
            _ => figure::speeds::draw(rows),
        };
        let figure = figure.unwrap();
        assert_eq!(figure.missing, None, "{}", definition.name);
        figure.file_markup()
    }

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
        let folder = tempfile::tempdir().unwrap();
        let tables: [(&'static Definition, OfPeers); 3] = [
            (&confirmed_downloads::DEFINITION, confirmed_downloads::of_peers),
            (&flagged::DEFINITION, flagged::of_peers),
            (&speeds::DEFINITION, speeds::measured),
        ];
        for (definition, of_peers) in tables {
            assert!(Streamed::of(definition, &few).unwrap().is_none());
            let streamed = Streamed::in_parts(definition, &many, 1).unwrap().unwrap();
            let whole = definition.finish(of_peers(few.lazy().unwrap().unwrap())).unwrap();
            assert!(streamed.parts().unwrap().len() > 1 && whole.height() > 10);
            assert_eq!(streamed.drawn.height(), whole.height());
            for name in drawn(definition) {
                let (drawn, column) = (streamed.drawn.column(name).unwrap(), whole.column(name).unwrap());
                assert!(drawn.equals_missing(column), "{name}");
            }
            assert!(draw(definition, &streamed.drawn) == draw(definition, &whole), "{}", definition.name);
            for format in [Format::Csv, Format::Json] {
                let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
                table_file::write_parts(format, &streamed, &one).unwrap();
                table_file::write(format, definition, &whole, &other).unwrap();
                assert!(std::fs::read(one).unwrap() == std::fs::read(other).unwrap(), "{}", definition.name);
            }
        }
    }
}
