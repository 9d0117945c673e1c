//! `flagged`: why peers are not believed, as bars.

use polars::prelude::{DataFrame, DataType, PolarsResult};

use super::Figure;
use super::axes::Key;
use super::bars::{Bar, Part, horizontal};
use crate::number::{counted, counted_of, percent};

const TITLE: &str = "Why peers are not believed";

/// Columns that tell a reason, and the reason in words.
pub(super) const REASONS: [(&str, &str); 3] = [
    ("backwards", "counts went backwards"),
    ("have_only", "progress by HAVEs alone"),
    ("implausible_speed", "faster than plausible"),
];

/// Draws the table `flagged`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let all = rows.height() as f64;
    if all == 0.0 {
        return Ok(Figure::without_data("flagged", TITLE, "No peer's counts had to be doubted."));
    }
    let crossed = truths(rows, "crossed")?;
    let would_be = crossed.iter().filter(|crossed| **crossed).count() as f64;
    let mut bars = Vec::new();
    for (column, reason) in REASONS {
        let has = truths(rows, column)?;
        let with = |crossed_too: bool| {
            has.iter().zip(&crossed).filter(|(has, crossed)| **has && **crossed == crossed_too).count() as f64
        };
        bars.push(bar(reason, with(true), with(false), all));
    }
    let reasons: f64 = bars.iter().flat_map(|bar| &bar.parts).map(|part| part.value).sum();
    let subtitle = format!(
        "{}{}. {} would count without the flags.",
        counted_of(all, "peer"),
        if reasons > all { ", some for more than one reason" } else { "" },
        counted_of(would_be, "confirmed download")
    );
    let keys =
        [Key::new("c2", "would be a confirmed download"), Key::new("pale", "never reached the threshold")];
    Ok(Figure::new("flagged", TITLE, subtitle, |width| horizontal(&bars, &keys, "flagged peers", width)))
}

fn truths(rows: &DataFrame, column: &str) -> PolarsResult<Vec<bool>> {
    let column = rows.column(column)?.cast(&DataType::Boolean)?;
    Ok(column.bool()?.iter().map(Option::unwrap_or_default).collect())
}

fn bar(reason: &str, crossed: f64, others: f64, all: f64) -> Bar {
    let part = |class, value: f64, what: &str| Part {
        class,
        value,
        tooltip: format!("{reason}: {} that {what}", counted_of(value, "peer")),
    };
    Bar {
        name: reason.to_owned(),
        parts: vec![
            part("c2", crossed, "would be confirmed"),
            part("pale", others, "never reached the threshold"),
        ],
        note: format!("{} ({})", counted(crossed + others), percent((crossed + others) / all)),
    }
}
