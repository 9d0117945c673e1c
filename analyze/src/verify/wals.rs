//! Write-ahead files: those a capture is writing, those a killed one left, and those a recovery kept aside.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use schema::{
    disk::{Disk as _, RealDisk},
    frame::{HeaderError, Scan},
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
        let file = home.join(path.file_name());
        let Some(scan) = open(&file, cuts.get(path).copied())? else { continue };
        let file = file.display().to_string();
        let wal = read_through(scan, file.clone(), state)?;
        // One that was made in advance holds nothing yet.
        if wal.rows + wal.torn_bytes + wal.damaged_bytes > 0 || state == WalState::LeftOver {
            verified.wals.push(wal);
        }
        if made.contains(path) && state == WalState::LeftOver {
            verified.notes.push(format!("{file}: its rows, or some, are in segments already and count once"));
        }
    }
    let aside = home.join(DAMAGED_FOLDER);
    for path in wal_files(&aside)? {
        let file = aside.join(path.file_name());
        let Some(scan) = open(&file, None)? else { continue };
        let mut wal = read_through(scan, file.display().to_string(), WalState::KeptAside)?;
        wal.damaged_bytes = wal.damaged_bytes.max(1);
        verified.wals.push(wal);
    }
    Ok(paths)
}

fn read_through(mut scan: Scan, file: String, state: WalState) -> io::Result<WalFile> {
    let (mut rows, mut unreadable) = (0, 0);
    while let Some(frame) = scan.next_frame()? {
        match frame.events() {
            Ok(events) => rows += events.len() as u64,
            Err(_) => unreadable += frame.end() - frame.offset,
        }
    }
    let length = |range: std::ops::Range<u64>| range.end - range.start;
    let torn_bytes = scan.torn().map(length).sum();
    let header_lost = matches!(scan.header(), Err(HeaderError::Damaged | HeaderError::Torn)) && rows > 0;
    let damaged_bytes = (unreadable + scan.damage().map(length).sum::<u64>()).max(u64::from(header_lost));
    Ok(WalFile { file, rows, torn_bytes, damaged_bytes, state })
}

/// Where files end because a later one repeats what follows.
fn cuts(home: &Path, paths: &[WalPath]) -> BTreeMap<WalPath, u64> {
    let headers = paths.iter().filter_map(|path| {
        let scan = open(&home.join(path.file_name()), None).ok()??;
        Some((path, scan.header().ok()?.clone()))
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

/// A file to be read; `None` if its capture has made segments of it meanwhile.
fn open(path: &Path, cut: Option<u64>) -> io::Result<Option<Scan>> {
    match RealDisk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => Scan::new(opened?, cut).map(Some),
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
