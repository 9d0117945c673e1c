//! The world map: `TopoJSON` of countries → outlines in an equal-area projection, at a picture's resolution.
//!
//! Shapes: Natural Earth 1:50m as `TopoJSON` (npm world-atlas 2.0.2), vendored in `assets/map`.

pub mod country;
mod projection;
mod topology;

use std::collections::HashMap;

use projection::Projection;
use topology::Topology;

/// A country on a map of some width.
#[derive(Clone, Debug)]
pub struct Shape {
    /// ISO 3166-1 alpha-2 code; `None` for areas without one.
    pub code: Option<&'static str>,
    /// Name of the country or area.
    pub name: String,
    /// Outlines, each a closed ring in pixels; fill them by the even-odd rule. None where it is too small for any.
    pub rings: Vec<Vec<(f64, f64)>>,
    /// Middle of the largest ring, px.
    pub centre: (f64, f64),
    /// Area of all rings in square pixels, holes not taken off.
    pub area: f64,
}

/// A world map.
#[derive(Clone, Debug)]
pub struct World {
    /// Its width, px.
    pub width: f64,
    /// Its height, px.
    pub height: f64,
    /// Its countries, in the file's order.
    pub shapes: Vec<Shape>,
    projection: Projection,
}

impl World {
    /// The pixel of a place given in degrees.
    pub fn place(&self, longitude: f64, latitude: f64) -> (f64, f64) {
        self.projection.project(longitude.clamp(-180.0, 180.0), latitude.clamp(-90.0, 90.0))
    }
}

