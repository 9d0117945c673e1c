//! Data that is damaged, missing, older or newer than this version, named by its defect.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::common::{LogWriter, confirmed, hash, options};
use analyze::run::{Report, compute};
use polars::prelude::{
    Column, DataFrame, DataType, IntoColumn as _, NamedFrom as _, ParquetReader, ParquetWriter,
    SerReader as _, Series,
};

const PEER: &str = "2.2.2.2:6881";

/// Two runs of which each confirms one peer, in one data folder.
fn data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (run, peer) in [("20260102T000000Z-aaaaaaaa", PEER), ("20260102T010000Z-bbbbbbbb", "3.3.3.3:1")] {
        let mut log = LogWriter::new(run);
        log.torrent(hash(1));
        log.out(10.0, hash(1), peer).bitfield(50).have(60.0, 99).end(70.0);
        log.write(folder.path(), 1);
    }
    folder
}

/// The first run's segment of a table.
fn segment(data: &Path, table: &str) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(data.join(table).join("date=2026-01-02"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.remove(0)
}

fn report(data: &Path) -> Report {
    compute(&options(&[data])).unwrap()
}

fn error(data: &Path) -> String {
    format!("{:#}", compute(&options(&[data])).unwrap_err())
}

/// Reads a segment, changes its columns and writes it back as another version might have.
fn rewrite(path: &Path, change: impl FnOnce(DataFrame) -> DataFrame) {
    let rows = ParquetReader::new(File::open(path).unwrap()).finish().unwrap();
    let mut rows = change(rows);
    ParquetWriter::new(File::create(path).unwrap()).finish(&mut rows).unwrap();
}

/// The report goes on without the first run's segment, and says so.
fn assert_left_out(data: &Path, damaged: &Path) {
    let report = report(data);
    assert_eq!(confirmed(&report), ["3.3.3.3"]);
    let files: Vec<&str> = report.facts.damaged.iter().map(|damaged| damaged.file.as_str()).collect();
    assert_eq!(files, [damaged.to_str().unwrap()]);
}

#[test]
fn no_folder() {
    let error = error(Path::new("no/such/folder"));
    assert_eq!(error, "no/such/folder: no such folder; give the folder that `capture --out` wrote to");
}

#[test]
fn a_file_instead_of_a_folder() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(error(file.path()).ends_with("not a folder; give the folder that `capture --out` wrote to"));
}

#[test]
fn a_folder_without_segments() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("contacts")).unwrap();
    let error = error(folder.path());
    assert!(error.contains("no segments") && !error.contains("wal"), "{error}");
}

#[test]
fn nothing_but_an_open_write_ahead_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("wal")).unwrap();
    fs::write(folder.path().join("wal/20260102T000000Z-aaaaaaaa-000000.wal"), b"frames").unwrap();
    let error = error(folder.path());
    assert!(error.contains("no segments") && error.contains("still in wal/"), "{error}");
}

#[test]
fn an_open_write_ahead_file_beside_segments_is_told() {
    let data = data();
    fs::create_dir(data.path().join("wal")).unwrap();
    fs::write(data.path().join("wal/20260102T000000Z-aaaaaaaa-000001.wal"), b"frames").unwrap();
    let report = report(data.path());
    assert_eq!(confirmed(&report).len(), 2);
    assert!(report.facts.notes.iter().any(|note| note.contains("write-ahead")), "{:?}", report.facts.notes);
}

#[test]
fn a_file_that_is_no_parquet() {
    let data = data();
    let file = segment(data.path(), "progress");
    fs::write(&file, b"this is no Parquet file, whatever its name says").unwrap();
    assert_left_out(data.path(), &file);
}

#[test]
fn an_empty_file() {
    let data = data();
    let file = segment(data.path(), "progress");
    fs::write(&file, b"").unwrap();
    assert_left_out(data.path(), &file);
}

#[test]
fn a_file_cut_anywhere() {
    let data = data();
    let file = segment(data.path(), "progress");
    let bytes = fs::read(&file).unwrap();
    for length in [1, 4, 8, 12, bytes.len() / 2, bytes.len() - 9, bytes.len() - 8, bytes.len() - 1] {
        fs::write(&file, &bytes[..length]).unwrap();
        assert_left_out(data.path(), &file);
    }
}

