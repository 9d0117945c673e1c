//! `confirmed_downloads`: how exactly downloads are dated, as the share of them whose moment is known to within a time.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::{Key, Panel, base_line, horizontal_axis, legend, legend_height, vertical_axis};
use super::frame::{runs, times};
use super::rows::is_narrow;
use super::scale::Scale;
use super::svg::{Drawing, circle, path};
use crate::number::{count, duration_us, number_of, percent};
use crate::quantiles::by_group::{Found, Group, at_ranks};
use crate::table::Tables;

const TITLE: &str = "How exactly downloads are dated";

/// Draws the table `confirmed_downloads`.
pub fn draw(tables: &Tables) -> PolarsResult<Figure> {
    let mut found = intervals(tables, false, ranks)?;
    let Some(all) = found.remove(&(None, Watched::Anyhow)) else {
        let why = "No peer was seen below the threshold and later at or above it.";
        return Ok(Figure::without_data("confirmed_downloads", TITLE, why));
    };
    let mut kind = |name, stroke, fill, watched| {
        let found = found.remove(&(None, watched)).unwrap_or(Found { count: 0, values: Vec::new() });
        Kind { name, stroke, fill, count: found.count, curve: found.values }
    };
    let kinds = [
        kind("watched live", "line1", "c1", Watched::Live),
        kind("between two visits", "line2", "c2", Watched::InVisits),
    ];
    let live = kinds[0].count;
    let subtitle = format!(
        "{}, {} of them watched live ({}), the others between two visits. Each crossed the threshold \
         between its last observation below and its first at or above: half of these intervals are shorter than {}.",
        number_of(all.count, "confirmed download"),
        count(live),
        percent(live as f64 / all.count as f64),
        duration_us(all.values.first().copied().unwrap_or_default())
    );
    Ok(Figure::new("confirmed_downloads", TITLE, subtitle, |width| plot(&kinds, width)))
}

struct Kind {
    name: &'static str,
    stroke: &'static str,
    fill: &'static str,
    count: u64,
    /// Lengths of the intervals at each of [`PARTS`], µs, ascending.
    curve: Vec<f64>,
}

/// How a crossing was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watched {
    Live,
    InVisits,
    Anyhow,
}

/// Shorter intervals are drawn as this long, µs: the log's clock tells no more.
const SHORTEST: f64 = 1e5;

/// Points of a curve: every twentieth part.
const PARTS: u64 = 20;

/// The ranks of a curve of so many intervals.
pub(super) fn curve_ranks(count: u64) -> impl Iterator<Item = u64> {
    (0..=PARTS).map(move |part| count.saturating_sub(1) * part / PARTS)
}

/// The ranks of what is drawn: of all intervals that in the middle.
fn ranks(watched: Watched, count: u64) -> Vec<u64> {
    if watched == Watched::Anyhow { vec![count / 2] } else { curve_ranks(count).collect() }
}

/// The lengths of the intervals at some ranks, µs: of all torrents together, or of each.
pub(super) fn intervals(
    tables: &Tables,
    of_each: bool,
    ranks: fn(Watched, u64) -> Vec<u64>,
) -> PolarsResult<BTreeMap<Group<String, Watched>, Found<f64>>> {
    let columns = ["below_at", "confirmed_at", "evidence", "info_hash"];
    let columns = if of_each { &columns[..] } else { &columns[..3] };
    let read = |rows: &DataFrame| {
        let intervals = of_rows(rows)?;
        let runs =
            if of_each { runs(rows.column("info_hash")?.str()?) } else { vec![(None, 0..rows.height())] };
        let mut groups: Vec<(Group<String, Watched>, Vec<f64>)> = Vec::new();
        for (hash, run) in runs.into_iter().filter(|(hash, _)| hash.is_some() == of_each) {
            let intervals = intervals.get(run).unwrap_or_default().iter().copied().flatten();
            let (live, in_visits): (Vec<_>, Vec<_>) =
                intervals.partition(|(is_live, _): &(bool, f64)| *is_live);
            let lengths = |of: &[(bool, f64)]| of.iter().map(|(_, length)| *length).collect::<Vec<_>>();
            let [live, in_visits] = [lengths(&live), lengths(&in_visits)];
            let all = [&live[..], &in_visits].concat();
            for (watched, lengths) in
                [(Watched::Live, live), (Watched::InVisits, in_visits), (Watched::Anyhow, all)]
            {
                groups.extend((!lengths.is_empty()).then(|| ((hash.map(str::to_owned), watched), lengths)));
            }
        }
        Ok(groups)
    };
    at_ranks(
        |watched, count| ranks(*watched, count),
        |take| {
            tables.read("confirmed_downloads", columns, read, |groups| {
                for (group, lengths) in groups {
                    take(group, lengths);
                }
            })
        },
    )
}

