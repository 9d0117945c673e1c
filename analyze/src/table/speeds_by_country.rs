//! `speeds_by_country`: the distribution of speeds in each country.

use polars::prelude::{DataFrame, IntoColumn, IntoLazy, NamedFrom, PolarsResult, Series, col};

use super::{
    Input,
    definition::{Definition, Kind, column},
};
use crate::{
    figure::frame::number_lists,
    quantiles::{by_group::at_ranks, interpolated, ranks_around},
};

/// What `speeds_by_country` holds.
pub const DEFINITION: Definition = Definition {
    name: "speeds_by_country",
    title: "Speeds by country",
    about: "Quartiles of the peers' mean speeds in each country; quartiles interpolate linearly.",
    key: 1,
    columns: &[
        column("country", Kind::Text, "ISO 3166-1 alpha-2 code; empty where unknown."),
        column("peers", Kind::Count, "Peers with a measured speed."),
        column("min_speed_bytes_per_s", Kind::BytesPerSecond, "The slowest peer's mean speed."),
        column("q1_speed_bytes_per_s", Kind::BytesPerSecond, "First quartile of the mean speeds."),
        column("median_speed_bytes_per_s", Kind::BytesPerSecond, "Median of the mean speeds."),
        column("q3_speed_bytes_per_s", Kind::BytesPerSecond, "Third quartile of the mean speeds."),
        column("max_speed_bytes_per_s", Kind::BytesPerSecond, "The fastest peer's mean speed."),
    ],
};

const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// Quartiles of the mean speeds.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let read = |part| {
        let speed = col("mean_speed_bytes_per_s");
        let measured = super::speeds::of_peers(part).group_by([col("country")]).agg([speed]).collect()?;
        let countries = measured.column("country")?.str()?.iter().map(|country| country.map(str::to_owned));
        let speeds = number_lists(&measured, "mean_speed_bytes_per_s")?;
        Ok(countries.zip(speeds).collect::<Vec<_>>())
    };
    let found = at_ranks(
        |_, count| ranks_around(count, &SHARES),
        |take| {
            input.read(read, |countries| {
                for (country, speeds) in countries {
                    take((None::<()>, country), speeds);
                }
            })
        },
    )?;
    let (countries, counts): (Vec<_>, Vec<_>) =
        found.iter().map(|((_, country), found)| (country.as_deref(), found.count)).unzip();
    let quartiles: Vec<Vec<f64>> =
        found.values().map(|found| interpolated(found.count, &SHARES, &found.values)).collect();
    let mut columns = vec![Series::new("country".into(), countries), Series::new("peers".into(), counts)];
    for (place, column) in DEFINITION.columns.iter().skip(2).enumerate() {
        let values = quartiles.iter().map(|of_country| of_country.get(place).copied());
        columns.push(Series::new(column.name.into(), values.collect::<Vec<_>>()));
    }
    let columns = columns.into_iter().map(IntoColumn::into_column).collect();
    DEFINITION.finish(DataFrame::new(found.len(), columns)?.lazy())
}
