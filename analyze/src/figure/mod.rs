//! Figures, one file each, with the stem of the table it draws: a data frame → SVG and PNG.
//!
//! Every figure is defined once, for any width; it is laid out for a page and for a phone. Colours are classes, so that
//! the report has a light and a dark version; the files are light.

pub mod advice;
pub mod axes;
pub mod bars;
pub mod bias;
pub mod choropleth;
pub mod cities;
pub mod clients;
pub mod confirmed_downloads;
pub mod confirmed_hourly;
pub mod contacts;
pub mod countries;
pub mod dots;
pub mod flagged;
pub mod frame;
pub mod health;
pub mod hostnames;
pub mod lines;
pub mod networks;
pub mod png;
pub mod population;
pub mod requests;
pub mod rows;
pub mod scale;
pub mod seeders_hourly;
pub mod sessions;
pub mod sources;
pub mod sources_hourly;
pub mod speeds;
pub mod speeds_by_country;
pub mod speeds_by_country_map;
pub mod summary;
pub mod summary_compared;
pub mod svg;
pub mod text;
pub mod thresholds;
pub mod timeline;
pub mod torrents;
pub mod trackers;
pub mod visits;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use polars::prelude::{DataFrame, PolarsError, PolarsResult};

use crate::facts::Facts;
use crate::map::Atlas;
use crate::replay::workers;
use crate::table::{Definition, Made, Tables};
use svg::{Anchor, Drawing, rect, text as svg_text};

/// Why a figure could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// The drawing is not well-formed SVG: a mistake of ours.
    #[error("the figure {stem} is not well-formed")]
    Markup {
        /// The figure.
        stem: &'static str,
        /// What the parser says.
        source: resvg::usvg::Error,
    },
    /// The PNG could not be encoded.
    #[error("the figure {stem} cannot be encoded as PNG: {message}")]
    Png {
        /// The figure.
        stem: &'static str,
        /// What the encoder says.
        message: String,
    },
    /// The drawing is too large for a PNG, or empty.
    #[error("the figure {stem} has no size that a PNG can have")]
    Size {
        /// The figure.
        stem: &'static str,
    },
    /// The table lacks a column, or has one of another type.
    #[error("the table {stem} cannot be drawn")]
    Table {
        /// The figure.
        stem: &'static str,
        /// What is missing.
        source: PolarsError,
    },
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Width of a figure in its file and on a page, px.
pub const WIDE: f64 = 860.0;
/// Width of a figure on a phone, px.
pub const NARROW: f64 = 360.0;

/// A figure, laid out twice.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its files are named so: the table it draws, and for a second figure of it what that shows, `<table>_<what>`.
    pub stem: &'static str,
    /// What it shows.
    pub title: String,
    /// How to read it, one or two sentences.
    pub subtitle: String,
    /// Why there is nothing to draw, if there is nothing.
    pub missing: Option<String>,
    wide: Drawing,
    narrow: Drawing,
}

impl Figure {
    /// Whether it draws the table of this name.
    pub fn draws(&self, table: &str) -> bool {
        let table_of = |stem| match stem {
            "speeds_by_country_map" => "speeds_by_country",
            "summary_compared" => "summary",
            stem => stem,
        };
        table_of(self.stem) == table
    }

    /// A figure that `draw` lays out for any width.
    pub fn new(
        stem: &'static str,
        title: impl Into<String>,
        subtitle: impl Into<String>,
        draw: impl Fn(f64) -> Drawing,
    ) -> Self {
        Self {
            stem,
            title: title.into(),
            subtitle: subtitle.into(),
            missing: None,
            wide: draw(WIDE),
            narrow: draw(NARROW),
        }
    }

