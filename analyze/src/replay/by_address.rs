//! What is told of addresses one by one, in parts by address: each part fits into memory, as a log names more addresses
//! than memory holds.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use polars::prelude::{DataFrame, IdxSize, IntoColumn as _, LazyFrame, NamedFrom as _, PolarsResult, Series};

use super::{rows::Address, spool::Spool};
use crate::figure::frame::take;

/// Parts; a week of reverse lookups at their default rate has some 200,000 addresses in each.
pub const PARTS: usize = 64;

/// Bytes of each part that are held in memory.
const PART_BYTES: usize = 256 << 10;

/// Rows that have an address, `ip`.
#[derive(Debug)]
pub struct ByAddress {
    parts: Vec<Spool>,
    part_bytes: usize,
}

impl Default for ByAddress {
    fn default() -> Self {
        Self::holding(PART_BYTES)
    }
}

impl ByAddress {
    /// No rows, of which so many bytes of each part are to be held in memory.
    fn holding(part_bytes: usize) -> Self {
        Self { parts: Vec::new(), part_bytes }
    }

    /// Adds rows.
    pub fn push(&mut self, rows: &DataFrame) -> PolarsResult<()> {
        if rows.height() == 0 {
            return Ok(());
        }
        self.parts.resize_with(PARTS, || Spool::new(self.part_bytes));
        let mut places: Vec<Vec<IdxSize>> = vec![Vec::new(); PARTS];
        for (ip, place) in rows.column("ip")?.str()?.iter().zip(0..) {
            if let Some(of_part) = places.get_mut(part(ip)) {
                of_part.push(place);
            }
        }
        for (part, places) in self.parts.iter_mut().zip(places) {
            part.push(take(rows, places)?)?;
        }
        Ok(())
    }

    /// Holds less in memory, where some of it is in files already.
    pub fn settle(&mut self) -> PolarsResult<()> {
        self.parts.iter_mut().try_for_each(Spool::settle)
    }

    /// Adds others.
    pub fn append(&mut self, others: Self) {
        self.parts.resize_with(self.parts.len().max(others.parts.len()), || Spool::new(self.part_bytes));
        for (part, more) in self.parts.iter_mut().zip(others.parts) {
            part.append(more);
        }
    }

    /// The rows of one of [`PARTS`]; `None` where there are none. What has one address is in parts with one number.
    pub fn read(&self, part: usize) -> PolarsResult<Option<DataFrame>> {
        let rows = self.parts.get(part).map(Spool::lazy).transpose()?.flatten();
        rows.map(LazyFrame::collect).transpose()
    }
}

/// The part that an address is in.
fn part(ip: Option<&str>) -> usize {
    let mut hasher = DefaultHasher::new();
    ip.hash(&mut hasher);
    usize::try_from(hasher.finish() % PARTS as u64).unwrap_or_default()
}

/// The peers of one torrent at an address.
#[derive(Clone, Copy, Debug)]
pub struct OfAddress {
    /// The address.
    pub ip: Address,
    /// All of them.
    pub peers: u64,
    /// Those that were contacted.
    pub contacted: u64,
    /// Confirmed downloads among them.
    pub confirmed: u64,
}

/// Rows with the columns `ip`, `peers`, `contacted_peers`, `confirmed_downloads`.
pub fn frame(found: &[OfAddress]) -> PolarsResult<DataFrame> {
    let count = |name: &str, read: fn(&OfAddress) -> u64| {
        Series::new(name.into(), found.iter().map(read).collect::<Vec<_>>()).into_column()
    };
    let ips: Vec<&str> = found.iter().map(|of| of.ip.as_str()).collect();
    DataFrame::new(
        found.len(),
        vec![
            Series::new("ip".into(), ips).into_column(),
            count("peers", |of| of.peers),
            count("contacted_peers", |of| of.contacted),
            count("confirmed_downloads", |of| of.confirmed),
        ],
    )
}

#[cfg(test)]
mod tests {
    use polars::prelude::{IntoLazy as _, SortMultipleOptions, col};

    use super::*;

    fn some(numbers: std::ops::Range<u64>) -> DataFrame {
        let found: Vec<OfAddress> = numbers
            .map(|number| {
                let ip = Address::new(format!("10.{}.{}.1", number % 7, number % 250).as_bytes());
                OfAddress { ip, peers: 1, contacted: number % 2, confirmed: number % 3 }
            })
            .collect();
        frame(&found).unwrap()
    }

    fn sums(rows: LazyFrame) -> DataFrame {
        let sums = ["peers", "contacted_peers", "confirmed_downloads"].map(|name| col(name).sum());
        let sums = rows.group_by([col("ip")]).agg(sums);
        sums.sort(["ip"], SortMultipleOptions::default()).collect().unwrap()
    }

    #[test]
    fn every_address_is_in_one_part() {
        let (mut one, mut other) = (ByAddress::holding(2_000), ByAddress::default());
        for step in 0..40 {
            let of = if step < 20 { &mut one } else { &mut other };
            of.push(&some(step * 1_000..step * 1_000 + 1_000)).unwrap();
        }
        one.settle().unwrap();
        one.append(other);
        assert!(one.parts.iter().all(Spool::is_spilled));
        let mut of_parts = sums(some(0..0).lazy());
        for part in 0..PARTS {
            of_parts.vstack_mut(&sums(one.read(part).unwrap().unwrap().lazy())).unwrap();
        }
        let of_parts = of_parts.sort(["ip"], SortMultipleOptions::default()).unwrap();
        assert!(of_parts.equals(&sums(some(0..40_000).lazy())));
        assert_eq!(ByAddress::default().read(0).unwrap(), None);
    }
}
