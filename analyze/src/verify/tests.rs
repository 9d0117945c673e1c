//! What a verdict says, and in which order.

use super::*;

/// Verifies a folder without one of the things, for texts.
#[test]
fn the_text_tells_the_verdict_first() {
    let verified = Verified {
        whole: false,
        tables: vec![TableRows {
            table: "contacts".to_owned(),
            files: 2,
            bytes: 123_456,
            rows: 1_234,
            first_at: Some("2026-01-02T00:00:00.000000Z".to_owned()),
            last_at: Some("2026-01-03T00:00:00.000000Z".to_owned()),
            damaged: 1,
        }],
        runs: vec![RunSpan {
            run: "20260102T000000Z-aaaaaaaa".to_owned(),
            rows: 1_234,
            first_at: "2026-01-02T00:00:00.000000Z".to_owned(),
            last_at: "2026-01-03T00:00:00.000000Z".to_owned(),
            stopped: false,
            missing: vec![3, 5],
        }],
        gaps: vec![Gap {
            run: None,
            from: "2026-01-02T00:00:00.000000Z".to_owned(),
            to: "2026-01-02T02:00:00.000000Z".to_owned(),
            seconds: 7_200,
        }],
        damaged: vec![
            DamagedFile {
                file: "data/contacts/a.parquet".to_owned(),
                problems: vec!["its checksum is wrong: bytes are not those that were written".to_owned()],
                rows: Some(1_000),
                rows_readable: 900,
                rows_intact: 800,
            },
            DamagedFile { file: "data/contacts/b.parquet".to_owned(), ..DamagedFile::default() },
        ],
        wals: vec![WalFile {
            file: "data/wal/20260102T000000Z-aaaaaaaa-000007.wal".to_owned(),
            rows: 77,
            torn_bytes: 12,
            damaged_bytes: 0,
            state: WalState::LeftOver,
        }],
        files_without_checksum: 1,
        files_replaced: 2,
        notes: Vec::new(),
    };
    insta::assert_snapshot!(print::text(&verified));
}
