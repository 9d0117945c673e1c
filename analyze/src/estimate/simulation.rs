//! What the estimators' simulations share: seeded randomness, and the check of an interval's coverage.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Estimate;

/// Replications of a simulation.
const REPLICATIONS: u32 = 400;

pub fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub fn chance(random: &mut ChaCha8Rng, probability: f64) -> bool {
    random.random::<f64>() < probability
}

pub fn uniform(random: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * random.random::<f64>()
}

pub fn exponential(random: &mut ChaCha8Rng, rate: f64) -> f64 {
    -(1.0 - random.random::<f64>()).ln() / rate
}

/// Repeats an experiment that gives the truth and its estimate, and demands that the interval covers the truth in 95 %
/// of all cases: within three standard errors of so many replications, 92 % to 98 %.
pub fn coverage(what: &str, mut experiment: impl FnMut() -> (f64, Option<Estimate>)) {
    let (mut covered, mut ratio) = (0, 0.0);
    for _ in 0..REPLICATIONS {
        let (truth, estimate) = experiment();
        let estimate = estimate.expect("an estimate");
        covered += u32::from(estimate.low <= truth && truth <= estimate.high);
        ratio += estimate.value / truth;
    }
    let share = f64::from(covered) / f64::from(REPLICATIONS);
    let tolerance = 3.0 * (0.95 * 0.05 / f64::from(REPLICATIONS)).sqrt();
    println!("{what}: covered {share}, mean estimate ÷ truth {}", ratio / f64::from(REPLICATIONS));
    assert!((share - 0.95).abs() <= tolerance, "{what} covers the truth in {share} of all cases");
}
