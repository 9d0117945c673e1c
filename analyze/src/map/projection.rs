//! The Equal Earth projection: degrees → pixels, areas true to each other.
//!
//! B. Šavrič, T. Patterson, B. Jenny: "The Equal Earth map projection", IJGIS 33 (2019).

/// Degrees to pixels of a map of one width.
#[derive(Clone, Copy, Debug)]
pub struct Projection {
    scale: f64,
    width: f64,
}

/// Latitudes at the map's upper and lower edge: it holds all land but Antarctica.
const NORTH: f64 = 84.0;
const SOUTH: f64 = -56.5;

const A1: f64 = 1.340_264;
const A2: f64 = -0.081_106;
const A3: f64 = 0.000_893;
const A4: f64 = 0.003_796;

impl Projection {
    /// A map `width` pixels wide.
    pub fn fitting(width: f64) -> Self {
        let (half, _) = equal_earth(180.0, 0.0);
        Self { scale: width / (2.0 * half), width }
    }

    /// The map's height, px.
    pub fn height(&self) -> f64 {
        (equal_earth(0.0, NORTH).1 - equal_earth(0.0, SOUTH).1) * self.scale
    }

    /// The pixel of a place; y grows to the south.
    pub fn project(&self, longitude: f64, latitude: f64) -> (f64, f64) {
        let (x, y) = equal_earth(longitude, latitude);
        let top = equal_earth(0.0, NORTH).1;
        (self.width / 2.0 + x * self.scale, (top - y) * self.scale)
    }
}

/// Degrees to the plane of a globe of radius 1.
fn equal_earth(longitude: f64, latitude: f64) -> (f64, f64) {
    let root3 = 3.0_f64.sqrt();
    let theta = (root3 / 2.0 * latitude.to_radians().sin()).asin();
    let square = theta * theta;
    let sixth = square * square * square;
    let slope = A1 + 3.0 * A2 * square + sixth * (7.0 * A3 + 9.0 * A4 * square);
    let x = 2.0 * root3 * longitude.to_radians() * theta.cos() / (3.0 * slope);
    let y = theta * (A1 + A2 * square + sixth * (A3 + A4 * square));
    (x, y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paper_s_extents() {
        let (x, _) = equal_earth(180.0, 0.0);
        let (_, y) = equal_earth(0.0, 90.0);
        assert!((x - 2.706_629).abs() < 1e-4, "{x}");
        assert!((y - 1.317_362).abs() < 1e-4, "{y}");
    }
}
