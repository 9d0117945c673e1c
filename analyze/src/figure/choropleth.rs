//! World maps in classes: a class per country, a mark for those too small to be seen, a legend below.

use std::collections::{BTreeMap, HashMap};

use super::axes::LABEL;
use super::svg::{Anchor, Drawing, Element, circle, length, rect, text};
use super::text::width as text_width;
use crate::map::{Shape, World};

/// Countries smaller than this, px², get a mark: their shape would not be seen.
const SMALL: f64 = 12.0;

/// What a map shows of a country.
#[derive(Clone, Debug)]
pub struct Area {
    /// Class that colours it.
    pub class: &'static str,
    /// What is told when the pointer rests on it.
    pub tooltip: String,
    /// Whether it gets a mark where its shape would not be seen.
    pub is_marked: bool,
}

/// Draws the world with areas by alpha-2 code; countries without one are `land`.
pub fn draw(world: &World, areas: &BTreeMap<String, Area>, legend: &[(&'static str, String)]) -> Drawing {
    let top = world.height + 10.0;
    let places = places(legend, world.width);
    let lines = places.last().map_or(0.0, |(_, y)| y + 20.0);
    let mut drawing = Drawing::new(world.width, top + lines + 4.0);
    for shape in world.shapes.iter().filter(|shape| !shape.rings.is_empty()) {
        drawing.push(outline(shape, shape.code.and_then(|code| areas.get(code))));
    }
    // Marks last, so that no neighbour covers them.
    let mut sizes: HashMap<&str, f64> = HashMap::new();
    for shape in &world.shapes {
        *sizes.entry(shape.code.unwrap_or_default()).or_default() += shape.area;
    }
    for shape in &world.shapes {
        let Some(code) = shape.code.filter(|code| sizes.get(code).is_some_and(|size| *size < SMALL)) else {
            continue;
        };
        if let Some(area) = areas.get(code).filter(|area| area.is_marked) {
            let (x, y) = shape.centre;
            drawing.push(circle(area.class, x, y, 3.5).attribute("data-c", code).tooltip(&area.tooltip));
        }
    }
    for ((class, label), (x, y)) in legend.iter().zip(places) {
        drawing.push(rect(class, x, top + y + 2.0, 16.0, 12.0));
        drawing.push(text("label", x + 21.0, top + y + 12.5, Anchor::Start, label));
    }
    drawing
}

/// Where the entries of a legend stand.
fn places(legend: &[(&'static str, String)], width: f64) -> Vec<(f64, f64)> {
    let (mut x, mut y) = (0.0, 0.0);
    legend
        .iter()
        .map(|(_, label)| {
            let needed = 21.0 + text_width(label, LABEL) + 16.0;
            if x > 0.0 && x + needed > width {
                (x, y) = (0.0, y + 20.0);
            }
            x += needed;
            (x - needed, y)
        })
        .collect()
}

fn outline(shape: &Shape, area: Option<&Area>) -> Element {
    let mut data = String::new();
    for ring in &shape.rings {
        ring_data(&mut data, ring);
    }
    let element = Element::new("path")
        .class(area.map_or("land", |area| area.class))
        .attribute("fill-rule", "evenodd")
        .attribute("d", &data);
    // By its code the page's script finds a country again.
    let element = match shape.code {
        Some(code) => element.attribute("data-c", code),
        None => element,
    };
    match area {
        Some(area) => element.tooltip(&area.tooltip),
        None => element,
    }
}

/// A ring in relative steps, which are shorter to write than places.
fn ring_data(data: &mut String, ring: &[(f64, f64)]) {
    let mut from: Option<(f64, f64)> = None;
    for (x, y) in ring {
        let (command, dx, dy) = match from {
            Some((from_x, from_y)) => ('l', x - from_x, y - from_y),
            None => ('M', *x, *y),
        };
        data.push(command);
        data.push_str(&length(dx));
        data.push(' ');
        data.push_str(&length(dy));
        from = Some((*x, *y));
    }
    data.push('Z');
}
