//! Text of strangers, made safe to show: no control character reaches a terminal, and no line is turned around.

use std::{borrow::Cow, fmt::Write as _};

/// `text` with every control or direction-changing character written as `\u{…}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unsafe(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// JSON text with the unsafe characters that JSON itself lets stand written as `\uXXXX`: the same value, safe to show.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_unsafe) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 8);
    let mut units = [0; 2];
    for character in json.chars() {
        if is_unsafe(character) {
            for unit in character.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                write!(safe, "\\u{unit:04x}").ok();
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}c\nd\u{202e}e ü"), "a\\u{1b}[2Jb\\u{9b}c\\u{a}d\\u{202e}e ü");
        assert_eq!(printable_json("\"\u{7f}\u{9b}ü\""), "\"\\u007f\\u009bü\"");
    }

    proptest! {
        #[test]
        fn json_keeps_its_value(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            let safe = printable_json(&json);
            prop_assert!(!safe.contains(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }
}
