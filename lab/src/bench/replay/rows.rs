//! The rows of a result table: how many, and whether the report and DuckDB have the same.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    path::Path,
};

use anyhow::{Context, Result, ensure};

/// Speeds that differ by less than this share of them are equal: both are quotients of the same whole numbers, rounded
/// to one decimal by one side only.
const ROUNDED: f64 = 1e-6;

/// Lines below the header.
pub fn count(csv: &Path) -> Result<u64> {
    let mut rows = 0;
    each(csv, |_, _| {
        rows += 1;
        Ok(())
    })?;
    Ok(rows)
}

/// Fails unless the report and DuckDB wrote the same rows of a table, in any order; what only the report knows is left
/// out.
pub fn compare(table: &str, report: &Path, duckdb: &Path) -> Result<()> {
    let hasher = RandomState::new();
    let [of_report, of_duckdb] = [report, duckdb].map(|folder| folder.join(table).with_extension("csv"));
    let (report, duckdb) = (Sums::of(&of_report, &hasher)?, Sums::of(&of_duckdb, &hasher)?);
    let describe = || format!("{} and {} differ", of_report.display(), of_duckdb.display());
    ensure!(report.rows == duckdb.rows, "{}: {} and {} rows", describe(), report.rows, duckdb.rows);
    ensure!(report.texts == duckdb.texts, "{}: not the same peers, times or pieces", describe());
    ensure!(
        (report.speeds - duckdb.speeds).abs() <= report.speeds * ROUNDED,
        "{}: speeds of {} and {} in all",
        describe(),
        report.speeds,
        duckdb.speeds
    );
    Ok(())
}

/// What rows add up to, whatever their order.
#[derive(Debug, Default)]
struct Sums {
    rows: u64,
    /// Of the rows' hashes.
    texts: u64,
    speeds: f64,
}

impl Sums {
    fn of(csv: &Path, hasher: &RandomState) -> Result<Self> {
        let mut sums = Self::default();
        each(csv, |header, row| {
            sums.rows += 1;
            let mut of_row = hasher.build_hasher();
            for (name, value) in header.iter().zip(row) {
                match name {
                    b"asn" | b"client" | b"country" => {}
                    b"mean_speed_bytes_per_s" | b"max_speed_bytes_per_s" => {
                        let text = std::str::from_utf8(value)?;
                        sums.speeds += if text.is_empty() { 0.0 } else { text.parse::<f64>()? };
                    }
                    _ => {
                        of_row.write(value);
                        of_row.write_u8(b',');
                    }
                }
            }
            sums.texts = sums.texts.wrapping_add(of_row.finish());
            Ok(())
        })?;
        Ok(sums)
    }
}

fn each(csv: &Path, mut row: impl FnMut(&csv::ByteRecord, &csv::ByteRecord) -> Result<()>) -> Result<()> {
    let describe = || format!("cannot read {}", csv.display());
    let mut reader = csv::Reader::from_path(csv).with_context(describe)?;
    let header = reader.byte_headers().with_context(describe)?.clone();
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).with_context(describe)? {
        row(&header, &record).with_context(describe)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn rows_are_compared_in_any_order() {
        let (report, duckdb) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |folder: &Path, text: &str| fs::write(folder.join("speeds.csv"), text).unwrap();
        let differ = |text: &str| {
            write(duckdb.path(), text);
            compare("speeds", report.path(), duckdb.path()).err().map(|error| error.to_string())
        };
        write(report.path(), "ip,mean_speed_bytes_per_s,country\na,1000000.1,DE\nb,,\n");
        assert_eq!(count(&report.path().join("speeds.csv")).unwrap(), 2);
        assert_eq!(differ("ip,mean_speed_bytes_per_s\nb,\na,1000000.1234\n"), None);
        for (other, why) in [
            ("ip,mean_speed_bytes_per_s\na,1000000.1\n", "2 and 1 rows"),
            ("ip,mean_speed_bytes_per_s\na,1000000.1\nc,\n", "not the same peers"),
            ("ip,mean_speed_bytes_per_s\na,1000002.1\nb,\n", "in all"),
        ] {
            assert!(differ(other).unwrap().contains(why), "{other}");
        }
    }
}
