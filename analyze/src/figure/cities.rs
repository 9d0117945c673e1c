//! `cities`: where peers and confirmed downloads are, as circles on a world map, their area by number.

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::{Key, legend, legend_height};
use super::choropleth;
use super::frame::{counts, numbers, texts};
use super::svg::{Drawing, circle};
use crate::map::{Atlas, World, country};
use crate::number::{count, counted_of, number_of};

/// Cities with a circle: those with most peers.
const SHOWN: usize = 500;

const TITLE: &str = "Peers and confirmed downloads by city";

/// Draws the table `cities`.
pub fn draw(rows: &DataFrame, atlas: &Atlas) -> PolarsResult<Figure> {
    let mut cities = cities(rows)?;
    if cities.is_empty() {
        return Ok(Figure::without_data("cities", TITLE, "The database tells no peer's coordinates."));
    }
    cities.sort_by(|a, b| b.peers.total_cmp(&a.peers).then_with(|| a.name.cmp(&b.name)));
    let all = cities.len();
    cities.truncate(SHOWN);
    let which = if all > SHOWN {
        format!("The {SHOWN} places with most peers, of {}.", count(all as u64))
    } else {
        format!("{}.", number_of(all as u64, "place"))
    };
    let subtitle = format!(
        "{which} A circle's area is the number of peers, its dark part that of confirmed downloads. A database knows \
         where an address is registered or used, mostly within some ten kilometres, and is often wrong."
    );
    Ok(Figure::new("cities", TITLE, subtitle, |width| plot(&atlas.world(width), &cities)))
}

struct City {
    name: String,
    latitude: f64,
    longitude: f64,
    peers: f64,
    confirmed: f64,
}

fn cities(rows: &DataFrame) -> PolarsResult<Vec<City>> {
    let countries = texts(rows, "country")?;
    let names = texts(rows, "city")?;
    let latitudes = numbers(rows, "latitude")?;
    let longitudes = numbers(rows, "longitude")?;
    let peers = counts(rows, "peers")?;
    let confirmed = counts(rows, "confirmed_downloads")?;
    let places = countries.into_iter().zip(names).zip(latitudes.into_iter().zip(longitudes));
    Ok(places
        .zip(peers.into_iter().zip(confirmed))
        .filter_map(|(((country, name), (latitude, longitude)), (peers, confirmed))| {
            let country = country.map(|code| country::name(&code)).unwrap_or_default();
            let name = match name {
                Some(city) if country.is_empty() => city,
                Some(city) => format!("{city}, {country}"),
                None => country,
            };
            let (latitude, longitude) = (latitude?, longitude?);
            (peers > 0.0).then_some(City { name, latitude, longitude, peers, confirmed })
        })
        .collect())
}

fn plot(world: &World, cities: &[City]) -> Drawing {
    let keys = [Key::new("c1 faint", "peers"), Key::new("c1", "of these, confirmed downloads")];
    let map = choropleth::draw(world, &std::collections::BTreeMap::new(), &[]);
    let mut drawing = Drawing::new(world.width, map.height + legend_height(&keys, world.width));
    drawing.place(&map, 0.0, 0.0);
    let largest = world.width / 45.0;
    let most = cities.iter().map(|city| city.peers).fold(1.0, f64::max);
    let radius = |number: f64| largest * (number / most).sqrt();
    for city in cities {
        let (x, y) = world.place(city.longitude, city.latitude);
        let tooltip = format!(
            "{}: {}, {}",
            city.name,
            counted_of(city.peers, "peer"),
            counted_of(city.confirmed, "confirmed download")
        );
        drawing.push(circle("c1 faint", x, y, radius(city.peers).max(1.2)).tooltip(&tooltip));
        if city.confirmed > 0.0 {
            drawing.push(circle("c1", x, y, radius(city.confirmed).max(0.8)).tooltip(&tooltip));
        }
    }
    legend(&mut drawing, map.height, &keys, world.width);
    drawing
}
