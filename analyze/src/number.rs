//! Numbers as people read them: counts, shares, sizes, speeds, durations and times (UTC) → text.

/// A count with thousands separators: `1,234,567`.
pub fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// A whole number that may be negative, with thousands separators.
pub fn integer(value: i64) -> String {
    let sign = if value < 0 { "−" } else { "" };
    format!("{sign}{}", grouped(&value.unsigned_abs().to_string()))
}

fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count short enough for an axis: `950`, `9,500`, `12k`, `1.5M`.
pub fn short(value: f64) -> String {
    if value.abs() < 10_000.0 {
        return if value.fract() == 0.0 { integer(whole(value)) } else { significant(value) };
    }
    scaled(value, &["k", "M", "G", "T"], 1000.0)
}

/// A share of 1 in per cent: `12 %`, `0.4 %`, `< 0.1 %`.
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value > 0.0 && value < 0.1 {
        return "< 0.1 %".to_owned();
    }
    if value > 0.0 && value < 9.95 { format!("{value:.1} %") } else { format!("{value:.0} %") }
}

/// A size in decimal units: `1.4 GB`.
pub fn bytes(value: f64) -> String {
    if value < 1000.0 {
        return format!("{value:.0} B");
    }
    scaled(value, &[" kB", " MB", " GB", " TB", " PB"], 1000.0)
}

/// A speed in decimal units: `1.4 MB/s`.
pub fn speed(bytes_per_s: f64) -> String {
    format!("{}/s", bytes(bytes_per_s))
}

/// A duration given in microseconds: `850 µs`, `12 ms`, `3.2 s`, `15 min`, `2.5 h`, `3 d`.
pub fn duration_us(value: f64) -> String {
    const STEPS: [(f64, f64, &str); 6] = [
        (1e3, 1.0, "µs"),
        (1e6, 1e3, "ms"),
        (120e6, 1e6, "s"),
        (7_200e6, 60e6, "min"),
        (172_800e6, 3_600e6, "h"),
        (f64::INFINITY, 86_400e6, "d"),
    ];
    if value == 0.0 {
        return "0 s".to_owned();
    }
    for (below, unit, name) in STEPS {
        if value < below {
            return format!("{} {name}", significant(value / unit));
        }
    }
    "–".to_owned()
}

/// At most three significant digits, without trailing zeros after the point.
pub fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { "–".to_owned() };
    }
    let digits_before = value.abs().log10().floor();
    if digits_before >= 2.0 {
        return integer(whole(value.round()));
    }
    let decimals = if digits_before >= 1.0 {
        1
    } else if digits_before >= 0.0 {
        2
    } else if digits_before >= -1.0 {
        3
    } else {
        4
    };
    let text = format!("{value:.decimals$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.replace('-', "−")
}

fn scaled(value: f64, units: &[&str], base: f64) -> String {
    let mut value = value / base;
    let mut units = units.iter().peekable();
    while let Some(unit) = units.next() {
        // 999.95 of one unit would be written as 1,000 of it.
        if value.abs() < 999.5 || units.peek().is_none() {
            return format!("{}{unit}", significant(value));
        }
        value /= base;
    }
    significant(value)
}

/// The whole part, for numbers that came from integers or are known to fit.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and only displays")]
pub fn whole(value: f64) -> i64 {
    value as i64
}

/// The whole part of a number of pixels, bars or marks; what is negative or no number is 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and only lays out")]
pub fn whole_usize(value: f64) -> usize {
    value as usize
}

/// A count that came from an integer column, with thousands separators.
pub fn counted(value: f64) -> String {
    count(whole(value).unsigned_abs())
}

/// How many of something: `1 peer`, `1,234 peers`, `3 countries`; `what` is one of them.
pub fn number_of(value: u64, what: &str) -> String {
    if value == 1 { format!("1 {what}") } else { format!("{} {}", count(value), plural(what)) }
}

/// The same of a count that came from an integer column.
pub fn counted_of(value: f64, what: &str) -> String {
    number_of(whole(value).unsigned_abs(), what)
}

/// The word for several of something; its last word is the one that changes.
pub fn plural(what: &str) -> String {
    let before_y = what.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    match before_y {
        Some(stem) => format!("{stem}ies"),
        None if what.ends_with(['s', 'x']) || what.ends_with("ch") || what.ends_with("sh") => {
            format!("{what}es")
        }
        None => format!("{what}s"),
    }
}

