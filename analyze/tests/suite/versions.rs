//! Logs of other versions: those released stay readable, those to come are read as far as they are known.

use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{Array as _, ArrayRef, Int64Array, RecordBatch},
    datatypes::{Field, Schema},
};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    file::{metadata::KeyValue, properties::WriterProperties},
};
use schema::{
    SCHEMA_VERSION,
    segment::{self, VERSION_KEY},
    table::{RunEvent, Source, Table},
};

use crate::common::{LogWriter, columns, confirmed, hash, report_of};

const KEY_COLUMNS: [&str; 6] = ["info_hash", "ip", "port", "below_at", "confirmed_at", "confirmed_pieces"];

/// One log per released version, each with what its own `analyze` confirmed; see the README there.
fn released_logs() -> Vec<PathBuf> {
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/tests/logs");
    let entries = fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().path());
    let mut logs: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    logs.sort();
    logs
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let dates = fs::read_dir(folder).into_iter().flatten().map(|date| date.unwrap().path());
    dates.flat_map(|date| fs::read_dir(date).unwrap().map(|file| file.unwrap().path())).collect()
}

#[test]
fn the_log_of_every_released_version_stays_readable() {
    let logs = released_logs();
    assert!(!logs.is_empty());
    for log in logs {
        let mut rows = 0;
        for &table in Table::ALL {
            for file in segments(&log.join(table.name())) {
                let read = segment::read(table, File::open(&file).unwrap());
                rows += read.unwrap_or_else(|error| panic!("{}: {error}", file.display())).len();
            }
        }
        assert!(rows > 100, "{}: {rows} rows", log.display());

        let report = report_of(&[&log], |_| ());
        assert!(report.facts.damaged.is_empty(), "{}: {:?}", log.display(), report.facts.damaged);
        let found = columns(&report, "confirmed_downloads", &KEY_COLUMNS);
        let mut reader = ::csv::Reader::from_path(log.join("confirmed_downloads.csv")).unwrap();
        let header = reader.headers().unwrap().clone();
        let cell = |record: &::csv::StringRecord, name: &str| {
            record[header.iter().position(|column| column == name).unwrap()].to_owned()
        };
        let expected: Vec<Vec<String>> = reader
            .records()
            .map(|record| {
                let record = record.unwrap();
                KEY_COLUMNS.iter().map(|name| cell(&record, name)).collect()
            })
            .collect();
        assert!(!expected.is_empty());
        assert_eq!(found, expected, "{}", log.display());
    }
}

/// A log in which one peer is confirmed.
fn log() -> LogWriter {
    let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
    log.run_event(0.0, RunEvent::Started).torrent(hash(1));
    log.sighting(1.0, hash(1), Source::Dht, "2.2.2.2:6881");
    log.out(2.0, hash(1), "2.2.2.2:6881").bitfield(50).have(9.0, 99).end(20.0);
    log
}

/// Writes every segment again, as a program of another version would have.
fn rewrite(folder: &Path, version: u32, change: impl Fn(RecordBatch) -> RecordBatch) {
    for &table in Table::ALL {
        for file in segments(&folder.join(table.name())) {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file).unwrap()).unwrap();
            let batches: Vec<_> = reader.build().unwrap().map(|batch| change(batch.unwrap())).collect();
            let metadata =
                [(VERSION_KEY, version.to_string()), (segment::PROGRAM_KEY, "swarmtally 9.9.9".to_owned())];
            let metadata = metadata.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec();
            let properties = WriterProperties::builder().set_key_value_metadata(Some(metadata)).build();
            let file = File::create(&file).unwrap();
            let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).unwrap();
            for batch in &batches {
                writer.write(batch).unwrap();
            }
            writer.close().unwrap();
        }
    }
}

#[test]
fn a_segment_of_a_later_version_is_read_as_far_as_it_is_known_and_told_of() {
    let data = log().data();
    rewrite(data.path(), SCHEMA_VERSION + 6, |batch| {
        let colours: ArrayRef = Arc::new(Int64Array::from(vec![7; batch.num_rows()]));
        let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
        fields.insert(1, Arc::new(Field::new("colour", colours.data_type().clone(), true)));
        let mut arrays = batch.columns().to_vec();
        arrays.insert(1, colours);
        RecordBatch::try_new(Arc::new(Schema::new_with_metadata(fields, HashMap::new())), arrays).unwrap()
    });
    let report = report_of(&[data.path()], |_| ());
    assert_eq!(confirmed(&report), ["2.2.2.2"]);
    let told: Vec<_> = report.facts.notes.iter().filter(|note| note.contains("later version")).collect();
    assert_eq!(told.len(), 1, "{:?}", report.facts.notes);
    assert!(told[0].contains("swarmtally 9.9.9") && told[0].contains("schema version 7"), "{told:?}");
}

#[test]
fn a_column_that_an_older_version_did_not_have_is_null() {
    let data = log().data();
    let later = ["client", "listen_port", "upload_only", "metadata_size", "flags"];
    rewrite(data.path(), 0, |batch| {
        let kept: Vec<usize> = (0..batch.num_columns())
            .filter(|at| !later.contains(&batch.schema().field(*at).name().as_str()))
            .collect();
        batch.project(&kept).unwrap()
    });
    let report = report_of(&[data.path()], |_| ());
    assert_eq!(confirmed(&report), ["2.2.2.2"]);
    assert!(report.facts.notes.iter().all(|note| !note.contains("version")), "{:?}", report.facts.notes);
    for file in segments(&data.path().join("contacts")) {
        let rows = segment::read(Table::Contacts, File::open(file).unwrap()).unwrap();
        assert_eq!(rows.len(), 1);
    }
}
