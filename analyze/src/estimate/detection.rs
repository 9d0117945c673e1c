//! How many downloads there were, seen and unseen: Horvitz and Thompson's sum over the confirmed ones.
//!
//! A download is confirmed if the peer was seen below the threshold and, before it left, at or above it:
//! `N = Σ 1 / (b a)` over the confirmed downloads.
//!
//! - `b = 1 − e^(−λD)`: the peer was found before it crossed. `D` is the time from its arrival (or from the capture's
//!   beginning) to the crossing; `λ` the rate at which peers are found, the maximum of the likelihood of the delays `L`
//!   seen, which are cut off at each peer's `D`: `Σ 1/λ − L − D / (e^(λD) − 1) = 0`.
//! - `a = e^(−μW)`: the peer was still there at the first visit after its crossing, `W` later; 1 where the crossing was
//!   seen live, `(1 − e^(−μu)) / (μu)` where it lies anywhere in the gap `u` between two visits. `μ` is the rate of
//!   leaving, see [`super::departure`].
//!
//! Arrival and crossing lie on the line through the observations below the threshold; a peer with only one takes as long
//! as the others do on average, or as half its gap allows if that is less. A download that is resumed begins above the
//! line's foot: its arrival is not before what the caller knows (the answer before the one that named it).
//!
//! The variance is that of the thinning, `Σ (1 − p) / p²` with `p = a b`, and by the delta method that of `λ` and `μ`; the
//! interval is that of a log-normal number of unseen downloads. Assumes exponential delays and stays, steady speed, and
//! visits that do not depend on when a peer leaves. Biased low: peers nobody can connect to are in no sum, nor are
//! crossings just before the capture's end. Biased high by resumed downloads whose arrival nothing bounds.
//! Horvitz, Thompson 1952, J. Am. Stat. Assoc. 47, 663–685; with estimated probabilities: Borchers et al. 1998,
//! Biometrics 54, 1207–1220; truncated delays: Kalbfleisch, Lawless 1989, J. Am. Stat. Assoc. 84, 360–372.

use super::{
    Estimate, Unseen,
    binned::Binned,
    departure::{Stay, Stays, curvature},
};

/// The estimator's name in the tables.
pub const METHOD: &str = "horvitz_thompson";

/// In which direction it errs where its assumptions fail.
pub const BIAS: &str = "low: peers that cannot be reached at all are not in it";

/// How one confirmed download was watched. Times in one unit, any; shares are of the threshold's pieces, below 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pattern {
    /// Before this the peer was not there, or the swarm not watched.
    pub earliest_at: f64,
    /// The first known observation.
    pub first_at: f64,
    /// What the peer had then.
    pub first_share: f64,
    /// The last observation below the threshold.
    pub below_at: f64,
    /// What the peer had then.
    pub below_share: f64,
    /// The first observation at or above the threshold.
    pub confirmed_at: f64,
    /// Whether the last two were made in one contact, so that the crossing itself was seen.
    pub live: bool,
    /// How long the peer stayed after it was confirmed.
    pub stay: Stay,
}

/// How much of a download could be seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// From its arrival, or the watch's beginning, to its first observation.
    delay: f64,
    /// From the same to the crossing.
    window: f64,
    after: After,
}

/// How the first observation after the crossing was made.
#[derive(Clone, Copy, Debug)]
enum After {
    /// So long after the crossing; 0 where it was seen live.
    Known(f64),
    /// At the end of a gap that holds the crossing.
    Within(f64),
}

impl Pattern {
    /// When the threshold was crossed, where the observations tell.
    fn crossed_at(&self) -> Option<f64> {
        if self.live {
            return Some(self.confirmed_at);
        }
        let (gain, time) = (self.below_share - self.first_share, self.below_at - self.first_at);
        (gain > 0.0 && time > 0.0)
            .then(|| (self.below_at + (1.0 - self.below_share) * time / gain).min(self.confirmed_at))
    }

    /// How long the whole download took, where the observations tell.
    fn duration(&self) -> Option<f64> {
        Some((self.crossed_at()? - self.first_at) / (1.0 - self.first_share))
            .filter(|duration| duration.is_finite() && *duration > 0.0)
    }

