//! Values of a table's columns → text for people.

use polars::prelude::{Column as Values, DataType, PolarsResult};
use serde::Serialize;

use crate::figure::frame::{column_numbers, column_times};
use crate::figure::text::visible;
use crate::figure::{Names, short_hash};
use crate::map::country;
use crate::number::{bytes, count, duration_us, percent, second, significant, speed, whole};
use crate::table::{Column, Kind};

/// Characters of a text that the page shows; the CSV has the rest.
const LONGEST: usize = 160;

/// A cell of a table on the page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cell {
    /// What it shows; empty where the value is absent.
    pub text: String,
    /// The torrent it names, which a press on it chooses.
    pub torrent: Option<String>,
    /// What is told when the pointer rests on it.
    pub hint: String,
    /// How it is set.
    pub class: &'static str,
}

impl Cell {
    /// Says that what a row is about is not known, e.g. the country.
    pub fn name_unknown(&mut self) {
        if self.text.is_empty() {
            "unknown".clone_into(&mut self.text);
        }
    }
}

/// The cells of a column, one a row.
pub fn cells(column: &Column, values: &Values, names: &Names) -> PolarsResult<Vec<Cell>> {
    match column.kind {
        Kind::Text => {
            let values = values.cast(&DataType::String)?;
            Ok(values.str()?.iter().map(|value| text_cell(column, value, names)).collect())
        }
        Kind::Time => Ok(column_times(values)?
            .into_iter()
            .map(|time| match time {
                Some(time_us) => Cell { text: second(time_us), class: "t", ..Cell::default() },
                None => absent("t"),
            })
            .collect()),
        Kind::Truth => {
            let values = values.cast(&DataType::Boolean)?;
            let told = |value: bool| if value { "yes" } else { "no" };
            let cell = |value| Cell { text: value, ..Cell::default() };
            Ok(values
                .bool()?
                .iter()
                .map(|value| value.map_or_else(|| absent(""), |value| cell(told(value).to_owned())))
                .collect())
        }
        kind => Ok(column_numbers(values)?
            .into_iter()
            .map(|value| value.map_or_else(|| absent("n"), |value| number_cell(kind, value)))
            .collect()),
    }
}

/// Whether a column's values stand to the right, as numbers do.
pub fn is_numeric(kind: Kind) -> bool {
    !matches!(kind, Kind::Text | Kind::Time | Kind::Truth)
}

fn absent(class: &'static str) -> Cell {
    Cell { class, ..Cell::default() }
}

fn number_cell(kind: Kind, value: f64) -> Cell {
    let text = match kind {
        Kind::Bytes => bytes(value),
        Kind::BytesPerSecond => speed(value),
        Kind::Degrees => format!("{value:.2}°"),
        Kind::Microseconds => duration_us(value),
        Kind::Number => whole(value).to_string(),
        Kind::PerSecond => format!("{}/s", significant(value)),
        Kind::Share if value > 0.99 && value < 1.0 => {
            format!("{} %", significant((value * 1e4).floor() / 1e2))
        }
        Kind::Share => percent(value),
        Kind::Count | Kind::Text | Kind::Time | Kind::Truth => count(whole(value).unsigned_abs()),
    };
    // Exact values where the text is rounded.
    let hint = match kind {
        Kind::Bytes if value >= 1000.0 => format!("{} bytes", count(whole(value).unsigned_abs())),
        Kind::BytesPerSecond => format!("{value:.1} bytes/s"),
        Kind::Microseconds => format!("{} µs", count(whole(value).unsigned_abs())),
        _ => String::new(),
    };
    Cell { text, hint, class: "n", torrent: None }
}

fn text_cell(column: &Column, value: Option<&str>, names: &Names) -> Cell {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return absent("") };
    match column.name {
        "info_hash" if value == "all" => Cell { text: "all".to_owned(), ..Cell::default() },
        "info_hash" => {
            let torrent = Some(visible(value));
            match names.known(value) {
                Some(name) => Cell { text: cut(&name, 60), torrent, class: "w", ..Cell::default() },
                None => Cell { text: short_hash(value), torrent, class: "h", ..Cell::default() },
            }
        }
        "peer_id" => Cell { text: short_hash(value), hint: visible(value), class: "h", ..Cell::default() },
        _ => wrapped(shown(column, value)),
    }
}

/// A text as the page shows it: names of countries for their codes, everything visible, nothing endless.
pub fn shown(column: &Column, value: &str) -> String {
    if column.name == "country" {
        let name = country::name(value);
        return if name == value { visible(value) } else { format!("{name} ({value})") };
    }
    cut(&visible(value), LONGEST)
}

/// Short text stays on one line, longer text gets room to break.
fn wrapped(text: String) -> Cell {
    const ONE_LINE: usize = 24;
    let class = if text.chars().count() <= ONE_LINE { "t" } else { "w" };
    Cell { text, class, ..Cell::default() }
}

/// The text, with an ellipsis where it is longer than so many characters.
fn cut(text: &str, longest: usize) -> String {
    let mut kept: String = text.chars().take(longest).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well_and_hint_at_what_is_rounded() {
        let cell = number_cell(Kind::BytesPerSecond, 1_234_567.0);
        assert_eq!((cell.text.as_str(), cell.hint.as_str()), ("1.23 MB/s", "1234567.0 bytes/s"));
        assert_eq!(number_cell(Kind::Number, 6881.0).text, "6881");
        assert_eq!(number_cell(Kind::Share, 0.98).text, "98 %");
        assert_eq!(number_cell(Kind::Share, 0.995).text, "99.5 %");
        assert_eq!(number_cell(Kind::Count, 1_806_554.0).text, "1,806,554");
    }

    #[test]
    fn texts_of_others_are_shown_harmless_and_short() {
        let column = Column { name: "client", kind: Kind::Text, about: "" };
        let names = Names::default();
        assert_eq!(text_cell(&column, Some("a\u{1b}[2J\u{202e}b"), &names).text, "a□[2J□b");
        assert_eq!(text_cell(&column, Some(&"x".repeat(10_000)), &names).text.chars().count(), LONGEST + 1);
        assert_eq!(text_cell(&column, None, &names).text, "");
    }
}
