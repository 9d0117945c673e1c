//! The files of an info dictionary, as far as they decide sizes and piece counts.
//!
//! v1 (BEP 3): all files as one run of bytes, cut into pieces; padding files (BEP 47) are part of the run.
//! v2 (BEP 52): a tree of files, each cut into pieces of its own.

use std::collections::BTreeSet;

use super::Error;
use crate::bencode::{Dict, Value};

/// Bytes of a piece's hash in v1.
const SHA1_LEN: usize = 20;
/// Bytes of a file's root hash in v2.
const SHA256_LEN: usize = 32;
/// The shortest piece of v2, a leaf of its hash tree.
const BLOCK_LEN: u64 = 16 * 1024;
/// The name that marks a file in a v2 tree.
const FILE: &[u8] = b"";
/// How `BitComet` names its padding files, which carry no `attr`.
const BITCOMET_PADDING: &[u8] = b"_____padding_file";

/// What the files come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) piece_count: u32,
    pub(super) size_bytes: u64,
}

/// Sizes up a v1 info dictionary, and holds its `pieces` against them.
pub(super) fn v1(dict: Dict<'_>, pieces: Value<'_>, piece_length: u64) -> Result<Content, Error> {
    let pieces = pieces.as_bytes().ok_or(Error::WrongType("pieces"))?;
    if !pieces.len().is_multiple_of(SHA1_LEN) {
        return Err(Error::PiecesLength(pieces.len()));
    }
    let (mut run_bytes, mut size_bytes) = (0_u64, 0_u64);
    let mut add = |length: u64, padding: bool| -> Result<(), Error> {
        run_bytes = run_bytes.checked_add(length).ok_or(Error::TooLarge)?;
        size_bytes += if padding { 0 } else { length };
        Ok(())
    };
    match (dict.get(b"length")?, dict.get(b"files")?) {
        (Some(length), None) => add(file_length(length)?, false)?,
        (None, Some(files)) => {
            for file in files.as_list().ok_or(Error::WrongType("files"))? {
                let file = file.as_dict().ok_or(Error::WrongType("files"))?;
                let length = file.get(b"length")?.ok_or(Error::Missing("length"))?;
                add(file_length(length)?, is_padding(file)?)?;
            }
        }
        (Some(_), Some(_)) => return Err(Error::LengthOrFiles("both")),
        (None, None) => return Err(Error::LengthOrFiles("neither")),
    }
    let found = (pieces.len() / SHA1_LEN) as u64;
    let expected = run_bytes.div_ceil(piece_length);
    if found != expected {
        return Err(Error::PieceCount { found, expected, size_bytes: run_bytes });
    }
    Ok(Content { piece_count: u32::try_from(found).ok().ok_or(Error::TooLarge)?, size_bytes })
}

/// Whether a file of a v1 list is there only to align the next one.
fn is_padding(file: Dict<'_>) -> Result<bool, Error> {
    let path = match file.get(b"path.utf-8")? {
        Some(path) => path,
        None => file.get(b"path")?.ok_or(Error::Missing("path"))?,
    };
    let path = path.as_list().ok_or(Error::WrongType("path"))?;
    let name = path.into_iter().last().and_then(|name| name.as_bytes()).ok_or(Error::WrongType("path"))?;
    Ok(has_padding_attribute(file)? || name.starts_with(BITCOMET_PADDING))
}

/// BEP 47: `attr` is a string of letters, `p` among them for padding.
fn has_padding_attribute(file: Dict<'_>) -> Result<bool, Error> {
    Ok(file.get(b"attr")?.and_then(|attr| attr.as_bytes()).is_some_and(|attr| attr.contains(&b'p')))
}

fn file_length(length: Value<'_>) -> Result<u64, Error> {
    // Sizes are signed in every client: what does not fit is nobody's file.
    length.as_i64().and_then(|length| u64::try_from(length).ok()).ok_or(Error::FileLength)
}

/// Sizes up a v2 info dictionary.
pub(super) fn v2(dict: Dict<'_>, piece_length: u64) -> Result<Content, Error> {
    if !piece_length.is_power_of_two() || piece_length < BLOCK_LEN {
        return Err(Error::PieceLength(piece_length));
    }
    let tree = dict.get(b"file tree")?.ok_or(Error::Missing("file tree"))?;
    let tree = tree.as_dict().ok_or(Error::WrongType("file tree"))?;
    let mut content = Content::default();
    folder(tree, piece_length, &mut content)?;
    Ok(content)
}

/// Adds a folder's files. It goes as deep as the guard let the tree be.
fn folder(entries: Dict<'_>, piece_length: u64, content: &mut Content) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    for (name, entry) in entries {
        if name == FILE {
            return Err(Error::FileTree("a file's entry stands in a folder"));
        }
        if !names.insert(name) {
            return Err(Error::FileTree("two entries have the same name"));
        }
        let entry = entry.as_dict().ok_or(Error::FileTree("an entry is no dictionary"))?;
        match entry.get(FILE)? {
            None => folder(entry, piece_length, content)?,
            Some(_) if entry.into_iter().count() > 1 => {
                return Err(Error::FileTree("an entry is both a file and a folder"));
            }
            Some(attributes) => file(attributes, piece_length, content)?,
        }
    }
    Ok(())
}

fn file(attributes: Value<'_>, piece_length: u64, content: &mut Content) -> Result<(), Error> {
    let attributes = attributes.as_dict().ok_or(Error::FileTree("a file is no dictionary"))?;
    let length = attributes.get(b"length")?.ok_or(Error::FileTree("a file has no \"length\""))?;
    let length = file_length(length)?;
    if has_padding_attribute(attributes)? || length == 0 {
        return Ok(());
    }
    let root = attributes.get(b"pieces root")?.and_then(|root| root.as_bytes());
    if root.is_none_or(|root| root.len() != SHA256_LEN) {
        return Err(Error::FileTree("a file has no \"pieces root\" of 32 bytes"));
    }
    let pieces = u32::try_from(length.div_ceil(piece_length)).ok();
    content.piece_count =
        pieces.and_then(|pieces| content.piece_count.checked_add(pieces)).ok_or(Error::TooLarge)?;
    content.size_bytes = content.size_bytes.checked_add(length).ok_or(Error::TooLarge)?;
    Ok(())
}