    /// What could be seen of it; `typical` is how long the others' downloads took.
    fn seen(&self, typical: Option<f64>) -> Option<Seen> {
        let gap = self.confirmed_at - self.below_at;
        let longest = gap / 2.0 / (1.0 - self.first_share);
        let known = self.duration().zip(self.crossed_at());
        let (duration, after) = known.map_or_else(
            || (typical.map_or(longest, |typical| typical.min(longest)), After::Within(gap)),
            |(duration, crossed_at)| (duration, After::Known(self.confirmed_at - crossed_at)),
        );
        let to_crossing = duration * (1.0 - self.first_share);
        let arrived_at = (self.first_at + to_crossing - duration).max(self.earliest_at).min(self.first_at);
        let delay = self.first_at - arrived_at;
        let window = delay + to_crossing;
        (delay.is_finite() && window.is_finite() && window > 0.0).then_some(Seen { delay, window, after })
    }
}

/// What the confirmed downloads of a capture tell about the watch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// How long downloads took whose speed is known, on average.
    typical: Option<f64>,
    /// Rate at which peers are found, and its variance; an infinite rate where every peer was found at once.
    finding: (f64, f64),
    /// Rate at which peers leave, and its variance.
    leaving: (f64, f64),
}

impl Watch {
    /// Learns the rates of patterns that `read` gives one by one to what it is given, the same ones each time it is called;
    /// `None` where the delays do not tell one: there are none, or peers are found so late that any part of them may be
    /// missed.
    pub fn learn<E>(
        mut read: impl FnMut(&mut dyn FnMut(&Pattern)) -> Result<(), E>,
    ) -> Result<Option<Self>, E> {
        let (mut durations, mut known, mut stays) = (0.0, 0_u64, Stays::default());
        read(&mut |pattern| {
            if let Some(duration) = pattern.duration() {
                durations += duration;
                known += 1;
            }
            stays.add(&pattern.stay);
        })?;
        let typical = (known > 0).then(|| durations / known as f64);
        let mut delays = Delays::default();
        read(&mut |pattern| {
            if let Some(seen) = pattern.seen(typical) {
                delays.add(&seen);
            }
        })?;
        Ok(delays.rate().map(|finding| Self { typical, finding, leaving: stays.rate() }))
    }
}

/// Confirmed downloads, and what they stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Downloads {
    confirmed: u64,
    /// The sum of one over the probabilities.
    sum: f64,
    /// The variance of the thinning.
    thinning: f64,
    /// The sum's slopes in the rates of finding and of leaving.
    slopes: [f64; 2],
}

impl Downloads {
    /// Adds one.
    pub fn add(&mut self, watch: &Watch, pattern: &Pattern) {
        self.confirmed += 1;
        let Some(seen) = pattern.seen(watch.typical) else {
            self.sum += 1.0;
            return;
        };
        let (found, found_slope) = found_in(watch.finding.0, seen.window);
        let (there, there_slope) = match seen.after {
            After::Known(waited) => stays(watch.leaving.0, waited),
            After::Within(gap) => stays_through(watch.leaving.0, gap),
        };
        let probability = found * there;
        self.sum += 1.0 / probability;
        self.thinning += (1.0 - probability) / (probability * probability);
        let [by_finding, by_leaving] = &mut self.slopes;
        *by_finding -= found_slope / (found * probability);
        *by_leaving -= there_slope / (there * probability);
    }

    /// How many downloads there were.
    pub fn estimate(&self, watch: &Watch) -> Estimate {
        let of_rates: f64 = self
            .slopes
            .iter()
            .zip([watch.finding.1, watch.leaving.1])
            .map(|(slope, variance)| slope * slope * variance)
            .sum();
        let seen = self.confirmed as f64;
        Unseen { seen, unseen: self.sum - seen, variance: self.thinning + of_rates }.estimate()
    }
}

/// Delays that are cut off at their windows.
#[derive(Clone, Debug, Default)]
struct Delays {
    sum: f64,
    windows: Binned,
}

impl Delays {
    fn add(&mut self, seen: &Seen) {
        self.sum += seen.delay.clamp(0.0, seen.window);
        self.windows.add(seen.window);
    }

