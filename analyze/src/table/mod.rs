//! The result tables, one file each: what its columns mean and how it is made from the replayed log.
//!
//! [`TABLES`] lists them in the report's order; every [`polars::prelude::DataFrame`] in [`Tables`] has exactly the
//! columns of its [`Definition`], rows in one total order, so that a replay of the same log gives the same bytes.

pub mod cities;
pub mod clients;
pub mod confirmed_downloads;
pub mod confirmed_hourly;
pub mod contacts;
pub mod countries;
pub mod definition;
pub mod flagged;
pub mod health;
pub mod hostnames;
pub mod networks;
pub mod population;
pub mod requests;
pub mod seeders_hourly;
pub mod sessions;
pub mod sources;
pub mod sources_hourly;
pub mod speeds;
pub mod speeds_by_country;
pub mod summary;
pub mod thresholds;
pub mod trackers;
pub mod visits;

mod input;
mod kept;
mod streamed;

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

pub use definition::{Column, Definition, Kind};
pub use input::Input;
use input::{NO_INFO_HASH, by_place, with_share};
pub use kept::Kept;
use streamed::Rows;
pub use streamed::{Made, Streamed};

use crate::replay::{
    Needs, Whose,
    identity::{full_join, left_join},
    workers,
};

/// What the column `hour` of the tables over time says.
const HOUR_ABOUT: &str = "When the bucket of time begins: an hour, shorter in logs of less than six hours, or what `--bucket` says.";

/// Every result table, in the order of the report.
pub const TABLES: &[&Definition] = &[
    &summary::DEFINITION,
    &confirmed_downloads::DEFINITION,
    &confirmed_hourly::DEFINITION,
    &thresholds::DEFINITION,
    &flagged::DEFINITION,
    &population::DEFINITION,
    &seeders_hourly::DEFINITION,
    &trackers::DEFINITION,
    &speeds::DEFINITION,
    &speeds_by_country::DEFINITION,
    &countries::DEFINITION,
    &cities::DEFINITION,
    &networks::DEFINITION,
    &hostnames::DEFINITION,
    &sources::DEFINITION,
    &sources_hourly::DEFINITION,
    &requests::DEFINITION,
    &contacts::DEFINITION,
    &clients::DEFINITION,
    &visits::DEFINITION,
    &sessions::DEFINITION,
    &health::DEFINITION,
];

/// The definition of the table with this name.
pub fn find(name: &str) -> Option<&'static Definition> {
    TABLES.iter().copied().find(|definition| definition.name == name)
}

/// What the tables asked for need of the replay; `None` where they read raw rows only.
pub fn needs(wanted: &dyn Fn(&str) -> bool) -> Option<Needs> {
    let any = |names: &[&str]| names.iter().any(|name| wanted(name));
    let progress = any(&[
        "cities",
        "clients",
        "confirmed_downloads",
        "confirmed_hourly",
        "countries",
        "flagged",
        "hostnames",
        "networks",
        "population",
        "seeders_hourly",
        "sources",
        "speeds",
        "speeds_by_country",
        "summary",
        "thresholds",
    ]);
    let sightings = any(&[
        "cities",
        "countries",
        "hostnames",
        "networks",
        "population",
        "sessions",
        "sources",
        "sources_hourly",
        "summary",
    ]);
    let places = if any(&["cities", "countries", "networks"]) {
        Whose::Everybody
    } else if any(&["confirmed_downloads", "speeds", "speeds_by_country"]) {
        Whose::Told
    } else {
        Whose::Nobody
    };
    (progress || sightings || wanted("visits")).then_some(Needs {
        addresses: wanted("hostnames"),
        complete: any(&["clients", "summary"]),
        everyone: wanted("clients"),
        known: any(&[
            "cities",
            "countries",
            "hostnames",
            "networks",
            "population",
            "sources",
            "summary",
            "visits",
        ]),
        places,
        presence: any(&["sessions", "summary"]),
        programs: any(&["clients", "confirmed_downloads"]),
        progress,
        seeders: wanted("seeders_hourly"),
        sightings,
        thresholds: wanted("thresholds"),
    })
}

/// The result tables that were computed, by name.
///
/// A table that was not asked for (`--only`), or that needs a database the user did not give (`cities`, `networks`),
/// is absent.
#[derive(Debug, Default)]
pub struct Tables {
    made: BTreeMap<&'static str, Made>,
    of_torrents: BTreeMap<&'static str, DataFrame>,
}

