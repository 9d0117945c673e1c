//! Exact quantiles of very many numbers in little memory: first how many lie where, then what lies where they are.

pub mod by_group;

use std::collections::BTreeMap;

use crate::{dense::Dense, number::whole};

/// A number with an order, and buckets in the same order.
pub trait Number: Copy {
    /// Its key: keys are in the order of the numbers.
    fn key(self) -> i64;
    /// The number of a key.
    fn of_key(key: i64) -> Self;
    /// Its bucket: one each of small whole numbers, and of others a part as wide as they are large. Higher numbers are in
    /// no lower bucket; those below zero are all in the lowest one.
    fn bucket(self) -> usize;
}

/// Whole numbers: one bucket each up to 1,023, a thousandth as wide as their numbers beyond.
impl Number for i64 {
    fn key(self) -> i64 {
        self
    }

    fn of_key(key: i64) -> Self {
        key
    }

    fn bucket(self) -> usize {
        const BITS: u32 = 10;
        let Ok(number) = u64::try_from(self) else { return 0 };
        let magnitude = (u64::BITS - number.leading_zeros()).saturating_sub(BITS + 1);
        let within = (number >> magnitude) & ((1 << (BITS + 1)) - 1);
        1 + usize::try_from((u64::from(magnitude) << BITS) + within).unwrap_or(usize::MAX - 1)
    }
}

/// Buckets a sixty-fourth as wide as their numbers, and one for all below 1: many groups of numbers may be counted at once.
impl Number for f64 {
    fn key(self) -> i64 {
        let bits = self.to_bits().cast_signed();
        // All bits of a negative number but its sign are in the opposite order.
        bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
    }

    fn of_key(key: i64) -> Self {
        let bits = key ^ ((key >> 63).cast_unsigned() >> 1).cast_signed();
        Self::from_bits(bits.cast_unsigned())
    }

    fn bucket(self) -> usize {
        if self < 1.0 { 0 } else { bucket(self, 6) }
    }
}

/// The bucket of a number whose buckets are two to the power of minus `bits` as wide as it is; 0 of those below zero.
pub fn bucket(value: f64, bits: u32) -> usize {
    let key = value.key();
    if key < 0 {
        0
    } else {
        1 + usize::try_from(key >> (f64::MANTISSA_DIGITS - 1 - bits)).unwrap_or(usize::MAX - 1)
    }
}

/// How many numbers lie in each bucket.
#[derive(Clone, Debug, Default)]
pub struct Spread(Dense<u64>);

impl Spread {
    /// Counts a number.
    pub fn add(&mut self, value: impl Number) {
        self.0.change(value.bucket(), |count| *count += 1);
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, more) in other.0.iter().filter(|(_, more)| **more > 0) {
            self.0.change(bucket, |count| *count += more);
        }
    }

    /// How many numbers were counted.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Where the numbers at these ranks lie, the lowest being at rank 0.
    pub fn seek(&self, ranks: &[u64]) -> Sought {
        let mut sought = Sought::default();
        for rank in ranks {
            let mut below = 0;
            let place = self.0.iter().find_map(|(bucket, count)| {
                below += count;
                (*rank < below).then(|| (bucket, rank + count - below))
            });
            sought.places.push(place);
            sought.buckets.extend(place.map(|(bucket, _)| (bucket, BTreeMap::new())));
        }
        sought
    }
}

/// Numbers at ranks whose buckets are known.
#[derive(Clone, Debug, Default)]
pub struct Sought {
    /// Of each rank the bucket, and the rank within it; `None` where so many numbers were not counted.
    places: Vec<Option<(usize, u64)>>,
    /// How often each number of these buckets was seen, by key.
    buckets: BTreeMap<usize, BTreeMap<i64, u64>>,
}

impl Sought {
    /// Looks at a number.
    pub fn add(&mut self, value: impl Number) {
        if let Some(seen) = self.buckets.get_mut(&value.bucket()) {
            *seen.entry(value.key()).or_default() += 1;
        }
    }

    /// Adds what another one saw.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, seen) in &other.buckets {
            let all = self.buckets.entry(*bucket).or_default();
            for (key, count) in seen {
                *all.entry(*key).or_default() += count;
            }
        }
    }

    /// The number at each rank, once every number was looked at again.
    pub fn found<T: Number>(&self) -> Vec<Option<T>> {
        let find = |(bucket, rank): (usize, u64)| {
            let mut below = 0;
            let reached = |(_, count): &(&i64, &u64)| {
                below += **count;
                rank < below
            };
            self.buckets.get(&bucket)?.iter().find(reached).map(|(key, _)| T::of_key(*key))
        };
        self.places.iter().map(|place| place.and_then(find)).collect()
    }
}

