//! Our own sentences, with names in backticks and addresses in them → escaped HTML.

use std::fmt::Write as _;

use minijinja::HtmlEscape;

use crate::figure::text::visible;

/// Escapes text and makes what stands in backticks `<code>`.
pub fn with_code(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (index, part) in text.split('`').enumerate() {
        // Writing to a String cannot fail.
        _ = if index.is_multiple_of(2) {
            write!(out, "{}", HtmlEscape(part))
        } else {
            write!(out, "<code>{}</code>", HtmlEscape(part))
        };
    }
    out
}

/// Escapes text that is not ours: nothing in it means anything.
pub fn foreign(text: &str) -> String {
    HtmlEscape(&visible(text)).to_string()
}

/// Escapes an attribution and makes the `https://` addresses in it links; they are never loaded by the page.
pub fn with_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            out.push(' ');
        }
        let bare = word.trim_matches(|character: char| ".,;:()<>[]".contains(character));
        if !bare.starts_with("https://") {
            out.push_str(&foreign(word));
            continue;
        }
        let (before, after) = word.split_once(bare).unwrap_or_default();
        let address = foreign(bare);
        out.push_str(&foreign(before));
        _ = write!(out, "<a href=\"{address}\" rel=\"noreferrer\">{address}</a>");
        out.push_str(&foreign(after));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_become_code() {
        assert_eq!(with_code("See `a<b`, & on."), "See <code>a&lt;b</code>, &amp; on.");
    }

    #[test]
    fn addresses_become_links_and_nothing_else_does() {
        assert_eq!(
            with_links("By DB-IP (https://db-ip.com)."),
            "By DB-IP (<a href=\"https:&#x2f;&#x2f;db-ip.com\" rel=\"noreferrer\">https:&#x2f;&#x2f;db-ip.com</a>)."
        );
        let hostile = with_links("https://x\"onclick=alert(1) javascript:alert(1) <script>");
        assert!(!hostile.contains("\"onclick"), "{hostile}");
        assert!(!hostile.contains("<script>"), "{hostile}");
        assert!(!hostile.contains("href=\"javascript"), "{hostile}");
    }
}
