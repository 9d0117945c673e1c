//! The list of what to watch: lines → swarms, each once, and remarks by line.
//!
//! UTF-8 text, `\n` or `\r\n`, an optional byte order mark; blank lines and lines that begin with `#` say nothing.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fmt, fs, io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use schema::{InfoHash, table::TorrentOrigin};
use wire::magnet::Magnet;

use crate::{
    printable::printable,
    swarm::Description,
    torrents::{Shard, entry},
};

/// One swarm of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its line, counted from 1; the first one where several name it.
    pub line: usize,
    /// The line's text, or for a folder the path of a file in it.
    pub text: String,
    /// The swarm, with what every line says of it.
    pub description: Description,
}

/// Something about one line that the user should know: `list.txt:7: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The list as the user named it.
    pub list: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what to do, or what was made of it.
    pub message: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.list, self.line, self.message)
    }
}

/// The list, read.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Every swarm once, in the order of the list.
    pub entries: Vec<Entry>,
    /// Entries that cannot be used.
    pub defects: Vec<Remark>,
    /// Entries that are used, and about which something should be said.
    pub notes: Vec<Remark>,
    /// What became of the entries where only a shard is watched, in words.
    pub shard: Option<String>,
}

/// Why there is no list at all.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It could not be read.
    #[error("cannot read the list {path}: {source}")]
    Unreadable {
        /// The list as the user named it.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It is a file of another kind.
    #[error("{path} is no list: {reason}")]
    NotAList {
        /// The list as the user named it.
        path: String,
        /// What it is, and what to do.
        reason: &'static str,
    },
}

impl List {
    /// Reads the list and everything its entries name.
    pub fn read(path: &Path) -> Result<Self, ListError> {
        let shown = printable(&path.to_string_lossy()).into_owned();
        let bytes = fs::read(path).map_err(|source| ListError::Unreadable { path: shown.clone(), source })?;
        if let Some(reason) = other_kind(path, &bytes) {
            return Err(ListError::NotAList { path: shown, reason });
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self::from_bytes(&bytes, folder, &shown))
    }

    /// Keeps the swarms of a shard.
    pub fn keep(&mut self, shard: Shard) {
        let all = self.entries.len();
        self.entries.retain(|entry| shard.holds(entry.description.info_hash));
        self.shard = Some(format!("shard {shard} holds {} of {all} swarms", self.entries.len()));
    }

    /// Defects and notes in the order of the lines.
    pub fn remarks(&self) -> Vec<&Remark> {
        let mut remarks: Vec<&Remark> = self.defects.iter().chain(&self.notes).collect();
        remarks.sort_by_key(|remark| remark.line);
        remarks
    }

    fn from_bytes(bytes: &[u8], folder: &Path, shown: &str) -> Self {
        let mut list = Self::default();
        let mut known = HashMap::new();
        for (line, text) in lines(bytes) {
            let remark = |message: String| Remark { list: shown.to_owned(), line, message };
            for (text, found) in entry::read(&text, folder) {
                match found {
                    Ok(description) => {
                        let magnet = text.parse::<Magnet>().ok();
                        if let Some(left_out) = magnet.map(|magnet| magnet.peers_left_out).filter(|&n| n > 0)
                        {
                            let message =
                                format!("{left_out} x.pe are no ADDRESS:PORT or HOST:PORT; left out");
                            list.notes.push(remark(message));
                        }
                        list.add(&mut known, Entry { line, text, description }, remark);
                    }
                    Err(reason) => list.defects.push(remark(explain(&text, &reason))),
                }
            }
        }
        list
    }

    fn add(&mut self, known: &mut HashMap<InfoHash, usize>, entry: Entry, remark: impl Fn(String) -> Remark) {
        if let Some(first) =
            known.get(&entry.description.info_hash).and_then(|&index| self.entries.get_mut(index))
        {
            self.notes.push(remark(format!("the same swarm as on line {}; merged with it", first.line)));
            merge(&mut first.description, entry.description);
            return;
        }
        known.insert(entry.description.info_hash, self.entries.len());
        self.entries.push(entry);
    }
}

/// Lines that say something, without blanks around them, each with its number.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, OsString)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = (1..).zip(bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
        .map(|(number, line)| (number, OsStr::from_bytes(line).to_owned()))
}

fn other_kind(path: &Path, bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"d8:announce") || path.extension().is_some_and(|extension| extension == "torrent") {
        return Some("it is a .torrent file; write its path into a text file and give that");
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Some("it is UTF-16 text; save it as UTF-8");
    }
    None
}

/// Names the entry where the line alone does not tell which file is meant.
fn explain(text: &str, reason: &str) -> String {
    const SHOWN_CHARACTERS_MAX: usize = 100;
    if text.chars().count() > SHOWN_CHARACTERS_MAX {
        let start: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
        return format!("{}…: {}", printable(&start), printable(reason));
    }
    format!("{}: {}", printable(text), printable(reason))
}

/// Adds what a second entry says of the same swarm: its trackers and peers, and whatever the first did not know.
fn merge(first: &mut Description, second: Description) {
    for tier in second.trackers {
        let known: Vec<&String> = first.trackers.iter().flatten().collect();
        let tier: Vec<String> = tier.into_iter().filter(|url| !known.contains(&url)).collect();
        if !tier.is_empty() {
            first.trackers.push(tier);
        }
    }
    for peer in second.peers {
        if !first.peers.contains(&peer) {
            first.peers.push(peer);
        }
    }
    if first.metadata.is_none() {
        let knows_more = second.metadata.is_some() || first.origin == TorrentOrigin::InfoHash;
        first.origin = if knows_more { second.origin } else { first.origin };
        first.name =
            if knows_more { second.name.or(first.name.take()) } else { first.name.take().or(second.name) };
        first.metadata = second.metadata;
    }
    first.info_hash_v2 = first.info_hash_v2.or(second.info_hash_v2);
}

#[cfg(test)]
mod tests;