#[test]
fn a_page_of_noise_behind_a_whole_footer() {
    let data = data();
    let file = segment(data.path(), "progress");
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len() / 3;
    bytes[4..end].fill(0xa5);
    fs::write(&file, &bytes).unwrap();
    assert_left_out(data.path(), &file);
}

#[test]
fn nothing_but_damaged_segments() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("contacts")).unwrap();
    fs::write(folder.path().join("contacts/a.parquet"), b"noise noise noise").unwrap();
    let error = error(folder.path());
    assert!(error.contains("a.parquet: none of its segments can be read"), "{error}");
}

#[test]
fn a_column_of_another_type() {
    let data = data();
    let file = segment(data.path(), "progress");
    rewrite(&file, |mut rows| {
        rows.with_column(Series::new("pieces".into(), vec!["many"; rows.height()]).into_column())
            .unwrap()
            .clone()
    });
    assert_left_out(data.path(), &file);
}

#[test]
fn a_column_that_older_versions_lack() {
    let data = data();
    rewrite(&segment(data.path(), "contacts"), |rows| {
        rows.drop("client").unwrap().drop("listen_port").unwrap()
    });
    assert_eq!(confirmed(&report(data.path())).len(), 2);
    // Without `settled` nothing is known to be below.
    rewrite(&segment(data.path(), "progress"), |rows| rows.drop("settled").unwrap());
    assert_eq!(confirmed(&report(data.path())), ["3.3.3.3"]);
}

#[test]
fn a_column_that_newer_versions_add() {
    let data = data();
    rewrite(&segment(data.path(), "progress"), |mut rows| {
        let height = rows.height();
        rows.with_column(Column::new("mood".into(), vec!["fine"; height])).unwrap().clone()
    });
    assert_eq!(confirmed(&report(data.path())).len(), 2);
}

#[test]
fn an_integer_of_another_width() {
    let data = data();
    rewrite(&segment(data.path(), "progress"), |mut rows| {
        let narrow = rows.column("pieces").unwrap().cast(&DataType::UInt32).unwrap();
        rows.with_column(narrow).unwrap().clone()
    });
    assert_eq!(confirmed(&report(data.path())).len(), 2);
}

#[test]
fn members_of_closed_sets_that_newer_versions_add() {
    let data = data();
    rewrite(&segment(data.path(), "contacts"), |mut rows| {
        let height = rows.height();
        rows.with_column(Column::new("outcome".into(), vec!["teleported"; height])).unwrap().clone()
    });
    let report = report(data.path());
    assert_eq!(confirmed(&report).len(), 2, "the observations stand by themselves");
    assert!(crate::common::csv(&report, "contacts").contains("teleported"));
}

#[test]
fn the_same_segments_in_two_folders_count_once() {
    let (one, two) = (data(), data());
    let report = compute(&options(&[one.path(), two.path()])).unwrap();
    assert_eq!(crate::common::total(&report, "confirmed_downloads"), "2");
    assert!(report.facts.notes.iter().any(|note| note.contains("more than one data folder")));
}

#[test]
fn temporary_files_are_not_read() {
    let data = data();
    fs::write(data.path().join("progress/date=2026-01-02/.a.parquet"), b"half").unwrap();
    fs::write(data.path().join("progress/date=2026-01-02/a.parquet.tmp"), b"half").unwrap();
    assert_eq!(report(data.path()).facts.damaged, []);
}

#[test]
fn a_selection_that_leaves_no_row_is_told() {
    let data = data();
    let mut options = options(&[data.path()]);
    options.until = Some(1);
    let report = compute(&options).unwrap();
    assert!(
        report.facts.notes.iter().any(|note| note.contains("No row is left")),
        "{:?}",
        report.facts.notes
    );
}

#[test]
fn a_time_span_that_ends_before_it_begins() {
    let data = data();
    let mut options = options(&[data.path()]);
    (options.since, options.until) = (Some(2), Some(1));
    assert!(compute(&options).unwrap_err().to_string().contains("is not before --until"));
}