    /// A figure of a table without anything to draw; `why` says what is missing.
    pub fn without_data(stem: &'static str, title: impl Into<String>, why: &str) -> Self {
        let told = format!("{why} {}", advice::advice(stem)).trim_end().to_owned();
        let figure = Self::new(stem, title, "", |width| {
            let lines = text::wrap(&told, axes::LABEL, width - 40.0);
            let height = 76.0 + 17.0 * lines.len().max(2) as f64;
            let mut drawing = Drawing::new(width, height);
            drawing.push(rect("void", 0.5, 0.5, width - 1.0, height - 1.0).attribute("rx", "6"));
            drawing.push(svg_text("strong", width / 2.0, 46.0, Anchor::Middle, "No data"));
            for (index, line) in lines.iter().enumerate() {
                let y = 68.0 + index as f64 * 17.0;
                drawing.push(svg_text("label", width / 2.0, y, Anchor::Middle, line));
            }
            drawing
        });
        Self { missing: Some(told), ..figure }
    }

    /// The figure as a file of its own: title, subtitle, drawing and colours.
    pub fn file_markup(&self) -> String {
        const MARGIN: f64 = 20.0;
        let inner = self.wide.width;
        let mut y = MARGIN + 17.0;
        let mut head = Vec::new();
        for line in text::wrap(&text::visible(&self.title), 18.0, inner) {
            head.push(svg_text("title", MARGIN, y, Anchor::Start, &line));
            y += 23.0;
        }
        for line in text::wrap(&text::visible(&self.subtitle), 13.0, inner) {
            head.push(svg_text("subtitle", MARGIN, y, Anchor::Start, &line));
            y += 18.0;
        }
        let mut page = Drawing::new(inner + 2.0 * MARGIN, y + self.wide.height + MARGIN);
        page.push(rect("paper", 0.0, 0.0, page.width, page.height));
        for element in head {
            page.push(element);
        }
        page.place(&self.wide, MARGIN, y);
        page.markup("figure", &self.title, Some(include_str!("../../assets/page/figure.css")))
    }

    /// The drawing for a page, to be styled by it.
    pub fn wide_markup(&self) -> String {
        self.wide.markup("figure wide", &self.title, None)
    }

    /// The drawing for a phone, to be styled by its page.
    pub fn narrow_markup(&self) -> String {
        self.narrow.markup("figure narrow", &self.title, None)
    }
}

