//! The guard: one pass over bytes nobody vouches for, with a fixed stack and no allocation.

use super::Error;

/// How deep lists and dictionaries may nest. Torrents of deep folders (BEP 52 `file tree`) need the most.
pub const MAX_DEPTH: usize = 64;

/// One thing read off the front of the input.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'a> {
    Dict,
    End,
    /// The digits between `i` and `e`, with the sign.
    Integer(&'a [u8]),
    List,
    String(&'a [u8]),
}

/// An open list or dictionary, and what it waits for.
#[derive(Clone, Copy)]
enum Open<'a> {
    Key { last: Option<&'a [u8]> },
    List,
    Value { key: &'a [u8] },
}

/// The length of the value that `bytes` begin with.
pub(super) fn scan(bytes: &[u8]) -> Result<usize, Error> {
    let mut stack = [Open::List; MAX_DEPTH];
    let mut depth = 0_usize;
    let mut offset = 0;
    loop {
        let (token, next) = token(bytes, offset)?;
        if let Some(open) = depth.checked_sub(1).and_then(|top| stack.get_mut(top)) {
            expect(open, token, offset)?;
        } else if matches!(token, Token::End) {
            return Err(Error::Unexpected { byte: b'e', offset });
        }
        match token {
            Token::Dict | Token::List => {
                let slot = stack.get_mut(depth).ok_or(Error::TooDeep { offset })?;
                *slot = if matches!(token, Token::Dict) { Open::Key { last: None } } else { Open::List };
                depth += 1;
            }
            Token::End => depth -= 1,
            Token::Integer(_) | Token::String(_) => {}
        }
        offset = next;
        if depth == 0 {
            return Ok(offset);
        }
    }
}

/// Whether `token` may stand in `open` next; moves a dictionary from key to value and back.
fn expect<'a>(open: &mut Open<'a>, token: Token<'a>, offset: usize) -> Result<(), Error> {
    *open = match (*open, token) {
        (Open::List, _) => Open::List,
        (Open::Key { last: Some(last) }, Token::String(key)) if last == key => {
            return Err(Error::DuplicateKey { key: String::from_utf8_lossy(key).into_owned(), offset });
        }
        (Open::Key { .. }, Token::String(key)) => Open::Value { key },
        (Open::Key { last }, Token::End) => Open::Key { last },
        (Open::Key { .. }, _) | (Open::Value { .. }, Token::End) => return Err(Error::Key { offset }),
        (Open::Value { key }, _) => Open::Key { last: Some(key) },
    };
    Ok(())
}

/// The token at `offset`, and where the next one begins.
pub(super) fn token(bytes: &[u8], offset: usize) -> Result<(Token<'_>, usize), Error> {
    let truncated = Error::Truncated { length: bytes.len() };
    match bytes.get(offset).copied() {
        Some(b'd') => Ok((Token::Dict, offset + 1)),
        Some(b'l') => Ok((Token::List, offset + 1)),
        Some(b'e') => Ok((Token::End, offset + 1)),
        Some(b'i') => integer(bytes, offset),
        Some(b'0'..=b'9') => string(bytes, offset),
        Some(byte) => Err(Error::Unexpected { byte, offset }),
        None => Err(truncated),
    }
}

fn integer(bytes: &[u8], offset: usize) -> Result<(Token<'_>, usize), Error> {
    let body = bytes.get(offset + 1..).unwrap_or_default();
    let sign = usize::from(body.first() == Some(&b'-'));
    let digits = body.iter().skip(sign).take_while(|byte| byte.is_ascii_digit()).count();
    match body.get(sign + digits) {
        Some(b'e') => {}
        Some(_) => return Err(Error::Integer { offset }),
        None => return Err(Error::Truncated { length: bytes.len() }),
    }
    let text = body.get(..sign + digits).unwrap_or_default();
    let canonical = matches!(text, [b'0'] | [b'-', b'1'..=b'9', ..] | [b'1'..=b'9', ..]);
    if !canonical {
        return Err(Error::Integer { offset });
    }
    Ok((Token::Integer(text), offset + 1 + text.len() + 1))
}

fn string(bytes: &[u8], offset: usize) -> Result<(Token<'_>, usize), Error> {
    let body = bytes.get(offset..).unwrap_or_default();
    let digits = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = body.get(..digits).unwrap_or_default();
    if digits > 1 && text.first() == Some(&b'0') {
        return Err(Error::Length { offset });
    }
    match body.get(digits) {
        Some(b':') => {}
        Some(_) => return Err(Error::Length { offset }),
        None => return Err(Error::Truncated { length: bytes.len() }),
    }
    let length = str::from_utf8(text).ok().and_then(|text| text.parse::<usize>().ok());
    let length = length.ok_or(Error::Length { offset })?;
    let start = offset + digits + 1;
    let end = start.checked_add(length).ok_or(Error::Length { offset })?;
    let string = bytes.get(start..end).ok_or(Error::Truncated { length: bytes.len() })?;
    Ok((Token::String(string), end))
}
