//! Tables with a row per peer: made while peers are found, and kept in files where all rows may be more than memory holds.

use polars::prelude::{DataFrame, IdxSize, IntoLazy as _, LazyFrame, PolarsResult};

use super::{Definition, Kind, confirmed_downloads, flagged, speeds};
use crate::{
    figure::frame::{column_numbers, take},
    replay::spool::Spool,
};

/// Rows that are kept at hand by each column; a page shows fewer.
const FIRST_ROWS: usize = 100;

/// Rows from which on the first ones are chosen again.
const MANY_FIRST_ROWS: usize = 10_000;

/// Bytes of a part's rows, about: some parts are in memory at once when they are read on all cores.
const PART_BYTES: usize = 8 << 20;

/// Rows of a table while peers come.
#[derive(Debug)]
pub struct Rows {
    /// The table.
    pub definition: &'static Definition,
    /// What makes the rows of peers.
    of_peers: fn(LazyFrame) -> LazyFrame,
    all: Spool,
    first: Option<DataFrame>,
}

/// A table.
#[derive(Debug)]
pub enum Made {
    /// Its rows are at hand.
    Whole(DataFrame),
    /// They are in files.
    Streamed(Streamed),
}

impl Made {
    /// How many rows it has.
    pub fn height(&self) -> usize {
        match self {
            Self::Whole(rows) => rows.height(),
            Self::Streamed(table) => table.rows.height(),
        }
    }

    /// All rows, where they are at hand.
    pub fn whole(&self) -> Option<&DataFrame> {
        match self {
            Self::Whole(rows) => Some(rows),
            Self::Streamed(_) => None,
        }
    }

    /// Rows that are at hand: all, or those with the highest values.
    pub fn first(&self) -> &DataFrame {
        match self {
            Self::Whole(rows) => rows,
            Self::Streamed(table) => &table.first,
        }
    }

    /// How many parts its rows are in.
    pub fn part_count(&self) -> usize {
        match self {
            Self::Whole(_) => 1,
            Self::Streamed(table) => table.rows.len(),
        }
    }

    /// Some columns of one part.
    pub fn read_part(&self, part: usize, columns: &[&str]) -> PolarsResult<DataFrame> {
        match self {
            Self::Whole(rows) => rows.select(columns.iter().copied()),
            Self::Streamed(table) => table.rows.read(part, columns),
        }
    }

    /// The rows in parts that fit into memory, in order, each read when it is asked for.
    pub fn parts(&self) -> PolarsResult<Vec<LazyFrame>> {
        match self {
            Self::Whole(rows) => Ok(vec![rows.clone().lazy()]),
            Self::Streamed(table) => table.parts(),
        }
    }
}

/// A table whose rows are in files and read when they are asked for.
#[derive(Debug)]
pub struct Streamed {
    /// The table.
    pub definition: &'static Definition,
    rows: Spool,
    /// The rows with the highest values of each column of numbers or times.
    first: DataFrame,
}

impl Rows {
    /// No rows of a table yet; `None` for a table without a row per peer.
    pub fn of(definition: &'static Definition) -> Option<Self> {
        Self::in_parts(definition, PART_BYTES)
    }

    fn in_parts(definition: &'static Definition, part_bytes: usize) -> Option<Self> {
        let of_peers: fn(LazyFrame) -> LazyFrame = match definition.name {
            "confirmed_downloads" => confirmed_downloads::of_peers,
            "flagged" => flagged::of_peers,
            "speeds" => speeds::of_peers,
            _ => return None,
        };
        Some(Self { definition, of_peers, all: Spool::new(part_bytes), first: None })
    }

    /// Takes peers; see [`crate::replay::keep::Keep::take`].
    pub fn take(&mut self, peers: &DataFrame) -> PolarsResult<()> {
        let rows = self.definition.finish((self.of_peers)(peers.clone().lazy()))?;
        self.put_first(highest(self.definition, &rows)?)?;
        self.all.push(rows)
    }

    fn put_first(&mut self, rows: DataFrame) -> PolarsResult<()> {
        put_below(&mut self.first, rows)?;
        if let Some(rows) = self.first.take_if(|rows| rows.height() > MANY_FIRST_ROWS) {
            self.first = Some(highest(self.definition, &rows)?);
        }
        Ok(())
    }

