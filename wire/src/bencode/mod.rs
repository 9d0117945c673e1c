//! Bencoding (BEP 3): a guard that checks any bytes without recursion or allocation, views into what it
//! checked, and serde for writing and for small typed messages.
//!
//! Every input passes [`parse`] first: `serde_bencode` alone overflows the stack on nested lists.

mod guard;
mod view;

use serde::{Serialize, de::DeserializeOwned};

pub use guard::MAX_DEPTH;
pub use view::{Dict, List, Value};

/// Bytes that are not one bencoded value in canonical form, or not the value a type needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The same key stands twice in a dictionary, so what it means depends on the reader.
    #[error("bencode: the key {key:?} stands twice in the dictionary at byte {offset}")]
    DuplicateKey {
        /// The key, bytes that are not UTF-8 replaced.
        key: String,
        /// Where the dictionary, or its second such key, begins.
        offset: usize,
    },
    /// An integer that no encoder writes: empty, `+5`, `-0`, `03`.
    #[error("bencode: the integer at byte {offset} is not canonical")]
    Integer {
        /// Where the integer begins.
        offset: usize,
    },
    /// A dictionary's key that is no string, or a key without a value.
    #[error("bencode: the dictionary entry at byte {offset} is not a string and its value")]
    Key {
        /// Where the entry's faulty half begins.
        offset: usize,
    },
    /// A string's length that is no canonical number or that no memory could hold.
    #[error("bencode: the string length at byte {offset} is not a canonical number")]
    Length {
        /// Where the length begins.
        offset: usize,
    },
    /// Lists and dictionaries nested deeper than [`MAX_DEPTH`].
    #[error("bencode: nested deeper than {MAX_DEPTH} levels at byte {offset}")]
    TooDeep {
        /// Where the first level too many begins.
        offset: usize,
    },
    /// Bytes after the value.
    #[error("bencode: bytes follow the end of the value at byte {offset}")]
    Trailing {
        /// Where the value ended.
        offset: usize,
    },
    /// The bytes end inside the value.
    #[error("bencode: the value is cut off after {length} bytes")]
    Truncated {
        /// Bytes there were.
        length: usize,
    },
    /// The value is sound, and is not what the type to be read needs.
    #[error("bencode: {0}")]
    Type(String),
    /// A byte that begins no value.
    #[error("bencode: the byte {byte:#04x} at {offset} begins no value")]
    Unexpected {
        /// The byte.
        byte: u8,
        /// Where it stands.
        offset: usize,
    },
}

/// Whether `bytes` are exactly one sound value: depth at most [`MAX_DEPTH`], canonical numbers, nothing after.
///
/// Dictionary keys may be unsorted, as some torrent makers write them; a key that follows itself is an error,
/// and so is looking up one that stands twice ([`Dict::get`]).
pub fn check(bytes: &[u8]) -> Result<(), Error> {
    match guard::scan(bytes)? {
        end if end == bytes.len() => Ok(()),
        offset => Err(Error::Trailing { offset }),
    }
}

/// Checks `bytes` as [`check`] does and gives a view of the value.
pub fn parse(bytes: &[u8]) -> Result<Value<'_>, Error> {
    check(bytes)?;
    Ok(Value::checked(bytes))
}

/// Checks the value that `bytes` begin with; gives a view of it and the bytes after it (BEP 9 puts the
/// metadata behind its dictionary).
pub fn parse_prefix(bytes: &[u8]) -> Result<(Value<'_>, &[u8]), Error> {
    let end = guard::scan(bytes)?;
    let (value, rest) = bytes.split_at_checked(end).ok_or(Error::Truncated { length: bytes.len() })?;
    Ok((Value::checked(value), rest))
}

/// The raw bytes of the value under `key`, exactly as they stand: what an info-hash is taken over.
///
/// `None` where `dict` is no sound dictionary, or the key is missing or ambiguous.
pub fn raw_value<'a>(dict: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let value = parse(dict).ok()?.as_dict()?.get(key).ok()??;
    Some(value.raw())
}

/// Reads a typed value, after the guard.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    check(bytes)?;
    serde_bencode::from_bytes(bytes).map_err(|e| Error::Type(e.to_string()))
}

/// Writes a value with its dictionaries' keys sorted, as BEP 3 wants them.
///
/// Fails only for types bencode cannot express (floats, maps whose keys are no strings).
pub fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_bencode::to_bytes(value).map_err(|e| Error::Type(e.to_string()))
}

#[cfg(test)]
mod tests;