impl Tables {
    /// The table's rows, where they are at hand: `None` also where they are in files, see [`read`](Self::read).
    pub fn get(&self, name: &str) -> Option<&DataFrame> {
        self.made.get(name)?.whole()
    }

    /// Whether the table was computed.
    pub fn has(&self, name: &str) -> bool {
        self.made.contains_key(name)
    }

    /// What a table of all torrents together counts, by torrent (`info_hash`): the page draws it, no file has it. `None`
    /// for tables that were not computed or know no more of single torrents than their rows.
    pub fn of_torrents(&self, name: &str) -> Option<&DataFrame> {
        self.of_torrents.get(name)
    }

    /// Adds what a table counts by torrent.
    pub fn insert_of_torrents(&mut self, definition: &'static Definition, rows: DataFrame) {
        self.of_torrents.insert(definition.name, rows);
    }

    /// Reads some columns of a table part by part, on all cores: `take` is given what `read` makes of each part, in order.
    pub fn read<R: Send>(
        &self,
        name: &str,
        columns: &[&str],
        read: impl Fn(&DataFrame) -> PolarsResult<R> + Sync,
        mut take: impl FnMut(R),
    ) -> PolarsResult<()> {
        let Some(made) = self.made.get(name) else { return Ok(()) };
        let parts: Vec<usize> = (0..made.part_count()).collect();
        let read = |part: &usize| read(&made.read_part(*part, columns)?);
        workers::in_order(&parts, read, |part| {
            take(part);
            Ok(())
        })
    }

    /// Adds a table whose rows are at hand, or replaces it.
    pub fn insert(&mut self, definition: &'static Definition, rows: DataFrame) {
        self.insert_made(definition, Made::Whole(rows));
    }

    /// Adds a table, or replaces it.
    pub fn insert_made(&mut self, definition: &'static Definition, made: Made) {
        self.made.insert(definition.name, made);
    }

    /// The computed tables in the order of the report.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Definition, &Made)> {
        TABLES.iter().filter_map(|definition| Some((*definition, self.made.get(definition.name)?)))
    }
}

/// Computes the tables whose names `wanted` tells; `rows` are those of tables with a row per peer.
pub fn build(
    input: &Input<'_>,
    rows: Vec<Rows>,
    wanted: &dyn Fn(&Definition) -> bool,
) -> PolarsResult<Tables> {
    type Build = fn(&Input<'_>) -> PolarsResult<DataFrame>;
    let builders: [(&'static Definition, Build); 18] = [
        (&summary::DEFINITION, summary::build),
        (&confirmed_hourly::DEFINITION, confirmed_hourly::build),
        (&thresholds::DEFINITION, thresholds::build),
        (&population::DEFINITION, population::build),
        (&seeders_hourly::DEFINITION, seeders_hourly::build),
        (&trackers::DEFINITION, trackers::build),
        (&speeds_by_country::DEFINITION, speeds_by_country::build),
        (&countries::DEFINITION, countries::build),
        (&cities::DEFINITION, cities::build),
        (&networks::DEFINITION, networks::build),
        (&hostnames::DEFINITION, hostnames::build),
        (&sources::DEFINITION, sources::build),
        (&sources_hourly::DEFINITION, sources_hourly::build),
        (&requests::DEFINITION, requests::build),
        (&clients::DEFINITION, clients::build),
        (&visits::DEFINITION, visits::build),
        (&sessions::DEFINITION, sessions::build),
        (&health::DEFINITION, health::build),
    ];
    let mut tables = Tables::default();
    for rows in rows {
        tables.insert_made(rows.definition, rows.made()?);
    }
    if wanted(&contacts::DEFINITION) {
        let (rows, of_torrents) = contacts::build(input)?;
        tables.insert(&contacts::DEFINITION, rows);
        tables.insert_of_torrents(&contacts::DEFINITION, of_torrents);
    }
    for (definition, build) in builders {
        let possible = match definition.name {
            "cities" => input.has_cities,
            "networks" => input.has_networks,
            _ => true,
        };
        if !possible || !wanted(definition) {
            continue;
        }
        let of_torrents: Option<Build> = match definition.name {
            "requests" => Some(requests::of_torrents),
            "sources" => Some(sources::of_torrents),
            _ => None,
        };
        if let Some(build) = of_torrents {
            tables.insert_of_torrents(definition, build(input)?);
        }
        tables.insert(definition, build(input)?);
    }
    Ok(tables)
}
