//! What `--dry-run` writes: what each entry is, as a table or as JSON lines.

use std::io::{self, Write};

use schema::{InfoHash, InfoHashV2};
use serde::Serialize;

use crate::{
    cli::Format,
    printable::{printable, printable_json},
    torrents::Entry,
};

/// One entry as it is shown; absent is null, `-` in the table.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    entry: &'a str,
    info_hash: String,
    info_hash_v2: Option<String>,
    name: Option<&'a str>,
    piece_length: Option<u64>,
    piece_count: Option<u32>,
    size_bytes: Option<u64>,
    private: Option<bool>,
    trackers: Vec<&'a str>,
}

const COLUMNS: [&str; 9] = [
    "entry",
    "info_hash",
    "info_hash_v2",
    "name",
    "piece_length",
    "piece_count",
    "size_bytes",
    "private",
    "trackers",
];

/// Of an entry or a name in the table: an info-hash fits.
const CELL_CHARACTERS_MAX: usize = 40;

impl<'a> Shown<'a> {
    fn new(entry: &'a Entry) -> Self {
        let description = &entry.description;
        let metadata = description.metadata.as_ref();
        Self {
            entry: &entry.text,
            info_hash: hex_v1(description.info_hash),
            info_hash_v2: description.info_hash_v2.map(hex_v2),
            name: description.name.as_deref(),
            piece_length: metadata.map(|metadata| metadata.piece_length),
            piece_count: metadata.map(|metadata| metadata.piece_count),
            size_bytes: metadata.map(|metadata| metadata.size_bytes),
            private: metadata.map(|metadata| metadata.private),
            trackers: description.trackers.iter().flatten().map(String::as_str).collect(),
        }
    }

    fn cells(&self) -> [String; COLUMNS.len()] {
        let trackers = if self.trackers.is_empty() { None } else { Some(self.trackers.join(" ")) };
        [
            cut(&printable(self.entry)),
            self.info_hash.clone(),
            cell(self.info_hash_v2.as_ref()),
            cut(&cell(self.name)),
            cell(self.piece_length),
            cell(self.piece_count),
            cell(self.size_bytes),
            cell(self.private),
            cell(trackers),
        ]
    }
}

/// Writes every entry to `out`.
pub fn write(entries: &[Entry], format: Format, out: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Json => write_json(entries, out)?,
        Format::Table => write_table(entries, out)?,
    }
    out.flush()
}

fn write_json(entries: &[Entry], out: &mut impl Write) -> io::Result<()> {
    for entry in entries {
        let json = serde_json::to_string(&Shown::new(entry))?;
        writeln!(out, "{}", printable_json(&json))?;
    }
    Ok(())
}

fn write_table(entries: &[Entry], out: &mut impl Write) -> io::Result<()> {
    let mut rows = vec![COLUMNS.map(ToOwned::to_owned)];
    rows.extend(entries.iter().map(|entry| Shown::new(entry).cells()));
    let mut widths = [0; COLUMNS.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| printable(&value.to_string()).into_owned())
}

/// Keeps a long text from pushing the columns behind it off the screen; JSON has it whole.
fn cut(text: &str) -> String {
    if text.chars().count() <= CELL_CHARACTERS_MAX {
        return text.to_owned();
    }
    text.chars().take(CELL_CHARACTERS_MAX - 1).chain(['…']).collect()
}

fn hex_v1(hash: InfoHash) -> String {
    wire::InfoHash(hash.0).to_string()
}

fn hex_v2(hash: InfoHashV2) -> String {
    wire::InfoHashV2(hash.0).to_string()
}
