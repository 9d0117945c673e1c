//! `visits`: how many contacts each peer had, as bars, and the share of peers with at most so many, as a curve.

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::{Key, Panel, axis_title, base_line, legend, legend_height, vertical_axis};
use super::frame::counts;
use super::scale::{Scale, round_up};
use super::svg::{Anchor, Drawing, circle, path, rect, text};
use crate::number::{counted, counted_of, percent, short, whole, whole_usize};

/// Numbers of contacts with bars of their own; the rest is one group.
const SHOWN: u32 = 20;

const TITLE: &str = "Contacts per peer";

/// Draws the table `visits`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let groups = groups(rows)?;
    let sum = |value: fn(&Group) -> f64| -> f64 { groups.iter().map(value).sum() };
    let (tried, reached) = (sum(|group| group.tried), sum(|group| group.reached));
    if tried == 0.0 {
        return Ok(Figure::without_data("visits", TITLE, "No contact with a peer was tried."));
    }
    let subtitle = format!(
        "{} tried, {} of them reached at least once ({}). Bars: peers with exactly so many contacts; curves: share of \
         the peers with at most so many.",
        counted_of(tried, "peer"),
        counted(reached),
        percent(reached / tried)
    );
    Ok(Figure::new("visits", TITLE, subtitle, |width| plot(&groups, tried, reached, width)))
}

#[derive(Clone, Debug, Default)]
struct Group {
    /// Contacts, e.g. `3` or `> 20`.
    label: String,
    tried: f64,
    reached: f64,
}

/// The numbers of contacts 1 to [`SHOWN`] without gaps, then the rest as one group.
fn groups(rows: &DataFrame) -> PolarsResult<Vec<Group>> {
    let contacts = counts(rows, "contacts")?;
    let tried = counts(rows, "peers_tried")?;
    let reached = counts(rows, "peers_reached")?;
    let most = contacts.iter().copied().fold(0.0, f64::max);
    let shown = whole(most).clamp(1, i64::from(SHOWN));
    let mut groups: Vec<_> =
        (1..=shown).map(|contacts| Group { label: contacts.to_string(), ..Group::default() }).collect();
    if most > f64::from(SHOWN) {
        groups.push(Group { label: format!("> {SHOWN}"), ..Group::default() });
    }
    let last = groups.len().saturating_sub(1);
    for ((contacts, tried), reached) in contacts.into_iter().zip(tried).zip(reached) {
        let Ok(index) = usize::try_from(whole(contacts) - 1) else { continue };
        if let Some(group) = groups.get_mut(index.min(last)) {
            group.tried += tried;
            group.reached += reached;
        }
    }
    Ok(groups)
}

fn plot(groups: &[Group], tried: f64, reached: f64, width: f64) -> Drawing {
    let keys = [Key::new("rest", "peers tried"), Key::new("c1", "peers reached (with a handshake)")];
    let keys_height = legend_height(&keys, width);
    let bars = Panel { left: 48.0, top: keys_height + 34.0, right: width - 8.0, bottom: keys_height + 204.0 };
    let curves = Panel { top: bars.bottom + 56.0, bottom: bars.bottom + 176.0, ..bars };
    let mut drawing = Drawing::new(width, curves.bottom + 44.0);
    legend(&mut drawing, 0.0, &keys, width);
    plot_bars(&mut drawing, bars, groups);
    plot_curves(&mut drawing, curves, groups, tried, reached);
    axis_title(&mut drawing, curves, "contacts with the peer");
    drawing
}

fn plot_bars(drawing: &mut Drawing, panel: Panel, groups: &[Group]) {
    let highest = groups.iter().map(|group| group.tried.max(group.reached)).fold(0.0, f64::max);
    let scale = Scale::linear(0.0, round_up(highest, 5), panel.bottom, panel.top);
    let mut ticks = scale.ticks(5);
    ticks.retain(|tick| tick.fract() == 0.0);
    vertical_axis(drawing, panel, &scale, &ticks, short, "peers with exactly so many contacts");
    let step = step(panel, groups);
    let bar = (step * 0.38).min(40.0);
    for (index, group) in groups.iter().enumerate() {
        let centre = panel.left + (index as f64 + 0.5) * step;
        for (class, x, value, what) in
            [("rest", centre - bar, group.tried, "tried"), ("c1", centre, group.reached, "reached")]
        {
            if value <= 0.0 {
                continue;
            }
            let y = scale.at(value);
            let unit = if group.label == "1" { "contact" } else { "contacts" };
            let tooltip = format!("{} {unit}: {} {what}", group.label, counted_of(value, "peer"));
            drawing.push(rect(class, x, y, bar, panel.bottom - y).tooltip(&tooltip));
        }
    }
    base_line(drawing, panel);
    group_labels(drawing, panel, groups);
}

fn plot_curves(drawing: &mut Drawing, panel: Panel, groups: &[Group], tried: f64, reached: f64) {
    let scale = Scale::linear(0.0, 1.0, panel.bottom, panel.top);
    let in_percent = |share: f64| format!("{:.0} %", share * 100.0);
    vertical_axis(
        drawing,
        panel,
        &scale,
        &[0.0, 0.5, 1.0],
        in_percent,
        "share of peers with at most so many",
    );
    let step = step(panel, groups);
    for (fill, stroke, all, value) in [
        ("rest", "line-rest", tried, (|group| group.tried) as fn(&Group) -> f64),
        ("c1", "line1", reached, |group| group.reached),
    ] {
        if all == 0.0 {
            continue;
        }
        let mut so_far = 0.0;
        let points: Vec<_> = groups
            .iter()
            .enumerate()
            .map(|(index, group)| {
                so_far += value(group);
                (panel.left + (index as f64 + 0.5) * step, so_far / all)
            })
            .collect();
        let pixels: Vec<_> = points.iter().map(|(x, share)| (*x, scale.at(*share))).collect();
        if pixels.len() > 1 {
            drawing.push(path(stroke, &pixels, false));
        }
        for ((x, share), group) in points.iter().zip(groups) {
            let tooltip = match group.label.as_str() {
                "1" => format!("{} of the peers: 1 contact", percent(*share)),
                rest if rest.starts_with('>') => "all of the peers".to_owned(),
                most => format!("{} of the peers: {most} contacts or fewer", percent(*share)),
            };
            drawing.push(circle(fill, *x, scale.at(*share), 3.0).tooltip(&tooltip));
        }
    }
    base_line(drawing, panel);
    group_labels(drawing, panel, groups);
}

fn step(panel: Panel, groups: &[Group]) -> f64 {
    (panel.right - panel.left) / groups.len() as f64
}

/// The numbers of contacts below a panel, as many as there is room for; the group of the rest always.
fn group_labels(drawing: &mut Drawing, panel: Panel, groups: &[Group]) {
    let step = step(panel, groups);
    let every = whole_usize((24.0 / step).ceil().max(1.0));
    let last = groups.len() - 1;
    for (index, group) in groups.iter().enumerate() {
        if index == last || (index % every == 0 && last - index >= every) {
            let x = panel.left + (index as f64 + 0.5) * step;
            drawing.push(text("tick", x, panel.bottom + 16.0, Anchor::Middle, &group.label));
        }
    }
}
