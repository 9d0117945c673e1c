//! Frames of peers in order: a few in memory and the others in temporary files, as a log may tell of more peers than memory
//! holds.

use std::{fs::File, path::PathBuf};

use polars::prelude::{
    DataFrame, IntoLazy, LazyFrame, ParquetCompression, ParquetWriter, PlRefPath, PolarsResult,
    ScanArgsParquet, UnionArgs, concat,
};
use tempfile::TempDir;

use super::peers;

/// Bytes of frames that are held in memory.
const HELD_BYTES: usize = 24 << 20;

/// Frames with the same columns.
#[derive(Debug)]
pub struct Spool {
    held: Vec<DataFrame>,
    held_bytes: usize,
    files: Vec<PathBuf>,
    folder: Option<TempDir>,
    height: usize,
    limit: usize,
}

impl Default for Spool {
    fn default() -> Self {
        Self::new(HELD_BYTES)
    }
}

impl Spool {
    /// A spool that holds about so many bytes in memory.
    pub fn new(limit: usize) -> Self {
        Self { held: Vec::new(), held_bytes: 0, files: Vec::new(), folder: None, height: 0, limit }
    }

    /// Appends a frame.
    pub fn push(&mut self, frame: DataFrame) -> PolarsResult<()> {
        if frame.height() == 0 {
            return Ok(());
        }
        self.height += frame.height();
        self.held_bytes += frame.estimated_size();
        self.held.push(frame);
        if self.held_bytes > self.limit { self.spill() } else { Ok(()) }
    }

    /// Writes what is held to a file.
    fn spill(&mut self) -> PolarsResult<()> {
        if self.folder.is_none() {
            self.folder = Some(tempfile::Builder::new().prefix("swarmtally-").tempdir()?);
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.path().join(format!("{:06}.parquet", self.files.len()));
        let mut frame = all(&self.held)?;
        ParquetWriter::new(File::create(&path)?)
            .with_compression(ParquetCompression::Uncompressed)
            .finish(&mut frame)?;
        self.files.push(path);
        self.held.clear();
        self.held_bytes = 0;
        Ok(())
    }

    /// Rows of all frames.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Whether some frames are in files.
    pub fn is_spilled(&self) -> bool {
        !self.files.is_empty()
    }

    /// All rows, read when they are asked for.
    pub fn lazy(&self) -> PolarsResult<LazyFrame> {
        let held = all(&self.held)?.lazy();
        if self.files.is_empty() {
            return Ok(held);
        }
        concat([scan(&self.files)?, held], UnionArgs::default())
    }

    /// The rows in parts that fit into memory, in order.
    pub fn parts(&self) -> PolarsResult<Vec<LazyFrame>> {
        let mut parts = self
            .files
            .iter()
            .map(|file| scan(std::slice::from_ref(file)))
            .collect::<PolarsResult<Vec<_>>>()?;
        if !self.held.is_empty() || parts.is_empty() {
            parts.push(all(&self.held)?.lazy());
        }
        Ok(parts)
    }
}

fn scan(files: &[PathBuf]) -> PolarsResult<LazyFrame> {
    let paths = files.iter().map(|file| PlRefPath::try_from_path(file)).collect::<PolarsResult<Vec<_>>>()?;
    let args = ScanArgsParquet { glob: false, cache: false, ..ScanArgsParquet::default() };
    LazyFrame::scan_parquet_files(paths.into(), args)
}

fn all(frames: &[DataFrame]) -> PolarsResult<DataFrame> {
    let mut all = peers::empty()?;
    for frame in frames {
        all.vstack_mut(frame)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use polars::prelude::{IntoColumn, NamedFrom, Series};

    use super::*;

    #[test]
    fn what_is_in_files_and_in_memory_comes_in_order() {
        let frame = |from: i64| {
            let mut frame = peers::empty().unwrap();
            let rows = peers::empty().unwrap().height();
            assert_eq!(rows, 0);
            let ports: Vec<i64> = (from..from + 10).collect();
            let null = |name: &str, dtype| Series::full_null(name.into(), 10, dtype).into_column();
            let columns = peers::COLUMNS.iter().map(|(name, dtype)| match *name {
                "port" => Series::new("port".into(), &ports).into_column(),
                name => null(name, dtype),
            });
            frame.vstack_mut(&DataFrame::new(10, columns.collect()).unwrap()).unwrap();
            frame
        };
        let mut spool = Spool::new(4_000);
        for part in 0..10 {
            spool.push(frame(part * 10)).unwrap();
        }
        assert!(spool.is_spilled() && spool.height() == 100);
        let ports = |rows: DataFrame| -> Vec<i64> {
            rows.column("port").unwrap().i64().unwrap().iter().flatten().collect()
        };
        let expected: Vec<i64> = (0..100).collect();
        assert_eq!(ports(spool.lazy().unwrap().collect().unwrap()), expected);
        let parts = spool.parts().unwrap();
        assert!(parts.len() > 1);
        let of_parts: Vec<i64> = parts.into_iter().flat_map(|part| ports(part.collect().unwrap())).collect();
        assert_eq!(of_parts, expected);
    }
}
