//! `networks`: which autonomous systems the peers are in, as bars.

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::bars::{Group, grouped};
use super::frame::{counts, numbers, texts};
use crate::number::{counted_of, number_of, whole};

const TITLE: &str = "Networks with the most peers";

/// Draws the table `networks`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let groups = groups(rows)?;
    let known: f64 = groups.iter().filter(|group| group.name != UNKNOWN).map(|group| group.peers).sum();
    if known == 0.0 {
        return Ok(Figure::without_data("networks", TITLE, "The network of no peer is known."));
    }
    let subtitle = format!(
        "{} in {}, by autonomous system; a peer counts once per torrent.",
        counted_of(known, "peer"),
        number_of(groups.iter().filter(|group| group.name != UNKNOWN).count() as u64, "network")
    );
    Ok(grouped("networks", TITLE, subtitle, groups, "network"))
}

const UNKNOWN: &str = "unknown";

fn groups(rows: &DataFrame) -> PolarsResult<Vec<Group>> {
    let numbers = numbers(rows, "asn")?;
    let names = texts(rows, "organization")?;
    let peers = counts(rows, "peers")?;
    let confirmed = counts(rows, "confirmed_downloads")?;
    let columns = numbers.into_iter().zip(names).zip(peers.into_iter().zip(confirmed));
    Ok(columns
        .map(|((number, name), (peers, confirmed))| {
            let name = match (number, name) {
                (Some(number), Some(name)) => format!("{name} (AS{})", whole(number)),
                (Some(number), None) => format!("AS{}", whole(number)),
                (None, Some(name)) => name,
                (None, None) => UNKNOWN.to_owned(),
            };
            Group { name, peers, confirmed }
        })
        .collect())
}
