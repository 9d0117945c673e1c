//! What a killed run left in `wal/` becomes segments before a new run begins.
//!
//! A torn end is cut off; of a damaged file everything readable is saved and the file kept in `wal/damaged/`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use schema::{
    disk::{Disk, create_folder_durably},
    frame::Scan,
    layout::{TEMPORARY_SUFFIX, WAL_FOLDER, WalPath},
};

use super::{
    LogError, Pace, failed_to,
    rotation::{ClosedWal, make_segments, put_away},
    stats::Stats,
    wal::wal_path,
};

/// What opening a log found of killed runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Write-ahead files that held anything.
    pub wals: u64,
    /// Rows saved from them.
    pub rows: u64,
    /// Bytes that a crash tore and that had never been durable.
    pub torn_bytes: u64,
    /// Bytes that were durable and could not be read any more.
    pub damaged_bytes: u64,
    /// Damaged files, where they are kept.
    pub damaged: Vec<PathBuf>,
}

/// Makes segments of every write-ahead file in the folder, in their order.
pub(super) fn recover(
    disk: &dyn Disk,
    folder: &Path,
    stats: &Stats,
    pace: Pace,
) -> Result<Recovery, LogError> {
    let wal_folder = folder.join(WAL_FOLDER);
    create_folder_durably(disk, folder, WAL_FOLDER).map_err(failed_to("make", &wal_folder))?;
    let home = folder.parent().filter(|home| !home.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Err(error) = disk.sync_folder(home) {
        tracing::debug!(folder = %home.display(), %error, "the name of the log's folder may not survive a power loss");
    }
    let names = disk.list(&wal_folder).map_err(failed_to("read", &wal_folder))?;
    for name in names.iter().filter(|name| name.ends_with(TEMPORARY_SUFFIX)) {
        let path = wal_folder.join(name);
        disk.remove(&path).map_err(failed_to("remove", &path))?;
    }
    let mut paths: Vec<_> = names.iter().filter_map(|name| WalPath::from_file_name(name)).collect();
    paths.sort();
    let cuts = cuts(disk, folder, &paths)?;

    let mut recovery = Recovery::default();
    for path in paths {
        let wal = ClosedWal { cut: cuts.get(&path).copied(), path };
        let rotated = make_segments(disk, folder, &wal, stats, pace.rows_at_once)?;
        recovery.damaged.extend(put_away(disk, folder, &wal.path, &rotated)?);
        // The one that was made in advance has nothing to recover.
        recovery.wals += u64::from(rotated.rows + rotated.torn_bytes + rotated.damaged_bytes > 0);
        recovery.rows += rotated.rows;
        recovery.torn_bytes += rotated.torn_bytes;
        recovery.damaged_bytes += rotated.damaged_bytes;
    }
    if recovery.wals > 0 {
        tracing::warn!(
            files = recovery.wals,
            rows = recovery.rows,
            torn_bytes = recovery.torn_bytes,
            "an earlier capture in this folder was killed; its rows are recovered"
        );
    }
    Ok(recovery)
}

/// Where files end because a later one repeats what follows.
fn cuts(disk: &dyn Disk, folder: &Path, paths: &[WalPath]) -> Result<BTreeMap<WalPath, u64>, LogError> {
    let mut cuts = BTreeMap::new();
    for path in paths {
        let name = wal_path(folder, path);
        let file = disk.open(&name).map_err(failed_to("open", &name))?;
        let scan = Scan::new(file, None).map_err(failed_to("read", &name))?;
        for cut in scan.header().into_iter().flat_map(|header| &header.cuts) {
            cuts.insert(WalPath { run: path.run.clone(), seq: cut.seq }, cut.length);
        }
    }
    Ok(cuts)
}
