//! A share of a whole of which a sample was seen: Wilson's score interval.
//!
//! `p = k / n`; the interval holds every share whose score test does not reject `k` of `n` at 5 %:
//! `(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)`. Assumes that those seen are a fair sample of the whole. Keeps
//! within 0 and 1 and is sound for few and for none. Wilson 1927, J. Am. Stat. Assoc. 22, 209–212.

use super::{Estimate, Z95};

/// The estimator's name in the tables.
pub const METHOD: &str = "wilson";

/// `part` of `whole`; `None` of an empty whole.
pub fn estimate(part: u64, whole: u64) -> Option<Estimate> {
    if whole == 0 || part > whole {
        return None;
    }
    let (n, z) = (whole as f64, Z95);
    let p = part as f64 / n;
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / (1.0 + z * z / n);
    // Rounding must not put the ends beyond what a share can be.
    let low = if part == 0 { 0.0 } else { (middle - half).max(0.0) };
    let high = if part == whole { 1.0 } else { (middle + half).min(1.0) };
    Some(Estimate { value: p, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::simulation::{chance, coverage, generator};

    #[test]
    fn the_ends_are_shares() {
        assert_eq!(estimate(0, 0), None);
        assert_eq!(estimate(2, 1), None);
        let none = estimate(0, 10).unwrap();
        assert_eq!((none.value, none.low), (0.0, 0.0));
        assert!((none.high - 0.2775).abs() < 1e-3, "{none:?}");
        assert_eq!(estimate(10, 10).map(|all| (all.value, all.high)), Some((1.0, 1.0)));
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_claims() {
        let mut random = generator(4);
        coverage("wilson", || {
            let reached = (0..150).filter(|_| chance(&mut random, 0.3)).count() as u64;
            (0.3, estimate(reached, 150))
        });
    }
}
