//! `TopoJSON` 1: shared arcs, delta-coded and quantised → rings of points.
//!
//! Specification: github.com/topojson/topojson-specification.

use serde::Deserialize;

/// The parts of a `TopoJSON` file that a country map has.
#[derive(Debug, Deserialize)]
pub struct Topology {
    arcs: Vec<Vec<[f64; 2]>>,
    transform: Transform,
    objects: Objects,
}

#[derive(Debug, Deserialize)]
struct Transform {
    scale: [f64; 2],
    translate: [f64; 2],
}

#[derive(Debug, Deserialize)]
struct Objects {
    countries: Collection,
}

#[derive(Debug, Deserialize)]
struct Collection {
    geometries: Vec<Geometry>,
}

/// A country or area.
#[derive(Debug, Deserialize)]
pub struct Geometry {
    /// ISO 3166-1 numeric code; absent where there is none.
    pub id: Option<String>,
    /// What else is known of it.
    pub properties: Properties,
    #[serde(flatten)]
    shape: Shape,
}

/// What a geometry is called.
#[derive(Debug, Deserialize)]
pub struct Properties {
    /// English name.
    pub name: String,
}

/// Rings are lists of arcs; a negative number `!n` is arc `n` backwards.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "arcs")]
enum Shape {
    Polygon(Vec<Vec<i64>>),
    MultiPolygon(Vec<Vec<Vec<i64>>>),
}

impl Topology {
    /// Every arc as degrees of longitude and latitude.
    pub fn arcs(&self) -> impl Iterator<Item = impl Iterator<Item = (f64, f64)>> {
        let [scale_x, scale_y] = self.transform.scale;
        let [left, bottom] = self.transform.translate;
        self.arcs.iter().map(move |arc| {
            arc.iter()
                .scan((0.0, 0.0), |(x, y), [dx, dy]| {
                    *x += dx;
                    *y += dy;
                    Some((*x, *y))
                })
                .map(move |(x, y)| (x * scale_x + left, y * scale_y + bottom))
        })
    }

    /// The countries and areas.
    pub fn geometries(&self) -> &[Geometry] {
        &self.objects.countries.geometries
    }
}

impl Geometry {
    /// The outlines, outer ones and holes alike, put together from `arcs`.
    pub fn rings(&self, arcs: &[Vec<(f64, f64)>]) -> Vec<Vec<(f64, f64)>> {
        match &self.shape {
            Shape::Polygon(rings) => rings.iter().map(|ring| join(ring, arcs)).collect(),
            Shape::MultiPolygon(polygons) => polygons.iter().flatten().map(|ring| join(ring, arcs)).collect(),
        }
    }
}

/// Strings arcs together; each begins where the one before ended.
fn join(ring: &[i64], arcs: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for number in ring {
        let backwards = *number < 0;
        let number = if backwards { !*number } else { *number };
        let Some(arc) = usize::try_from(number).ok().and_then(|number| arcs.get(number)) else { continue };
        let mut append = |point: &(f64, f64)| {
            if points.last() != Some(point) {
                points.push(*point);
            }
        };
        if backwards {
            arc.iter().rev().for_each(&mut append);
        } else {
            arc.iter().for_each(&mut append);
        }
    }
    if points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    points
}
