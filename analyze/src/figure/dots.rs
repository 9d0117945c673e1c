//! Values with their intervals as dots on named rows: the shape of estimates side by side.

use super::axes::{Key, Panel, TICK, horizontal_axis, legend, legend_height};
use super::rows::{Rows, is_narrow};
use super::scale::Scale;
use super::svg::{Anchor, Drawing, circle, line, text};
use super::text::width;

/// One value.
#[derive(Clone, Debug)]
pub struct Dot {
    /// What it stands for.
    pub name: String,
    /// Class that colours it.
    pub class: &'static str,
    /// The value.
    pub value: f64,
    /// Both ends of its interval; `None` for a count.
    pub interval: Option<(f64, f64)>,
    /// What stands at the row's end, mostly the value.
    pub note: String,
    /// What is told when the pointer rests on it.
    pub tooltip: String,
}

/// The axis of the values.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Its title.
    pub title: &'static str,
    /// From the panel to the scale: which range is shown, and how.
    pub scale: fn(f64, Panel) -> Scale,
    /// A tick as text.
    pub format: fn(f64) -> String,
}

/// Draws the dots from top to bottom.
pub fn horizontal(dots: &[Dot], keys: &[Key], axis: Axis, picture_width: f64) -> Drawing {
    let keys_height = if keys.is_empty() { 0.0 } else { legend_height(keys, picture_width) + 8.0 };
    let notes = dots.iter().map(|dot| width(&dot.note, TICK)).fold(0.0, f64::max) + 16.0;
    let rows = Rows::new(dots.iter().map(|dot| dot.name.as_str()), keys_height, notes, picture_width);
    let panel = rows.panel;
    let most = dots.iter().map(Dot::highest).fold(0.0, f64::max);
    let scale = (axis.scale)(most, panel);

    let mut drawing = Drawing::new(picture_width, panel.bottom + 44.0);
    legend(&mut drawing, 0.0, keys, picture_width);
    let ticks = scale.ticks(if is_narrow(picture_width) { 4 } else { 8 });
    horizontal_axis(&mut drawing, panel, &scale, &ticks, axis.format, axis.title);
    for (index, dot) in dots.iter().enumerate() {
        let y = rows.name(&mut drawing, index, &dot.name, &dot.tooltip);
        if let Some((low, high)) = dot.interval {
            let (low, high) = (scale.at(low), scale.at(high));
            // A line without length cannot be stroked.
            if high > low {
                drawing.push(line("whisker", low, y, high, y));
            }
            for end in [low, high] {
                drawing.push(line("whisker", end, y - 4.0, end, y + 4.0));
            }
        }
        drawing.push(circle(dot.class, scale.at(dot.value), y, 5.0).tooltip(&dot.tooltip));
        drawing.push(text("value", panel.right + 10.0, y + 4.0, Anchor::Start, &dot.note));
    }
    drawing
}

impl Dot {
    fn highest(&self) -> f64 {
        self.interval.map_or(self.value, |(_, high)| high.max(self.value))
    }
}
