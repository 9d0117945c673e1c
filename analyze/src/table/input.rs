//! What the tables are made of: the replay, and the log for tables of raw rows.

use polars::prelude::{
    DataFrame, DataType, Expr, IntoLazy, LazyFrame, PolarsError, PolarsResult, UnionArgs, col, concat, lit,
};

use crate::{
    geo::Geo,
    log::Log,
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

    /// What `make` makes of the peers, part by part, in one frame: what is far smaller than all peers.
    pub fn of_parts(&self, make: impl Fn(LazyFrame) -> LazyFrame + Sync) -> PolarsResult<LazyFrame> {
        let found = workers::each(&self.parts()?, |part| make(part.clone()).collect())?;
        concat(found.into_iter().map(IntoLazy::lazy).collect::<Vec<_>>(), UnionArgs::default())
    }

    /// Named sums of numbers over the peers, by what `by` tells of them under names.
    pub fn sums(&self, by: &[(&str, Expr)], numbers: &[(&str, Expr)]) -> PolarsResult<LazyFrame> {
        let named = |(name, expr): &(&str, Expr)| expr.clone().alias(*name);
        let sum = |number: Expr| number.cast(DataType::UInt64).sum();
        let key: Vec<Expr> = by.iter().map(named).collect();
        let sums: Vec<Expr> = numbers.iter().map(|number| sum(named(number))).collect();
        let of_parts = self.of_parts(|part| part.group_by(&key).agg(&sums))?;
        let key: Vec<Expr> = by.iter().map(|(name, _)| col(*name)).collect();
        Ok(of_parts.group_by(key).agg(numbers.iter().map(|(name, _)| sum(col(*name))).collect::<Vec<_>>()))
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
    let nulls_meet = || polars::prelude::JoinArgs { nulls_equal: true, ..left_join() };
    let named: Vec<_> = by.iter().map(|name| (*name, col(*name))).collect();
    let confirmed = input.sums(&named, &[("confirmed_downloads", col("confirmed"))])?;
    let speeds = [col("mean_speed_bytes_per_s"), col("max_speed_bytes_per_s")];
    let shown = [&key[..], &speeds].concat();
    let speeds = input.of_parts(|part| super::speeds::of_peers(part).select(&shown))?;
    let speeds = speeds.group_by(key.clone()).agg([
        col("mean_speed_bytes_per_s").median().alias("median_speed_bytes_per_s"),
        col("max_speed_bytes_per_s").max(),
    ]);
    let rows = counts.join(confirmed, key.clone(), key.clone(), nulls_meet());
    let rows = rows.join(speeds, key.clone(), key, nulls_meet());
    Ok(rows.with_column(col("confirmed_downloads").fill_null(lit(0_u64))))
}

/// Adds `share`, the part of a count within its group.
pub fn with_share(rows: &DataFrame, count: &str, group: &[&str]) -> LazyFrame {
    let by: Vec<_> = group.iter().map(|name| col(*name)).collect();
    let all = rows.clone().lazy().group_by(by.clone()).agg([col(count).sum().alias("all")]);
    let nulls_meet = polars::prelude::JoinArgs { nulls_equal: true, ..left_join() };
    let share = col(count).cast(DataType::Float64) / col("all").cast(DataType::Float64);
    rows.clone().lazy().join(all, by.clone(), by, nulls_meet).with_column(share.alias("share"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use polars::prelude::{NamedFrom as _, Series, SortMultipleOptions};

    use super::*;
    use crate::table::by_torrent::{ByTorrent, grouped};

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
        let firsts = ByTorrent::of(&input, |part| {
            let rows = part.filter(col("confirmed")).collect()?;
            Ok(grouped(rows.column("info_hash")?.str()?.iter().zip(rows.column("first_at")?.i64()?.iter())))
        });
        let firsts = firsts.unwrap();
        let mut text = String::new();
        for row in 0..sums.height() {
            writeln!(text, "{:?}", sums.get(row).unwrap()).unwrap();
        }
        write!(text, "{:?} {:?}", firsts.values, firsts.iter().collect::<Vec<_>>()).unwrap();
        text
    }

    #[test]
    fn sums_and_lists_are_the_same_of_parts_and_of_all() {
        let of_all = told(1 << 20);
        assert_eq!(told(1), of_all);
        let confirmed: Vec<i64> = (0..60).step_by(3).collect();
        let (a, b) = confirmed.split_at(15);
        assert!(of_all.ends_with(&format!("{confirmed:?} [(\"a\", {a:?}), (\"b\", {b:?})]")), "{of_all}");
        // Of the 45 peers of the first torrent, 12 are in the first country, 4 of them confirmed.
        assert!(of_all.contains("[String(\"a\"), String(\"SE\"), UInt64(12), UInt64(4)]"), "{of_all}");
        assert!(of_all.contains("[String(\"a\"), Null, UInt64(11), UInt64(4)]"), "{of_all}");
    }
}
