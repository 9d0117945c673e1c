//! What the tables are made of: the replay, and the log for tables of raw rows.

use std::collections::BTreeMap;

use polars::prelude::{
    DataFrame, DataType, Expr, IntoColumn, IntoLazy, JoinArgs, LazyFrame, NamedFrom, PolarsError,
    PolarsResult, Series, col, lit,
};

use crate::{
    figure::frame::{self, number_lists},
    geo::Geo,
    log::Log,
    quantiles::{
        by_group::{Found, at_ranks},
        interpolated, ranks_around,
    },
    replay::{Replay, Rules, identity::left_join, peers, spool::Spool, workers},
};

/// The info-hash of incoming contacts that failed before they named one.
pub const NO_INFO_HASH: &str = "0000000000000000000000000000000000000000";

/// What the tables are made of.
#[derive(Debug)]
pub struct Input<'a> {
    /// The log, for tables of raw rows.
    pub log: &'a Log,
    /// The rules in force.
    pub rules: &'a Rules,
    /// What the replay found.
    pub replay: &'a Replay,
    /// The peers that it found, if a table asked for is known to sum over them; see [`peers::COLUMNS`].
    peers: Option<&'a Spool>,
    /// Whether cities are known.
    pub has_cities: bool,
    /// Whether networks are known.
    pub has_networks: bool,
}

impl<'a> Input<'a> {
    /// How many peers there are.
    pub fn peers(&self) -> PolarsResult<usize> {
        Ok(self.kept_peers()?.height())
    }

    fn kept_peers(&self) -> PolarsResult<&'a Spool> {
        // Without them every sum would be 0.
        self.peers
            .ok_or_else(|| PolarsError::ComputeError("a table sums over peers, but none were kept".into()))
    }

    /// The peers in parts that fit into memory, one after the other in the order of torrents and addresses; at least one.
    pub fn parts(&self) -> PolarsResult<Vec<LazyFrame>> {
        let parts = self.kept_peers()?.parts()?;
        if parts.is_empty() { Ok(vec![peers::empty()?.lazy()]) } else { Ok(parts) }
    }

    /// Reads the peers part by part on all cores: `take` is given what `read` makes of each part, in order.
    pub fn read<R: Send>(
        &self,
        read: impl Fn(LazyFrame) -> PolarsResult<R> + Sync,
        mut take: impl FnMut(R),
    ) -> PolarsResult<()> {
        workers::in_order(
            &self.parts()?,
            |part| read(part.clone()),
            |found| {
                take(found);
                Ok(())
            },
        )
    }

    /// Named sums of numbers over the peers, by what `by` tells of them under names.
    pub fn sums(&self, by: &[(&str, Expr)], numbers: &[(&str, Expr)]) -> PolarsResult<LazyFrame> {
        let named = |(name, expr): &(&str, Expr)| expr.clone().alias(*name);
        let sum = |number: Expr| number.cast(DataType::UInt64).sum();
        let key: Vec<Expr> = by.iter().map(named).collect();
        let of_part: Vec<Expr> = numbers.iter().map(|number| sum(named(number))).collect();
        let sums_of: Vec<Expr> = numbers.iter().map(|(name, _)| sum(col(*name))).collect();
        let same_key: Vec<Expr> = by.iter().map(|(name, _)| col(*name)).collect();
        let all = frame::folded(
            &self.parts()?,
            |part| part.clone().group_by(&key).agg(&of_part).collect(),
            |sums| sums.lazy().group_by(&same_key).agg(&sums_of).collect(),
        )?;
        all.map(IntoLazy::lazy).ok_or_else(|| PolarsError::ComputeError("no part of the peers".into()))
    }

    /// What the replay found, and whether its places are known well enough for the tables of places.
    pub fn new(
        log: &'a Log,
        rules: &'a Rules,
        replay: &'a Replay,
        peers: Option<&'a Spool>,
        geo: &Geo,
    ) -> PolarsResult<Self> {
        let has_cities = geo.has_cities();
        let networks = replay.places.column("asn")?;
        let has_networks = geo.has_networks() || networks.null_count() < networks.len();
        Ok(Self { log, rules, replay, peers, has_cities, has_networks })
    }
}

/// Peers, confirmed downloads and speeds by the given columns of `places`.
pub fn by_place(input: &Input<'_>, by: &[&str]) -> PolarsResult<LazyFrame> {
    let key: Vec<_> = by.iter().map(|name| col(*name)).collect();
    let counts = input
        .replay
        .places
        .clone()
        .lazy()
        .group_by(key.clone())
        .agg([col("peers").sum(), col("contacted_peers").sum()]);
    let named: Vec<_> = by.iter().map(|name| (*name, col(*name))).collect();
    let confirmed = input.sums(&named, &[("confirmed_downloads", col("confirmed"))])?;
    let counts = counts.with_row_index(PLACE, None).collect()?;
    let speeds = speeds_by_place(input, &counts, by)?.lazy();
    let counts = counts.lazy();
    let rows = counts.join(confirmed, key.clone(), key.clone(), nulls_meet());
    let rows = rows.join(speeds, [col(PLACE)], [col(PLACE)], left_join());
    Ok(rows.with_column(col("confirmed_downloads").fill_null(lit(0_u64))))
}

fn nulls_meet() -> JoinArgs {
    JoinArgs { nulls_equal: true, ..left_join() }
}

/// The number of a place.
const PLACE: &str = "place";

