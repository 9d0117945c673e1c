//! Where an address is: country, city, coordinates, network.
//!
//! Without any database the country comes from an embedded table of the regional registries. `--geoip-city` and
//! `--geoip-asn` take any MMDB, in the shape of GeoIP2/GeoLite2 or the flat one of DB-IP and `IPtoASN` builds.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;

use crate::{facts::GeoSource, time};

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the database {}: {error}; give a .mmdb file", .file.display())]
pub struct GeoError {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub error: MaxMindDbError,
}

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// ISO 3166-1 alpha-2 code.
    pub country: Option<String>,
    /// English name.
    pub city: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// Autonomous system number.
    pub asn: Option<u64>,
    /// Who runs the autonomous system.
    pub organization: Option<String>,
}

/// The databases in use.
#[derive(Debug, Default)]
pub struct Geo {
    city: Option<Reader<Vec<u8>>>,
    asn: Option<Reader<Vec<u8>>>,
}

impl Geo {
    /// Opens the databases the user gave.
    ///
    /// # Errors
    /// A file is missing or is no MMDB.
    pub fn open(city: Option<&Path>, asn: Option<&Path>) -> Result<Self, GeoError> {
        Ok(Self { city: city.map(open).transpose()?, asn: asn.map(open).transpose()? })
    }

    /// Whether cities are known.
    pub fn has_cities(&self) -> bool {
        self.city.is_some()
    }

    /// Whether networks are known.
    pub fn has_networks(&self) -> bool {
        self.asn.is_some()
    }

    /// Looks an address up in every database.
    pub fn place(&self, ip: IpAddr) -> Place {
        let mut place = match &self.city {
            Some(reader) => decode::<CityRecord>(reader, ip).map(CityRecord::place).unwrap_or_default(),
            None => Place { country: iptocc::country_code(ip).map(str::to_owned), ..Place::default() },
        };
        if let Some(network) = self.asn.as_ref().and_then(|reader| decode::<NetworkRecord>(reader, ip)) {
            (place.asn, place.organization) = network.network();
        }
        place
    }

    /// What the report must say about the databases.
    pub fn sources(&self) -> Vec<GeoSource> {
        let mut sources = Vec::new();
        match &self.city {
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
        sources.extend(self.asn.as_ref().map(|reader| source("network", reader)));
        sources
    }
}

fn open(file: &Path) -> Result<Reader<Vec<u8>>, GeoError> {
    Reader::open_readfile(file).map_err(|error| GeoError { file: file.to_path_buf(), error })
}

/// The record of an address; `None` without one. A record of a strange shape counts as none: the database is the
/// user's, and one odd record must not cost them the report.
fn decode<'de, T: Deserialize<'de>>(reader: &'de Reader<Vec<u8>>, ip: IpAddr) -> Option<T> {
    reader.lookup(ip).ok()?.decode().ok()?
}

fn source(tells: &str, reader: &Reader<Vec<u8>>) -> GeoSource {
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

// Numbers are read as whatever they are stored as: the decoder does not widen integers, and builds differ.

/// A text, or a record with a text in it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Flat(String),
    Nested { iso_code: Option<String>, names: Option<English> },
}

#[derive(Deserialize)]
struct English {
    en: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Float(f64),
    Text(String),
}

impl Number {
    fn value(self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(value),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

#[derive(Deserialize)]
struct Location {
    latitude: Option<Number>,
    longitude: Option<Number>,
}

/// A city database's record in either shape.
#[derive(Deserialize)]
struct CityRecord {
    country: Option<Name>,
    country_code: Option<String>,
    registered_country: Option<Name>,
    city: Option<Name>,
    location: Option<Location>,
    latitude: Option<Number>,
    longitude: Option<Number>,
}

impl CityRecord {
    fn place(self) -> Place {
        let code = |name: Option<Name>| match name? {
            Name::Flat(code) => Some(code),
            Name::Nested { iso_code, .. } => iso_code,
        };
        let country =
            self.country_code.or_else(|| code(self.country)).or_else(|| code(self.registered_country));
        let city = self.city.and_then(|name| match name {
            Name::Flat(name) => Some(name),
            Name::Nested { names, .. } => names?.en,
        });
        let (latitude, longitude) = match self.location {
            Some(location) => (location.latitude, location.longitude),
            None => (self.latitude, self.longitude),
        };
        Place {
            country: country.filter(|code| code.len() == 2).map(|code| code.to_ascii_uppercase()),
            city: city.filter(|name| !name.is_empty()),
            latitude: latitude.and_then(Number::value),
            longitude: longitude.and_then(Number::value),
            ..Place::default()
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AsNumber {
    Number(u64),
    Text(String),
}

/// A network database's record in either shape.
#[derive(Deserialize)]
struct NetworkRecord {
    #[serde(alias = "autonomous_system_number", alias = "as_number")]
    asn: Option<AsNumber>,
    autonomous_system_organization: Option<String>,
    #[serde(alias = "as_name", alias = "as_organization", alias = "name", alias = "org")]
    organization: Option<String>,
}

impl NetworkRecord {
    fn network(self) -> (Option<u64>, Option<String>) {
        let asn = self.asn.and_then(|asn| match asn {
            AsNumber::Number(number) => Some(number),
            AsNumber::Text(text) => text.trim_start_matches("AS").parse().ok(),
        });
        let organization = self.autonomous_system_organization.or(self.organization);
        (asn, organization.filter(|name| !name.is_empty()))
    }
}
