//! Durations and sizes as the user writes them: `500ms`, `30s`, `15m`, `2h`, `1d`; `64MiB`.

use std::time::Duration;

const DURATION_UNITS_MS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS_BYTES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Reads a duration: a whole number and its unit, or `0`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    parse(text, &DURATION_UNITS_MS)
        .map(Duration::from_millis)
        .ok_or_else(|| "write a whole number and its unit, such as 500ms, 30s, 15m, 2h or 1d".to_owned())
}

/// Reads a duration longer than nothing.
pub fn parse_duration_above_zero(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("it must be longer than 0".to_owned()),
        duration => Ok(duration),
    }
}

/// Reads a size in bytes: a whole number and its unit.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, &SIZE_UNITS_BYTES)
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| "write a whole number above 0 and its unit, such as 512KiB, 64MiB or 1GiB".to_owned())
}

/// Writes a duration in the largest unit that holds it whole.
pub fn format_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let whole = DURATION_UNITS_MS.iter().rev().find(|&&(_, unit_ms)| ms.is_multiple_of(unit_ms));
    match whole {
        Some(&(unit, unit_ms)) if ms > 0 => format!("{}{unit}", ms / unit_ms),
        _ => "0".to_owned(),
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("15m"), Ok(Duration::from_mins(15)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for bad in ["", "5", "s", "5 s", "-1s", "1.5s", "5sec", "18446744073709551615d", "5µs"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
        assert!(parse_duration_above_zero("0s").is_err());
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1kB"), Ok(1000));
        for bad in ["", "64", "0MiB", "64mib", "1.5GiB", "99999999999GiB"] {
            assert!(parse_size(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back(ms in 0..u64::from(u32::MAX)) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
