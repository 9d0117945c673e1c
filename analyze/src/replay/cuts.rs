//! Where the keys of a log are cut, so that each range has about as many rows.
//!
//! Pieces tell how many rows lie between which keys. Where they are many and each of them wide, as in a log of many files,
//! they begin at about the same few keys and tell nothing of what lies between: then keys are sampled.

use super::{
    columns::Texts,
    identity::Identity,
    pieces::{Key, Piece},
    range::Range,
    rows::Address,
    segments::{Segment, SegmentError},
    workers,
};

/// Rows of the pieces that are sampled, about.
const SAMPLED_ROWS: usize = 4_000_000;

/// Files of which the same piece is sampled at least, so that no keys are left out between those of two pieces.
const SAMPLED_FILES: usize = 4;

/// Rows from one sampled key to the next.
const STEP: usize = 128;

/// Cuts the keys so that each range has about so many rows; at least one range.
pub fn ranges(segments: &[Segment], identity: Identity, target: usize) -> Result<Vec<Range>, SegmentError> {
    let pieces = || segments.iter().flat_map(|segment| &segment.pieces);
    // What may lie between two keys at which pieces begin.
    let between: usize = segments.iter().map(Segment::longest_piece).sum();
    let mut keys: Vec<Key> =
        if between > target / 2 && pieces().map(|piece| piece.rows).sum::<usize>() > target {
            sampled(segments)?
        } else {
            pieces().map(|piece| piece.low).collect()
        };
    if identity == Identity::PeerId {
        for key in &mut keys {
            key.ip = Address::FIRST;
        }
    }
    keys.push(Key::FIRST);
    keys.sort_unstable();
    keys.dedup();
    Ok(cut(&keys, &rows_from(&keys, pieces()), target))
}

/// Some keys of the log, as many as there are rows about them: of pieces of all files in turn.
fn sampled(segments: &[Segment]) -> Result<Vec<Key>, SegmentError> {
    let mut pieces: Vec<(usize, usize, &Piece)> = segments
        .iter()
        .zip(0..)
        .flat_map(|(segment, file)| {
            segment.pieces.iter().zip(0..).map(move |(piece, nth)| (nth, file, piece))
        })
        .collect();
    pieces.sort_by_key(|(nth, ..)| *nth);
    let rows: usize = pieces.iter().map(|(.., piece)| piece.rows).sum();
    let every = rows.div_ceil(SAMPLED_ROWS).min(segments.len() / SAMPLED_FILES).max(1);
    let mut by_file: Vec<Vec<Piece>> = vec![Vec::new(); segments.len()];
    for (_, file, piece) in pieces.into_iter().step_by(every) {
        if let Some(of_file) = by_file.get_mut(file) {
            of_file.push(*piece);
        }
    }
    let chosen: Vec<(&Segment, Vec<Piece>)> =
        segments.iter().zip(by_file).filter(|(_, pieces)| !pieces.is_empty()).collect();
    let found = workers::each(&chosen, |(segment, pieces)| keys_of(segment, pieces))?;
    Ok(found.into_iter().flatten().collect())
}

fn keys_of(segment: &Segment, pieces: &[Piece]) -> Result<Vec<Key>, SegmentError> {
    let mut keys = Vec::new();
    let mut before: usize = 0;
    segment.read(&["info_hash", "ip"], pieces, |batch| {
        let (info_hash, ip) = (Texts::of(batch, "info_hash")?, Texts::of(batch, "ip")?);
        let first = before.next_multiple_of(STEP) - before;
        keys.extend((first..batch.num_rows()).step_by(STEP).filter_map(|row| {
            let (info_hash, ip) = (info_hash.text(row)?, ip.text(row)?);
            Some(Key { info_hash: Address::new(info_hash.as_bytes()), ip: Address::new(ip.as_bytes()) })
        }));
        before += batch.num_rows();
        Ok(())
    })?;
    Ok(keys)
}

/// Rows from each key to the next, about: those of a piece lie evenly between the keys that it spans.
fn rows_from<'a>(keys: &[Key], pieces: impl Iterator<Item = &'a Piece>) -> Vec<f64> {
    let mut changes = vec![0.0; keys.len() + 1];
    for piece in pieces {
        let begin = keys.partition_point(|key| *key <= piece.low).saturating_sub(1);
        let end = keys.partition_point(|key| *key <= piece.high).max(begin + 1);
        let each = piece.rows as f64 / (end - begin) as f64;
        for (place, change) in [(begin, each), (end, -each)] {
            if let Some(sum) = changes.get_mut(place) {
                *sum += change;
            }
        }
    }
    let mut rows = 0.0;
    changes.pop();
    for change in &mut changes {
        rows += *change;
        *change = rows;
    }
    changes
}

/// Ranges of about so many rows, from keys each with the rows up to the next one; the first key is before every other.
fn cut(keys: &[Key], rows_from: &[f64], target: usize) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    let (mut low, mut rows) = (Key::FIRST, 0.0);
    let whole = |rows: f64| crate::number::whole(rows).unsigned_abs();
    for (key, more) in keys.iter().zip(rows_from) {
        if rows >= 1.0 && rows + more > target as f64 && *key > low {
            ranges.push(Range { low, high: *key, rows: whole(rows) });
            (low, rows) = (*key, 0.0);
        }
        rows += more;
    }
    ranges.push(Range { low, high: Key::LAST, rows: whole(rows) });
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        Key { info_hash: Address::new(b"a"), ip: Address::new(format!("{number:04}").as_bytes()) }
    }

    fn piece(low: u32, high: u32, rows: usize) -> Piece {
        let (low, high) = (key(low), key(high));
        Piece { group: 0, first_row: 0, rows, torrents: (low.info_hash, high.info_hash), low, high }
    }

    #[test]
    fn rows_lie_evenly_between_the_keys_of_their_pieces() {
        let keys: Vec<Key> =
            [Key::FIRST].into_iter().chain((1..=8).map(|number| key(number * 100))).collect();
        let pieces = [piece(100, 450, 40), piece(500, 899, 400), piece(250, 260, 7), piece(10, 20, 3)];
        let rows = rows_from(&keys, pieces.iter());
        assert_eq!(rows, [3.0, 10.0, 17.0, 10.0, 10.0, 100.0, 100.0, 100.0, 100.0]);
        let ranges = cut(&keys, &rows, 150);
        let found: Vec<(Key, u64)> = ranges.iter().map(|range| (range.low, range.rows)).collect();
        let expected = [(Key::FIRST, 150), (key(600), 100), (key(700), 100), (key(800), 100)];
        assert_eq!(found, expected);
        assert!(ranges.is_sorted_by(|range, next| range.high == next.low));
        assert_eq!(ranges.last().map(|range| range.high), Some(Key::LAST));
    }

    #[test]
    fn an_empty_log_is_one_range() {
        let ranges = ranges(&[], Identity::Endpoint, 100).unwrap();
        assert_eq!(ranges, [Range { low: Key::FIRST, high: Key::LAST, rows: 0 }]);
    }
}
