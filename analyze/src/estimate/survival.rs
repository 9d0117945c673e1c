//! How long peers stay online: Kaplan and Meier's product limit.
//!
//! `S(t) = Π (1 − d / n)` over the times at which `d` of the `n` sessions still watched end; Greenwood's variance, and the
//! interval of `ln(−ln S)`, which stays within 0 and 1. Sessions whose end was not seen leave the count without ending it
//! (right censoring); sessions already under way when the capture began are left out by the caller, as their beginning is
//! not known (left truncation). Assumes that what cuts a session off has nothing to do with its length.
//! Kaplan, Meier 1958, J. Am. Stat. Assoc. 53, 457–481; Greenwood 1926; Kalbfleisch, Prentice 1980, p. 14.

use std::collections::BTreeMap;

use super::{Estimate, Z95};

/// The estimator's name in the tables.
pub const METHOD: &str = "kaplan_meier";

/// In which direction it errs where its assumptions fail.
pub const BIAS: &str = "low: a peer that stops answering, but stays, counts as gone";

/// One session: how long it was seen, in any unit, and whether it was seen to end then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// From its beginning to its end, or to when it was last seen.
    pub length: i64,
    /// Whether it ended then; else it was cut off.
    pub ended: bool,
}

/// The curve at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The time.
    pub at: i64,
    /// Sessions still watched just before it.
    pub at_risk: u64,
    /// Sessions that ended up to it.
    pub ended: u64,
    /// Sessions cut off before it.
    pub censored: u64,
    /// Share of sessions that last longer.
    pub longer: Estimate,
}

/// Sessions by their lengths, rounded up to four digits: memory does not follow the number of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions(BTreeMap<i64, Ends>);

/// How many sessions of a length ended, and how many were cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    ended: u64,
    censored: u64,
    /// How many of both were not rounded.
    exactly: u64,
}

impl Sessions {
    /// Adds one.
    pub fn add(&mut self, session: Session) {
        let length = four_digits(session.length);
        let ends = self.0.entry(length).or_default();
        *if session.ended { &mut ends.ended } else { &mut ends.censored } += 1;
        ends.exactly += u64::from(length == session.length);
    }

    /// Adds others.
    pub fn merge(&mut self, others: Self) {
        for (length, more) in others.0 {
            let ends = self.0.entry(length).or_default();
            ends.ended += more.ended;
            ends.censored += more.censored;
            ends.exactly += more.exactly;
        }
    }

    /// The curve at the given times, which ascend and have four digits at most; a time that no session was watched for has
    /// no point.
    pub fn curve(&self, times: &[i64]) -> Vec<Point> {
        // At equal lengths ends come before cuts: who was cut off was there a moment longer.
        let mut lengths = self.0.iter().peekable();
        let mut left: u64 = self.0.values().map(|ends| ends.ended + ends.censored).sum();
        let (mut longer, mut greenwood) = (1.0_f64, 0.0_f64);
        let (mut ended, mut censored) = (0, 0);
        let mut points = Vec::new();
        for at in times {
            let mut exactly = 0;
            while let Some((length, ends)) = lengths.next_if(|(length, _)| *length <= at) {
                exactly = if length == at { ends.exactly } else { 0 };
                let (d, n) = (ends.ended as f64, left as f64);
                longer *= 1.0 - d / n;
                greenwood += if d < n { d / (n * (n - d)) } else { 0.0 };
                ended += ends.ended;
                censored += ends.censored;
                left -= ends.ended + ends.censored;
            }
            let at_risk = left + exactly;
            if at_risk == 0 {
                break;
            }
            points.push(Point { at: *at, at_risk, ended, censored, longer: interval(longer, greenwood) });
        }
        points
    }
}

/// A length rounded up to four digits.
fn four_digits(length: i64) -> i64 {
    let digits = length.unsigned_abs().checked_ilog10().map_or(0, |digits| digits.saturating_sub(3));
    let step = 10_i64.pow(digits);
    let beyond = length.rem_euclid(step);
    if beyond == 0 { length } else { length.saturating_add(step - beyond) }
}

fn interval(longer: f64, greenwood: f64) -> Estimate {
    if longer <= 0.0 || longer >= 1.0 || greenwood <= 0.0 {
        return Estimate { value: longer, low: longer, high: longer };
    }
    let spread = (Z95 * greenwood.sqrt() / longer.ln().abs()).exp();
    Estimate { value: longer, low: longer.powf(spread), high: longer.powf(1.0 / spread) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::simulation::{coverage, exponential, generator, uniform};

    fn session(length: i64, ended: bool) -> Session {
        Session { length, ended }
    }

    fn curve(sessions: &[Session], times: &[i64]) -> Vec<Point> {
        let [mut all, mut later] = [Sessions::default(), Sessions::default()];
        let (first, others) = sessions.split_at(sessions.len() / 2);
        for session in first {
            all.add(*session);
        }
        for session in others {
            later.add(*session);
        }
        all.merge(later);
        all.curve(times)
    }

    #[test]
    fn four_digits_of_a_length_count() {
        let lengths = [0, 7, 9_999, 10_001, 1_296_000_000, 1_296_000_001, 99_999, -12_345, i64::MAX];
        let told = [0, 7, 9_999, 10_010, 1_296_000_000, 1_297_000_000, 100_000, -12_340, i64::MAX];
        assert_eq!(lengths.map(four_digits), told);
        assert_eq!(four_digits(i64::MIN), -9_223_000_000_000_000_000);
        // What was rounded up to a time was not watched for so long, but ended by then.
        let points =
            curve(&[session(99_999, true), session(100_000, true), session(100_001, false)], &[100_000]);
        assert_eq!((points[0].at_risk, points[0].ended, points[0].censored), (2, 2, 0));
    }

    #[test]
    fn a_worked_example() {
        let sessions = [
            session(1, true),
            session(2, false),
            session(3, true),
            session(3, true),
            session(5, false),
            session(8, true),
        ];
        let curve = curve(&sessions, &[0, 1, 3, 4, 8, 9]);
        let shares: Vec<f64> = curve.iter().map(|point| point.longer.value).collect();
        let after_three = 5.0 / 6.0 * 0.5;
        for (share, expected) in shares.iter().zip([1.0, 5.0 / 6.0, after_three, after_three, 0.0]) {
            assert!((share - expected).abs() < 1e-12, "{shares:?}");
        }
        assert_eq!(curve.len(), 5, "nobody was watched for 9");
        assert_eq!(curve.iter().map(|point| point.at_risk).collect::<Vec<_>>(), [6, 6, 4, 2, 1]);
        assert_eq!((curve[4].ended, curve[4].censored), (4, 2));
        assert!(self::curve(&[], &[0, 1]).is_empty());
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_claims() {
        let mut random = generator(5);
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a simulation")]
        let ms = |time: f64| (time * 1_000.0) as i64;
        coverage("kaplan_meier", || {
            let sessions: Vec<Session> = (0..200)
                .map(|_| {
                    let (life, cut) = (exponential(&mut random, 1.0), uniform(&mut random, 0.0, 3.0));
                    session(ms(life.min(cut)), life <= cut)
                })
                .collect();
            let half = std::f64::consts::LN_2;
            (0.5, curve(&sessions, &[ms(half)]).first().map(|point| point.longer))
        });
    }
}
