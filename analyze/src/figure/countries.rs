//! `countries`: confirmed downloads by country, as a world map in classes.

use std::collections::HashMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::choropleth::{self, Area};
use super::frame::{counts, texts};
use super::svg::Drawing;
use crate::map::{Atlas, World, country};
use crate::number::{count, counted, counted_of, number_of, percent};

const TITLE: &str = "Confirmed downloads by country";

/// Draws the table `countries`.
pub fn draw(rows: &DataFrame, atlas: &Atlas) -> PolarsResult<Figure> {
    let countries = countries(rows)?;
    let sum = |value: fn(&Country) -> f64| -> f64 { countries.values().map(value).sum() };
    if sum(|country| country.peers) == 0.0 {
        return Ok(Figure::without_data("countries", TITLE, "No peer was seen."));
    }
    if countries.iter().all(|(code, country)| code.is_empty() || country.peers == 0.0) {
        return Ok(Figure::without_data("countries", TITLE, "The country of no peer is known."));
    }
    let most = countries
        .iter()
        .filter(|(code, _)| !code.is_empty())
        .map(|(_, country)| country.confirmed)
        .fold(0.0, f64::max);
    let classes = classes(most);
    let all = sum(|country| country.confirmed);
    let subtitle = subtitle(&countries, all);
    Ok(Figure::new("countries", TITLE, subtitle, |width| {
        plot(&atlas.world(width), &countries, &classes, all)
    }))
}

#[derive(Clone, Copy, Debug, Default)]
struct Country {
    peers: f64,
    confirmed: f64,
}

/// Countries by alpha-2 code; the unknown one by the empty text.
fn countries(rows: &DataFrame) -> PolarsResult<HashMap<String, Country>> {
    let codes = texts(rows, "country")?;
    let peers = counts(rows, "peers")?;
    let confirmed = counts(rows, "confirmed_downloads")?;
    let mut countries: HashMap<String, Country> = HashMap::new();
    for ((code, peers), confirmed) in codes.into_iter().zip(peers).zip(confirmed) {
        let country = countries.entry(code.unwrap_or_default()).or_default();
        country.peers += peers;
        country.confirmed += confirmed;
    }
    Ok(countries)
}

fn subtitle(countries: &HashMap<String, Country>, all: f64) -> String {
    let with_peers =
        countries.iter().filter(|(code, country)| !code.is_empty() && country.peers > 0.0).count();
    let with_downloads =
        countries.iter().filter(|(code, country)| !code.is_empty() && country.confirmed > 0.0).count();
    let unknown = countries.get("").map_or(0.0, |country| country.confirmed);
    let mut subtitle = format!(
        "{} in {} of {} with peers.",
        counted_of(all, "confirmed download"),
        count(with_downloads as u64),
        number_of(with_peers as u64, "country")
    );
    if unknown > 0.0 {
        subtitle.push_str(" Not on the map: ");
        subtitle.push_str(&counted(unknown));
        subtitle.push_str(" of unknown country.");
    }
    subtitle
}

/// A class of the map: counts from `from` to `to`, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Class {
    colour: &'static str,
    from: f64,
    to: f64,
}

/// At most six classes from 1 to `most` with round limits, each about as many times the one before.
fn classes(most: f64) -> Vec<Class> {
    const NAMES: [&str; 6] = ["q1", "q2", "q3", "q4", "q5", "q6"];
    const SERIES: [&[f64]; 4] = [
        &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        &[1.0, 3.0, 6.0, 11.0, 21.0, 41.0],
        &[1.0, 6.0, 21.0, 101.0, 501.0, 2_001.0],
        &[1.0, 11.0, 101.0, 1_001.0, 10_001.0, 100_001.0],
    ];
    const ENOUGH: [f64; 4] = [6.0, 100.0, 10_000.0, f64::INFINITY];
    let starts =
        SERIES.iter().zip(ENOUGH).find(|(_, enough)| most <= *enough).map_or(SERIES[3], |found| found.0);
    let starts: Vec<f64> = starts.iter().copied().filter(|start| *start <= most).collect();
    let ends = starts.iter().skip(1).map(|next| next - 1.0).chain([most]);
    // Few classes take the darker colours: a single country with downloads must stand out.
    let skipped = NAMES.len().saturating_sub(starts.len()) / 2;
    let names = NAMES.into_iter().skip(skipped);
    starts.iter().zip(ends).zip(names).map(|((from, to), colour)| Class { colour, from: *from, to }).collect()
}

fn plot(world: &World, countries: &HashMap<String, Country>, classes: &[Class], all: f64) -> Drawing {
    let areas = countries.iter().map(|(code, country)| {
        let area = Area {
            class: class_of(country, classes),
            tooltip: tooltip(&country::name(code), *country, all),
            is_marked: country.confirmed > 0.0,
        };
        (code.clone(), area)
    });
    choropleth::draw(world, &areas.collect(), &legend(classes))
}

fn legend(classes: &[Class]) -> Vec<(&'static str, String)> {
    let mut entries = vec![("land", "no peers".to_owned()), ("q0", "peers only".to_owned())];
    entries.extend(classes.iter().map(|class| {
        let label = if class.to < class.from + 1.0 {
            counted(class.from)
        } else {
            format!("{}–{}", counted(class.from), counted(class.to))
        };
        (class.colour, label)
    }));
    if let Some((_, label)) = entries.last_mut().filter(|_| !classes.is_empty()) {
        label.push_str(" confirmed");
    }
    entries
}

fn class_of(country: &Country, classes: &[Class]) -> &'static str {
    if country.confirmed > 0.0 {
        let class = classes.iter().rev().find(|class| country.confirmed >= class.from);
        return class.map_or("q0", |class| class.colour);
    }
    if country.peers > 0.0 { "q0" } else { "land" }
}

fn tooltip(name: &str, country: Country, all: f64) -> String {
    let share = if all > 0.0 { format!(" ({})", percent(country.confirmed / all)) } else { String::new() };
    format!(
        "{name}: {}{share}, {}",
        counted_of(country.confirmed, "confirmed download"),
        counted_of(country.peers, "peer")
    )
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_every_count_once() {
        for most in [1.0, 2.0, 6.0, 7.0, 99.0, 100.0, 5_000.0, 2_000_000.0] {
            let classes = classes(most);
            assert_eq!(classes.first().unwrap().from, 1.0);
            assert_eq!(classes.last().unwrap().to, most);
            for pair in classes.windows(2) {
                assert_eq!(pair[0].to + 1.0, pair[1].from, "{most}");
            }
        }
        assert!(classes(0.0).is_empty());
    }
}
