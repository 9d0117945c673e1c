//! The columns that the replay reads, decoded and thrown away, on all cores.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
};
use schema::table::Table;

use crate::clock::Clock;

/// The tables whose rows the measured tables are made of, with the columns they are made of.
const COLUMNS: [(Table, &[&str]); 2] = [
    (
        Table::Contacts,
        &[
            "time",
            "run",
            "contact",
            "info_hash",
            "ip",
            "port",
            "direction",
            "outcome",
            "open_us",
            "peer_id",
            "client",
            "listen_port",
        ],
    ),
    (
        Table::Progress,
        &["time", "run", "contact", "info_hash", "ip", "port", "direction", "kind", "settled", "pieces"],
    ),
];

/// The files of those tables.
pub struct Files(Vec<(Table, PathBuf)>);

impl Files {
    /// Finds them.
    pub fn of(log: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for (table, _) in COLUMNS {
            let mut folders = vec![log.join(table.name())];
            while let Some(folder) = folders.pop() {
                let describe = || format!("cannot list {}", folder.display());
                for entry in fs::read_dir(&folder).with_context(describe)? {
                    let path = entry?.path();
                    if path.is_dir() {
                        folders.push(path);
                    } else if path.extension().is_some_and(|extension| extension == "parquet") {
                        files.push((table, path));
                    }
                }
            }
        }
        Ok(Self(files))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.0.iter().filter_map(|(_, path)| fs::metadata(path).ok()).map(|file| file.len()).sum()
    }

    /// Rows of a table.
    pub fn rows(&self, table: Table) -> Result<u64> {
        let mut rows = 0;
        for (_, path) in self.0.iter().filter(|(of, _)| *of == table) {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
            rows += u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
        }
        Ok(rows)
    }

    /// Reads every byte, so that the files are in memory as far as it goes.
    pub fn touch(&self) -> Result<()> {
        let mut buffer = vec![0; 1 << 20];
        for (_, path) in &self.0 {
            let mut file = File::open(path)?;
            while file.read(&mut buffer)? > 0 {}
        }
        Ok(())
    }

    /// Decodes the columns.
    pub fn scan(&self) -> Result<Duration> {
        let clock = Clock::start();
        let started = clock.instant();
        let mut groups = Vec::new();
        for (table, path) in &self.0 {
            let file = File::open(path)?;
            let metadata = as_views(&ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?)?;
            for group in 0..metadata.metadata().num_row_groups() {
                groups.push((*table, path, metadata.clone(), group));
            }
        }
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            while let Some((table, path, metadata, group)) = groups.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let columns =
                    COLUMNS.iter().find(|(of, _)| of == table).map_or(&[][..], |(_, columns)| *columns);
                let schema = metadata.metadata().file_metadata().schema_descr();
                let mask = ProjectionMask::columns(schema, columns.iter().copied());
                let reader =
                    ParquetRecordBatchReaderBuilder::new_with_metadata(File::open(path)?, metadata.clone())
                        .with_row_groups(vec![*group])
                        .with_projection(mask)
                        .with_batch_size(8192)
                        .build()?;
                for batch in reader {
                    drop(batch?);
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers = thread::available_parallelism().map_or(1, usize::from);
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
        Ok(started.elapsed())
    }
}

/// Texts as views into the file's pages, which is the cheapest way to read them.
fn as_views(found: &ArrowReaderMetadata) -> Result<ArrowReaderMetadata> {
    let as_view = |field: &Arc<Field>| -> Arc<Field> {
        match field.data_type() {
            DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
            DataType::Binary => Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView)),
            _ => Arc::clone(field),
        }
    };
    let fields: Vec<_> = found.schema().fields().iter().map(as_view).collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    Ok(ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options)?)
}
