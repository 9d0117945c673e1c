//! `summary`, compared: each torrent's confirmed downloads against those by scrape and against its unique peers, as
//! points on logarithmic axes.

use polars::prelude::{DataFrame, PolarsResult};

use super::axes::{LABEL, Panel, axis_title, horizontal_axis, vertical_axis};
use super::rows::is_narrow;
use super::scale::Scale;
use super::summary::{Torrent, torrents};
use super::svg::{Anchor, Drawing, circle, line, text};
use super::text::visible;
use super::{Figure, torrent_mark};
use crate::number::{count, counted, counted_of, percent, plural, short};

const STEM: &str = "summary_compared";
const TITLE: &str = "Confirmed downloads against other counts";

/// Torrents with a point: those with most confirmed downloads.
const SHOWN: usize = 300;

/// Draws the torrents of the table `summary`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let mut torrents = torrents(rows)?;
    if torrents.iter().all(|torrent| torrent.unique == 0.0) {
        return Ok(Figure::without_data(STEM, TITLE, "No peer of any torrent was seen."));
    }
    let sum = |value: fn(&Torrent) -> Option<f64>| -> f64 { torrents.iter().filter_map(value).sum() };
    let both = |torrent: &Torrent| torrent.scrape.map(|_| torrent.confirmed);
    let (scraped, confirmed) = (sum(|torrent| torrent.scrape), torrents.iter().filter_map(both).sum::<f64>());
    let part = if scraped > 0.0 {
        format!(
            "{} confirmed where trackers counted {} ({}). ",
            counted_of(confirmed, "download"),
            counted(scraped),
            percent(confirmed / scraped)
        )
    } else {
        "No tracker told how many downloads it counted. ".to_owned()
    };
    torrents.sort_by(|a, b| b.confirmed.total_cmp(&a.confirmed).then_with(|| a.name.cmp(&b.name)));
    let all = torrents.len();
    torrents.truncate(SHOWN);
    let which = if all > SHOWN {
        format!(" The {SHOWN} with most of {} are drawn.", count(all as u64))
    } else {
        String::new()
    };
    let subtitle = format!(
        "{part}A point is a torrent; on the line both counts are equal. Confirmed downloads are a lower bound and lie \
         below it, unless a tracker counts too few or its counter does not reach us.{which}"
    );
    Ok(Figure::new(STEM, TITLE, subtitle, |width| plot(&torrents, width)))
}

fn plot(torrents: &[Torrent], width: f64) -> Drawing {
    const GAP: f64 = 36.0;
    let narrow = is_narrow(width);
    let size = if narrow { width - 44.0 } else { (width - GAP) / 2.0 - 44.0 };
    let (step_x, step_y) = if narrow { (0.0, size * 0.8 + 110.0) } else { (size + 44.0 + GAP, 0.0) };
    let height = size * 0.8;
    let mut drawing = Drawing::new(width, 34.0 + height + step_y + 44.0);
    let panel = Panel { left: 40.0, top: 34.0, right: 40.0 + size, bottom: 34.0 + height };
    let scraped: Vec<_> = torrents.iter().filter_map(|torrent| Some((torrent, torrent.scrape?))).collect();
    points(&mut drawing, panel, &scraped, "c2", "scraped download");
    let unique: Vec<_> = torrents.iter().map(|torrent| (torrent, torrent.unique)).collect();
    let second = Panel {
        left: panel.left + step_x,
        right: panel.right + step_x,
        top: panel.top + step_y,
        bottom: panel.bottom + step_y,
    };
    points(&mut drawing, second, &unique, "c1", "unique peer");
    drawing
}

/// One panel: confirmed downloads upwards, the other count to the right.
fn points(
    drawing: &mut Drawing,
    panel: Panel,
    torrents: &[(&Torrent, f64)],
    class: &'static str,
    what: &str,
) {
    let most = torrents.iter().map(|(torrent, other)| torrent.confirmed.max(*other)).fold(0.0, f64::max);
    let across = Scale::log_from_zero(most, panel.left, panel.right);
    let up = Scale::log_from_zero(most, panel.bottom, panel.top);
    let ticks = across.ticks(6);
    vertical_axis(drawing, panel, &up, &ticks, short, "");
    drawing.push(text("label", panel.left - 40.0, panel.top - 14.0, Anchor::Start, "confirmed downloads"));
    if torrents.is_empty() {
        let (x, y) = (f64::midpoint(panel.left, panel.right), f64::midpoint(panel.top, panel.bottom));
        drawing.push(text("note", x, y + LABEL / 2.0, Anchor::Middle, "no torrent has this count"));
        axis_title(drawing, panel, &plural(what));
        return;
    }
    horizontal_axis(drawing, panel, &across, &ticks, short, &plural(what));
    drawing.push(line("axis dashed", panel.left, panel.bottom, panel.right, panel.top));
    for (torrent, other) in torrents.iter().rev() {
        let (x, y) = (across.at(*other), up.at(torrent.confirmed));
        let tooltip = format!(
            "{}: {} confirmed, {}",
            visible(&torrent.name),
            counted(torrent.confirmed),
            counted_of(*other, what)
        );
        drawing.push(
            circle(class, x, y, 4.0)
                .attribute("fill-opacity", "0.6")
                .attribute("data-t", &torrent_mark(&torrent.hash))
                .tooltip(&tooltip),
        );
    }
}
