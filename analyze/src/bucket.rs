//! How long the buckets of the tables over time are where nobody says: the time that a log covers → a length.
//!
//! An hour, unless the log is so short that hours would tell nothing of its course. Times are microseconds.

use crate::time::SECOND_US;

/// The bucket of every log that is not short.
pub const HOUR_US: i64 = 3_600 * SECOND_US;

/// A log that covers so much has enough hours.
const LONG_US: i64 = 6 * HOUR_US;

/// Buckets that a short log has at least, but for the shortest.
const ENOUGH: i64 = 12;

/// Lengths for short logs, the longest first.
const SHORTER_US: [i64; 5] =
    [600 * SECOND_US, 300 * SECOND_US, 60 * SECOND_US, 10 * SECOND_US, 5 * SECOND_US];

/// The length for a log whose first and last row are at these times; an hour where it has no rows.
pub fn fitting(span: Option<(i64, i64)>) -> i64 {
    let Some(length) = span.map(|(first, last)| last.saturating_sub(first)) else { return HOUR_US };
    if length >= LONG_US {
        return HOUR_US;
    }
    let enough = SHORTER_US.into_iter().find(|bucket| length / bucket >= ENOUGH);
    enough.unwrap_or(5 * SECOND_US)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(length: i64) -> i64 {
        fitting(Some((1_000 * SECOND_US, (1_000 + length) * SECOND_US))) / SECOND_US
    }

    #[test]
    fn a_short_log_has_a_dozen_buckets_and_a_long_one_hours() {
        assert_eq!([0, 44, 60, 119, 120, 719].map(seconds), [5, 5, 5, 5, 10, 10]);
        assert_eq!([720, 3_599, 3_600, 7_199, 7_200].map(seconds), [60, 60, 300, 300, 600]);
        assert_eq!([6 * 3_600 - 1, 6 * 3_600, 400 * 86_400].map(seconds), [600, 3_600, 3_600]);
        assert_eq!(fitting(None), HOUR_US);
    }

    proptest! {
        #[test]
        fn a_longer_log_never_has_shorter_buckets(first: i64, one in 0..200_000_i64, more in 0..200_000_i64) {
            let at = |length: i64| fitting(Some((first, first.saturating_add(length * SECOND_US))));
            prop_assert!(at(one) <= at(one + more));
        }

        #[test]
        fn no_span_is_too_much(first: i64, last: i64) {
            let bucket = fitting(Some((first, last)));
            prop_assert!((5 * SECOND_US..=HOUR_US).contains(&bucket));
        }
    }
}