    /// The rate at which peers are found, and its variance.
    fn rate(&self) -> Option<(f64, f64)> {
        let count = self.windows.count();
        if count == 0.0 {
            return None;
        }
        if self.sum <= 0.0 {
            return Some((f64::INFINITY, 0.0));
        }
        // At rate 0 the delays would be half the windows.
        if self.sum >= self.windows.sum(|window| window / 2.0) {
            return None;
        }
        let score =
            |rate: f64| self.windows.sum(|window| 1.0 / rate - window / (rate * window).exp_m1()) - self.sum;
        let rate = root(score, count / self.sum)?;
        let information = self.windows.sum(|window| 1.0 / (rate * rate) - curvature(rate, window));
        (information > 0.0).then_some((rate, 1.0 / information))
    }
}

/// The probability of being found within a window, and its slope in the rate.
fn found_in(rate: f64, window: f64) -> (f64, f64) {
    let missed = (-rate * window).exp();
    (-(-rate * window).exp_m1(), if rate.is_finite() { window * missed } else { 0.0 })
}

/// The probability of staying so long, and its slope in the rate.
fn stays(rate: f64, time: f64) -> (f64, f64) {
    let stays = (-rate * time).exp();
    (stays, -time * stays)
}

/// The probability of still being there at the end of a gap, having crossed anywhere in it, and its slope in the rate.
fn stays_through(rate: f64, gap: f64) -> (f64, f64) {
    let x = rate * gap;
    if x < 1e-6 {
        // Beyond a series the difference of two nearly equal numbers would be left.
        return (1.0 - x / 2.0, -gap / 2.0);
    }
    let stays = -(-x).exp_m1() / x;
    (stays, gap * ((-x).exp() - stays) / x)
}

