//! Times and durations as text: RFC 3339 in UTC ↔ microseconds since the Unix epoch, and `30s`, `15m`, `2h`, `1d`.

use std::fmt::Write as _;

use schema::{Timestamp, layout::Date};

use crate::digits;

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
const DAY_S: i64 = 86_400;

/// A time as RFC 3339 in UTC with microseconds, e.g. `2026-01-02T03:04:05.000006Z`.
pub fn rfc3339(time_us: i64) -> String {
    let mut text = String::with_capacity(27);
    push_rfc3339(time_us, &mut text);
    text
}

/// Appends it to a text.
pub fn push_rfc3339(time_us: i64, out: &mut String) {
    let seconds = time_us.div_euclid(SECOND_US);
    let micros = time_us.rem_euclid(SECOND_US);
    let date = Date::of(Timestamp(time_us));
    let second_of_day = seconds.rem_euclid(DAY_S);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    // Writing to a String cannot fail.
    write!(out, "{date}T").unwrap_or_default();
    for (part, width, end) in [(hour, 2, ':'), (minute, 2, ':'), (second, 2, '.'), (micros, 6, 'Z')] {
        digits::push(part.unsigned_abs(), width, out);
        out.push(end);
    }
}

/// Reads `2026-01-02`, `2026-01-02T03:04`, `2026-01-02T03:04:05` or with a fraction, UTC with or without `Z`.
///
/// # Errors
/// A sentence saying what a time looks like.
pub fn parse_time(text: &str) -> Result<i64, String> {
    parse_civil(text)
        .ok_or_else(|| format!("`{text}` is no time; write 2026-01-02 or 2026-01-02T03:04:05Z (UTC)"))
}

fn parse_civil(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let date = date.parse::<Date>().ok()?;
    Some(date.start().0 + parse_clock(clock)?)
}

fn parse_clock(clock: &str) -> Option<i64> {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = whole.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let in_range = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    if parts.next().is_some() || !in_range || fraction.len() > 6 || fraction.contains(['+', '-']) {
        return None;
    }
    let micros = if fraction.is_empty() { 0 } else { format!("{fraction:0<6}").parse::<i64>().ok()? };
    Some((hour * 3600 + minute * 60 + second) * SECOND_US + micros)
}

/// Reads a duration of whole units: `30s`, `15m`, `1h`, `7d`; the result is in microseconds and not zero.
///
/// # Errors
/// A sentence saying what a duration looks like.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let unit_s = |unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(DAY_S),
        _ => None,
    };
    let parse = || {
        let unit = unit_s(text.chars().last()?)?;
        let number = text.get(..text.len() - 1)?.parse::<u32>().ok()?;
        i64::from(number).checked_mul(unit * SECOND_US).filter(|us| *us > 0)
    };
    parse().ok_or_else(|| format!("`{text}` is no duration; write 30s, 15m, 1h or 1d"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_written_in_utc_with_microseconds() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(951_827_696_000_001), "2000-02-29T12:34:56.000001Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn times_are_read_with_any_precision() {
        assert_eq!(parse_time("2000-02-29"), Ok(951_782_400_000_000));
        assert_eq!(parse_time("2000-02-29T12:34"), Ok(951_827_640_000_000));
        assert_eq!(parse_time("2000-02-29 12:34:56.5Z"), Ok(951_827_696_500_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "yesterday", "2001-02-29", "2001-13-01", "2001-01-01T25:00", "2001-01-01T00:00:00.+1"]
        {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_a_unit_and_are_not_zero() {
        assert_eq!(parse_duration("90s"), Ok(90_000_000));
        assert_eq!(parse_duration("1h"), Ok(3_600_000_000));
        for text in ["", "1", "h", "0h", "1.5h", "-1h", "1w", "é"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_survives_the_round_trip(time_us in 0..253_402_300_800_000_000_i64) {
            prop_assert_eq!(parse_time(&rfc3339(time_us)), Ok(time_us));
        }
    }
}
