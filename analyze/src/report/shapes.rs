//! Outlines of countries, which several maps share: figures' markup → the same with each outline once in the page.
//!
//! A map's path becomes `<use href="#…">` of a shape with the same data; class and tooltip stay where they are.

use std::collections::HashMap;
use std::fmt::Write as _;

/// The shapes of the page so far.
#[derive(Debug, Default)]
pub struct Shapes {
    places: HashMap<String, usize>,
    definitions: String,
}

/// How an outline begins and ends up to its data, as `figure::choropleth` writes it.
const START: &str = "<path class=\"";
const DATA: &str = " d=\"";
const MARK: &str = " data-c=\"";

impl Shapes {
    /// The markup with its countries' outlines taken out.
    pub fn share(&mut self, markup: &str) -> String {
        let mut out = String::with_capacity(markup.len() / 4);
        for line in markup.lines() {
            match self.shared(line) {
                Some(shared) => out.push_str(&shared),
                None => out.push_str(line),
            }
            out.push('\n');
        }
        out
    }

    /// The line with a reference instead of its outline; `None` if it is no country's.
    fn shared(&mut self, line: &str) -> Option<String> {
        let rest = line.strip_prefix(START).filter(|rest| rest.contains(MARK))?;
        let (attributes, rest) = rest.split_once(DATA)?;
        let (data, rest) = rest.split_once('"')?;
        let next = self.places.len();
        let place = *self.places.entry(data.to_owned()).or_insert(next);
        if place == next {
            // Writing to a String cannot fail.
            _ = writeln!(self.definitions, "<path id=\"s{place}\" fill-rule=\"evenodd\" d=\"{data}\"/>");
        }
        let attributes = attributes.replace(" fill-rule=\"evenodd\"", "");
        let rest = rest.replace("</path>", "</use>");
        Some(format!("<use class=\"{attributes} href=\"#s{place}\"{rest}"))
    }

    /// The shapes as a picture that is not seen; empty without any.
    pub fn definitions(&self) -> String {
        if self.definitions.is_empty() {
            return String::new();
        }
        format!(
            "<svg class=\"shapes\" aria-hidden=\"true\" width=\"0\" height=\"0\"><defs>\n{}</defs></svg>",
            self.definitions
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_stands_once() {
        let map = |class: &str| {
            format!(
                "<path class=\"{class}\" fill-rule=\"evenodd\" data-c=\"DE\" d=\"M1 2Z\"><title>A</title></path>\n<rect/>\n"
            )
        };
        let mut shapes = Shapes::default();
        let expected = |class: &str| {
            format!("<use class=\"{class}\" data-c=\"DE\" href=\"#s0\"><title>A</title></use>\n<rect/>\n")
        };
        assert_eq!(shapes.share(&map("q1")), expected("q1"));
        assert_eq!(shapes.share(&map("q2")), expected("q2"));
        assert_eq!(shapes.definitions().matches("M1 2Z").count(), 1);
        assert_eq!(
            shapes.share("<path class=\"line1\" d=\"M1 2\"/>\n"),
            "<path class=\"line1\" d=\"M1 2\"/>\n"
        );
    }
}
