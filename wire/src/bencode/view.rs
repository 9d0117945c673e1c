//! Views into bytes the guard has checked: what a value is, without copying it.

use super::{
    Error,
    guard::{Token, scan, token},
};

/// One sound bencoded value, still in its own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

/// The entries of a dictionary, in the order they stand in.
#[derive(Clone, Copy, Debug)]
pub struct Dict<'a>(&'a [u8]);

/// The items of a list, in order.
#[derive(Clone, Copy, Debug)]
pub struct List<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// Wraps bytes that the guard has passed as exactly one value.
    pub(super) fn checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The value's own bytes, exactly as they stand.
    pub fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// The string's bytes; `None` for any other kind.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match token(self.0, 0) {
            Ok((Token::String(bytes), _)) => Some(bytes),
            _ => None,
        }
    }

    /// The integer; `None` for any other kind, and for one that does not fit.
    pub fn as_i64(&self) -> Option<i64> {
        match token(self.0, 0) {
            Ok((Token::Integer(digits), _)) => str::from_utf8(digits).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The integer; `None` for any other kind, and for one that is negative or does not fit.
    pub fn as_u64(&self) -> Option<u64> {
        match token(self.0, 0) {
            Ok((Token::Integer(digits), _)) => str::from_utf8(digits).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The dictionary; `None` for any other kind.
    pub fn as_dict(&self) -> Option<Dict<'a>> {
        self.inside(b'd').map(Dict)
    }

    /// The list; `None` for any other kind.
    pub fn as_list(&self) -> Option<List<'a>> {
        self.inside(b'l').map(List)
    }

    fn inside(&self, opening: u8) -> Option<&'a [u8]> {
        match self.0 {
            [first, inside @ .., b'e'] if *first == opening => Some(inside),
            _ => None,
        }
    }
}

impl<'a> Dict<'a> {
    /// The value under `key`; an error where the key stands twice. Costs one pass over the dictionary.
    pub fn get(&self, key: &[u8]) -> Result<Option<Value<'a>>, Error> {
        let mut matching = self.into_iter().filter(|(name, _)| *name == key);
        let value = matching.next().map(|(_, value)| value);
        if matching.next().is_some() {
            return Err(Error::DuplicateKey { key: String::from_utf8_lossy(key).into_owned(), offset: 0 });
        }
        Ok(value)
    }
}

/// Splits the first value off the front of a checked list's or dictionary's inside.
fn first<'a>(inside: &mut &'a [u8]) -> Option<Value<'a>> {
    let (value, rest) = inside.split_at_checked(scan(inside).ok()?)?;
    *inside = rest;
    Some(Value(value))
}

/// Iterates over a dictionary's keys and values.
#[derive(Clone, Debug)]
pub struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = first(&mut self.0)?.as_bytes()?;
        Some((key, first(&mut self.0)?))
    }
}

impl<'a> IntoIterator for Dict<'a> {
    type IntoIter = Entries<'a>;
    type Item = (&'a [u8], Value<'a>);

    fn into_iter(self) -> Entries<'a> {
        Entries(self.0)
    }
}

/// Iterates over a list's items.
#[derive(Clone, Debug)]
pub struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        first(&mut self.0)
    }
}

impl<'a> IntoIterator for List<'a> {
    type IntoIter = Items<'a>;
    type Item = Value<'a>;

    fn into_iter(self) -> Items<'a> {
        Items(self.0)
    }
}