/// Why the vendored map cannot be read: a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("the vendored map shapes cannot be read")]
pub struct MapError(#[from] serde_json::Error);

/// Antarctica: no peers, and a third of the map's height.
const LEFT_OUT: &str = "AQ";

/// The countries' outlines in degrees.
#[derive(Debug)]
pub struct Atlas(Topology);

impl Atlas {
    /// Reads the vendored shapes.
    pub fn load() -> Result<Self, MapError> {
        Ok(Self(serde_json::from_str(include_str!("../../assets/map/countries-50m.json"))?))
    }

    /// The world `width` pixels wide, coarse enough for that width.
    pub fn world(&self, width: f64) -> World {
        let projection = Projection::fitting(width);
        let project = |(longitude, latitude)| projection.project(longitude, latitude);
        let arcs: Vec<_> = self.0.arcs().map(|arc| thin(arc.map(project))).collect();
        let by_name: HashMap<&str, &'static str> =
            country::all().map(|country| (country.name, country.alpha2)).collect();
        let shapes = self.0.geometries().iter().filter_map(|geometry| {
            let name = geometry.properties.name.as_str();
            let by_number = geometry.id.as_deref().and_then(country::alpha2_of_numeric);
            let code = by_number.or_else(|| by_name.get(name).copied());
            let name = code.map_or_else(|| name.to_owned(), country::name);
            let rings = geometry.rings(&arcs);
            let rings = rings.iter().flat_map(|ring| cut_at_date_line(ring, width));
            if code == Some(LEFT_OUT) { None } else { Shape::of(code, name, rings.collect()) }
        });
        World { width, height: projection.height(), shapes: shapes.collect(), projection }
    }
}

impl Shape {
    fn of(code: Option<&'static str>, name: String, mut rings: Vec<Vec<(f64, f64)>>) -> Option<Self> {
        let largest = rings.iter().max_by(|a, b| ring_area(a).total_cmp(&ring_area(b)))?;
        let centre = ring_centre(largest);
        rings.retain(|ring| ring.len() > 2);
        Some(Self { code, name, centre, area: rings.iter().map(|ring| ring_area(ring)).sum(), rings })
    }
}

/// Rounds to half pixels and drops what cannot be told apart then; ends stay, so that borders still meet.
fn thin(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    const STEP: f64 = 0.5;
    const CLOSE: f64 = 0.9;
    let round = |value: f64| (value / STEP).round() * STEP;
    let mut points = points.peekable();
    let mut kept: Vec<(f64, f64)> = Vec::new();
    while let Some((x, y)) = points.next() {
        let (x, y) = (round(x), round(y));
        let is_end = points.peek().is_none();
        match kept.last() {
            Some((kept_x, kept_y)) if !is_end && (x - kept_x).hypot(y - kept_y) < CLOSE => {}
            _ => kept.push((x, y)),
        }
    }
    kept
}

/// Cuts a ring where it leaves the map on one side and comes back on the other; each part closes along the edge.
fn cut_at_date_line(ring: &[(f64, f64)], width: f64) -> Vec<Vec<(f64, f64)>> {
    let is_jump = |from: (f64, f64), to: (f64, f64)| (from.0 - to.0).abs() > width / 2.0;
    let mut parts: Vec<Vec<(f64, f64)>> = Vec::new();
    for point in ring {
        match parts.last_mut() {
            Some(part) if part.last().is_some_and(|last| !is_jump(*last, *point)) => part.push(*point),
            _ => parts.push(vec![*point]),
        }
    }
    let closes = match (ring.last(), ring.first()) {
        (Some(last), Some(first)) => !is_jump(*last, *first),
        _ => false,
    };
    if closes && parts.len() > 1 {
        // The ring begins in the middle of a part.
        let mut last = parts.pop().unwrap_or_default();
        if let Some(first) = parts.first_mut() {
            last.append(first);
            *first = last;
        }
    }
    parts
}

fn edges(ring: &[(f64, f64)]) -> impl Iterator<Item = ((f64, f64), (f64, f64))> {
    ring.iter().copied().zip(ring.iter().copied().cycle().skip(1))
}

fn ring_area(ring: &[(f64, f64)]) -> f64 {
    edges(ring).map(|((x1, y1), (x2, y2))| x1 * y2 - x2 * y1).sum::<f64>().abs() / 2.0
}

/// The middle of a ring's bounding box.
fn ring_centre(ring: &[(f64, f64)]) -> (f64, f64) {
    let middle = |value: fn(&(f64, f64)) -> f64| {
        let least = ring.iter().map(value).fold(f64::INFINITY, f64::min);
        let most = ring.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
        f64::midpoint(least, most)
    };
    (middle(|point| point.0), middle(|point| point.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(width: f64) -> World {
        Atlas::load().unwrap().world(width)
    }

    #[test]
    fn every_country_of_the_map_is_known_once_it_has_a_code() {
        let narrow = world(360.0);
        let world = world(860.0);
        let without: Vec<_> = world
            .shapes
            .iter()
            .filter(|shape| shape.code.is_none())
            .map(|shape| shape.name.as_str())
            .collect();
        assert_eq!(without, ["Somaliland", "N. Cyprus", "Indian Ocean Ter.", "Siachen Glacier"]);
        assert!(world.shapes.iter().any(|shape| shape.code == Some("XK")));
        assert!(!world.shapes.iter().any(|shape| shape.code == Some(LEFT_OUT)));
        let codes = |world: &World| world.shapes.iter().filter(|shape| shape.code.is_some()).count();
        assert_eq!(codes(&world), codes(&narrow), "no country is too small to be marked");
        assert!(world.shapes.len() > 220, "{}", world.shapes.len());
    }

    #[test]
    fn countries_lie_where_they_are() {
        let world = world(860.0);
        let centre = |code: &str| world.shapes.iter().find(|shape| shape.code == Some(code)).unwrap().centre;
        let (germany, brazil, australia) = (centre("DE"), centre("BR"), centre("AU"));
        assert!(brazil.0 < germany.0 && germany.0 < australia.0);
        assert!(germany.1 < brazil.1 && brazil.1 < australia.1 + 40.0);
        for shape in &world.shapes {
            for (x, y) in shape.rings.iter().flatten() {
                assert!((-1.0..=world.width + 1.0).contains(x), "{} {x}", shape.name);
                assert!((-1.0..=world.height + 1.0).contains(y), "{} {y}", shape.name);
            }
        }
    }

    #[test]
    fn nothing_is_drawn_across_the_map() {
        for width in [860.0, 360.0] {
            for shape in world(width).shapes {
                for ring in &shape.rings {
                    let widest = edges(ring).map(|(from, to)| (from.0 - to.0).abs()).fold(0.0, f64::max);
                    assert!(widest < width / 8.0, "{} {widest}", shape.name);
                }
            }
        }
    }

    #[test]
    fn areas_are_true_to_each_other() {
        // Greenland is a quarter larger than Saudi Arabia's 2.15 million km², not ten times as on a Mercator map.
        let world = world(860.0);
        let area = |code: &str| world.shapes.iter().find(|shape| shape.code == Some(code)).unwrap().area;
        let ratio = area("BR") / area("AU");
        assert!((1.05..1.18).contains(&ratio), "Brazil is 8.5, Australia 7.7 million km²: {ratio}");
    }
}
