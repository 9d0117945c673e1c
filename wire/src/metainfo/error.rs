//! What can be wrong with a torrent file, each in a line that its user understands.

use crate::bencode;

/// A torrent file or info dictionary that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not sound bencode: another kind of file, or a damaged one.
    #[error("not a torrent file: {0}")]
    Bencode(#[from] bencode::Error),
    /// Nothing to download, so nothing to count.
    #[error("the torrent holds no bytes to download")]
    Empty,
    /// A v2 `file tree` that is no tree of files.
    #[error("the torrent's \"file tree\" is malformed: {0}")]
    FileTree(&'static str),
    /// The v1 and v2 parts of a hybrid torrent are about different content (BEP 52).
    #[error("the torrent's v1 part is of {v1_bytes} bytes and its v2 part of {v2_bytes}")]
    Hybrid {
        /// Bytes the v1 part names, padding left out.
        v1_bytes: u64,
        /// Bytes the v2 part names, padding left out.
        v2_bytes: u64,
    },
    /// Both `length` and `files`, or neither: one file or many?
    #[error("the torrent must have either \"length\" or \"files\", and has {0}")]
    LengthOrFiles(&'static str),
    /// A version of the format this program does not know, without a v1 part.
    #[error("the torrent has no \"pieces\", and its \"meta version\" {} is not 2", version(*.0))]
    MetaVersion(Option<i64>),
    /// A key that must be there.
    #[error("the torrent has no {0:?}")]
    Missing(&'static str),
    /// A file's size below 0 or beyond what a number holds.
    #[error("a file's \"length\" is negative, too large or no number")]
    FileLength,
    /// Something else than a dictionary.
    #[error("not a torrent file: it is no dictionary")]
    NotADictionary,
    /// A number that must be above 0.
    #[error("the torrent's {0:?} is not a number above 0")]
    NotPositive(&'static str),
    /// Other than one hash for every piece.
    #[error("the torrent's \"pieces\" has {found} hashes where {size_bytes} bytes need {expected}")]
    PieceCount {
        /// Hashes there are.
        found: u64,
        /// Hashes there should be.
        expected: u64,
        /// Bytes to be hashed, padding included.
        size_bytes: u64,
    },
    /// A v2 piece length that is no power of two from 16 KiB up (BEP 52).
    #[error("the v2 torrent's \"piece length\" {0} is not a power of two of at least 16384")]
    PieceLength(u64),
    /// A list of hashes that ends inside one.
    #[error("the torrent's \"pieces\" is {0} bytes long, not a multiple of 20")]
    PiecesLength(usize),
    /// More pieces than peers can speak about, or sizes that overflow.
    #[error("the torrent is too large: its pieces cannot be numbered with 32 bits")]
    TooLarge,
    /// A value of another type than its key has.
    #[error("the torrent's {0:?} is of the wrong type")]
    WrongType(&'static str),
}

fn version(version: Option<i64>) -> String {
    version.map_or_else(|| "(no number)".to_owned(), |version| version.to_string())
}