/// A date and time of a count of microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year of the proleptic Gregorian calendar.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
}

impl Civil {
    /// The civil time of `time_us`, by Howard Hinnant's `civil_from_days`.
    pub fn of(time_us: i64) -> Self {
        let seconds = time_us.div_euclid(1_000_000);
        let days = seconds.div_euclid(86_400) + 719_468;
        let second_of_day = seconds.rem_euclid(86_400);
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let small = |value: i64| u8::try_from(value).unwrap_or_default();
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: small(month),
            day: small(day_of_year - (153 * shifted_month + 2) / 5 + 1),
            hour: small(second_of_day / 3600),
            minute: small(second_of_day / 60 % 60),
            second: small(second_of_day % 60),
        }
    }

    /// `2026-11-22`.
    pub fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `08:30`.
    pub fn clock(&self) -> String {
        format!("{:02}:{:02}", self.hour, self.minute)
    }
}

/// `2026-11-22 08:30`, UTC.
pub fn minute(time_us: i64) -> String {
    let civil = Civil::of(time_us);
    format!("{} {}", civil.date(), civil.clock())
}

/// `2026-11-22 08:30:05`, UTC.
pub fn second(time_us: i64) -> String {
    let civil = Civil::of(time_us);
    format!("{} {}:{:02}", civil.date(), civil.clock(), civil.second)
}

/// Microseconds since the Unix epoch of a time like `2026-11-22T08:30:05.25Z`; `None` for any other text.
pub fn parse_time(text: &str) -> Option<i64> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = parse_three(date, '-')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [hour, minute, second] = parse_three(clock, ':')?;
    let in_range =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !in_range || !(0..=9999).contains(&year) || fraction.len() > 9 {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").chars().take(6).collect::<String>().parse().ok()?;
    // Howard Hinnant's `days_from_civil`, for years from 0 on.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000 + micros)
}

fn parse_three(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse::<u16>().ok().map(i64::from));
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_806_554), "1,806,554");
        assert_eq!(integer(-1234), "−1,234");
        assert_eq!(short(9_500.0), "9,500");
        assert_eq!(short(12_000.0), "12k");
        assert_eq!(short(1_500_000.0), "1.5M");
        assert_eq!(short(999_999.0), "1M");
        assert_eq!(short(0.5), "0.5");
    }

    #[test]
    fn one_of_something_is_not_several() {
        let told = |value, what| number_of(value, what);
        assert_eq!(told(1, "confirmed download"), "1 confirmed download");
        assert_eq!(told(0, "confirmed download"), "0 confirmed downloads");
        assert_eq!(told(1_234, "country"), "1,234 countries");
        assert_eq!(told(2, "address"), "2 addresses");
        assert_eq!(told(2, "day"), "2 days");
        assert_eq!(counted_of(1.0, "peer"), "1 peer");
    }

    #[test]
    fn shares() {
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.0004), "< 0.1 %");
        assert_eq!(percent(0.094), "9.4 %");
        assert_eq!(percent(0.5), "50 %");
        assert_eq!(percent(f64::NAN), "–");
    }

    #[test]
    fn sizes_speeds_and_durations() {
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(999.0), "999 B");
        assert_eq!(bytes(1_400_000_000.0), "1.4 GB");
        assert_eq!(bytes(999_900.0), "1 MB");
        assert_eq!(speed(125_000.0), "125 kB/s");
        assert_eq!(duration_us(0.0), "0 s");
        assert_eq!(duration_us(850.0), "850 µs");
        assert_eq!(duration_us(12_300.0), "12.3 ms");
        assert_eq!(duration_us(900e6), "15 min");
        assert_eq!(duration_us(9_000e6), "2.5 h");
    }

    #[test]
    fn times() {
        assert_eq!(second(0), "1970-01-01 00:00:00");
        assert_eq!(second(1_709_208_000_000_000), "2024-02-29 12:00:00");
        assert_eq!(minute(-1), "1969-12-31 23:59");
        assert_eq!(second(4_102_444_799_999_999), "2099-12-31 23:59:59");
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_time("2024-02-29T12:00:00.5Z"), Some(1_709_208_000_500_000));
        for bad in ["", "2024-02-29", "2024-02-29T12:00Z", "2024-13-01T00:00:00Z", "x-02-29T12:00:00Z"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