/// Where a falling function of a positive rate is 0, near a scale; `None` where it is nowhere.
pub(super) fn root(falling: impl Fn(f64) -> f64, scale: f64) -> Option<f64> {
    let (mut low, mut high) = (scale * 1e-12, scale);
    let mut tries = 0;
    while falling(high) > 0.0 {
        high *= 4.0;
        tries += 1;
        if tries > 80 || !high.is_finite() {
            return None;
        }
    }
    if falling(low) < 0.0 {
        return None;
    }
    for _ in 0..200 {
        // The rate may be of any order of magnitude.
        let middle = (low * high).sqrt();
        if falling(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some((low * high).sqrt())
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::estimate::simulation::{chance, coverage, exponential, generator, uniform};

    fn learnt(patterns: &[Pattern]) -> Option<Watch> {
        Watch::learn(|take| {
            patterns.iter().for_each(take);
            Ok::<_, std::convert::Infallible>(())
        })
        .unwrap()
    }

    fn downloads(watch: &Watch, patterns: &[Pattern]) -> Estimate {
        let mut downloads = Downloads::default();
        for pattern in patterns {
            downloads.add(watch, pattern);
        }
        downloads.estimate(watch)
    }

    const LIVE: Pattern = Pattern {
        earliest_at: 0.0,
        first_at: 10.0,
        first_share: 0.1,
        below_at: 99.0,
        below_share: 0.99,
        confirmed_at: 100.0,
        live: true,
        stay: Stay { at_least: 50.0, gone_by: None },
    };

    #[test]
    fn what_cannot_be_missed_is_counted_as_it_is() {
        let patterns = [Pattern { first_at: 0.0, first_share: 0.0, ..LIVE }; 3];
        let found = downloads(&learnt(&patterns).unwrap(), &patterns);
        assert_eq!((found.value, found.low, found.high), (3.0, 3.0, 3.0));
    }

    #[test]
    fn delays_as_long_as_windows_tell_nothing() {
        let late = Pattern { first_at: 90.0, first_share: 0.9, ..LIVE };
        assert_eq!(learnt(&[late; 5]), None);
        assert_eq!(learnt(&[]), None);
    }

    #[test]
    fn a_download_lies_on_the_line_through_its_observations() {
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        let visited = Pattern { below_at: 50.0, below_share: 0.5, confirmed_at: 130.0, live: false, ..LIVE };
        let seen = visited.seen(None).unwrap();
        close(seen.delay, 10.0);
        close(seen.window, 100.0);
        assert!(matches!(seen.after, After::Known(waited) if (waited - 30.0).abs() < 1e-9));
        // Who was there before the watch began can only be found from then on.
        let earlier = Pattern { earliest_at: 6.0, ..visited }.seen(None).unwrap();
        close(earlier.delay, 4.0);
        close(earlier.window, 94.0);
        // Seen once below: as fast as others, unless the gap says otherwise.
        let once = Pattern { below_at: 10.0, below_share: 0.1, ..visited };
        close(once.seen(Some(40.0)).unwrap().window, 40.0);
        close(once.seen(Some(1e9)).unwrap().window, 60.0 / 0.9);
    }

    #[test]
    fn windows_of_hours_beside_delays_of_seconds_are_no_trouble() {
        // e^(λD) is close to the largest float for some of these, and beyond it for others.
        let patterns: Vec<Pattern> = (0..200)
            .map(|number| {
                let crossed_at = 12_000.0 + 40.0 * f64::from(number);
                let earliest_at = crossed_at * 0.2 - 20.0;
                let (first_at, first_share) = (crossed_at * 0.2, 0.2);
                Pattern {
                    earliest_at,
                    first_at,
                    first_share,
                    below_at: crossed_at - 1.0,
                    confirmed_at: crossed_at,
                    ..LIVE
                }
            })
            .collect();
        let found = downloads(&learnt(&patterns).unwrap(), &patterns);
        assert!(found.value >= 200.0 && found.high < 201.0, "{found:?}");
    }

    #[test]
    fn odd_patterns_give_finite_estimates() {
        let odd = [
            LIVE,
            Pattern { confirmed_at: 10.0, below_at: 10.0, ..LIVE },
            Pattern { first_share: 0.999_999_999, live: false, ..LIVE },
            Pattern { earliest_at: 1e9, ..LIVE },
            Pattern { below_share: 0.0, first_share: 0.0, live: false, ..LIVE },
        ];
        if let Some(watch) = learnt(&odd) {
            let found = downloads(&watch, &odd);
            assert!(found.value >= 5.0 && found.low >= 5.0 && found.high.is_finite(), "{found:?}");
        }
    }

    #[test]
    fn slopes_are_those_of_the_probabilities() {
        for (rate, length) in [(0.3, 2.0), (1e-7, 3.0), (5.0, 4.0)] {
            let step = rate * 1e-4;
            for probability in [found_in, stays, stays_through] {
                let slope =
                    (probability(rate + step, length).0 - probability(rate - step, length).0) / (2.0 * step);
                let told = probability(rate, length).1;
                assert!(
                    (slope - told).abs() <= 1e-3 * told.abs().max(1e-3),
                    "{rate} {length}: {slope} {told}"
                );
            }
        }
    }

    /// A swarm of known size: every peer arrives, downloads at its speed, stays and leaves; returns how many crossed while
    /// it was watched, and those of them that were confirmed.
    fn watch(random: &mut ChaCha8Rng) -> (f64, Vec<Pattern>) {
        let (mut crossed, mut confirmed) = (0.0, Vec::new());
        for _ in 0..600 {
            let arrives = uniform(random, -60.0, 600.0);
            let duration = uniform(random, 10.0, 90.0);
            let crossing_at = arrives + duration;
            if crossing_at < 0.0 {
                continue;
            }
            crossed += 1.0;
            let leaves = crossing_at + exponential(random, 1.0 / 30.0);
            let first_at = arrives.max(0.0) + exponential(random, 1.0 / 20.0);
            if first_at >= crossing_at {
                continue;
            }
            // Visits at a pace, of which some fail; half the peers tell their pieces on a held connection.
            let live = chance(random, 0.5);
            let pace = uniform(random, 5.0, 20.0);
            let (mut below_at, mut above_at) = (first_at, None);
            while above_at.is_none() {
                let mut next = below_at + pace;
                while chance(random, 0.2) {
                    next += pace;
                }
                if next < crossing_at { below_at = next } else { above_at = Some(next) }
            }
            let confirmed_at = if live { crossing_at } else { above_at.unwrap() };
            if confirmed_at > leaves {
                continue;
            }
            let share = |at: f64| (at - arrives) / duration;
            let visits = ((leaves - confirmed_at) / 5.0).floor();
            confirmed.push(Pattern {
                earliest_at: 0.0,
                first_at,
                first_share: share(first_at),
                below_at,
                below_share: share(below_at),
                confirmed_at,
                live,
                stay: Stay { at_least: visits * 5.0, gone_by: Some((visits + 1.0) * 5.0) },
            });
        }
        (crossed, confirmed)
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_claims() {
        let mut random = generator(7);
        coverage("horvitz_thompson", || {
            let (crossed, confirmed) = watch(&mut random);
            (crossed, Some(downloads(&learnt(&confirmed).unwrap(), &confirmed)))
        });
    }
}
