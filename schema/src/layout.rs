//! Where each file of a log lies, as paths relative to its folder or prefix, `/`-separated.
//!
//! `<table>/date=YYYY-MM-DD/<run>-<seq>.parquet` for segments (hive partition, UTC), `wal/<run>-<seq>.wal` while open.
//! A segment's name follows from its write-ahead file's, so that recovery can tell what it has already written.
//! `<table>/date=YYYY-MM-DD/compacted-<id>.parquet` for one merged from others, written in `compact/`.

use std::{fmt, str::FromStr};

use crate::{
    table::Table,
    value::{RunId, Timestamp, UnknownText},
};

/// The folder of write-ahead files.
pub const WAL_FOLDER: &str = "wal";
/// The folder, inside [`WAL_FOLDER`], of write-ahead files with damage, kept for whoever wants to look.
pub const DAMAGED_FOLDER: &str = "damaged";
/// What names of unfinished files end with.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// The folder in which compaction writes what it has not finished.
pub const COMPACT_FOLDER: &str = "compact";

const COMPACTED_PREFIX: &str = "compacted-";
const WAL_SUFFIX: &str = ".wal";
const SEGMENT_SUFFIX: &str = ".parquet";
const DATE_PREFIX: &str = "date=";
/// The length of a UTC date, µs.
pub const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// A UTC date, as text `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    days_since_epoch: i64,
}

impl Date {
    /// The date a time falls on.
    pub const fn of(time: Timestamp) -> Self {
        Self { days_since_epoch: time.0.div_euclid(MICROS_PER_DAY) }
    }

    /// Its first moment.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.days_since_epoch.saturating_mul(MICROS_PER_DAY))
    }

    /// Year, month and day (proleptic Gregorian; algorithm `civil_from_days` of H. Hinnant, "chrono-Compatible
    /// Low-Level Date Algorithms").
    const fn civil(self) -> (i64, i64, i64) {
        let days = self.days_since_epoch + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + (month <= 2) as i64;
        (year, month, day)
    }

    /// The inverse of [`civil`](Self::civil) (`days_from_civil`, same source).
    const fn from_civil(year: i64, month: i64, day: i64) -> Self {
        let year = year - (month <= 2) as i64;
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let shifted_month = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Self { days_since_epoch: era * 146_097 + day_of_era - 719_468 }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Date {
    type Err = UnknownText;

    fn from_str(text: &str) -> Result<Self, UnknownText> {
        let number = |part: Option<&str>| part?.parse::<u16>().ok().map(i64::from);
        let parse = || {
            let mut parts = text.split('-');
            let date = Self::from_civil(number(parts.next())?, number(parts.next())?, number(parts.next())?);
            // Only what would be written is read: no 2026-2-31, no 2026-1-1.
            (parts.next().is_none() && date.to_string() == text).then_some(date)
        };
        parse().ok_or_else(|| UnknownText { what: "date", text: text.to_owned() })
    }
}

/// A write-ahead file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WalPath {
    /// The run whose rows it holds.
    pub run: RunId,
    /// Its number within the run, from 0.
    pub seq: u32,
}

/// A closed file of one table's rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentPath {
    /// The table.
    pub table: Table,
    /// The date of all its rows.
    pub date: Date,
    /// The write-ahead file it was made of.
    pub wal: WalPath,
}

/// A segment merged from others of the same table and date, see [`REPLACES_KEY`](crate::segment::REPLACES_KEY).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CompactedPath {
    /// The table.
    pub table: Table,
    /// The date of all its rows.
    pub date: Date,
    /// Follows from the names of what it was merged from, so that a compaction done again writes the same file.
    pub id: u64,
}

impl WalPath {
    /// The file's name inside [`WAL_FOLDER`].
    pub fn file_name(&self) -> String {
        format!("{}{WAL_SUFFIX}", self.stem())
    }

    /// Reads a file name; `None` for other files.
    pub fn from_file_name(name: &str) -> Option<Self> {
        Self::from_stem(name.strip_suffix(WAL_SUFFIX)?)
    }

    fn stem(&self) -> String {
        format!("{}-{:06}", self.run, self.seq)
    }

    fn from_stem(stem: &str) -> Option<Self> {
        let (run, seq) = stem.rsplit_once('-')?;
        let path = Self { run: RunId(run.to_owned()), seq: seq.parse().ok()? };
        (!run.is_empty() && path.stem() == stem).then_some(path)
    }
}

impl SegmentPath {
    /// The segment's folder.
    pub fn folder(&self) -> String {
        date_folder(self.table, self.date)
    }

    /// The segment's name inside its folder.
    pub fn file_name(&self) -> String {
        format!("{}{SEGMENT_SUFFIX}", self.wal.stem())
    }

    /// The name it has inside [`WAL_FOLDER`] while it is written: no reader of the tables' folders ever sees it.
    pub fn temporary_name(&self) -> String {
        format!("{}.{}.{}{TEMPORARY_SUFFIX}", self.wal.stem(), self.table.name(), self.date)
    }
}

/// The folder of a table's segments of a date.
pub fn date_folder(table: Table, date: Date) -> String {
    format!("{}/{DATE_PREFIX}{date}", table.name())
}

