//! Horizontal bars with a name each, stacked of one or more parts: the shape of most comparisons here.

use super::Figure;
use super::axes::{Key, LABEL, Panel, TICK, horizontal_axis, legend, legend_height};
use super::scale::{Scale, round_up};
use super::svg::{Anchor, Drawing, line, rect, text};
use super::text::{fit, width};
use crate::number::{counted, counted_of, number_of, percent, short};

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it stands for.
    pub name: String,
    /// Its parts, from the axis outwards.
    pub parts: Vec<Part>,
    /// What stands at its end, mostly its value.
    pub note: String,
}

/// A part of a bar.
#[derive(Clone, Debug)]
pub struct Part {
    /// Class that colours it.
    pub class: &'static str,
    /// Its length in the axis's unit.
    pub value: f64,
    /// What is told when the pointer rests on it.
    pub tooltip: String,
}

/// Draws the bars from top to bottom; on a narrow picture names stand above their bars.
pub fn horizontal(bars: &[Bar], keys: &[Key], axis_title: &str, picture_width: f64) -> Drawing {
    let narrow = picture_width < 500.0;
    let keys_height = if keys.is_empty() { 0.0 } else { legend_height(keys, picture_width) + 8.0 };
    let step = if narrow { 40.0 } else { 26.0 };
    let note_width = bars.iter().map(|bar| width(&bar.note, TICK)).fold(0.0, f64::max) + 10.0;
    let name_width = if narrow {
        0.0
    } else {
        bars.iter().map(|bar| width(&bar.name, LABEL)).fold(60.0, f64::max).min(picture_width * 0.34) + 12.0
    };
    let panel = Panel {
        left: name_width,
        top: keys_height,
        right: picture_width - note_width,
        bottom: keys_height + bars.len() as f64 * step + 4.0,
    };
    let longest = bars.iter().map(Bar::total).fold(0.0, f64::max);
    let tick_count = if narrow { 4 } else { 6 };
    let scale = Scale::linear(0.0, longest.max(1.0), panel.left, panel.right);

    let mut drawing = Drawing::new(picture_width, panel.bottom + 44.0);
    legend(&mut drawing, 0.0, keys, picture_width);
    let mut ticks = scale.ticks(tick_count);
    ticks.retain(|tick| tick.fract() == 0.0 || round_up(longest, tick_count) < 1.0);
    horizontal_axis(&mut drawing, panel, &scale, &ticks, short, axis_title);
    for (index, bar) in bars.iter().enumerate() {
        let top = panel.top + index as f64 * step;
        draw_bar(&mut drawing, bar, panel, &scale, top, narrow);
    }
    drawing.push(line("axis", panel.left, panel.top, panel.left, panel.bottom));
    drawing
}

fn draw_bar(drawing: &mut Drawing, bar: &Bar, panel: Panel, scale: &Scale, top: f64, narrow: bool) {
    let (bar_top, bar_height) = if narrow { (top + 20.0, 15.0) } else { (top + 5.0, 17.0) };
    if narrow {
        let name = fit(&bar.name, LABEL, drawing.width - 4.0);
        drawing.push(text("label", panel.left + 2.0, top + 15.0, Anchor::Start, &name).tooltip(&bar.name));
    } else {
        let name = fit(&bar.name, LABEL, panel.left - 10.0);
        drawing.push(text("label", panel.left - 8.0, bar_top + 13.0, Anchor::End, &name).tooltip(&bar.name));
    }
    let mut from = 0.0;
    for part in &bar.parts {
        let (start, end) = (scale.at(from), scale.at(from + part.value));
        if part.value > 0.0 {
            // A value that is there is seen, however small.
            let length = (end - start).max(1.0);
            drawing.push(rect(part.class, start, bar_top, length, bar_height).tooltip(&part.tooltip));
        }
        from += part.value;
    }
    drawing.push(text("value", scale.at(from) + 6.0, bar_top + 12.5, Anchor::Start, &bar.note));
}

impl Bar {
    fn total(&self) -> f64 {
        self.parts.iter().map(|part| part.value).sum()
    }
}

/// Peers of one kind, and how many of them are confirmed downloads.
#[derive(Clone, Debug)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// Peers.
    pub peers: f64,
    /// Confirmed downloads among them.
    pub confirmed: f64,
}

/// Groups with a bar of their own in [`grouped`].
const GROUPS: usize = 15;

/// A figure of groups of peers, the largest first, and the rest of them as one bar; `what` is one of the groups.
pub fn grouped(
    stem: &'static str,
    title: &str,
    subtitle: String,
    mut groups: Vec<Group>,
    what: &str,
) -> Figure {
    groups.retain(|group| group.peers > 0.0);
    groups.sort_by(|a, b| b.peers.total_cmp(&a.peers).then_with(|| a.name.cmp(&b.name)));
    let all: f64 = groups.iter().map(|group| group.peers).sum();
    if groups.len() > GROUPS + 1 {
        let others = groups.split_off(GROUPS);
        let sum = |value: fn(&Group) -> f64| others.iter().map(value).sum();
        let name = number_of(others.len() as u64, &format!("other {what}"));
        groups.push(Group { name, peers: sum(|group| group.peers), confirmed: sum(|group| group.confirmed) });
    }
    let bars: Vec<_> = groups.iter().map(|group| group.bar(all)).collect();
    let keys = [Key::new("c1", "confirmed downloads"), Key::new("pale", "other peers")];
    Figure::new(stem, title, subtitle, |width| horizontal(&bars, &keys, "peers", width))
}

impl Group {
    fn bar(&self, all: f64) -> Bar {
        let part = |class, value: f64, what: &str| Part {
            class,
            value,
            tooltip: format!("{}: {}", self.name, counted_of(value, what)),
        };
        let confirmed = self.confirmed.min(self.peers);
        Bar {
            name: self.name.clone(),
            parts: vec![
                part("c1", confirmed, "confirmed download"),
                part("pale", self.peers - confirmed, "other peer"),
            ],
            note: format!("{} ({})", counted(self.peers), percent(self.peers / all)),
        }
    }
}
