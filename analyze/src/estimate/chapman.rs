//! How many peers there are, from two sources that overlap: Chapman's form of Lincoln–Petersen.
//!
//! Source 1 names `n1` peers, source 2 `n2`, both name `m` of them: `N = (n1 + 1)(n2 + 1) / (m + 1) − 1`, with variance
//! `(n1 + 1)(n2 + 1)(n1 − m)(n2 − m) / ((m + 1)²(m + 2))`. Assumes that the sources name peers independently and each
//! peer alike. Sources that share their peers (a tracker and the DHT of the same clients) overlap more than chance would
//! have it: biased low. Sources that divide them (IPv4 and IPv6, private torrents) overlap less: biased high.
//! Chapman 1951, Univ. Calif. Publ. Stat. 1, 131–160; variance: Seber 1970, Biometrics 26, 13–22.

use super::Unseen;

/// The estimator's name in the tables.
pub const METHOD: &str = "chapman";

/// In which direction it errs where its assumptions fail.
pub const BIAS: &str = "low: sources of the same clients overlap more than by chance";

/// The population; `None` where either source named nobody, or they share nobody: then it is not known at all.
pub fn estimate(first: u64, second: u64, both: u64) -> Option<Unseen> {
    if both == 0 || both > first || both > second {
        return None;
    }
    let (n1, n2, m) = (first as f64, second as f64, both as f64);
    let unseen = (n1 - m) * (n2 - m) / (m + 1.0);
    let variance = (n1 + 1.0) * (n2 + 1.0) * (n1 - m) * (n2 - m) / ((m + 1.0) * (m + 1.0) * (m + 2.0));
    Some(Unseen { seen: n1 + n2 - m, unseen, variance })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::simulation::{chance, coverage, generator};

    #[test]
    fn a_worked_example() {
        // Seber 1982, p. 60: 200 marked, 100 caught, 40 of them marked.
        let found = estimate(200, 100, 40).unwrap().estimate();
        assert!((found.value - (201.0 * 101.0 / 41.0 - 1.0)).abs() < 1e-9);
        assert!(found.low > 260.0 && found.low < found.value && found.value < found.high);
    }

    #[test]
    fn sources_that_name_the_same_leave_nobody() {
        let found = estimate(7, 7, 7).unwrap().estimate();
        assert_eq!((found.value, found.low, found.high), (7.0, 7.0, 7.0));
        assert_eq!(estimate(5, 5, 0), None);
        assert_eq!(estimate(0, 0, 0), None);
        assert_eq!(estimate(3, 4, 5), None);
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_claims() {
        let mut random = generator(1);
        coverage("chapman", || {
            let peers = 800;
            let (mut first, mut second, mut both) = (0, 0, 0);
            for _ in 0..peers {
                let (in_first, in_second) = (chance(&mut random, 0.45), chance(&mut random, 0.3));
                first += u64::from(in_first);
                second += u64::from(in_second);
                both += u64::from(in_first && in_second);
            }
            (f64::from(peers), estimate(first, second, both).map(Unseen::estimate))
        });
    }
}