/// The rank next to a quantile of so many numbers; `None` of none.
pub fn nearest_rank(count: u64, share: f64) -> Option<u64> {
    Some(whole((count.checked_sub(1)? as f64 * share).round()).unsigned_abs())
}

/// The two ranks between which each quantile of so many numbers lies; see [`interpolated`].
pub fn ranks_around(count: u64, shares: &[f64]) -> Vec<u64> {
    let place = |share: f64| count.saturating_sub(1) as f64 * share;
    let rank = |place: f64| whole(place).unsigned_abs();
    shares.iter().flat_map(|share| [rank(place(*share).floor()), rank(place(*share).ceil())]).collect()
}

/// Quantiles from the numbers at [`ranks_around`] them, interpolated linearly (type 7 of Hyndman, Fan 1996, The American
/// Statistician 50, 361–365).
pub fn interpolated(count: u64, shares: &[f64], at_ranks: &[f64]) -> Vec<f64> {
    let between = |(share, ends): (&f64, &[f64; 2])| {
        let [lower, upper] = *ends;
        if lower.total_cmp(&upper).is_eq() {
            return lower;
        }
        (count.saturating_sub(1) as f64 * share).fract() * (upper - lower) + lower
    };
    shares.iter().zip(at_ranks.as_chunks().0).map(between).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spread<T: Number>(values: &[T]) -> Spread {
        let mut spread = Spread::default();
        for value in values {
            spread.add(*value);
        }
        spread
    }

    /// The numbers at some ranks, counted and looked at in two parts.
    fn at_ranks<T: Number>(values: &[T], cut: usize, ranks: &[u64]) -> Vec<Option<T>> {
        let (one, other) = values.split_at(cut.min(values.len()));
        let mut all = spread(one);
        all.merge(&spread(other));
        assert_eq!(all.count(), values.len() as u64);
        let [mut first, mut second] = [all.seek(ranks), all.seek(ranks)];
        for value in one {
            first.add(*value);
        }
        for value in other {
            second.add(*value);
        }
        first.merge(&second);
        first.found()
    }

    proptest! {
        #[test]
        fn buckets_are_in_the_order_of_their_numbers(one: i64, other: i64, small in 0..5_000_i64) {
            prop_assert!(one > other || one.bucket() <= other.bucket());
            prop_assert!(small.bucket() <= (small + 1).bucket());
            prop_assert!(small >= 2_047 || small.bucket() < (small + 1).bucket());
        }

        #[test]
        fn keys_and_buckets_are_in_the_order_of_floats(one: f64, other: f64) {
            prop_assert_eq!(f64::of_key(one.key()).to_bits(), one.to_bits());
            prop_assert_eq!(one.key().cmp(&other.key()), one.total_cmp(&other));
            prop_assert!(one.total_cmp(&other).is_gt() || one.bucket() <= other.bucket());
        }

        #[test]
        fn what_is_found_is_at_its_rank_among_the_sorted_numbers(
            mut values in proptest::collection::vec(prop_oneof![any::<i64>(), -5..5_000_i64, Just(10_000_000)], 0..300),
            cut in 0..300_usize,
            ranks in proptest::collection::vec(0..310_u64, 0..8),
        ) {
            let found = at_ranks(&values, cut, &ranks);
            let mut floats: Vec<f64> = values.iter().map(|value| *value as f64 / 7.0).collect();
            let floats_found = at_ranks(&floats, cut, &ranks);
            values.sort_unstable();
            floats.sort_unstable_by(f64::total_cmp);
            for ((rank, found), float) in ranks.iter().zip(found).zip(floats_found) {
                let rank = usize::try_from(*rank).unwrap();
                prop_assert_eq!(found, values.get(rank).copied());
                prop_assert_eq!(float.map(f64::to_bits), floats.get(rank).map(|float| float.to_bits()));
            }
        }
    }

    #[test]
    fn quantiles_interpolate() {
        let quantile = |sorted: &[f64], share: f64| {
            let count = sorted.len() as u64;
            let around = ranks_around(count, &[share]);
            let around: Vec<f64> = around
                .iter()
                .filter_map(|rank| sorted.get(usize::try_from(*rank).unwrap()).copied())
                .collect();
            interpolated(count, &[share], &around).first().copied()
        };
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 10.0], 0.75), Some(4.75));
        assert_eq!(quantile(&[1.0, 2.0, 4.0, 9.0], 0.5), Some(3.0));
        assert_eq!(quantile(&[7.0], 0.25), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!((nearest_rank(0, 0.5), nearest_rank(101, 0.95)), (None, Some(95)));
    }
}
