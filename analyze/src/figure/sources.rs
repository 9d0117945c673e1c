//! `sources`: peers that each source alone named and that others named too, as bars, and below them how many of those
//! that were tried answered, as dots with their intervals.

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::Key;
use super::bars::{self, Bar, Part};
use super::dots::{self, Axis, Dot};
use super::frame::{counts, numbers, texts};
use super::scale::Scale;
use super::sources_hourly::name;
use super::svg::{Anchor, Drawing, text};
use crate::number::{counted, counted_of, percent};

const TITLE: &str = "What each source contributed";

/// Draws the table `sources`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let sources = sources(rows)?;
    if sources.is_empty() {
        return Ok(Figure::without_data("sources", TITLE, "No source named a peer."));
    }
    let subtitle = "Above: different peers that a source named, and how many of them no other source named. Below: which \
                    part of the peers we tried to connect to answered, with its 95 % interval; it errs low, for a source \
                    may name peers that have long left.";
    Ok(Figure::new("sources", TITLE, subtitle, |width| plot(&sources, width)))
}

struct Source {
    name: String,
    peers: f64,
    only_here: f64,
    dialled: f64,
    reachability: Option<(f64, f64, f64)>,
}

/// The sources that named peers, those with most of them first.
fn sources(rows: &DataFrame) -> PolarsResult<Vec<Source>> {
    let names = texts(rows, "source")?;
    let peers = counts(rows, "unique_peers")?;
    let only_here = counts(rows, "only_here")?;
    let dialled = counts(rows, "dialled_peers")?;
    let share = numbers(rows, "reachability")?;
    let low = numbers(rows, "reachability_low")?;
    let high = numbers(rows, "reachability_high")?;
    let shares = share.into_iter().zip(low).zip(high);
    let mut sources: Vec<_> = names
        .into_iter()
        .zip(peers.into_iter().zip(only_here))
        .zip(dialled.into_iter().zip(shares))
        .filter_map(|((source, (peers, only_here)), (dialled, ((share, low), high)))| {
            let reachability = share.zip(low).zip(high).map(|((share, low), high)| (share, low, high));
            Some(Source { name: name(&source?), peers, only_here, dialled, reachability })
        })
        .filter(|source| source.peers > 0.0)
        .collect();
    sources.sort_by(|a, b| b.peers.total_cmp(&a.peers).then_with(|| a.name.cmp(&b.name)));
    Ok(sources)
}

fn plot(sources: &[Source], width: f64) -> Drawing {
    let keys = [Key::new("c1", "named by this source alone"), Key::new("pale", "named by others too")];
    let bars: Vec<_> = sources.iter().map(bar).collect();
    let above = bars::horizontal(&bars, &keys, "different peers", width);
    let dots: Vec<_> = sources.iter().filter_map(dot).collect();
    if dots.is_empty() {
        return above;
    }
    let axis = Axis {
        title: "part of the peers tried that answered",
        scale: |_, panel| Scale::linear(0.0, 1.0, panel.left, panel.right),
        format: |share| format!("{:.0} %", share * 100.0),
    };
    let below = dots::horizontal(&dots, &[], axis, width);
    let top = above.height + 34.0;
    let mut drawing = Drawing::new(width, top + below.height);
    drawing.place(&above, 0.0, 0.0);
    drawing.push(text("strong", 0.0, top - 10.0, Anchor::Start, "Peers that answered"));
    drawing.place(&below, 0.0, top);
    drawing
}

fn bar(source: &Source) -> Bar {
    let others = (source.peers - source.only_here).max(0.0);
    let part = |class, value: f64, what: &str| Part {
        class,
        value,
        tooltip: format!("{}: {} {what}", source.name, counted_of(value, "peer")),
    };
    Bar {
        parts: vec![
            part("c1", source.only_here, "named by this source alone"),
            part("pale", others, "named by others too"),
        ],
        note: format!("{} ({} alone)", counted(source.peers), percent(source.only_here / source.peers)),
        name: source.name.clone(),
    }
}

fn dot(source: &Source) -> Option<Dot> {
    let (share, low, high) = source.reachability?;
    let note = format!("{} of {}", percent(share), counted(source.dialled));
    let tooltip = format!(
        "{}: {} of {} tried answered ({} to {})",
        source.name,
        percent(share),
        counted_of(source.dialled, "peer"),
        percent(low),
        percent(high)
    );
    let name = source.name.clone();
    Some(Dot { name, class: "c3", value: share, interval: Some((low, high)), note, tooltip })
}
