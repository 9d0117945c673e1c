//! Which of a table's rows the page holds, and in which order.

use std::collections::HashMap;

use polars::prelude::{DataFrame, IdxSize, PolarsResult};

use super::sections::order;
use crate::figure::frame::{column_numbers, texts};
use crate::table::Definition;

/// Rows of a table that the page shows at once; the script's tables turn pages of as many.
pub const SHOWN: usize = 25;

/// Rows of a table that the page holds at most, to be sorted and searched.
const HELD: usize = 2_000;

/// The same with those that are held for single torrents.
const HELD_OF_TORRENTS: usize = 12_000;

/// Rows of one torrent that the page holds at most.
const HELD_OF_ONE: usize = 25;

/// Row numbers in the page's order: the row of all torrents first, then by the table's column, the largest first.
pub fn in_order(definition: &Definition, rows: &DataFrame) -> PolarsResult<Vec<IdxSize>> {
    let keys = match order(definition.name) {
        Some(column) => column_numbers(rows.column(column)?)?,
        None => vec![None; rows.height()],
    };
    let is_sum: Vec<bool> = match definition.name {
        "population" | "summary" => {
            texts(rows, "info_hash")?.iter().map(|hash| hash.as_deref() == Some("all")).collect()
        }
        _ => vec![false; rows.height()],
    };
    let mut indices: Vec<(bool, f64, IdxSize)> = is_sum
        .into_iter()
        .zip(keys)
        .zip(0..)
        .map(|((sum, key), index)| (sum, key.unwrap_or(f64::NEG_INFINITY), index))
        .collect();
    indices.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
    Ok(indices.into_iter().map(|(_, _, index)| index).collect())
}

/// Of rows in order those that the page holds: the first, and the first of each of `torrents` torrents.
pub fn held(
    definition: &Definition,
    rows: &DataFrame,
    ordered: Vec<IdxSize>,
    torrents: usize,
) -> PolarsResult<Vec<IdxSize>> {
    if !definition.columns.iter().any(|column| column.name == "info_hash") {
        return Ok(ordered.into_iter().take(HELD).collect());
    }
    let (torrent_of, found) = numbered(rows.column("info_hash")?.str()?.iter());
    let each = (HELD_OF_TORRENTS / torrents.max(1)).clamp(1, HELD_OF_ONE);
    let mut taken = vec![0; found];
    let mut held = Vec::new();
    for (place, index) in ordered.into_iter().enumerate() {
        let torrent = usize::try_from(index).ok().and_then(|index| torrent_of.get(index).copied());
        let Some(of_torrent) = torrent.and_then(|torrent| taken.get_mut(torrent)) else { continue };
        if place < HELD || (*of_torrent < each && held.len() < HELD_OF_TORRENTS) {
            held.push(index);
        }
        *of_torrent += 1;
    }
    Ok(held)
}

/// A number for each text, equal ones for equal texts; and how many numbers there are. Equal texts mostly follow one
/// another.
fn numbered<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> (Vec<usize>, usize) {
    let mut numbers: HashMap<Option<&str>, usize> = HashMap::new();
    let mut last = None;
    let number = |text: Option<&'a str>| match last {
        Some((same, number)) if same == text => number,
        _ => {
            let next = numbers.len();
            let number = *numbers.entry(text).or_insert(next);
            last = Some((text, number));
            number
        }
    };
    let found = texts.map(number).collect();
    (found, numbers.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::fixture::many;
    use crate::table::find;

    #[test]
    fn the_rows_of_all_torrents_come_first_and_the_others_keep_their_order() {
        let tables = many(3, 1);
        for (name, first) in [("population", vec![15, 16, 17, 0, 1]), ("sessions", vec![0, 1, 2, 3, 4])] {
            let (definition, rows) = (find(name).unwrap(), tables.get(name).unwrap());
            assert_eq!(in_order(definition, rows).unwrap().get(..5), Some(first.as_slice()), "{name}");
        }
    }

    #[test]
    fn every_torrent_has_its_share_of_rows() {
        let tables = many(2_000, 5);
        for name in ["summary", "trackers", "confirmed_downloads"] {
            let (definition, rows) = (find(name).unwrap(), tables.get(name).unwrap());
            let held = held(definition, rows, in_order(definition, rows).unwrap(), 2_000).unwrap();
            assert_eq!(held.len(), rows.height(), "{name}");
        }
        let (definition, rows) = (find("speeds").unwrap(), tables.get("speeds").unwrap());
        let ordered = in_order(definition, rows).unwrap();
        let held = held(definition, rows, ordered, 20_000).unwrap();
        assert!((2_000..rows.height()).contains(&held.len()), "the first rows, and one of each torrent");
    }
}
