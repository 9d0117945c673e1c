//! Estimators, one file each: formula, assumptions, direction of bias, citation, and a simulation with a known answer.
//!
//! Plain numbers in, an [`Estimate`] with a 95 % interval out; nothing here reads a log.

mod binned;
pub mod chao2;
pub mod chapman;
pub mod departure;
pub mod detection;
pub mod share;
pub mod survival;

#[cfg(test)]
mod simulation;

/// The 97.5 % point of the standard normal distribution: both sides together make 95 %.
pub const Z95: f64 = 1.959_963_984_540_054;

/// A value and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The point estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// What was seen for certain, and how much more there is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unseen {
    /// Certain.
    pub seen: f64,
    /// Estimated on top.
    pub unseen: f64,
    /// Variance of the latter.
    pub variance: f64,
}

impl Unseen {
    /// The sum, with the interval of a log-normal `unseen`, which never goes below what was seen (Chao 1987, Biometrics 43,
    /// 783–791).
    pub fn estimate(self) -> Estimate {
        let Self { seen, unseen, variance } = self;
        if unseen <= 0.0 || !variance.is_finite() {
            return Estimate { value: seen, low: seen, high: seen };
        }
        let spread = (Z95 * (1.0 + variance / (unseen * unseen)).ln().sqrt()).exp();
        Estimate { value: seen + unseen, low: seen + unseen / spread, high: seen + unseen * spread }
    }
}

impl std::iter::Sum for Unseen {
    /// Of separate populations, estimated independently.
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            seen: sum.seen + part.seen,
            unseen: sum.unseen + part.unseen,
            variance: sum.variance + part.variance,
        })
    }
}
