//! Text from peers and torrents, made fit to be shown: text → printable text that fits a width in pixels.

/// What stands for a character that cannot be shown or must not be obeyed.
const PLACEHOLDER: char = '□';

/// Replaces what would not be seen or would rearrange its surroundings: control characters (escape sequences begin
/// with one), bidirectional overrides and isolates, invisible and private characters, noncharacters.
///
/// Line breaks and tabs become spaces. Scripts written from right to left stay as they are.
pub fn visible(text: &str) -> String {
    text.chars().map(visible_character).collect()
}

fn visible_character(character: char) -> char {
    match character {
        '\t' | '\n' | '\r' | '\u{a0}' => ' ',
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{e000}'..='\u{f8ff}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{ffff}'
        | '\u{e0000}'..='\u{10ffff}' => PLACEHOLDER,
        other => other,
    }
}

/// Browsers without the vendored font take one that may be this much wider.
const RESERVE: f64 = 1.1;

/// Width of a line of text in pixels, estimated from the vendored font's advance widths; high rather than low.
pub fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|character| character_width(character, size)).sum()
}

fn character_width(character: char, size: f64) -> f64 {
    f64::from(advance(character)) * size * RESERVE / 1000.0
}

/// The text, made visible and cut with an ellipsis where it is wider than `max` pixels.
pub fn fit(text: &str, size: f64, max: f64) -> String {
    let text = visible(text);
    if width(&text, size) <= max {
        return text;
    }
    let room = max - width("…", size);
    let mut taken = 0.0;
    let mut kept: String = text
        .chars()
        .take_while(|character| {
            taken += character_width(*character, size);
            taken <= room
        })
        .collect();
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

/// Breaks a text at spaces into lines of at most `max` pixels; a longer word gets a line of its own.
pub fn wrap(text: &str, size: f64, max: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(" ", size) + width(word, size) <= max => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Advance widths of Inter Regular for U+0020 to U+007E, in thousandths of the font size.
const ADVANCES: [u16; 95] = [
    281, 288, 466, 633, 642, 982, 644, 300, 365, 365, 501, 662, 288, 460, 288, 360, 631, 407, 610, 618, 646,
    593, 620, 566, 619, 620, 288, 302, 662, 662, 662, 511, 966, 690, 654, 730, 722, 601, 590, 746, 743, 269,
    571, 672, 565, 903, 753, 765, 639, 765, 644, 642, 646, 744, 690, 985, 682, 679, 629, 365, 360, 365, 471,
    456, 323, 562, 612, 571, 612, 583, 370, 613, 591, 242, 242, 549, 242, 876, 591, 600, 612, 612, 376, 528,
    327, 591, 562, 818, 546, 562, 552, 426, 333, 426, 662,
];

fn advance(character: char) -> u32 {
    let index = (character as usize).wrapping_sub(0x20);
    if let Some(advance) = ADVANCES.get(index) {
        return u32::from(*advance);
    }
    match character {
        '\u{300}'..='\u{36f}' => 0,
        '\u{80}'..='\u{24f}' | '\u{370}'..='\u{3ff}' => 620,
        '\u{400}'..='\u{52f}' => 720,
        '\u{590}'..='\u{8ff}' => 560,
        '\u{2010}'..='\u{2012}' => 460,
        '…' | '—' => 900,
        '\u{2000}'..='\u{22ff}' => 662,
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_rearranges_or_hides_is_replaced() {
        assert_eq!(visible("a\u{202e}b\u{2066}c"), "a□b□c");
        assert_eq!(visible("\u{1b}[31mred\u{0}"), "□[31mred□");
        assert_eq!(visible("zero\u{200b}width\u{feff}"), "zero□width□");
        assert_eq!(visible("two\nlines\tand a tab"), "two lines and a tab");
        assert_eq!(visible("Ünï 日本語 Кино שלום"), "Ünï 日本語 Кино שלום");
    }

    #[test]
    fn long_text_is_cut_with_an_ellipsis() {
        assert_eq!(fit("short", 12.0, 100.0), "short");
        let cut = fit(&"long ".repeat(50), 12.0, 100.0);
        assert!(cut.ends_with('…'), "{cut}");
        assert!(width(&cut, 12.0) <= 100.0);
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("one two three", 10.0, 50.0), ["one two", "three"]);
        assert!(wrap("", 10.0, 45.0).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_fits(text in ".{0,200}", max in 15.0..400.0_f64) {
            let cut = fit(&text, 12.0, max);
            prop_assert!(width(&cut, 12.0) <= max);
            prop_assert!(!cut.chars().any(char::is_control));
        }
    }
}
