//! What must be known of a whole log before any part of it is judged: read from the few columns that tell it.

use std::collections::HashMap;

use polars::prelude::{DataFrame, PolarsResult};
use schema::table::Table;

use super::{
    Needs, Rules,
    arrival::Rounds,
    columns::{Numbers, Texts},
    compute_error,
    judge::Torrent,
    ourselves::Ourselves,
    pieces::Piece,
    rows::Address,
    segments::{Segment, SegmentError},
    torrents, workers,
};
use crate::log::{Log, Selection};

/// What was found.
#[derive(Debug)]
pub struct Overview {
    /// One row per torrent; see [`torrents::read`].
    pub torrents: DataFrame,
    /// Those whose piece count is known.
    pub by_info_hash: HashMap<Address, Torrent>,
    /// Our own addresses and peer IDs.
    pub ourselves: Ourselves,
    /// When each torrent was watched, from and until, µs.
    pub watched: HashMap<Address, (i64, i64)>,
    /// When each source answered.
    pub rounds: Rounds,
}

impl Overview {
    /// Looks through the log for what is needed.
    pub fn of(log: &Log, segments: &[Segment], rules: &Rules, needs: Needs) -> PolarsResult<Self> {
        let torrents = torrents::read(log, &rules.selection, segments)?;
        let mut ourselves = Ourselves::listening(log)?;
        ourselves.find(log, segments).map_err(|error| compute_error(&error))?;
        let (mut watched, mut rounds) = (HashMap::new(), Rounds::default());
        if needs.presence {
            watched = watches(segments, &rules.selection).map_err(|error| compute_error(&error))?;
            rounds = Rounds::read(segments, &rules.selection).map_err(|error| compute_error(&error))?;
        }
        Ok(Self { by_info_hash: torrents::by_info_hash(&torrents)?, torrents, ourselves, watched, rounds })
    }
}

type Watched = HashMap<Address, (i64, i64)>;

/// From the first contact's beginning or sighting of each torrent to the last.
fn watches(segments: &[Segment], selection: &Selection) -> Result<Watched, SegmentError> {
    let groups = workers::row_groups(segments, &[Table::Contacts, Table::Sightings]);
    let mut watched = Watched::new();
    for found in workers::each(&groups, |(segment, pieces)| of_pieces(segment, pieces, selection))? {
        for (info_hash, (from, until)) in found {
            let known = watched.entry(info_hash).or_insert((from, until));
            *known = (known.0.min(from), known.1.max(until));
        }
    }
    Ok(watched)
}

fn of_pieces(segment: &Segment, pieces: &[Piece], selection: &Selection) -> Result<Watched, SegmentError> {
    let mut watched = Watched::new();
    let columns: &[&str] = match segment.table {
        Table::Contacts => &["info_hash", "time", "open_us"],
        _ => &["info_hash", "time"],
    };
    segment.read(columns, pieces, |batch| {
        let (info_hash, time) = (Texts::of(batch, "info_hash")?, Numbers::of(batch, "time")?);
        let open_us = Numbers::of(batch, "open_us")?;
        let (mut view, mut of, mut span) = (None, None, None);
        let mut put = |of: Option<Address>, span: Option<(i64, i64)>| {
            if let Some((of, (from, until))) = of.zip(span) {
                let known = watched.entry(of).or_insert((from, until));
                *known = (known.0.min(from), known.1.max(until));
            }
        };
        for row in 0..batch.num_rows() {
            if row == 0 || info_hash.view(row) != view {
                put(of, span);
                view = info_hash.view(row);
                of = info_hash.text(row).map(|text| Address::new(text.as_bytes()));
                span = None;
            }
            if let Some(time) = time.get(row).filter(|time| selection.holds(*time)) {
                let begun = time - open_us.get(row).unwrap_or(0);
                let (from, until) = span.unwrap_or((begun, time));
                span = Some((from.min(begun).min(time), until.max(time).max(begun)));
            }
        }
        put(of, span);
        Ok(())
    })?;
    Ok(watched)
}
