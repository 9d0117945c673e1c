//! A small SVG builder: elements → markup.
//!
//! Everything that reaches the markup is escaped here and nowhere else. Colours are classes, never attributes: the
//! file's style sheet (light) and the report's (light and dark) give them meaning. Lengths are pixels.

use std::fmt::Write as _;

use super::text::visible;

/// An element under construction; its text and attributes are escaped as they come in.
#[derive(Clone, Debug)]
pub struct Element {
    name: &'static str,
    attributes: String,
    content: String,
}

impl Element {
    /// An element without attributes.
    pub fn new(name: &'static str) -> Self {
        Self { name, attributes: String::new(), content: String::new() }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.push(' ');
        self.attributes.push_str(name);
        self.attributes.push_str("=\"");
        escape_into(&mut self.attributes, value);
        self.attributes.push('"');
        self
    }

    /// Adds the `class` attribute.
    #[must_use]
    pub fn class(self, value: &str) -> Self {
        self.attribute("class", value)
    }

    /// Adds a numeric attribute, rounded to a hundredth.
    #[must_use]
    pub fn number(self, name: &str, value: f64) -> Self {
        let text = length(value);
        self.attribute(name, &text)
    }

    /// Adds text, made visible (see [`visible`]).
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        escape_into(&mut self.content, &visible(text));
        self
    }

    /// Adds a child element.
    #[must_use]
    pub fn child(mut self, child: &Element) -> Self {
        child.write_to(&mut self.content);
        self
    }

    /// Adds a `<title>`, which browsers show when the pointer rests on the element.
    #[must_use]
    pub fn tooltip(self, text: &str) -> Self {
        self.child(&Element::new("title").text(text))
    }

    fn write_to(&self, out: &mut String) {
        out.push('<');
        out.push_str(self.name);
        out.push_str(&self.attributes);
        if self.content.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        out.push_str(&self.content);
        out.push_str("</");
        out.push_str(self.name);
        out.push('>');
    }
}

/// A filled rectangle.
pub fn rect(class: &str, x: f64, y: f64, width: f64, height: f64) -> Element {
    Element::new("rect")
        .class(class)
        .number("x", x)
        .number("y", y)
        .number("width", width.max(0.0))
        .number("height", height.max(0.0))
}

/// A straight line.
pub fn line(class: &str, x1: f64, y1: f64, x2: f64, y2: f64) -> Element {
    Element::new("line").class(class).number("x1", x1).number("y1", y1).number("x2", x2).number("y2", y2)
}

/// A circle.
pub fn circle(class: &str, x: f64, y: f64, radius: f64) -> Element {
    Element::new("circle").class(class).number("cx", x).number("cy", y).number("r", radius)
}

/// Where a text's reference point lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// At its end: the text stands left of the point.
    End,
    /// In its middle.
    Middle,
    /// At its start: the text stands right of the point.
    Start,
}

/// A line of text whose base line is at `y`.
pub fn text(class: &str, x: f64, y: f64, anchor: Anchor, text: &str) -> Element {
    let anchor = match anchor {
        Anchor::End => "end",
        Anchor::Middle => "middle",
        Anchor::Start => "start",
    };
    Element::new("text")
        .class(class)
        .number("x", x)
        .number("y", y)
        .attribute("text-anchor", anchor)
        .text(text)
}

/// A path through `points`, closed if asked for.
pub fn path(class: &str, points: &[(f64, f64)], closed: bool) -> Element {
    let mut data = String::with_capacity(points.len() * 10);
    for (index, (x, y)) in points.iter().enumerate() {
        data.push(if index == 0 { 'M' } else { 'L' });
        data.push_str(&length(*x));
        data.push(' ');
        data.push_str(&length(*y));
    }
    if closed {
        data.push('Z');
    }
    Element::new("path").class(class).attribute("d", &data)
}

/// A picture of a known size, without title or frame.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    body: String,
}

impl Drawing {
    /// An empty picture.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    /// Puts an element on top of what is there.
    #[expect(clippy::needless_pass_by_value, reason = "an element is built to be put somewhere")]
    pub fn push(&mut self, element: Element) {
        element.write_to(&mut self.body);
        self.body.push('\n');
    }

    /// The elements so far, for use inside another picture.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Adds a finished picture, its upper left corner at (`x`, `y`).
    pub fn place(&mut self, picture: &Drawing, x: f64, y: f64) {
        // A write to a String cannot fail.
        _ = writeln!(
            self.body,
            "<g transform=\"translate({} {})\">\n{}</g>",
            length(x),
            length(y),
            picture.body()
        );
    }

    /// The markup: an `<svg>` with an accessible name; with `style` it stands alone, else the page styles it.
    pub fn markup(&self, class: &str, name: &str, style: Option<&str>) -> String {
        let mut out = String::with_capacity(self.body.len() + 1024);
        let (width, height) = (length(self.width), length(self.height));
        _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"{class}\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\" font-family=\"{FONT_FAMILIES}\" aria-label=\""
        );
        escape_into(&mut out, &visible(name));
        out.push_str("\">\n");
        if let Some(style) = style {
            _ = writeln!(out, "<style>\n{style}</style>");
        }
        out.push_str(&self.body);
        out.push_str("</svg>\n");
        out
    }
}

/// The vendored font first, then what browsers and editors have.
const FONT_FAMILIES: &str = "Inter, system-ui, Helvetica, Arial, sans-serif";

/// A length, to a hundredth, without needless zeros; what is not finite becomes 0.
pub fn length(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn escape_into(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_are_escaped() {
        let mut drawing = Drawing::new(10.0, 5.5);
        drawing
            .push(text("label", 1.0, 2.005, Anchor::Start, "<b>&\"'\u{202e}\u{7}").attribute("id", "\"><x"));
        let markup = drawing.markup("figure", "a<b", None);
        assert!(markup.contains(">&lt;b&gt;&amp;&quot;&#39;□□</text>"), "{markup}");
        assert!(markup.contains("id=\"&quot;&gt;&lt;x\""), "{markup}");
        assert!(markup.contains("aria-label=\"a&lt;b\""), "{markup}");
        assert!(markup.contains("viewBox=\"0 0 10 5.5\""), "{markup}");
    }

    #[test]
    fn lengths_are_short_and_finite() {
        assert_eq!(length(1.0), "1");
        assert_eq!(length(1.005_1), "1.01");
        assert_eq!(length(-0.001), "0");
        assert_eq!(length(f64::NAN), "0");
        assert_eq!(length(f64::INFINITY), "0");
        assert_eq!(length(120.0), "120");
    }
}
