//! `clients`: which programs the contacted peers run, as bars.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::bars::{Bar, Part, horizontal};
use super::frame::{counts, texts};
use super::number::{count, counted, percent};
use super::{Figure, axes::Key};

/// Programs with a bar of their own.
const SHOWN: usize = 15;

const TITLE: &str = "Clients of contacted peers";

/// Draws the table `clients`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let programs = programs(rows)?;
    let all: f64 = programs.iter().map(|program| program.peers).sum();
    if all == 0.0 {
        return Ok(Figure::without_data("clients", TITLE, "No peer's handshake was received."));
    }
    let confirmed: f64 = programs.iter().map(|program| program.confirmed).sum();
    let mut bars: Vec<_> = programs.iter().take(SHOWN).map(|program| bar(program, all)).collect();
    if let Some(others @ [_, ..]) = programs.get(SHOWN..) {
        let sum = |value: fn(&Program) -> f64| others.iter().map(value).sum();
        let name = format!("{} other programs", count(others.len() as u64));
        bars.push(bar(
            &Program {
                name,
                peers: sum(|program| program.peers),
                confirmed: sum(|program| program.confirmed),
            },
            all,
        ));
    }
    let subtitle = format!(
        "{} contacted peers by the program they run; {} of them are confirmed downloads. Told by peer ID and extended \
         handshake.",
        counted(all),
        counted(confirmed)
    );
    let keys = [Key::new("c1", "confirmed downloads"), Key::new("pale", "other contacted peers")];
    Ok(Figure::new("clients", TITLE, subtitle, |width| horizontal(&bars, &keys, "contacted peers", width)))
}

struct Program {
    name: String,
    peers: f64,
    confirmed: f64,
}

/// Peers by program, whatever its version, most peers first.
fn programs(rows: &DataFrame) -> PolarsResult<Vec<Program>> {
    let software = texts(rows, "software")?;
    let peers = counts(rows, "peers")?;
    let confirmed = counts(rows, "confirmed_downloads")?;
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for ((name, peers), confirmed) in software.into_iter().zip(peers).zip(confirmed) {
        let name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "unknown".to_owned());
        let sum = sums.entry(name).or_default();
        sum.0 += peers;
        sum.1 += confirmed;
    }
    let mut programs: Vec<_> =
        sums.into_iter().map(|(name, (peers, confirmed))| Program { name, peers, confirmed }).collect();
    programs.sort_by(|a, b| b.peers.total_cmp(&a.peers));
    Ok(programs)
}

fn bar(program: &Program, all: f64) -> Bar {
    let others = (program.peers - program.confirmed).max(0.0);
    let part = |class, value: f64, what: &str| Part {
        class,
        value,
        tooltip: format!("{}: {} {what}", program.name, counted(value)),
    };
    Bar {
        name: program.name.clone(),
        parts: vec![
            part("c1", program.confirmed.min(program.peers), "confirmed downloads"),
            part("pale", others, "other contacted peers"),
        ],
        note: format!("{} ({})", counted(program.peers), percent(program.peers / all)),
    }
}
