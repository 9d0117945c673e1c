//! `speeds_by_country`, as a map: the median download speed by country, as a world map in classes.

use std::collections::HashMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::choropleth::{self, Area};
use super::frame::{counts, numbers, texts};
use super::svg::Drawing;
use crate::map::{Atlas, World, country};
use crate::number::{count, counted_of, speed};

const STEM: &str = "speeds_by_country_map";
const TITLE: &str = "Median download speed by country";

/// Classes from the slowest to the fastest.
const CLASSES: [&str; 5] = ["q1", "q2", "q3", "q4", "q6"];

/// The median of fewer peers says nothing of a country.
const ENOUGH: f64 = 5.0;

/// Draws the table `speeds_by_country`.
pub fn draw(rows: &DataFrame, atlas: &Atlas) -> PolarsResult<Figure> {
    let countries = countries(rows)?;
    let measured: Vec<f64> =
        countries.values().filter(|country| country.is_told()).map(|country| country.median).collect();
    if measured.is_empty() {
        let why =
            "In no known country was the speed of five peers measured: a median of fewer would say nothing.";
        return Ok(Figure::without_data(STEM, TITLE, why));
    }
    let limits = limits(measured.clone());
    let of = match measured.len() {
        1 => "one country".to_owned(),
        number => format!("{} countries", count(number as u64)),
    };
    let subtitle = format!(
        "The median of the peers' mean speeds in {of} with at least {ENOUGH} peers measured. A class holds about as many \
         countries as any other."
    );
    Ok(Figure::new(STEM, TITLE, subtitle, |width| plot(&atlas.world(width), &countries, &limits)))
}

#[derive(Clone, Copy, Debug)]
struct Country {
    peers: f64,
    median: f64,
}

impl Country {
    /// Whether enough peers stand for it.
    fn is_told(&self) -> bool {
        self.peers >= ENOUGH && self.median > 0.0
    }
}

/// Countries whose code is known, by it.
fn countries(rows: &DataFrame) -> PolarsResult<HashMap<String, Country>> {
    let codes = texts(rows, "country")?;
    let peers = counts(rows, "peers")?;
    let median = numbers(rows, "median_speed_bytes_per_s")?;
    let columns = codes.into_iter().zip(peers).zip(median);
    Ok(columns
        .filter_map(|((code, peers), median)| {
            let code = code.filter(|code| !code.is_empty())?;
            Some((code, Country { peers, median: median? }))
        })
        .collect())
}

/// The least speed of each class but the first, rounded to two digits; as many as tell countries apart.
fn limits(mut speeds: Vec<f64>) -> Vec<f64> {
    speeds.sort_by(f64::total_cmp);
    let mut limits: Vec<f64> = Vec::new();
    let slowest = speeds.first().copied().unwrap_or_default();
    for class in 1..CLASSES.len() {
        let Some(limit) = speeds.get(speeds.len() * class / CLASSES.len()).map(|speed| two_digits(*speed))
        else {
            continue;
        };
        if limit > limits.last().copied().unwrap_or(slowest) {
            limits.push(limit);
        }
    }
    limits
}

fn two_digits(value: f64) -> f64 {
    let unit = 10.0_f64.powf(value.log10().floor() - 1.0);
    (value / unit).round() * unit
}

fn class_of(speed: f64, limits: &[f64]) -> &'static str {
    let class = limits.iter().filter(|limit| speed >= **limit).count();
    // Few classes take the darker colours, so that they stand out from land.
    let skipped = CLASSES.len() - 1 - limits.len();
    CLASSES.get(class + skipped).copied().unwrap_or("q6")
}

fn plot(world: &World, countries: &HashMap<String, Country>, limits: &[f64]) -> Drawing {
    let areas = countries.iter().map(|(code, country)| {
        let class = if country.is_told() { class_of(country.median, limits) } else { "q0" };
        let tooltip = format!(
            "{}: median {} of {} measured",
            country::name(code),
            speed(country.median),
            counted_of(country.peers, "peer")
        );
        (code.clone(), Area { class, tooltip, is_marked: country.is_told() })
    });
    choropleth::draw(world, &areas.collect(), &legend(limits))
}

fn legend(limits: &[f64]) -> Vec<(&'static str, String)> {
    let mut entries = vec![("land", "none measured".to_owned()), ("q0", format!("fewer than {ENOUGH}"))];
    let (Some(first), Some(last)) = (limits.first(), limits.last()) else {
        entries.push((class_of(f64::INFINITY, limits), "measured".to_owned()));
        return entries;
    };
    entries.push((class_of(0.0, limits), format!("under {}", speed(*first))));
    for (from, to) in limits.iter().zip(limits.iter().skip(1)) {
        entries.push((class_of(*from, limits), format!("{} to {}", speed(*from), speed(*to))));
    }
    entries.push((class_of(*last, limits), format!("{} and more", speed(*last))));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_about_as_many_countries_each() {
        let speeds: Vec<f64> = (1..=100).map(f64::from).collect();
        let limits = limits(speeds.clone());
        assert_eq!(limits, [21.0, 41.0, 61.0, 81.0]);
        for class in CLASSES {
            assert_eq!(speeds.iter().filter(|speed| class_of(**speed, &limits) == class).count(), 20);
        }
    }

    #[test]
    fn equal_speeds_are_one_class() {
        assert!(limits(vec![5.0; 9]).is_empty());
        assert_eq!(class_of(5.0, &[]), "q6");
        assert_eq!(legend(&[]).len(), 3);
    }
}
