//! What keys each piece of a file spans, as its footer tells.
//!
//! A key is (info-hash, IP address), in the order that segments are sorted by. A piece is a page of the address column, or
//! a row group where a file has no page index; a file without statistics is one piece that spans every key.

use std::ops::Range;

use parquet::{
    arrow::arrow_reader::ArrowReaderMetadata,
    file::{
        metadata::RowGroupMetaData,
        page_index::{column_index::ColumnIndexMetaData, offset_index::PageLocation},
    },
};

use super::rows::Address;

/// An info-hash and an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The info-hash's text.
    pub info_hash: Address,
    /// The address's text.
    pub ip: Address,
}

impl Key {
    /// The first key of a torrent.
    pub fn first_of(info_hash: &[u8]) -> Self {
        Self { info_hash: Address::new(info_hash), ip: Address::new(b"") }
    }

    /// Before every key.
    pub const FIRST: Self = Self { info_hash: Address::FIRST, ip: Address::FIRST };
    /// After every key.
    pub const LAST: Self = Self { info_hash: Address::LAST, ip: Address::LAST };
}

/// Rows next to each other in a file, and the keys they lie between.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// The row group.
    pub group: usize,
    /// The first row in it.
    pub first_row: usize,
    /// How many rows.
    pub rows: usize,
    /// No info-hash is lower than the one or higher than the other, in whatever order the rows are.
    pub torrents: (Address, Address),
    /// No key is lower.
    pub low: Key,
    /// No key is higher.
    pub high: Key,
}

impl Piece {
    /// Whether it has rows of its lowest and its highest key.
    fn is_exact(&self) -> bool {
        self.torrents.0 == self.torrents.1
    }
}

/// The pieces of a file, in the order of its rows.
pub fn of_file(metadata: &ArrowReaderMetadata) -> Vec<Piece> {
    let metadata = metadata.metadata();
    let columns = metadata.file_metadata().schema_descr();
    let place = |name: &str| columns.columns().iter().position(|column| column.name() == name);
    let (info_hash, ip) = (place("info_hash"), place("ip"));
    let mut pieces = Vec::new();
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let (hash_low, hash_high) = bounds(group, info_hash);
        let (ip_low, ip_high) = bounds(group, ip);
        let whole = spanning(number, 0..rows, (hash_low, hash_high), (ip_low, ip_high));
        let index = metadata.page_index_for_row_group(number);
        let pages = |column: usize| -> Option<Vec<(usize, Address, Address)>> {
            let starts = index.offset_index(column)?.page_locations();
            let Some(ColumnIndexMetaData::BYTE_ARRAY(values)) = index.column_index(column) else {
                return None;
            };
            let page = |(at, page): (usize, &PageLocation)| {
                let low = values.min_value(at).map_or(Address::FIRST, Address::new);
                let high = values.max_value(at).map_or(Address::LAST, Address::new);
                Some((usize::try_from(page.first_row_index).ok()?, low, high))
            };
            starts.iter().enumerate().map(page).collect()
        };
        match info_hash.and_then(&pages).zip(ip.and_then(&pages)) {
            Some((of_hash, of_ip)) => pieces.extend(by_page(number, rows, &of_hash, &of_ip)),
            None => pieces.push(whole),
        }
    }
    pieces
}

/// A piece a page of the address column; its info-hashes are those of the pages that overlap it.
fn by_page(
    group: usize,
    rows: usize,
    of_hash: &[(usize, Address, Address)],
    of_ip: &[(usize, Address, Address)],
) -> Vec<Piece> {
    let ends = of_ip.iter().skip(1).map(|(first, ..)| *first).chain([rows]);
    let mut pieces = Vec::with_capacity(of_ip.len());
    for ((first, ip_low, ip_high), end) in of_ip.iter().zip(ends) {
        let last = of_hash.partition_point(|(at, ..)| *at < end);
        let from = of_hash.partition_point(|(at, ..)| at <= first).saturating_sub(1);
        let over = of_hash.get(from..last).unwrap_or_default();
        let hash_low = over.iter().map(|(_, low, _)| *low).min().unwrap_or(Address::FIRST);
        let hash_high = over.iter().map(|(.., high)| *high).max().unwrap_or(Address::LAST);
        pieces.push(spanning(group, *first..end, (hash_low, hash_high), (*ip_low, *ip_high)));
    }
    pieces
}

