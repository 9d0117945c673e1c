//! Frames of peers in order: a few in memory and the others in temporary files, as a log may tell of more peers than memory
//! holds.

use std::{fs::File, path::PathBuf};

use polars::prelude::{
    DataFrame, IntoLazy, LazyFrame, ParallelStrategy, ParquetCompression, ParquetReader, ParquetWriter,
    PlRefPath, PolarsResult, ScanArgsParquet, SerReader as _, UnionArgs, concat,
};
use tempfile::TempDir;

use crate::scratch;

/// Bytes of frames that are held in memory.
const HELD_BYTES: usize = 24 << 20;

/// Frames with the same columns.
#[derive(Debug)]
pub struct Spool {
    parts: Vec<Part>,
    /// Bytes of the last part, while it is in memory.
    held_bytes: usize,
    folders: Vec<TempDir>,
    height: usize,
    limit: usize,
}

#[derive(Debug)]
enum Part {
    File(PathBuf),
    Held(Vec<DataFrame>),
}

impl Default for Spool {
    fn default() -> Self {
        Self::new(HELD_BYTES)
    }
}

impl Spool {
    /// A spool that holds about so many bytes in memory.
    pub fn new(limit: usize) -> Self {
        Self { parts: Vec::new(), held_bytes: 0, folders: Vec::new(), height: 0, limit }
    }

    /// Appends a frame.
    pub fn push(&mut self, frame: DataFrame) -> PolarsResult<()> {
        if frame.height() == 0 {
            return Ok(());
        }
        self.height += frame.height();
        self.held_bytes += frame.estimated_size();
        match self.parts.last_mut() {
            Some(Part::Held(held)) => held.push(frame),
            _ => self.parts.push(Part::Held(vec![frame])),
        }
        if self.held_bytes > self.limit { self.spill() } else { Ok(()) }
    }

    /// Writes what is held to a file where something is in one already, before other frames are held: many spools would
    /// hold too much together.
    pub fn settle(&mut self) -> PolarsResult<()> {
        if self.is_spilled() { self.spill() } else { Ok(()) }
    }

    /// Appends another spool's frames.
    pub fn append(&mut self, other: Self) {
        self.parts.extend(other.parts);
        self.folders.extend(other.folders);
        self.height += other.height;
        self.held_bytes = self.limit;
    }

    /// Writes the last part to a file.
    fn spill(&mut self) -> PolarsResult<()> {
        if self.folders.is_empty() {
            self.folders.push(scratch::folder()?);
        }
        let (Some(folder), Some(Part::Held(held))) = (self.folders.first(), self.parts.last()) else {
            return Ok(());
        };
        let path = folder.path().join(format!("{:06}.parquet", self.parts.len()));
        let mut frame = all(held)?;
        ParquetWriter::new(File::create(&path)?)
            .with_compression(ParquetCompression::Uncompressed)
            .finish(&mut frame)?;
        self.parts.pop();
        self.parts.push(Part::File(path));
        self.held_bytes = 0;
        Ok(())
    }

    /// Rows of all frames.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Whether some frames are in files.
    pub fn is_spilled(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::File(_)))
    }

    /// All rows, read when they are asked for; `None` where there are none.
    pub fn lazy(&self) -> PolarsResult<Option<LazyFrame>> {
        let mut parts = self.parts()?;
        if parts.len() <= 1 {
            return Ok(parts.pop());
        }
        concat(parts, UnionArgs::default()).map(Some)
    }

    /// How many parts there are.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Some columns of a part, read now.
    pub fn read(&self, part: usize, columns: &[&str]) -> PolarsResult<DataFrame> {
        match self.parts.get(part) {
            Some(Part::File(file)) => {
                let names = columns.iter().map(|name| (*name).to_owned()).collect();
                ParquetReader::new(File::open(file)?)
                    .with_columns(Some(names))
                    .read_parallel(ParallelStrategy::None)
                    .finish()?
                    .select(columns.iter().copied())
            }
            Some(Part::Held(held)) => all(held)?.select(columns.iter().copied()),
            None => Ok(DataFrame::empty()),
        }
    }

    /// The rows in parts that fit into memory, in order.
    pub fn parts(&self) -> PolarsResult<Vec<LazyFrame>> {
        let part = |part: &Part| match part {
            Part::File(file) => scan(std::slice::from_ref(file)),
            Part::Held(held) => Ok(all(held)?.lazy()),
        };
        self.parts.iter().map(part).collect()
    }
}

fn scan(files: &[PathBuf]) -> PolarsResult<LazyFrame> {
    let paths = files.iter().map(|file| PlRefPath::try_from_path(file)).collect::<PolarsResult<Vec<_>>>()?;
    let args = ScanArgsParquet { glob: false, cache: false, ..ScanArgsParquet::default() };
    LazyFrame::scan_parquet_files(paths.into(), args)
}

fn all(frames: &[DataFrame]) -> PolarsResult<DataFrame> {
    let Some((first, others)) = frames.split_first() else { return Ok(DataFrame::empty()) };
    let mut all = first.clone();
    for frame in others {
        all.vstack_mut(frame)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use polars::prelude::{IntoColumn, NamedFrom, Series};

    use super::*;
    use crate::replay::peers;

    #[test]
    fn what_is_in_files_and_in_memory_comes_in_order() {
        let frame = |from: i64| {
            let mut frame = peers::empty().unwrap();
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
        assert_eq!(ports(spool.lazy().unwrap().unwrap().collect().unwrap()), expected);
        let cut = spool.parts().unwrap();
        assert!(cut.len() > 1);
        let read = |part| ports(spool.read(part, &["port"]).unwrap());
        assert_eq!((0..spool.len()).flat_map(read).collect::<Vec<_>>(), expected);
        let of_parts: Vec<i64> = cut.into_iter().flat_map(|part| ports(part.collect().unwrap())).collect();
        assert_eq!(of_parts, expected);
    }
}
