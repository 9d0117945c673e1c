//! `contacts`: how contacts ended and how long they took.

mod tally;

use polars::prelude::{DataFrame, IntoColumn, NamedFrom, PolarsResult, Series};
use schema::table::ContactOutcome;

use self::tally::{Group, QUANTILES, Tally};
use super::{
    Input,
    definition::{Definition, Kind, column},
};
use crate::replay::{compute_error, rows::Address};

/// What `contacts` holds.
pub const DEFINITION: Definition = Definition {
    name: "contacts",
    title: "Contacts",
    about: "Contacts by direction, transport, encryption, first or later attempt, and outcome.",
    key: 5,
    columns: &[
        column("direction", Kind::Text, "`out`: we connected; `in`: the peer did."),
        column("transport", Kind::Text, "`tcp` or `utp`."),
        column("encryption", Kind::Text, "`plain` or `mse`."),
        column("attempt", Kind::Text, "`first` contact with the peer in this direction, or a `later` one."),
        column("outcome", Kind::Text, "How the contact ended, e.g. `refused`."),
        column("success", Kind::Truth, "Whether the peer's handshake was received."),
        column("contacts", Kind::Count, "Contacts that ended so."),
        column(
            "share",
            Kind::Share,
            "Their part of all contacts of this direction, transport, encryption and attempt.",
        ),
        column("median_connect_us", Kind::Microseconds, "Median time to the connection; empty where none."),
        column("p95_connect_us", Kind::Microseconds, "95th percentile of the same."),
        column("median_handshake_us", Kind::Microseconds, "Median time to the handshake; empty where none."),
        column("p95_handshake_us", Kind::Microseconds, "95th percentile of the same."),
        column("median_open_us", Kind::Microseconds, "Median time open after it; empty where none."),
        column("p95_open_us", Kind::Microseconds, "95th percentile of the same."),
    ],
};

/// Contacts by outcome; and the same by torrent, over directions, transports and encryptions (`info_hash`, `outcome`,
/// `contacts`, how many of them are `later` ones, `success`).
pub fn build(input: &Input<'_>) -> PolarsResult<(DataFrame, DataFrame)> {
    let tally = Tally::of(input.log, &input.rules.selection).map_err(|error| compute_error(&error))?;
    let group = ["direction", "transport", "encryption", "attempt"];
    let rows = DEFINITION.finish(super::with_share(&outcomes(&tally)?, "contacts", &group))?;
    Ok((rows, of_torrents(&tally)?))
}

fn outcomes<'a>(tally: &'a Tally) -> PolarsResult<DataFrame> {
    let groups = tally.groups();
    let text = |name: &str, read: &dyn Fn(&Group) -> Option<&'a str>| {
        Series::new(name.into(), groups.iter().map(read).collect::<Vec<_>>())
    };
    let mut columns = vec![
        text("direction", &|group| tally.text(group.direction)),
        text("transport", &|group| tally.text(group.transport)),
        text("encryption", &|group| tally.text(group.encryption)),
        text("attempt", &|group| Some(if group.later { "later" } else { "first" })),
        text("outcome", &|group| tally.text(group.outcome)),
        Series::new(
            "success".into(),
            groups.iter().map(|group| tally.text(group.outcome).map(has_handshake)).collect::<Vec<_>>(),
        ),
        Series::new("contacts".into(), groups.iter().map(|group| tally.contacts(group)).collect::<Vec<_>>()),
    ];
    for (place, (name, ..)) in QUANTILES.iter().enumerate() {
        let values = groups.iter().map(|group| tally.quantile(group, place).map(|value| value as f64));
        columns.push(Series::new((*name).into(), values.collect::<Vec<_>>()));
    }
    DataFrame::new_infer_height(columns.into_iter().map(IntoColumn::into_column).collect())
}

fn of_torrents(tally: &Tally) -> PolarsResult<DataFrame> {
    let torrents = tally.torrents();
    let outcome = |outcome: u32| tally.text(outcome);
    let columns = [
        Series::new(
            "info_hash".into(),
            torrents
                .iter()
                .map(|((info_hash, _), _)| info_hash.as_ref().map(Address::as_str))
                .collect::<Vec<_>>(),
        ),
        Series::new("outcome".into(), torrents.iter().map(|((_, of), _)| outcome(*of)).collect::<Vec<_>>()),
        Series::new("contacts".into(), torrents.iter().map(|(_, counts)| counts.0).collect::<Vec<_>>()),
        Series::new("later".into(), torrents.iter().map(|(_, counts)| counts.1).collect::<Vec<_>>()),
        Series::new(
            "success".into(),
            torrents.iter().map(|((_, of), _)| outcome(*of).map(has_handshake)).collect::<Vec<_>>(),
        ),
    ];
    DataFrame::new_infer_height(columns.into_iter().map(IntoColumn::into_column).collect())
}

fn has_handshake(outcome: &str) -> bool {
    outcome.parse().is_ok_and(ContactOutcome::has_handshake)
}
