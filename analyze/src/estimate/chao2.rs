//! How many peers there are at least, from how often each was named over rounds: Chao's second estimator.
//!
//! Of `S` peers seen over `t` rounds, `q1` were seen in exactly one and `q2` in exactly two. Unseen are
//! `A q1 (q1 − 1) / (2 (q2 + 1))` with `A = (t − 1) / t`, the bias-corrected form. Assumes that rounds are alike and
//! independent; peers may differ. It is a lower bound: peers that are hard to see, and those that come and go within a
//! round, are more than it tells.
//! Chao 1987, Biometrics 43, 783–791; variance: Chao, Chiu, in Wiley's Statistics Reference 2016, eq. 6.

use super::Unseen;

/// The estimator's name in the tables.
pub const METHOD: &str = "chao2";

/// In which direction it errs where its assumptions fail.
pub const BIAS: &str = "low: a lower bound where peers differ in how often they are seen";

/// Peers by the number of rounds in which they were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incidence {
    /// Rounds that were held.
    pub rounds: u64,
    /// Peers seen in any round.
    pub seen: u64,
    /// Peers seen in exactly one.
    pub once: u64,
    /// Peers seen in exactly two.
    pub twice: u64,
}

/// The population; `None` with fewer than two rounds or without peers.
pub fn estimate(incidence: Incidence) -> Option<Unseen> {
    if incidence.rounds < 2 || incidence.seen == 0 {
        return None;
    }
    let (t, seen) = (incidence.rounds as f64, incidence.seen as f64);
    let (q1, q2) = (incidence.once as f64, incidence.twice as f64);
    let a = (t - 1.0) / t;
    let unseen = a * q1 * (q1 - 1.0) / (2.0 * (q2 + 1.0));
    let mut variance = unseen + a * a * q1 * (2.0 * q1 - 1.0).powi(2) / (4.0 * (q2 + 1.0).powi(2));
    if incidence.twice > 0 {
        variance += a * a * q1 * q1 * q2 * (q1 - 1.0).powi(2) / (4.0 * (q2 + 1.0).powi(4));
    } else {
        variance -= a * a * q1.powi(4) / (4.0 * (seen + unseen));
    }
    Some(Unseen { seen, unseen, variance: variance.max(0.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::simulation::{chance, coverage, generator};

    fn observe(seen_in: impl Iterator<Item = u64>, rounds: u64) -> Incidence {
        let mut incidence = Incidence { rounds, ..Incidence::default() };
        for times in seen_in {
            incidence.seen += u64::from(times > 0);
            incidence.once += u64::from(times == 1);
            incidence.twice += u64::from(times == 2);
        }
        incidence
    }

    #[test]
    fn without_singletons_everybody_was_seen() {
        let found = estimate(Incidence { rounds: 10, seen: 50, once: 0, twice: 4 }).unwrap().estimate();
        assert_eq!((found.value, found.low, found.high), (50.0, 50.0, 50.0));
        assert_eq!(estimate(Incidence { rounds: 1, seen: 50, once: 50, twice: 0 }), None);
        assert_eq!(estimate(Incidence::default()), None);
        let no_doubles = estimate(Incidence { rounds: 3, seen: 9, once: 9, twice: 0 }).unwrap().estimate();
        assert!(no_doubles.low >= 9.0 && no_doubles.high.is_finite());
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_claims() {
        let mut random = generator(2);
        let (peers, rounds) = (300_u64, 10);
        coverage("chao2", || {
            let times = (0..peers)
                .map(|_| (0..rounds).filter(|_| chance(&mut random, 0.15)).count() as u64)
                .collect::<Vec<_>>();
            (peers as f64, estimate(observe(times.into_iter(), rounds)).map(Unseen::estimate))
        });
    }

    #[test]
    fn where_peers_differ_it_is_a_lower_bound() {
        let mut random = generator(3);
        let (peers, rounds) = (600_u64, 12);
        let mut sum = 0.0;
        for _ in 0..40 {
            let times = (0..peers).map(|peer| {
                let shy = if peer % 2 == 0 { 0.03 } else { 0.3 };
                (0..rounds).filter(|_| chance(&mut random, shy)).count() as u64
            });
            let times: Vec<u64> = times.collect();
            sum += estimate(observe(times.into_iter(), rounds)).unwrap().estimate().value;
        }
        let mean = sum / 40.0;
        assert!(mean < peers as f64 && mean > 0.7 * peers as f64, "{mean}");
    }
}
