//! `requests`: how trackers and other sources answered, as bars of answers and failures.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::bars::{Bar, Part, horizontal};
use super::frame::{counts, texts};
use super::sources_hourly;
use super::{Figure, axes::Key};
use crate::number::{count, counted, counted_of, percent};

/// Sources with a bar of their own.
const SHOWN: usize = 15;

const TITLE: &str = "How sources answered";

/// Draws the table `requests`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let mut asked: Vec<_> = asked(rows)?.into_iter().collect();
    let sum = |value: fn(&Answers) -> f64| -> f64 { asked.iter().map(|(_, answers)| value(answers)).sum() };
    let (ok, all) = (sum(|answers| answers.ok), sum(Answers::all));
    if all == 0.0 {
        return Ok(Figure::without_data("requests", TITLE, "No source was asked."));
    }
    asked.sort_by(|a, b| b.1.all().total_cmp(&a.1.all()).then_with(|| a.0.cmp(&b.0)));
    let which = if asked.len() > SHOWN {
        format!(" The {SHOWN} asked most, of {}.", count(asked.len() as u64))
    } else {
        String::new()
    };
    asked.truncate(SHOWN);
    let subtitle = format!(
        "{}, {} of them answered ({}).{which} Causes of failure stand in the table.",
        counted_of(all, "request"),
        counted(ok),
        percent(ok / all)
    );
    let bars: Vec<_> = asked.iter().map(|(name, answers)| bar(name, answers)).collect();
    let keys = [Key::new("c3", "answered"), Key::new("c2", "failed")];
    Ok(Figure::new("requests", TITLE, subtitle, |width| horizontal(&bars, &keys, "requests", width)))
}

#[derive(Clone, Debug, Default)]
struct Answers {
    ok: f64,
    failed: BTreeMap<String, f64>,
}

impl Answers {
    fn all(&self) -> f64 {
        self.ok + self.failed.values().sum::<f64>()
    }
}

/// Requests by whom they asked and what for.
fn asked(rows: &DataFrame) -> PolarsResult<BTreeMap<String, Answers>> {
    let sources = texts(rows, "source")?;
    let endpoints = texts(rows, "endpoint")?;
    let kinds = texts(rows, "kind")?;
    let outcomes = texts(rows, "outcome")?;
    let requests = counts(rows, "requests")?;
    let mut asked: BTreeMap<String, Answers> = BTreeMap::new();
    let columns = sources.into_iter().zip(endpoints).zip(kinds).zip(outcomes).zip(requests);
    for ((((source, endpoint), kind), outcome), requests) in columns {
        let answers = asked.entry(asked_for(source, endpoint, kind)).or_default();
        match outcome.as_deref() {
            Some("ok") => answers.ok += requests,
            other => {
                let cause = other.unwrap_or("unknown").replace('_', " ");
                *answers.failed.entry(cause).or_default() += requests;
            }
        }
    }
    Ok(asked)
}

/// Who was asked, and for what, which comes first: it must be seen where a long address is cut.
pub(super) fn asked_for(source: Option<String>, endpoint: Option<String>, kind: Option<String>) -> String {
    let whom = match endpoint.filter(|endpoint| !endpoint.is_empty()) {
        Some(endpoint) => endpoint,
        None => sources_hourly::name(&source.unwrap_or_default()),
    };
    let what = kind.map(|kind| kind.replace('_', " ")).unwrap_or_default();
    format!("{what}: {whom}")
}

fn bar(name: &str, answers: &Answers) -> Bar {
    let causes: Vec<_> =
        answers.failed.iter().map(|(cause, requests)| format!("{} {cause}", counted(*requests))).collect();
    let all = answers.all();
    let part = |class, value: f64, told: String| Part { class, value, tooltip: format!("{name}: {told}") };
    Bar {
        name: name.to_owned(),
        parts: vec![
            part("c3", answers.ok, format!("{} answered", counted(answers.ok))),
            part("c2", all - answers.ok, causes.join(", ")),
        ],
        note: format!("{} ({} ok)", counted(all), percent(answers.ok / all)),
    }
}
