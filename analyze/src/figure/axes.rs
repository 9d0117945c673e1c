//! What plots have around them: grids, axes, legends.

use super::scale::{Scale, time_ticks};
use super::svg::{Anchor, Drawing, line, rect, text};
use super::text::{fit, width};
use crate::number::whole_usize;

/// Font size of labels, px (class `label`).
pub const LABEL: f64 = 12.0;
/// Font size of ticks and notes, px (classes `tick` and `note`).
pub const TICK: f64 = 11.0;

/// The area of a picture in which values are drawn; its edges in pixels.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// The left edge.
    pub left: f64,
    /// The upper edge.
    pub top: f64,
    /// The right edge.
    pub right: f64,
    /// The lower edge.
    pub bottom: f64,
}

/// Horizontal grid lines with their values to the left, and the axis's title above its upper end.
pub fn vertical_axis(
    drawing: &mut Drawing,
    panel: Panel,
    scale: &Scale,
    ticks: &[f64],
    format: impl Fn(f64) -> String,
    title: &str,
) {
    for tick in ticks {
        let y = scale.at(*tick);
        drawing.push(line("grid", panel.left, y, panel.right, y));
        drawing.push(text("tick", panel.left - 6.0, y + 4.0, Anchor::End, &format(*tick)));
    }
    if !title.is_empty() {
        let title = fit(title, LABEL, panel.right);
        drawing.push(text("label", 0.0, panel.top - 14.0, Anchor::Start, &title));
    }
}

/// Vertical grid lines with their values below, and the axis's title under them.
pub fn horizontal_axis(
    drawing: &mut Drawing,
    panel: Panel,
    scale: &Scale,
    ticks: &[f64],
    format: impl Fn(f64) -> String,
    title: &str,
) {
    for tick in ticks {
        let x = scale.at(*tick);
        drawing.push(line("grid", x, panel.top, x, panel.bottom));
    }
    labels_below(drawing, panel, ticks.iter().map(|tick| (scale.at(*tick), format(*tick))));
    axis_title(drawing, panel, title);
}

/// The times of day and dates below a panel, UTC, not nearer to each other than `least_us`.
pub fn time_axis(
    drawing: &mut Drawing,
    panel: Panel,
    scale: &Scale,
    (from_us, to_us): (i64, i64),
    least_us: i64,
) {
    let most = ((panel.right - panel.left) / 70.0).floor().max(2.0);
    let ticks = time_ticks(from_us, to_us, least_us, whole_usize(most));
    let places: Vec<_> = ticks.into_iter().map(|tick| (scale.at(tick.time_us as f64), tick.label)).collect();
    for (x, _) in &places {
        drawing.push(line("axis", *x, panel.bottom, *x, panel.bottom + 4.0));
    }
    labels_below(drawing, panel, places.into_iter());
}

/// Writes labels under their places, within the picture; those that would touch the one before are left out.
fn labels_below(drawing: &mut Drawing, panel: Panel, labels: impl Iterator<Item = (f64, String)>) {
    let mut free_from = f64::NEG_INFINITY;
    for (x, label) in labels {
        let half = width(&label, TICK) / 2.0;
        let centre = x.clamp(half, (drawing.width - half).max(half));
        if centre - half >= free_from {
            drawing.push(text("tick", centre, panel.bottom + 17.0, Anchor::Middle, &label));
            free_from = centre + half + 6.0;
        }
    }
}

/// The title of a horizontal axis, centred under its ticks.
pub fn axis_title(drawing: &mut Drawing, panel: Panel, title: &str) {
    let centre = f64::midpoint(panel.left, panel.right);
    let title = fit(title, LABEL, drawing.width);
    let half = width(&title, LABEL) / 2.0;
    let centre = centre.clamp(half, (drawing.width - half).max(half));
    drawing.push(text("label", centre, panel.bottom + 36.0, Anchor::Middle, &title));
}

/// The line on which bars stand.
pub fn base_line(drawing: &mut Drawing, panel: Panel) {
    drawing.push(line("axis", panel.left, panel.bottom, panel.right, panel.bottom));
}

/// An entry of a legend: the class of its swatch, and its name.
#[derive(Clone, Debug)]
pub struct Key {
    /// Class of the swatch.
    pub class: &'static str,
    /// What the class stands for.
    pub name: String,
}

impl Key {
    /// An entry.
    pub fn new(class: &'static str, name: impl Into<String>) -> Self {
        Self { class, name: name.into() }
    }
}

/// Height of one line of a legend.
const KEY_LINE: f64 = 20.0;

/// Height that [`legend`] takes within `max` pixels of width.
pub fn legend_height(keys: &[Key], max: f64) -> f64 {
    layout(keys, max).last().map_or(0.0, |place| place.y + KEY_LINE)
}

/// Draws the legend from the upper left corner (0, `top`), breaking lines at `max` pixels.
pub fn legend(drawing: &mut Drawing, top: f64, keys: &[Key], max: f64) {
    for (key, place) in keys.iter().zip(layout(keys, max)) {
        let y = top + place.y;
        drawing.push(rect(key.class, place.x, y + 3.0, 11.0, 11.0).attribute("rx", "2"));
        drawing.push(text("label", place.x + 17.0, y + 13.0, Anchor::Start, &place.name));
    }
}

struct KeyPlace {
    x: f64,
    y: f64,
    name: String,
}

fn layout(keys: &[Key], max: f64) -> Vec<KeyPlace> {
    let (mut x, mut y) = (0.0, 0.0);
    let mut places = Vec::with_capacity(keys.len());
    for key in keys {
        let name = fit(&key.name, LABEL, (max - 17.0).min(260.0));
        let needed = 17.0 + width(&name, LABEL);
        if x > 0.0 && x + needed > max {
            x = 0.0;
            y += KEY_LINE;
        }
        places.push(KeyPlace { x, y, name });
        x += needed + 18.0;
    }
    places
}
