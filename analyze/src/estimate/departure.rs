//! How fast peers leave once they are there: the rate of an exponential stay, from departures known to an interval.
//!
//! A peer that was last seen after `s` and found gone after `f` left in between; one that was only last seen stayed at
//! least `s`. The likelihood `Π_left (e^(−μs) − e^(−μf)) Π_staying e^(−μs)` has its maximum where
//! `Σ_left w / (e^(μw) − 1) = Σ s` with `w = f − s`; its curvature there is one over the variance. Assumes that staying
//! longer makes leaving neither likelier nor less so. Lindsey, Ryan 1998, Statistics in Medicine 17, 219–238.

use super::binned::Binned;

/// How long a peer stayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stay {
    /// It was there for at least so long.
    pub at_least: f64,
    /// It was gone by then; `None` where that was not seen.
    pub gone_by: Option<f64>,
}

/// The stays of many peers.
#[derive(Clone, Debug, Default)]
pub struct Stays {
    /// How long they were there together.
    exposure: f64,
    /// Between which times those were seen to leave that did.
    widths: Binned,
}

impl Stays {
    /// Adds one.
    pub fn add(&mut self, stay: &Stay) {
        self.exposure += stay.at_least.max(0.0);
        if let Some(gone_by) = stay.gone_by {
            self.widths.add((gone_by - stay.at_least).max(SHORTEST));
        }
    }

    /// The rate of leaving and its variance; a rate of 0 where nobody was seen to leave.
    pub fn rate(&self) -> (f64, f64) {
        let left = self.widths.count();
        if left == 0.0 {
            return (0.0, 0.0);
        }
        let score = |rate: f64| self.widths.sum(|width| width / (rate * width).exp_m1()) - self.exposure;
        let Some(rate) = super::detection::root(score, left) else { return (0.0, 0.0) };
        (rate, 1.0 / self.widths.sum(|width| curvature(rate, width)))
    }
}

/// `w² e^(μw) / (e^(μw) − 1)²`, the slope of `w / (e^(μw) − 1)` in the rate without its sign, for exponents of any size.
pub(super) fn curvature(rate: f64, width: f64) -> f64 {
    (width / (2.0 * (rate * width / 2.0).sinh())).powi(2)
}

/// The shortest interval a departure is known to, so that none is a point without a density.
const SHORTEST: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::{
        Estimate, Z95,
        simulation::{coverage, exponential, generator, uniform},
    };

    fn rate(stays: &[Stay]) -> (f64, f64) {
        let mut all = Stays::default();
        for stay in stays {
            all.add(stay);
        }
        all.rate()
    }

    #[test]
    fn exact_departures_give_the_ratio_of_departures_to_time() {
        let stays = [2.0, 3.0, 5.0].map(|at| Stay { at_least: at, gone_by: Some(at) });
        let staying = Stay { at_least: 10.0, gone_by: None };
        let (rate, variance) = rate(&[stays.as_slice(), &[staying]].concat());
        assert!((rate - 3.0 / 20.0).abs() < 1e-4, "{rate}");
        assert!((variance - 0.15 * 0.15 / 3.0).abs() < 1e-4, "{variance}");
        assert_eq!(self::rate(&[staying]), (0.0, 0.0));
        assert_eq!(self::rate(&[]), (0.0, 0.0));
        assert!(self::rate(&[Stay { at_least: 0.0, gone_by: Some(0.0) }]).0.is_finite());
    }

    #[test]
    fn the_curvature_is_a_number_for_exponents_of_any_size() {
        let direct =
            |rate: f64, width: f64| width * width * (rate * width).exp() / (rate * width).exp_m1().powi(2);
        for (rate, width) in [(1e-3, 2.0), (0.5, 3.0), (2.0, 40.0)] {
            assert!((curvature(rate, width) / direct(rate, width) - 1.0).abs() < 1e-9, "{rate} {width}");
        }
        for exponent in [690.0, 705.0, 709.5, 720.0, 1e4, 1e300] {
            assert!(curvature(1.0, exponent).is_finite() && curvature(1.0, exponent) < 1e-100, "{exponent}");
        }
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_claims() {
        let mut random = generator(6);
        coverage("departure", || {
            let stays: Vec<Stay> = (0..150)
                .map(|_| {
                    let (life, cut) = (exponential(&mut random, 0.5), uniform(&mut random, 1.0, 6.0));
                    // Looked at every 0.7; the last look may be before the cut.
                    let looks = (life.min(cut) / 0.7).floor();
                    let gone = (looks + 1.0) * 0.7;
                    Stay { at_least: looks * 0.7, gone_by: (life < cut && gone < cut).then_some(gone) }
                })
                .collect();
            let (rate, variance) = rate(&stays);
            let half = Z95 * variance.sqrt();
            (0.5, Some(Estimate { value: rate, low: rate - half, high: rate + half }))
        });
    }
}