/// The date of such a folder, by its name alone; `None` for other folders.
pub fn date_of_folder(name: &str) -> Option<Date> {
    name.strip_prefix(DATE_PREFIX)?.parse().ok()
}

/// Whether a file of a table's folder is a segment: neither hidden nor unfinished.
pub fn is_segment_name(name: &str) -> bool {
    !name.starts_with(['.', '_']) && name.ends_with(SEGMENT_SUFFIX)
}

/// Whether a segment's name is that of a compacted one.
pub fn is_compacted_name(name: &str) -> bool {
    name.starts_with(COMPACTED_PREFIX)
}

impl CompactedPath {
    /// The file that stands for those of these names.
    pub fn of<'a>(table: Table, date: Date, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        let bytes = names.iter().flat_map(|name| name.bytes().chain([b'\n']));
        // FNV-1a, 64 bits.
        let id = bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { table, date, id }
    }

    /// The segment's name inside its folder.
    pub fn file_name(&self) -> String {
        format!("{COMPACTED_PREFIX}{:016x}{SEGMENT_SUFFIX}", self.id)
    }

    /// The name it has inside [`COMPACT_FOLDER`] while it is written.
    pub fn temporary_name(&self) -> String {
        format!("{}.{}.{:016x}{TEMPORARY_SUFFIX}", self.table.name(), self.date, self.id)
    }
}

impl fmt::Display for CompactedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", date_folder(self.table, self.date), self.file_name())
    }
}

impl FromStr for CompactedPath {
    type Err = UnknownText;

    fn from_str(text: &str) -> Result<Self, UnknownText> {
        let parse = || {
            let mut parts = text.split('/');
            let table = parts.next()?.parse().ok()?;
            let date = date_of_folder(parts.next()?)?;
            let id = parts.next()?.strip_prefix(COMPACTED_PREFIX)?.strip_suffix(SEGMENT_SUFFIX)?;
            let path = Self { table, date, id: u64::from_str_radix(id, 16).ok()? };
            (parts.next().is_none() && path.to_string() == text).then_some(path)
        };
        parse().ok_or_else(|| UnknownText { what: "compacted segment's path", text: text.to_owned() })
    }
}

impl fmt::Display for SegmentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.folder(), self.file_name())
    }
}

impl FromStr for SegmentPath {
    type Err = UnknownText;

    fn from_str(text: &str) -> Result<Self, UnknownText> {
        let parse = || {
            let mut parts = text.split('/');
            let table = parts.next()?.parse().ok()?;
            let date = date_of_folder(parts.next()?)?;
            let wal = WalPath::from_stem(parts.next()?.strip_suffix(SEGMENT_SUFFIX)?)?;
            parts.next().is_none().then_some(Self { table, date, wal })
        };
        parse().ok_or_else(|| UnknownText { what: "segment's path", text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_segment() -> impl Strategy<Value = SegmentPath> {
        let days = -719_468_i64..2_932_896; // 0000-03-01 to 9999-12-31
        let table = prop::sample::select(Table::ALL.to_vec());
        (table, days, "[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", any::<u32>()).prop_map(|(table, days, run, seq)| {
            let wal = WalPath { run: RunId(run), seq };
            SegmentPath { table, date: Date { days_since_epoch: days }, wal }
        })
    }

    proptest! {
        #[test]
        fn names_are_read_back(segment in any_segment()) {
            prop_assert_eq!(segment.to_string().parse(), Ok(segment.clone()));
            prop_assert_eq!(WalPath::from_file_name(&segment.wal.file_name()), Some(segment.wal));
        }

        #[test]
        fn compacted_names_are_read_back(segment in any_segment(), names in prop::collection::vec("[a-z]{1,9}", 1..9)) {
            let path = CompactedPath::of(segment.table, segment.date, names.iter().map(String::as_str));
            prop_assert_eq!(path.to_string().parse(), Ok(path.clone()));
            prop_assert!(path.to_string().parse::<SegmentPath>().is_err());
            prop_assert!(segment.to_string().parse::<CompactedPath>().is_err());
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            if let Ok(segment) = text.parse::<SegmentPath>() {
                prop_assert_eq!(segment.to_string(), text);
            }
        }

        #[test]
        fn a_time_is_on_its_date(time in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let date = Date::of(Timestamp(time));
            let next = Date { days_since_epoch: date.days_since_epoch + 1 };
            prop_assert!(date.start().0 <= time && time < next.start().0);
        }
    }

    #[test]
    fn known_dates() {
        let known = [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_767_323_045, "2026-01-02")];
        for (seconds, text) in known {
            assert_eq!(Date::of(Timestamp(seconds * 1_000_000)).to_string(), text);
        }
        assert!("2026-02-29".parse::<Date>().is_err());
        assert!("2026-1-02".parse::<Date>().is_err());
    }

    #[test]
    fn the_path_is_the_designs() {
        let wal = WalPath { run: RunId("20260102T030405Z-9f86d081".to_owned()), seq: 7 };
        let segment = SegmentPath { table: Table::Contacts, date: Date::of(Timestamp(0)), wal };
        assert_eq!(segment.to_string(), "contacts/date=1970-01-01/20260102T030405Z-9f86d081-000007.parquet");
        assert_eq!(segment.wal.file_name(), "20260102T030405Z-9f86d081-000007.wal");
    }
}
