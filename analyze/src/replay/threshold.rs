//! The share of its pieces a peer must have to count, kept as a decimal so that 0.98 of 50 pieces is 49 and not 50.

use std::{fmt, str::FromStr};

/// Parts of a whole that a threshold is counted in.
const WHOLE: u64 = 1_000_000_000;

/// A share of the pieces, more than 0 and at most 1, with up to nine decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold {
    /// The share in billionths.
    billionths: u64,
}

impl Threshold {
    /// Parts of a whole that [`billionths`](Self::billionths) counts.
    pub const WHOLE: i64 = 1_000_000_000;

    /// The share in billionths.
    pub fn billionths(self) -> i64 {
        i64::try_from(self.billionths).unwrap_or(Self::WHOLE)
    }

    /// So many hundredths of the pieces; `None` for 0 or more than 100.
    pub fn percent(percent: u64) -> Option<Self> {
        (1..=100).contains(&percent).then_some(Self { billionths: percent * (WHOLE / 100) })
    }

    /// `ceil(threshold × piece_count)`, without rounding errors.
    pub fn pieces(self, piece_count: u32) -> u32 {
        let pieces = (u128::from(self.billionths) * u128::from(piece_count)).div_ceil(u128::from(WHOLE));
        u32::try_from(pieces).unwrap_or(piece_count)
    }

    /// The share as a float, for the tables.
    pub fn share(self) -> f64 {
        self.billionths as f64 / WHOLE as f64
    }
}

impl Default for Threshold {
    /// 0.98.
    fn default() -> Self {
        Self { billionths: 980_000_000 }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.billionths == WHOLE {
            return f.write_str("1");
        }
        let decimals = format!("{:09}", self.billionths);
        write!(f, "0.{}", decimals.trim_end_matches('0'))
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            if !digits(whole) || !digits(decimals) || decimals.len() > 9 || whole.len() + decimals.len() == 0
            {
                return None;
            }
            let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
            let billionths =
                whole.checked_mul(WHOLE)?.checked_add(format!("{decimals:0<9}").parse().ok()?)?;
            (1..=WHOLE).contains(&billionths).then_some(Self { billionths })
        };
        parse().ok_or_else(|| format!("`{text}` is no threshold; write a share of the pieces such as 0.98"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn threshold(text: &str) -> Threshold {
        text.parse().unwrap()
    }

    #[test]
    fn the_product_is_rounded_up_and_is_exact_where_floats_are_not() {
        assert_eq!(threshold("0.98").pieces(50), 49);
        assert_eq!(threshold("0.98").pieces(51), 50);
        assert_eq!(threshold("0.98").pieces(1), 1);
        assert_eq!(threshold("0.07").pieces(100), 7, "0.07 × 100 is 7.000000000000001 in floats");
        assert_eq!(threshold("1").pieces(u32::MAX), u32::MAX);
        assert_eq!(threshold("0.000000001").pieces(1000), 1);
    }

    #[test]
    fn texts_are_read_and_written() {
        for (text, written) in [("0.98", "0.98"), ("1", "1"), ("1.000", "1"), (".5", "0.5"), ("0.900", "0.9")]
        {
            assert_eq!(threshold(text).to_string(), written);
        }
        for text in ["", ".", "0", "1.1", "-0.5", "98", "98%", "0.9999999999", "NaN", "1e-1"] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_higher_threshold_never_asks_for_fewer_pieces(low in 1..=100_u64, high in 1..=100_u64, count: u32) {
            prop_assume!(low <= high);
            let (low, high) = (Threshold::percent(low).unwrap(), Threshold::percent(high).unwrap());
            prop_assert!(low.pieces(count) <= high.pieces(count));
            prop_assert!(high.pieces(count) <= count);
        }
    }
}
