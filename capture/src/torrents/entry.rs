//! One entry of the list: a `.torrent` file, a folder of them, a magnet link (BEP 9) or a bare info-hash.
//!
//! Entry text → descriptions, or what is wrong with it and what to do.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr as _,
};

use schema::{InfoHash, InfoHashV2, table::TorrentOrigin};
use wire::{magnet::Magnet, metainfo};

use crate::swarm::{Description, Metadata};

/// Larger files are taken for something else than a `.torrent`; the largest real ones are a few tens of MiB.
const TORRENT_FILE_BYTES_MAX: u64 = 64 << 20;

/// What an entry stands for: its text, or a file's path within a folder, and the swarm or why there is none.
pub type Found = (String, Result<Description, String>);

/// Makes sense of an entry; a relative path is looked for in `folder` (the list's), then where the program was started.
pub fn read(entry: &OsStr, folder: &Path) -> Vec<Found> {
    if let Some(path) = find(entry, folder) {
        return if path.is_dir() { read_folder(entry, &path) } else { vec![read_named(entry, &path)] };
    }
    let shown = entry.to_string_lossy();
    // Paths may hold a `#`, so the longest text that is a path is taken before the shortest one that may be.
    let mut text = shown.as_ref();
    while let Some(shorter) = without_comment(text) {
        text = shorter;
        if find(OsStr::new(text), folder).is_some() {
            return read(OsStr::new(text), folder);
        }
    }
    vec![(text.to_owned(), read_text(text))]
}

/// The entry without what stands behind its last ` #`.
fn without_comment(entry: &str) -> Option<&str> {
    let comment = entry.rfind(" #").max(entry.rfind("\t#"))?;
    entry.get(..comment).map(str::trim_end)
}

fn find(entry: &OsStr, folder: &Path) -> Option<PathBuf> {
    [folder.join(entry), PathBuf::from(entry)].into_iter().find(|path| path.exists())
}

fn read_text(text: &str) -> Result<Description, String> {
    if text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:")) {
        return read_magnet(text);
    }
    if let Ok(info_hash) = wire::InfoHash::from_str(text)
        && text.len() == 40
    {
        return Ok(bare(InfoHash(info_hash.0)));
    }
    Err(complain(text))
}

fn complain(text: &str) -> String {
    let all_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return "a web address; download the .torrent file and write its path".to_owned();
    }
    if all_hex && text.len() == 64 {
        return format!("a bare v2 info-hash; write it as magnet:?xt=urn:btmh:1220{text}");
    }
    if text.len() == 32 && wire::InfoHash::from_str(text).is_ok() {
        return format!("a bare base32 info-hash; write it as magnet:?xt=urn:btih:{text}");
    }
    if all_hex && text.len() >= 20 {
        return format!("{} hex digits; an info-hash has 40", text.len());
    }
    "no such file or folder beside the list or here; write a .torrent file, a folder, a magnet link or 40 hex digits"
        .to_owned()
}

fn bare(info_hash: InfoHash) -> Description {
    Description {
        info_hash,
        info_hash_v2: None,
        name: None,
        origin: TorrentOrigin::InfoHash,
        trackers: vec![],
        peers: vec![],
        metadata: None,
    }
}

fn read_magnet(text: &str) -> Result<Description, String> {
    let magnet = Magnet::from_str(text).map_err(|error| error.to_string())?;
    Ok(Description {
        info_hash_v2: magnet.info_hash_v2.map(|hash| InfoHashV2(hash.0)),
        name: magnet.name,
        origin: TorrentOrigin::Magnet,
        // Each `tr` is a tier of its own, as other clients have it: all of them are asked anyway.
        trackers: magnet.trackers.into_iter().map(|tracker| vec![tracker]).collect(),
        peers: magnet.peers,
        ..bare(InfoHash(magnet.info_hash.0))
    })
}

fn read_folder(entry: &OsStr, path: &Path) -> Vec<Found> {
    let shown = entry.to_string_lossy().into_owned();
    let names = match torrent_names(path) {
        Ok(names) => names,
        Err(error) => return vec![(shown, Err(format!("cannot read the folder: {error}")))],
    };
    if names.is_empty() {
        return vec![(
            shown,
            Err("no .torrent file in this folder; its subfolders need lines of their own".to_owned()),
        )];
    }
    names
        .into_iter()
        .map(|name| {
            let (file, description) = read_named(Path::new(entry).join(&name).as_os_str(), &path.join(&name));
            (file, description)
        })
        .collect()
}

fn torrent_names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for file in fs::read_dir(folder)? {
        let name = file?.file_name();
        let extension = Path::new(&name).extension();
        if extension.is_some_and(|extension| extension.eq_ignore_ascii_case("torrent")) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn read_named(entry: &OsStr, path: &Path) -> Found {
    (entry.to_string_lossy().into_owned(), read_torrent_file(path))
}

fn read_torrent_file(path: &Path) -> Result<Description, String> {
    let bytes = read_bounded(path)?;
    let metainfo = metainfo::parse(&bytes).map_err(|error| error.to_string())?;
    let info = metainfo.info;
    let info_hash_v2 = info.info_hash_v2.map(|hash| InfoHashV2(hash.0));
    Ok(Description {
        info_hash: InfoHash(info.info_hash.0),
        info_hash_v2,
        name: Some(info.name.clone()),
        origin: TorrentOrigin::File,
        trackers: metainfo.trackers,
        peers: vec![],
        metadata: Some(Metadata {
            info_hash_v2,
            name: info.name,
            piece_length: info.piece_length,
            piece_count: info.piece_count,
            size_bytes: info.size_bytes,
            private: info.private,
        }),
    })
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| format!("cannot read the file: {error}");
    let kind = fs::metadata(path).map_err(unreadable)?.file_type();
    if !kind.is_file() {
        return Err("neither a file nor a folder".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(TORRENT_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > TORRENT_FILE_BYTES_MAX {
        return Err("larger than 64 MiB; this is no .torrent file".to_owned());
    }
    Ok(bytes)
}
