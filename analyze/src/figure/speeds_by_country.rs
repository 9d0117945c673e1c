//! `speeds_by_country`: quartiles of the peers' mean speeds in each country, as box plots on a logarithmic axis.

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::horizontal_axis;
use super::frame::{counts, numbers, texts};
use super::rows::{Rows, is_narrow};
use super::scale::Scale;
use super::svg::{Drawing, line, rect};
use crate::map::country;
use crate::number::{count, counted, speed};

/// Countries with a box of their own.
const SHOWN: usize = 20;

const TITLE: &str = "Download speeds by country";

/// Draws the table `speeds_by_country`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let mut countries = countries(rows)?;
    if countries.is_empty() {
        return Ok(Figure::without_data("speeds_by_country", TITLE, "No peer's speed was measured."));
    }
    countries.sort_by(|a, b| b.peers.total_cmp(&a.peers).then(a.name.cmp(&b.name)));
    let which = if countries.len() > SHOWN {
        format!("The {SHOWN} countries with the most peers measured, of {}.", count(countries.len() as u64))
    } else {
        "Countries by peers measured (n).".to_owned()
    };
    countries.truncate(SHOWN);
    let subtitle = format!(
        "{which} Boxes hold the middle half of the peers' mean speeds, the line in them is the median, whiskers reach to \
         the slowest and the fastest."
    );
    Ok(Figure::new("speeds_by_country", TITLE, subtitle, |width| plot(&countries, width)))
}

struct Country {
    name: String,
    peers: f64,
    /// Minimum, first quartile, median, third quartile, maximum; bytes/s.
    quartiles: [f64; 5],
}

fn countries(rows: &DataFrame) -> PolarsResult<Vec<Country>> {
    let codes = texts(rows, "country")?;
    let peers = counts(rows, "peers")?;
    let [min, q1, median, q3, max] = [
        numbers(rows, "min_speed_bytes_per_s")?,
        numbers(rows, "q1_speed_bytes_per_s")?,
        numbers(rows, "median_speed_bytes_per_s")?,
        numbers(rows, "q3_speed_bytes_per_s")?,
        numbers(rows, "max_speed_bytes_per_s")?,
    ];
    let quartiles = min.into_iter().zip(q1).zip(median).zip(q3).zip(max);
    Ok(codes
        .into_iter()
        .zip(peers)
        .zip(quartiles)
        .filter_map(|((code, peers), ((((min, q1), median), q3), max))| {
            let quartiles = [min?, q1?, median?, q3?, max?];
            let name = match code.filter(|code| !code.is_empty()) {
                Some(code) => country::name(&code),
                None => "unknown".to_owned(),
            };
            Some(Country { name, peers, quartiles })
        })
        .collect())
}

fn plot(countries: &[Country], width: f64) -> Drawing {
    let labels: Vec<_> = countries
        .iter()
        .map(|country| format!("{} (n = {})", country.name, counted(country.peers)))
        .collect();
    let rows = Rows::new(labels.iter().map(String::as_str), 6.0, 16.0, width);
    let panel = rows.panel;
    let all = || countries.iter().flat_map(|country| country.quartiles).filter(|speed| *speed > 0.0);
    let least = all().fold(f64::INFINITY, f64::min).log10().floor();
    let most = all().fold(0.0, f64::max).log10().ceil();
    let scale = Scale::log(10.0_f64.powf(least), 10.0_f64.powf(most), panel.left, panel.right);

    let mut drawing = Drawing::new(width, panel.bottom + 44.0);
    horizontal_axis(
        &mut drawing,
        panel,
        &scale,
        &scale.ticks(if is_narrow(width) { 5 } else { 8 }),
        speed,
        "mean download speed (logarithmic)",
    );
    for (index, (country, label)) in countries.iter().zip(&labels).enumerate() {
        let y = rows.name(&mut drawing, index, label, &tooltip(country));
        draw_box(&mut drawing, country, &scale, y);
    }
    drawing
}

fn draw_box(drawing: &mut Drawing, country: &Country, scale: &Scale, y: f64) {
    const HALF: f64 = 7.0;
    let [min, q1, median, q3, max] = country.quartiles.map(|value| scale.at(value));
    if max > min {
        drawing.push(line("whisker", min, y, max, y));
    }
    for end in [min, max] {
        drawing.push(line("whisker", end, y - 4.0, end, y + 4.0));
    }
    let width = (q3 - q1).max(2.0);
    drawing.push(rect("box", q1, y - HALF, width, 2.0 * HALF).tooltip(&tooltip(country)));
    drawing.push(line("median", median, y - HALF, median, y + HALF));
}

fn tooltip(country: &Country) -> String {
    let [min, q1, median, q3, max] = country.quartiles.map(speed);
    format!("{}: median {median}, middle half {q1} to {q3}, all {min} to {max}", country.name)
}
