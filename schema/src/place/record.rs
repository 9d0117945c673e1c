//! The records of city and network databases, in either shape.

use serde::Deserialize;

use super::Place;

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
pub(super) struct CityRecord {
    country: Option<Name>,
    country_code: Option<String>,
    registered_country: Option<Name>,
    city: Option<Name>,
    location: Option<Location>,
    latitude: Option<Number>,
    longitude: Option<Number>,
}

impl CityRecord {
    pub(super) fn place(self) -> Place {
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
pub(super) struct NetworkRecord {
    #[serde(alias = "autonomous_system_number", alias = "as_number")]
    asn: Option<AsNumber>,
    autonomous_system_organization: Option<String>,
    #[serde(alias = "as_name", alias = "as_organization", alias = "name", alias = "org")]
    organization: Option<String>,
}

impl NetworkRecord {
    pub(super) fn network(self) -> (Option<u64>, Option<String>) {
        let asn = self.asn.and_then(|asn| match asn {
            AsNumber::Number(number) => Some(number),
            AsNumber::Text(text) => text.trim_start_matches("AS").parse().ok(),
        });
        let organization = self.autonomous_system_organization.or(self.organization);
        (asn, organization.filter(|name| !name.is_empty()))
    }
}