    /// See [`crate::replay::keep::Keep::settle`].
    pub fn settle(&mut self) -> PolarsResult<()> {
        self.all.settle()
    }

    /// Adds rows of later peers.
    pub fn append(&mut self, later: Self) -> PolarsResult<()> {
        self.all.append(later.all);
        later.first.map_or(Ok(()), |rows| self.put_first(rows))
    }

    /// The table, once all peers were taken.
    pub fn made(self) -> PolarsResult<Made> {
        let Self { definition, all: rows, .. } = self;
        if !rows.is_spilled() {
            let whole = rows.lazy()?.map_or_else(|| definition.empty(), |rows| definition.finish(rows))?;
            return Ok(Made::Whole(whole));
        }
        Ok(Made::Streamed(Streamed {
            definition,
            rows,
            first: highest(definition, &self.first.map_or_else(|| definition.empty(), Ok)?)?,
        }))
    }
}

/// Adds rows to others.
fn put_below(rows: &mut Option<DataFrame>, more: DataFrame) -> PolarsResult<()> {
    if let Some(rows) = rows {
        rows.vstack_mut(&more)?;
    } else {
        *rows = Some(more);
    }
    Ok(())
}

impl Streamed {
    /// The rows in parts, one after the other in the table's order; at least one.
    pub fn parts(&self) -> PolarsResult<Vec<LazyFrame>> {
        let parts = self.rows.parts()?;
        if parts.is_empty() { Ok(vec![self.definition.empty()?.lazy()]) } else { Ok(parts) }
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
        figure,
        replay::peers,
        table::Tables,
        table_file::{self, Format},
    };

    const ROWS: i64 = 60;

    /// What the table's figure and the figures of single torrents show.
    fn drawn(definition: &'static Definition, made: Made) -> String {
        let mut tables = Tables::default();
        tables.insert_made(definition, made);
        let facts = figure::fixture::facts(2, 4);
        let figures = figure::draw(&tables, &facts).unwrap();
        assert!(figures.iter().all(|figure| figure.missing.is_none()), "{}", definition.name);
        let hashes = ["a".repeat(40), "b".repeat(40)];
        let places = hashes.iter().zip(0..).map(|(hash, place)| (hash.as_str(), place)).collect();
        let of_torrents = figure::torrents::OfTorrents::of(&tables, &facts, &places).unwrap();
        let files: Vec<String> = figures.iter().map(figure::Figure::file_markup).collect();
        format!("{files:?} {}", serde_json::to_string(&of_torrents).unwrap())
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
        let parts: Vec<DataFrame> = (0..5).map(|part| some_peers(part * ROWS)).collect();
        let folder = tempfile::tempdir().unwrap();
        for definition in [&confirmed_downloads::DEFINITION, &flagged::DEFINITION, &speeds::DEFINITION] {
            let made = |part_bytes: usize| {
                let rows = || Rows::in_parts(definition, part_bytes).unwrap();
                let (mut earlier, mut later) = (rows(), rows());
                for (part, peers) in parts.iter().enumerate() {
                    let rows = if part < 3 { &mut earlier } else { &mut later };
                    rows.take(peers).unwrap();
                }
                earlier.append(later).unwrap();
                earlier.made().unwrap()
            };
            let (Made::Streamed(streamed), Made::Whole(whole)) = (made(1), made(1 << 20)) else {
                panic!("{} in files or not", definition.name);
            };
            let mut all = parts[0].clone();
            for part in &parts[1..] {
                all.vstack_mut(part).unwrap();
            }
            let of_peers = Rows::of(definition).unwrap().of_peers;
            assert!(whole.equals_missing(&definition.finish(of_peers(all.lazy())).unwrap()));
            assert!(streamed.parts().unwrap().len() > 1 && whole.height() > 10);
            assert!(streamed.first.equals_missing(&highest(definition, &whole).unwrap()));
            for format in [Format::Csv, Format::Json] {
                let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
                table_file::write_parts(format, &streamed, &one).unwrap();
                table_file::write(format, definition, &whole, &other).unwrap();
                assert!(std::fs::read(one).unwrap() == std::fs::read(other).unwrap(), "{}", definition.name);
            }
            let streamed = drawn(definition, Made::Streamed(streamed));
            assert!(streamed == drawn(definition, Made::Whole(whole)), "{}", definition.name);
        }
    }
}
