//! Where an address is: country, city, coordinates, network.
//!
//! Without any database the country comes from an embedded table of the regional registries. `--geoip-city` and
//! `--geoip-asn` take any MMDB, in the shape of GeoIP2/GeoLite2 or the flat one of DB-IP and `IPtoASN` builds.

use std::{net::IpAddr, path::Path};

use schema::place::{Database, Places};
pub use schema::place::{Place, PlacesError};

use crate::{facts::GeoSource, time};

/// The databases in use.
#[derive(Debug, Default)]
pub struct Geo {
    places: Places,
}

impl Geo {
    /// Opens the databases the user gave.
    ///
    /// # Errors
    /// A file is missing or is no MMDB.
    pub fn open(city: Option<&Path>, asn: Option<&Path>) -> Result<Self, PlacesError> {
        Ok(Self { places: Places::open(city, asn)? })
    }

    /// Whether cities are known.
    pub fn has_cities(&self) -> bool {
        self.places.city.is_some()
    }

    /// Whether networks are known.
    pub fn has_networks(&self) -> bool {
        self.places.asn.is_some()
    }

    /// Looks an address up in every database.
    pub fn place(&self, ip: IpAddr) -> Place {
        self.places.place(ip)
    }

    /// What the report must say about the databases.
    pub fn sources(&self) -> Vec<GeoSource> {
        let mut sources = Vec::new();
        match &self.places.city {
            Some(reader) => sources.push(source("city", reader)),
            None => sources.push(GeoSource {
                tells: "country".to_owned(),
                name:
                    "delegations of the five regional Internet registries (iptocc): the country an address \
                       block was assigned in, which for about one address in twenty is not where it is used"
                        .to_owned(),
                attribution: None,
            }),
        }
        sources.extend(self.places.asn.as_ref().map(|reader| source("network", reader)));
        sources
    }
}

fn source(tells: &str, reader: &Database) -> GeoSource {
    let metadata = reader.metadata();
    let kind = metadata.database_type.as_str();
    let built_at = i64::try_from(metadata.build_epoch).unwrap_or_default().saturating_mul(time::SECOND_US);
    let date = time::rfc3339(built_at);
    let date = date.split('T').next().unwrap_or_default();
    GeoSource {
        tells: tells.to_owned(),
        name: format!("{kind} of {date}"),
        attribution: attribution(kind).map(str::to_owned),
    }
}

/// The sentence a database's licence asks for.
fn attribution(kind: &str) -> Option<&'static str> {
    let kind = kind.to_ascii_lowercase();
    if kind.starts_with("geolite2") || kind.starts_with("geoip2") {
        Some("This report includes data created by MaxMind, available from https://www.maxmind.com.")
    } else if kind.starts_with("dbip") || kind.starts_with("db-ip") {
        Some("IP geolocation by DB-IP, https://db-ip.com (CC BY 4.0).")
    } else if kind.starts_with("ipinfo") {
        Some("IP address data powered by IPinfo, https://ipinfo.io (CC BY-SA 4.0).")
    } else {
        None
    }
}
