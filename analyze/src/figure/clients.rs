//! `clients`: which programs the contacted peers run, as bars.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::bars::{Group, grouped};
use super::frame::{counts, texts};
use crate::number::counted_of;

const TITLE: &str = "Clients of contacted peers";

/// Draws the table `clients`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let programs = programs(rows)?;
    let sum = |value: fn(&Group) -> f64| -> f64 { programs.iter().map(value).sum() };
    let all = sum(|program| program.peers);
    if all == 0.0 {
        return Ok(Figure::without_data("clients", TITLE, "No peer's handshake was received."));
    }
    let subtitle = format!(
        "{} by the program they run, {} among them. Told by peer ID and extended handshake.",
        counted_of(all, "contacted peer"),
        counted_of(sum(|program| program.confirmed), "confirmed download")
    );
    Ok(grouped("clients", TITLE, subtitle, programs, "program"))
}

/// Peers by program, whatever its version.
fn programs(rows: &DataFrame) -> PolarsResult<Vec<Group>> {
    let software = texts(rows, "software")?;
    let peers = counts(rows, "peers")?;
    let confirmed = counts(rows, "confirmed_downloads")?;
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for ((name, peers), confirmed) in software.into_iter().zip(peers).zip(confirmed) {
        let name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "unknown".to_owned());
        let sum = sums.entry(name).or_default();
        *sum = (sum.0 + peers, sum.1 + confirmed);
    }
    Ok(sums.into_iter().map(|(name, (peers, confirmed))| Group { name, peers, confirmed }).collect())
}
