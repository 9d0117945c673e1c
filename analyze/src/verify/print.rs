//! The verdict first, then what there is, what is missing, and what is damaged.

use std::fmt::Write as _;

use super::{DamagedFile, Gap, RunSpan, TableRows, Verified, WalFile, WalState};
use crate::number::{bytes, count, duration_us, number_of};

/// Numbers of write-ahead files named of a run.
const NUMBERS_LISTED: usize = 8;

/// The report as text.
pub(super) fn text(verified: &Verified) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    verdict(verified).into_iter().for_each(&mut line);
    section("Tables", tables(&verified.tables)).into_iter().for_each(&mut line);
    section("Runs", verified.runs.iter().map(run).collect()).into_iter().for_each(&mut line);
    section("Gaps", verified.gaps.iter().map(gap).collect()).into_iter().for_each(&mut line);
    section("Write-ahead files", verified.wals.iter().map(wal).collect()).into_iter().for_each(&mut line);
    section("Damaged", verified.damaged.iter().flat_map(damaged).collect()).into_iter().for_each(&mut line);
    let mut notes = verified.notes.clone();
    if verified.files_without_checksum > 0 {
        notes.push(format!(
            "{} without a checksum: they can be decoded, but a changed value in them may go unseen",
            number_of(verified.files_without_checksum, "segment")
        ));
    }
    if verified.files_replaced > 0 {
        notes.push(format!(
            "{} merged into others already, counted once; `analyze compact` removes them",
            number_of(verified.files_replaced, "segment")
        ));
    }
    section("Notes", notes).into_iter().for_each(&mut line);
    text
}

fn verdict(verified: &Verified) -> Vec<String> {
    let files = verified.tables.iter().map(|table| table.files).sum();
    let rows = verified.tables.iter().map(|table| table.rows).sum();
    let kept = verified.wals.iter().filter(|wal| wal.damaged_bytes > 0).count() + verified.damaged.len();
    let all = format!("{} in {}", number_of(rows, "row"), number_of(files, "segment"));
    vec![if verified.whole {
        format!("whole: {all}")
    } else {
        format!("DAMAGED: {}; {all} can be read", number_of(kept as u64, "file"))
    }]
}

fn section(title: &str, lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() {
        return lines;
    }
    let mut section = vec![String::new(), title.to_owned()];
    section.extend(lines.into_iter().map(|line| format!("  {line}")));
    section
}

fn tables(tables: &[TableRows]) -> Vec<String> {
    let none = || "-".to_owned();
    let row = |table: &TableRows| {
        let first = table.first_at.clone().unwrap_or_else(none);
        let last = table.last_at.clone().unwrap_or_else(none);
        let (rows, files, size) = (count(table.rows), count(table.files), bytes(table.bytes as f64));
        [table.table.clone(), rows, files, size, count(table.damaged), first, last]
    };
    let titles = ["table", "rows", "files", "size", "damaged", "first row", "last row"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(titles).chain(tables.iter().map(row)).collect();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..7).map(|column| width(column).unwrap_or_default()).collect();
    let align = |row: &[String; 7]| {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Numbers to the right, texts to the left.
            let written = match column {
                0 | 5 => write!(line, "{cell:<width$}  "),
                6 => write!(line, "{cell}"),
                _ => write!(line, "{cell:>width$}  "),
            };
            debug_assert!(written.is_ok(), "a String takes every text");
        }
        line
    };
    rows.iter().map(align).collect()
}

fn run(run: &RunSpan) -> String {
    let RunSpan { run, rows, first_at, last_at, stopped, missing } = run;
    let end = if *stopped { "stopped in good order" } else { "killed, running, or its end is lost" };
    let mut line = format!("{run}: {}, {first_at} to {last_at}, {end}", number_of(*rows, "row"));
    if !missing.is_empty() {
        let listed: Vec<_> = missing.iter().take(NUMBERS_LISTED).map(u32::to_string).collect();
        let more = if missing.len() > NUMBERS_LISTED { " …" } else { "" };
        let written =
            write!(line, "; no segment of number {}{more}: without rows, or removed", listed.join(", "));
        debug_assert!(written.is_ok(), "a String takes every text");
    }
    line
}

fn gap(gap: &Gap) -> String {
    let place = gap.run.as_ref().map_or_else(|| "between runs".to_owned(), |run| format!("in {run}"));
    format!("{} from {} to {}, {place}", duration_us(gap.seconds as f64 * 1e6), gap.from, gap.to)
}

fn wal(wal: &WalFile) -> String {
    let WalFile { file, rows, torn_bytes, damaged_bytes, state } = wal;
    let mut parts = vec![match state {
        WalState::KeptAside => {
            format!(
                "{} can be read, in the segments already; delete the file once you have looked at it",
                number_of(*rows, "row")
            )
        }
        WalState::LeftOver => {
            format!(
                "{} that the next start of a capture on the folder makes segments of",
                number_of(*rows, "row")
            )
        }
        WalState::Open => format!("{}, being written by a running capture", number_of(*rows, "row")),
    }];
    if *torn_bytes > 0 {
        parts.push(format!("{} torn at its end, never durable", bytes(*torn_bytes as f64)));
    }
    if *damaged_bytes > 0 {
        parts.push(format!("DAMAGED: {} that were durable cannot be read", bytes(*damaged_bytes as f64)));
    }
    format!("{file}: {}", parts.join("; "))
}

fn damaged(damaged: &DamagedFile) -> Vec<String> {
    let DamagedFile { file, problems, rows, rows_readable, rows_intact } = damaged;
    let saved = match rows {
        None => "nothing can be saved: without its footer no row can be found".to_owned(),
        Some(rows) => format!(
            "{} of {} can be read; of {} the bytes are known to be those that were written",
            count(*rows_readable),
            number_of(*rows, "row"),
            count(*rows_intact)
        ),
    };
    let mut lines = vec![file.clone()];
    lines.extend(problems.iter().map(|problem| format!("  {problem}")));
    lines.push(format!("  {saved}"));
    lines
}
