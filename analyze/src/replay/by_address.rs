//! What is told of addresses one by one, in parts by address: each part fits into memory, as a log names more addresses
//! than memory holds.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use polars::prelude::{DataFrame, IdxSize, IntoColumn as _, LazyFrame, NamedFrom as _, PolarsResult, Series};

use super::{rows::Address, spool::Spool};
use crate::figure::frame::take;

/// Parts; a week of reverse lookups at their default rate has some 200,000 addresses in each.
const PARTS: usize = 64;

/// Bytes of each part that are held in memory.
const PART_BYTES: usize = 256 << 10;

/// Rows that have an address, `ip`.
#[derive(Debug, Default)]
pub struct ByAddress {
    parts: Vec<Spool>,
}

impl ByAddress {
    /// Adds rows.
    pub fn push(&mut self, rows: &DataFrame) -> PolarsResult<()> {
        if rows.height() == 0 {
            return Ok(());
        }
        self.parts.resize_with(PARTS, || Spool::new(PART_BYTES));
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
        self.parts.resize_with(self.parts.len().max(others.parts.len()), || Spool::new(PART_BYTES));
        for (part, more) in self.parts.iter_mut().zip(others.parts) {
            part.append(more);
        }
    }

    /// The rows of each part; none of one without rows. What has one address is in parts with one number.
    pub fn parts(&self) -> PolarsResult<Vec<Option<LazyFrame>>> {
        let mut parts = self.parts.iter().map(Spool::lazy).collect::<PolarsResult<Vec<_>>>()?;
        parts.resize(PARTS, None);
        Ok(parts)
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
        let (mut one, mut other) = (ByAddress::default(), ByAddress::default());
        for step in 0..40 {
            let of = if step < 20 { &mut one } else { &mut other };
            of.push(&some(step * 1_000..step * 1_000 + 1_000)).unwrap();
        }
        one.settle().unwrap();
        one.append(other);
        let mut of_parts: Option<DataFrame> = None;
        let parts: Vec<LazyFrame> = one.parts().unwrap().into_iter().flatten().collect();
        assert_eq!(parts.len(), PARTS);
        for part in parts {
            match &mut of_parts {
                Some(all) => {
                    all.vstack_mut(&sums(part)).unwrap();
                }
                None => of_parts = Some(sums(part)),
            }
        }
        let of_parts = of_parts.unwrap().sort(["ip"], SortMultipleOptions::default()).unwrap();
        assert!(of_parts.equals(&sums(some(0..40_000).lazy())));
        assert_eq!(ByAddress::default().parts().unwrap().iter().flatten().count(), 0);
    }
}