/// Where a piece holds several torrents, its first and last address tell nothing of each.
fn spanning(
    group: usize,
    rows: Range<usize>,
    (hash_low, hash_high): (Address, Address),
    (ip_low, ip_high): (Address, Address),
) -> Piece {
    let one = hash_low == hash_high;
    Piece {
        group,
        first_row: rows.start,
        rows: rows.end.saturating_sub(rows.start),
        torrents: (hash_low, hash_high),
        low: Key { info_hash: hash_low, ip: if one { ip_low } else { Address::FIRST } },
        high: Key { info_hash: hash_high, ip: if one { ip_high } else { Address::LAST } },
    }
}

/// What pieces lie between if the file's keys ascend: of a piece with several torrents, what its neighbours leave. `None`
/// where the keys cannot ascend.
pub fn in_order(pieces: &[Piece]) -> Option<Vec<Piece>> {
    let mut found = pieces.to_vec();
    let mut lowest = Key::FIRST;
    for piece in &mut found {
        if piece.is_exact() && piece.low < lowest {
            return None;
        }
        piece.low = piece.low.max(lowest);
        lowest = if piece.is_exact() { piece.high } else { piece.low };
    }
    let mut highest = Key::LAST;
    for piece in found.iter_mut().rev() {
        piece.high = piece.high.min(highest);
        if piece.low > piece.high {
            return None;
        }
        highest = if piece.is_exact() { piece.low } else { piece.high };
    }
    Some(found)
}

fn bounds(group: &RowGroupMetaData, column: Option<usize>) -> (Address, Address) {
    let statistics = column.and_then(|column| group.columns().get(column)?.statistics());
    let text = |bytes: Option<&[u8]>, else_: Address| bytes.map_or(else_, Address::new);
    match statistics {
        Some(found) => {
            (text(found.min_bytes_opt(), Address::FIRST), text(found.max_bytes_opt(), Address::LAST))
        }
        None => (Address::FIRST, Address::LAST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(info_hash: &str, ip: &str) -> Key {
        Key { info_hash: Address::new(info_hash.as_bytes()), ip: Address::new(ip.as_bytes()) }
    }

    fn piece(low: (&str, &str), high: (&str, &str)) -> Piece {
        let [low, high] = [low, high].map(|text| [text.0, text.1].map(|text| Address::new(text.as_bytes())));
        spanning(0, 0..1, (low[0], high[0]), (low[1], high[1]))
    }

    #[test]
    fn neighbours_tell_what_a_piece_of_several_torrents_lies_between() {
        let pieces = [
            piece(("a", "1"), ("a", "3")),
            piece(("a", "0"), ("c", "9")),
            piece(("a", "0"), ("c", "9")),
            piece(("c", "2"), ("c", "5")),
            piece(("c", "5"), ("d", "7")),
        ];
        let found = in_order(&pieces).unwrap();
        let between: Vec<(Key, Key)> = found.iter().map(|piece| (piece.low, piece.high)).collect();
        let last = Key { info_hash: key("d", "").info_hash, ip: Address::LAST };
        let expected = [
            (key("a", "1"), key("a", "3")),
            (key("a", "3"), key("c", "2")),
            (key("a", "3"), key("c", "2")),
            (key("c", "2"), key("c", "5")),
            (key("c", "5"), last),
        ];
        assert_eq!(between, expected);
    }

    #[test]
    fn keys_that_cannot_ascend_are_found_out() {
        let (low, high) = (piece(("a", "1"), ("a", "3")), piece(("b", "2"), ("b", "5")));
        let both = piece(("a", "0"), ("b", "9"));
        for pieces in [&[high, low][..], &[low, low], &[high, both, low], &[both, high, low]] {
            assert!(in_order(pieces).is_none(), "{pieces:?}");
        }
        for pieces in [&[][..], &[low, high], &[both, both], &[low, both, high], &[both, low, high]] {
            assert!(in_order(pieces).is_some(), "{pieces:?}");
        }
    }
}
