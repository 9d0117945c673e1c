//! Named rows from top to bottom: names stand left of the plot, on a narrow picture above their rows.

use super::axes::{LABEL, Panel};
use super::svg::{Anchor, Drawing, text};
use super::text::{fit, width as text_width};

/// Where the rows of a picture are.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// The area in which values are drawn.
    pub panel: Panel,
    step: f64,
    narrow: bool,
}

impl Rows {
    /// Rows with these names, the first at `top`, leaving `right` pixels free beside them.
    pub fn new<'a>(
        names: impl ExactSizeIterator<Item = &'a str>,
        top: f64,
        right: f64,
        picture_width: f64,
    ) -> Self {
        let narrow = is_narrow(picture_width);
        let step = if narrow { 40.0 } else { 26.0 };
        let bottom = top + names.len() as f64 * step + 4.0;
        let longest = names.map(|name| text_width(name, LABEL)).fold(60.0, f64::max);
        let left = if narrow { 8.0 } else { longest.min(picture_width * 0.36) + 16.0 };
        Self { panel: Panel { left, top, right: picture_width - right, bottom }, step, narrow }
    }

    /// Writes the name of a row and returns the height of its middle.
    pub fn name(&self, drawing: &mut Drawing, index: usize, name: &str, tooltip: &str) -> f64 {
        let top = self.panel.top + index as f64 * self.step;
        let y = if self.narrow { top + 28.0 } else { top + 13.0 };
        let label = if self.narrow {
            text("label", 0.0, top + 15.0, Anchor::Start, &fit(name, LABEL, drawing.width - 4.0))
        } else {
            let left = self.panel.left;
            text("label", left - 10.0, y + 4.0, Anchor::End, &fit(name, LABEL, left - 12.0))
        };
        drawing.push(label.tooltip(tooltip));
        y
    }
}

/// Whether a picture is laid out for a phone.
pub fn is_narrow(picture_width: f64) -> bool {
    picture_width < 500.0
}