/// The median of the mean speeds and the highest speed in each of some numbered places.
fn speeds_by_place(input: &Input<'_>, places: &DataFrame, by: &[&str]) -> PolarsResult<DataFrame> {
    const MEAN: &str = "mean_speed_bytes_per_s";
    const MAX: &str = "max_speed_bytes_per_s";
    let key: Vec<_> = by.iter().map(|name| col(*name)).collect();
    let numbered = places.clone().lazy().select([&key[..], &[col(PLACE)]].concat());
    let of_places = |part: LazyFrame| {
        let speeds = super::speeds::of_peers(part).group_by(key.clone()).agg([col(MEAN), col(MAX).max()]);
        let found = speeds.join(numbered.clone(), key.clone(), key.clone(), nulls_meet()).collect()?;
        let place = found.column(PLACE)?.cast(&DataType::UInt64)?;
        let columns =
            place.u64()?.iter().zip(number_lists(&found, MEAN)?).zip(found.column(MAX)?.f64()?.iter());
        Ok(columns.filter_map(|((place, means), max)| Some((place?, means, max))).collect::<Vec<_>>())
    };
    let mut highest: BTreeMap<u64, Option<f64>> = BTreeMap::new();
    let medians = at_ranks(
        |_, count| ranks_around(count, &[0.5]),
        |take| {
            input.read(of_places, |part| {
                for (place, means, max) in part {
                    let so_far = highest.entry(place).or_default();
                    *so_far = so_far.map_or(max, |so_far| Some(max.map_or(so_far, |max| max.max(so_far))));
                    take((None::<()>, place), means);
                }
            })
        },
    )?;
    let median = |found: &Found<f64>| interpolated(found.count, &[0.5], &found.values).first().copied();
    let medians_of = medians.values().map(median).collect::<Vec<_>>();
    let (places, highest): (Vec<u64>, Vec<Option<f64>>) = highest.into_iter().unzip();
    let columns = [
        Series::new(PLACE.into(), places).cast(&DataType::IDX_DTYPE)?,
        Series::new("median_speed_bytes_per_s".into(), medians_of),
        Series::new(MAX.into(), highest),
    ];
    DataFrame::new_infer_height(columns.map(IntoColumn::into_column).to_vec())
}

/// Adds `share`, the part of a count within its group.
pub fn with_share(rows: &DataFrame, count: &str, group: &[&str]) -> LazyFrame {
    let by: Vec<_> = group.iter().map(|name| col(*name)).collect();
    let all = rows.clone().lazy().group_by(by.clone()).agg([col(count).sum().alias("all")]);
    let share = col(count).cast(DataType::Float64) / col("all").cast(DataType::Float64);
    rows.clone().lazy().join(all, by.clone(), by, nulls_meet()).with_column(share.alias("share"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use polars::prelude::SortMultipleOptions;

    use super::*;

    /// Peers of two torrents, the first of which is in all parts but the last.
    fn some_peers(part: i64) -> DataFrame {
        let rows = part * 10..part * 10 + 10;
        let hash = |row: i64| if row < 45 { "a" } else { "b" };
        let country = |row: i64| ["SE", "FI", ""].into_iter().nth(usize::try_from(row % 4).unwrap());
        let columns = [
            Series::new("info_hash".into(), rows.clone().map(hash).collect::<Vec<_>>()),
            Series::new("country".into(), rows.clone().map(country).collect::<Vec<_>>()),
            Series::new("confirmed".into(), rows.clone().map(|row| row % 3 == 0).collect::<Vec<_>>()),
            Series::new("first_at".into(), rows.collect::<Vec<_>>()),
        ];
        DataFrame::new(10, columns.map(polars::prelude::IntoColumn::into_column).to_vec()).unwrap()
    }

    /// What is summed and listed of peers that are held in memory up to so many bytes.
    fn told(limit: usize) -> String {
        let mut peers = Spool::new(limit);
        for part in 0..6 {
            peers.push(some_peers(part)).unwrap();
        }
        assert_eq!(peers.parts().unwrap().len() > 1, limit == 1);
        let (log, rules) = (Log::default(), Rules::default());
        let replay = Replay::empty(DataFrame::empty()).unwrap();
        let input = Input::new(&log, &rules, &replay, Some(&peers), &Geo::default()).unwrap();
        let each = col("info_hash").is_not_null();
        let by = [("info_hash", col("info_hash")), ("place", col("country"))];
        let sums = input.sums(&by, &[("peers", each), ("confirmed_downloads", col("confirmed"))]).unwrap();
        let sums = sums.sort(["info_hash", "place"], SortMultipleOptions::default()).collect().unwrap();
        let mut firsts: Vec<(String, i64)> = Vec::new();
        let confirmed = |part: LazyFrame| {
            let rows = part.filter(col("confirmed")).collect()?;
            let hashes = rows.column("info_hash")?.str()?.iter().flatten().map(str::to_owned);
            Ok(hashes.zip(rows.column("first_at")?.i64()?.iter().flatten()).collect::<Vec<_>>())
        };
        input.read(confirmed, |part| firsts.extend(part)).unwrap();
        let mut text = String::new();
        for row in 0..sums.height() {
            writeln!(text, "{:?}", sums.get(row).unwrap()).unwrap();
        }
        write!(text, "{firsts:?}").unwrap();
        text
    }

    #[test]
    fn sums_and_what_is_read_are_the_same_of_parts_and_of_all() {
        let of_all = told(1 << 20);
        assert_eq!(told(1), of_all);
        let firsts: Vec<_> = (0..60).step_by(3).map(|row| (if row < 45 { "a" } else { "b" }, row)).collect();
        assert!(of_all.ends_with(&format!("{firsts:?}")), "{of_all}");
        // Of the 45 peers of the first torrent, 12 are in the first country, 4 of them confirmed.
        assert!(of_all.contains("[String(\"a\"), String(\"SE\"), UInt64(12), UInt64(4)]"), "{of_all}");
        assert!(of_all.contains("[String(\"a\"), Null, UInt64(11), UInt64(4)]"), "{of_all}");
    }
}
