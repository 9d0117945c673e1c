//! Exact quantiles of very many whole numbers in little memory: first how many lie where, then what lies where they are.

use std::collections::BTreeMap;

/// Bits of a number that tell its bucket, besides its magnitude.
const BITS: u32 = 10;

/// The bucket of a number: one each up to 1,023, a thousandth as wide as their numbers beyond, and one for all below zero.
/// Higher numbers are in no lower bucket.
pub fn bucket(value: i64) -> usize {
    let Ok(number) = u64::try_from(value) else { return 0 };
    let magnitude = (u64::BITS - number.leading_zeros()).saturating_sub(BITS + 1);
    let within = (number >> magnitude) & ((1 << (BITS + 1)) - 1);
    1 + usize::try_from((u64::from(magnitude) << BITS) + within).unwrap_or(usize::MAX - 1)
}

/// How many numbers lie in each bucket.
#[derive(Clone, Debug, Default)]
pub struct Spread(Vec<u64>);

impl Spread {
    /// Counts a number.
    pub fn add(&mut self, value: i64) {
        let bucket = bucket(value);
        if bucket >= self.0.len() {
            self.0.resize(bucket + 1, 0);
        }
        if let Some(count) = self.0.get_mut(bucket) {
            *count += 1;
        }
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum += count;
        }
    }

    /// Where the quantile lies, which is a number that was counted: that of rank `share * (n - 1)`, rounded. `None` where
    /// nothing was counted.
    pub fn locate(&self, share: f64) -> Option<Sought> {
        let all: u64 = self.0.iter().sum();
        let rank = crate::number::whole((all.checked_sub(1)? as f64 * share).round()).unsigned_abs();
        let mut below = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            if rank < below + count {
                return Some(Sought { bucket, rank: rank - below, values: BTreeMap::new() });
            }
            below += count;
        }
        None
    }
}

/// A quantile whose bucket is known.
#[derive(Clone, Debug)]
pub struct Sought {
    bucket: usize,
    /// Its place among the numbers of the bucket.
    rank: u64,
    /// How often each number of the bucket was seen.
    values: BTreeMap<i64, u64>,
}

impl Sought {
    /// Looks at a number.
    pub fn add(&mut self, value: i64) {
        if bucket(value) == self.bucket {
            *self.values.entry(value).or_default() += 1;
        }
    }

    /// Adds what another one saw.
    pub fn merge(&mut self, other: &Self) {
        for (value, count) in &other.values {
            *self.values.entry(*value).or_default() += count;
        }
    }

    /// The quantile, once every number was looked at again.
    pub fn found(&self) -> Option<i64> {
        let mut below = 0;
        let reached = |(_, count): &(&i64, &u64)| {
            below += **count;
            self.rank < below
        };
        self.values.iter().find(reached).map(|(value, _)| *value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buckets_are_in_the_order_of_their_numbers(one: i64, other: i64, small in 0..5_000_i64) {
            prop_assert!(one > other || bucket(one) <= bucket(other));
            prop_assert!(bucket(small) <= bucket(small + 1));
            prop_assert!(small >= 2_047 || bucket(small) < bucket(small + 1));
        }

        #[test]
        fn quantiles_are_those_of_the_sorted_numbers(
            mut values in proptest::collection::vec(prop_oneof![any::<i64>(), -5..5_000_i64, Just(10_000_000)], 0..300),
            cut in 0..300_usize,
            share in prop_oneof![Just(0.5), Just(0.95), 0.0..=1.0_f64],
        ) {
            let (one, other) = values.split_at(cut.min(values.len()));
            let spread = |values: &[i64]| {
                let mut spread = Spread::default();
                for value in values {
                    spread.add(*value);
                }
                spread
            };
            let mut all = spread(one);
            all.merge(&spread(other));
            let found = all.locate(share).map(|sought| {
                let [mut first, mut second] = [sought.clone(), sought];
                for value in one {
                    first.add(*value);
                }
                for value in other {
                    second.add(*value);
                }
                first.merge(&second);
                first.found().unwrap()
            });
            values.sort_unstable();
            let rank = crate::number::whole_usize(((values.len().max(1) - 1) as f64 * share).round());
            prop_assert_eq!(found, values.get(rank).copied());
        }
    }
}