/// Of each row whether it was watched live, and its interval's length, µs.
fn of_rows(rows: &DataFrame) -> PolarsResult<Vec<Option<(bool, f64)>>> {
    let ends = times(rows, "below_at")?.into_iter().zip(times(rows, "confirmed_at")?);
    let interval = |((below, confirmed), evidence): ((Option<i64>, Option<i64>), Option<&str>)| {
        let length = confirmed?.saturating_sub(below?) as f64;
        Some((evidence == Some("live"), length.max(SHORTEST)))
    };
    Ok(ends.zip(rows.column("evidence")?.str()?.iter()).map(interval).collect())
}

fn plot(kinds: &[Kind], width: f64) -> Drawing {
    let drawn = || kinds.iter().filter(|kind| kind.count > 0);
    let keys: Vec<_> = drawn()
        .map(|kind| Key::new(kind.fill, format!("{} (n = {})", kind.name, count(kind.count))))
        .collect();
    let top = legend_height(&keys, width) + 34.0;
    let panel = Panel { left: 48.0, top, right: width - 14.0, bottom: top + 200.0 };
    let mut drawing = Drawing::new(width, panel.bottom + 44.0);
    legend(&mut drawing, 0.0, &keys, width);
    let longest = drawn().filter_map(|kind| kind.curve.last()).copied().fold(SHORTEST * 10.0, f64::max);
    let across = Scale::log(SHORTEST, longest, panel.left, panel.right);
    let up = Scale::linear(0.0, 1.0, panel.bottom, panel.top);
    let in_percent = |share: f64| format!("{:.0} %", share * 100.0);
    vertical_axis(
        &mut drawing,
        panel,
        &up,
        &[0.0, 0.25, 0.5, 0.75, 1.0],
        in_percent,
        "share of the downloads",
    );
    let every = if is_narrow(width) { 2 } else { 1 };
    let ticks: Vec<f64> = ROUND.into_iter().step_by(every).filter(|tick| *tick <= longest).collect();
    horizontal_axis(&mut drawing, panel, &across, &ticks, duration_us, "dated to within (logarithmic)");
    base_line(&mut drawing, panel);
    for kind in drawn() {
        let points: Vec<_> =
            kind.curve.iter().zip(0..).map(|(time, part)| (*time, f64::from(part) / PARTS as f64)).collect();
        let pixels: Vec<_> = points.iter().map(|(time, share)| (across.at(*time), up.at(*share))).collect();
        drawing.push(path(kind.stroke, &pixels, false));
        for ((time, share), (x, y)) in points.iter().zip(pixels) {
            let tooltip =
                format!("{}: {} dated to within {}", kind.name, percent(*share), duration_us(*time));
            drawing.push(circle(kind.fill, x, y, 3.0).tooltip(&tooltip));
        }
    }
    drawing
}

/// Times that are marked, µs.
const ROUND: [f64; 10] = [1e5, 1e6, 10e6, 60e6, 600e6, 3_600e6, 14_400e6, 86_400e6, 604_800e6, 2_592_000e6];