/// Draws every table worth looking at and writes `<out>/<table>.svg` and `<out>/<table>.png`; `out` must exist.
///
/// Tables that were not computed have no figure; tables without rows have one that says so.
pub fn draw_all(tables: &Tables, facts: &Facts, out: &Path) -> Result<Vec<Figure>, FigureError> {
    let figures = draw(tables, facts)?;
    // PNGs take most of the time: one thread for every other figure.
    std::thread::scope(|scope| {
        let (even, odd): (Vec<_>, Vec<_>) =
            figures.iter().enumerate().partition(|(index, _)| index.is_multiple_of(2));
        let other = scope.spawn(move || odd.into_iter().try_for_each(|(_, figure)| write(figure, out)));
        even.into_iter().try_for_each(|(_, figure)| write(figure, out))?;
        other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    Ok(figures)
}

/// Draws every table worth looking at, in the order of the report, and writes nothing.
pub fn draw(tables: &Tables, facts: &Facts) -> Result<Vec<Figure>, FigureError> {
    let names = Names::of(tables.get("summary"))?;
    let atlas = std::sync::LazyLock::new(Atlas::load);
    let atlas = || match &*atlas {
        Ok(atlas) => Ok(atlas),
        Err(error) => Err(PolarsError::ComputeError(error.to_string().into())),
    };
    let draw_rows = |table, rows: &DataFrame| match table {
        "cities" => atlas().and_then(|atlas| Ok(vec![cities::draw(rows, atlas)?])),
        "clients" => one(clients::draw(rows)),
        "confirmed_hourly" => one(confirmed_hourly::draw(rows, &names, facts)),
        "contacts" => one(contacts::draw(rows)),
        "countries" => atlas().and_then(|atlas| Ok(vec![countries::draw(rows, atlas)?])),
        "health" => one(health::draw(rows, facts)),
        "hostnames" => one(hostnames::draw(rows)),
        "networks" => one(networks::draw(rows)),
        "population" => one(population::draw(rows)),
        "requests" => one(requests::draw(rows)),
        "seeders_hourly" => one(seeders_hourly::draw(rows, facts)),
        "sessions" => one(sessions::draw(rows)),
        "sources" => one(sources::draw(rows)),
        "sources_hourly" => one(sources_hourly::draw(rows, facts)),
        "speeds_by_country" => atlas().and_then(|atlas| {
            Ok(vec![speeds_by_country::draw(rows)?, speeds_by_country_map::draw(rows, atlas)?])
        }),
        "summary" => summary::draw(rows).and_then(|first| Ok(vec![first, summary_compared::draw(rows)?])),
        "thresholds" => one(thresholds::draw(rows, facts)),
        "trackers" => one(trackers::draw(rows)),
        "visits" => one(visits::draw(rows)),
        _ => Ok(Vec::new()),
    };
    let draw = |(definition, made): &(&'static Definition, &Made)| {
        let drawn = match definition.name {
            // Their rows may be in files.
            "confirmed_downloads" => one(confirmed_downloads::draw(tables)),
            "flagged" => one(flagged::draw(tables)),
            "speeds" => one(speeds::draw(tables)),
            table => made.whole().map_or_else(|| Ok(Vec::new()), |rows| draw_rows(table, rows)),
        };
        drawn.map_err(|source| FigureError::Table { stem: definition.name, source })
    };
    let drawn = workers::each(&tables.iter().collect::<Vec<_>>(), draw)?;
    Ok(drawn.into_iter().flatten().collect())
}

fn one(figure: PolarsResult<Figure>) -> PolarsResult<Vec<Figure>> {
    Ok(vec![figure?])
}

fn write(figure: &Figure, out: &Path) -> Result<(), FigureError> {
    let markup = figure.file_markup();
    let image = png::render(figure.stem, &markup)?;
    for (extension, content) in [("svg", markup.as_bytes()), ("png", &image)] {
        let path = out.join(figure.stem).with_extension(extension);
        std::fs::write(&path, content).map_err(|source| FigureError::Write { path, source })?;
    }
    Ok(())
}

/// The torrents' names, by info-hash.
#[derive(Clone, Debug, Default)]
pub struct Names(std::collections::HashMap<String, String>);

impl Names {
    /// The names in `summary`; none without that table.
    pub fn of(summary: Option<&DataFrame>) -> Result<Self, FigureError> {
        let Some(summary) = summary else { return Ok(Self::default()) };
        Self::read(summary).map_err(|source| FigureError::Table { stem: "summary", source })
    }

    fn read(summary: &DataFrame) -> PolarsResult<Self> {
        let hashes = frame::texts(summary, "info_hash")?;
        let names = frame::texts(summary, "name")?;
        let pairs = hashes.into_iter().zip(names).filter_map(|(hash, name)| Some((hash?, name?)));
        Ok(Self(pairs.filter(|(_, name)| !name.trim().is_empty()).collect()))
    }

    /// The torrent's name, made visible; where it has none, the first digits of its info-hash.
    pub fn name(&self, info_hash: &str) -> String {
        self.known(info_hash).unwrap_or_else(|| short_hash(info_hash))
    }

    /// The torrent's name, made visible, if it has one.
    pub fn known(&self, info_hash: &str) -> Option<String> {
        self.0.get(info_hash).map(|name| text::visible(name))
    }
}

/// What the page's script knows a torrent's marks by: enough of its info-hash to tell it from others.
pub fn torrent_mark(info_hash: &str) -> String {
    info_hash.chars().take(12).filter(char::is_ascii_alphanumeric).collect()
}

/// The first digits of an info-hash.
pub fn short_hash(info_hash: &str) -> String {
    let start: String = info_hash.chars().take(10).collect();
    format!("{}…", text::visible(&start))
}
