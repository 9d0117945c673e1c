//! Torrents by info-hash: the latest name, and the metadata with which pieces become shares and bytes.

use std::collections::{HashMap, HashSet};

use polars::prelude::{
    DataFrame, IntoColumn, IntoLazy, NamedFrom, PolarsResult, Series, SortMultipleOptions, col, lit,
};
use schema::table::Table;

use super::{
    columns::{Numbers, Texts},
    compute_error,
    judge::Torrent,
    pieces::Piece,
    rows::Address,
    segments::{Segment, SegmentError},
    speed::Bytes,
    workers,
};
use crate::log::{Log, Selection};

/// One row per torrent: `info_hash`, `name`, `piece_length`, `piece_count`, `size_bytes`, sorted by info-hash.
///
/// A torrent's description holds for its whole life, so rows outside the selected time count too. Torrents that were
/// observed without a row of their own (a lost segment) get one; their piece count is what the peers' rows tell.
pub fn read(log: &Log, selection: &Selection, segments: &[Segment]) -> PolarsResult<DataFrame> {
    let timeless = Selection { since: None, until: None, ..selection.clone() };
    let latest = |name: &str| col(name).drop_nulls().last().alias(name);
    let described = log
        .select(Table::Torrents, &timeless)?
        .sort(["info_hash", "time", "run", "origin"], SortMultipleOptions::default())
        .group_by_stable([col("info_hash")])
        .agg(["name", "piece_length", "piece_count", "size_bytes"].map(latest))
        .collect()?;
    let known: HashSet<Address> = described
        .column("info_hash")?
        .str()?
        .iter()
        .zip(described.column("piece_count")?.i64()?.iter())
        .filter_map(|(info_hash, piece_count)| Some(Address::new(piece_count.and(info_hash)?.as_bytes())))
        .collect();
    let chosen: HashSet<Address> =
        selection.info_hashes.iter().map(|info_hash| Address::new(info_hash.as_bytes())).collect();
    let asked_for =
        |info_hash: &Address| !known.contains(info_hash) && (chosen.is_empty() || chosen.contains(info_hash));
    let observed = observed(segments, &asked_for).map_err(|error| compute_error(&error))?;
    let (info_hashes, piece_counts): (Vec<&str>, Vec<Option<i64>>) =
        observed.iter().map(|(info_hash, piece_count)| (info_hash.as_str(), *piece_count)).unzip();
    let observed = DataFrame::new_infer_height(vec![
        Series::new("info_hash".into(), info_hashes).into_column(),
        Series::new("observed_piece_count".into(), piece_counts).into_column(),
    ])?;
    described
        .lazy()
        .join(observed.lazy(), [col("info_hash")], [col("info_hash")], super::identity::full_join())
        .select([
            col("info_hash"),
            col("name"),
            col("piece_length"),
            polars::prelude::coalesce(&[col("piece_count"), col("observed_piece_count")])
                .alias("piece_count"),
            col("size_bytes"),
        ])
        .filter(col("info_hash").neq(lit("0".repeat(40))))
        .sort(["info_hash"], SortMultipleOptions::default())
        .collect()
}

/// The torrents asked for whose peers told of their pieces, with the highest piece count they told of.
///
/// Pages that hold one torrent and that not asked for are not read, which mostly is all of them.
fn observed(
    segments: &[Segment],
    asked_for: &(dyn Fn(&Address) -> bool + Sync),
) -> Result<HashMap<Address, Option<i64>>, SegmentError> {
    let groups = workers::row_groups(segments, &[Table::Progress]);
    let of_group = |(segment, pieces): &(&Segment, &[Piece])| {
        let may_tell = |piece: &&Piece| {
            let (low, high) = piece.torrents;
            low != high || asked_for(&low)
        };
        let pieces: Vec<Piece> = pieces.iter().filter(may_tell).copied().collect();
        of_pieces(segment, &pieces)
    };
    let mut observed: HashMap<Address, Option<i64>> = HashMap::new();
    for found in workers::each(&groups, of_group)? {
        for (info_hash, piece_count) in found.into_iter().filter(|(info_hash, _)| asked_for(info_hash)) {
            let highest = observed.entry(info_hash).or_default();
            *highest = piece_count.max(*highest);
        }
    }
    Ok(observed)
}

fn of_pieces(segment: &Segment, pieces: &[Piece]) -> Result<Vec<(Address, Option<i64>)>, SegmentError> {
    let mut found: Vec<(Address, Option<i64>)> = Vec::new();
    segment.read(&["info_hash", "piece_count"], pieces, |batch| {
        let info_hash = Texts::of(batch, "info_hash")?;
        let piece_count = Numbers::of(batch, "piece_count")?;
        let mut view = None;
        for row in 0..batch.num_rows() {
            if row == 0 || info_hash.view(row) != view {
                view = info_hash.view(row);
                let Some(text) = info_hash.text(row) else { continue };
                found.push((Address::new(text.as_bytes()), None));
            }
            if let Some((_, highest)) = found.last_mut() {
                *highest = piece_count.get(row).max(*highest);
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// What the judgement needs of each torrent; `None` where the piece count is not known.
pub fn by_info_hash(torrents: &DataFrame) -> PolarsResult<HashMap<Address, Torrent>> {
    let number = |name: &str| -> PolarsResult<Vec<Option<u64>>> {
        let column = torrents.column(name)?.i64()?;
        Ok(column.iter().map(|value| value.and_then(|value| u64::try_from(value).ok())).collect())
    };
    let bytes = number("piece_length")?.into_iter().zip(number("size_bytes")?);
    let known =
        torrents.column("info_hash")?.str()?.iter().zip(number("piece_count")?.into_iter().zip(bytes));
    let torrent =
        |(info_hash, (piece_count, (piece_length, size))): (Option<&str>, (Option<u64>, (_, _)))| {
            let piece_count = u32::try_from(piece_count?).ok().filter(|count| *count > 0)?;
            let bytes: Option<(u64, u64)> = Option::zip(piece_length, size);
            let bytes = bytes.map(|(piece_length, size)| Bytes { piece_length, size });
            Some((Address::new(info_hash?.as_bytes()), Torrent { piece_count, bytes }))
        };
    Ok(known.filter_map(torrent).collect())
}
