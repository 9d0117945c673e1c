//! Write-ahead files: those a capture is writing, those a killed one left, and those a recovery kept aside.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use schema::{
    disk::{Disk as _, RealDisk},
    frame::{Header, HeaderError, Scan},
    layout::{DAMAGED_FOLDER, WAL_FOLDER, WalPath},
};

use super::{Verified, WalFile, WalState};

/// Reads them and gives those that are to become segments; `made` are those of which there are segments.
pub(super) fn read(
    folder: &Path,
    made: &BTreeSet<WalPath>,
    verified: &mut Verified,
) -> io::Result<Vec<WalPath>> {
    let home = folder.join(WAL_FOLDER);
    let state = if is_locked(&home) { WalState::Open } else { WalState::LeftOver };
    let paths = wal_files(&home)?;
    let cuts = cuts(&home, &paths);
    for path in &paths {
        let Some(bytes) = read_file(&home.join(path.file_name()))? else { continue };
        let cut = cuts.get(path).and_then(|cut| usize::try_from(*cut).ok()).unwrap_or(bytes.len());
        let file = home.join(path.file_name()).display().to_string();
        verified.wals.push(scan(bytes.get(..cut).unwrap_or(&bytes), file.clone(), state));
        if made.contains(path) && state == WalState::LeftOver {
            verified.notes.push(format!("{file}: its rows, or some, are in segments already and count once"));
        }
    }
    let aside = home.join(DAMAGED_FOLDER);
    for path in wal_files(&aside)? {
        let file = aside.join(path.file_name());
        let Some(bytes) = read_file(&file)? else { continue };
        let mut wal = scan(&bytes, file.display().to_string(), WalState::KeptAside);
        wal.damaged_bytes = wal.damaged_bytes.max(1);
        verified.wals.push(wal);
    }
    Ok(paths)
}

fn scan(bytes: &[u8], file: String, state: WalState) -> WalFile {
    let scan = Scan::new(bytes);
    let length =
        |ranges: &[std::ops::Range<usize>]| ranges.iter().map(|range| range.len() as u64).sum::<u64>();
    let (torn_bytes, mut damaged_bytes) = (length(&scan.torn), length(&scan.damage));
    let mut rows = 0;
    for frame in &scan.frames {
        match frame.events() {
            Ok(events) => rows += events.len() as u64,
            Err(_) => damaged_bytes += (frame.end() - frame.offset) as u64,
        }
    }
    let header_lost = matches!(scan.header, Err(HeaderError::Damaged | HeaderError::Torn)) && rows > 0;
    damaged_bytes = damaged_bytes.max(u64::from(header_lost));
    WalFile { file, rows, torn_bytes, damaged_bytes, state }
}

/// Where files end because a later one repeats what follows.
fn cuts(home: &Path, paths: &[WalPath]) -> BTreeMap<WalPath, u64> {
    let headers = paths.iter().filter_map(|path| {
        let file = fs::read(home.join(path.file_name())).ok()?;
        Some((path, Header::decode(&file).ok()?.0))
    });
    let cuts = headers.flat_map(|(path, header)| {
        let of = |cut: schema::frame::Cut| (WalPath { run: path.run.clone(), seq: cut.seq }, cut.length);
        header.cuts.into_iter().map(of).collect::<Vec<_>>()
    });
    cuts.collect()
}

fn wal_files(home: &Path) -> io::Result<Vec<WalPath>> {
    let names = match RealDisk.list(home) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    Ok(names.iter().filter_map(|name| WalPath::from_file_name(name)).collect())
}

/// A file's bytes; `None` if its capture has made segments of it meanwhile.
fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Whether a capture has the folder. Trying to lock it would be in the way of one that starts, so the system's list of
/// locks is read (Linux); elsewhere no capture is seen.
fn is_locked(home: &Path) -> bool {
    let Ok(lock) = fs::metadata(home.join("lock")) else { return false };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let of_file = format!(":{} ", lock.ino());
    locks.lines().any(|line| line.contains("FLOCK") && line.contains(&of_file))
}
