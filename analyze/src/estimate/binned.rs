//! Positive times in bins a thousandth as wide as they are: what depends smoothly on very many of them is told by the mean
//! of each bin, to within a ten-millionth.

use crate::{dense::Dense, quantiles::bucket};

/// How many times are in each bin, and their sum.
#[derive(Clone, Debug, Default)]
pub struct Binned(Dense<(u64, f64)>);

impl Binned {
    /// Adds a time.
    pub fn add(&mut self, time: f64) {
        const BITS: u32 = 10;
        self.0.change(bucket(time, BITS), |(count, sum)| {
            *count += 1;
            *sum += time;
        });
    }

    /// The sum of a function over all times.
    pub fn sum(&self, of: impl Fn(f64) -> f64) -> f64 {
        let bins = self.0.iter().map(|(_, bin)| *bin).filter(|(count, _)| *count > 0);
        bins.map(|(count, sum)| count as f64 * of(sum / count as f64)).sum()
    }

    /// How many times there are.
    pub fn count(&self) -> f64 {
        self.sum(|_| 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::simulation::{exponential, generator};

    #[test]
    fn sums_are_those_of_single_times() {
        let mut random = generator(8);
        let times: Vec<f64> = (0..20_000).map(|_| exponential(&mut random, 1e-3)).collect();
        let mut binned = Binned::default();
        for time in &times {
            binned.add(*time);
        }
        let smooth: [fn(f64) -> f64; 4] =
            [|_| 1.0, |time| time, |time| time / (time * 2e-3).exp_m1(), |time| (-time / 50.0).exp()];
        for of in smooth {
            let (told, exact) = (binned.sum(of), times.iter().copied().map(of).sum::<f64>());
            assert!((told / exact - 1.0).abs() < 1e-7, "{told} {exact}");
        }
    }
}
