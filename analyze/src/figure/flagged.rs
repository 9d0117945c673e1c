//! `flagged`: why peers are not believed, as bars.

use polars::prelude::{DataFrame, DataType, PolarsResult};

use super::Figure;
use super::axes::Key;
use super::bars::{Bar, Part, horizontal};
use crate::number::{counted, counted_of, number_of, percent};
use crate::table::Tables;

const TITLE: &str = "Why peers are not believed";

/// Columns that tell a reason, and the reason in words.
pub(super) const REASONS: [(&str, &str); 3] = [
    ("backwards", "counts went backwards"),
    ("have_only", "progress by HAVEs alone"),
    ("implausible_speed", "faster than plausible"),
];

/// Peers that are not believed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubted {
    /// How many they are.
    pub peers: u64,
    /// Those that crossed the threshold.
    pub crossed: u64,
    /// By reason those that crossed it, and the others.
    pub reasons: [(u64, u64); REASONS.len()],
}

impl Doubted {
    /// The columns that it is counted from.
    pub fn columns() -> impl Iterator<Item = &'static str> {
        ["crossed"].into_iter().chain(REASONS.map(|(column, _)| column))
    }

    /// Counts some rows.
    pub fn of(rows: &DataFrame) -> PolarsResult<Self> {
        let mut found = Self { peers: rows.height() as u64, ..Self::default() };
        let crossed = truths(rows, "crossed")?;
        found.crossed = crossed.iter().map(|crossed| u64::from(*crossed)).sum();
        for ((past, others), (column, _)) in found.reasons.iter_mut().zip(REASONS) {
            for (has, crossed) in truths(rows, column)?.into_iter().zip(&crossed) {
                *if *crossed { &mut *past } else { &mut *others } += u64::from(has);
            }
        }
        Ok(found)
    }

    /// Adds others.
    pub fn add(&mut self, more: &Self) {
        self.peers += more.peers;
        self.crossed += more.crossed;
        for ((past, others), more) in self.reasons.iter_mut().zip(more.reasons) {
            (*past, *others) = (*past + more.0, *others + more.1);
        }
    }
}

/// Draws the table `flagged`.
pub fn draw(tables: &Tables) -> PolarsResult<Figure> {
    let mut found = Doubted::default();
    let columns: Vec<_> = Doubted::columns().collect();
    tables.read("flagged", &columns, Doubted::of, |part| found.add(&part))?;
    let all = found.peers as f64;
    if all == 0.0 {
        return Ok(Figure::without_data("flagged", TITLE, "No peer's counts had to be doubted."));
    }
    let bars: Vec<Bar> = REASONS
        .iter()
        .zip(found.reasons)
        .map(|((_, reason), (past, others))| bar(reason, past as f64, others as f64, all))
        .collect();
    let reasons: f64 = bars.iter().flat_map(|bar| &bar.parts).map(|part| part.value).sum();
    let subtitle = format!(
        "{}{}. {} would count without the flags.",
        counted_of(all, "peer"),
        if reasons > all { ", some for more than one reason" } else { "" },
        number_of(found.crossed, "confirmed download")
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
