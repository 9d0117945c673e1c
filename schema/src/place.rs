//! Where an address is: country, city, coordinates, network.
//!
//! MMDB records → [`Place`]. Without any database the country comes from an embedded table of the regional registries.
//! A city or network database is any MMDB, in the shape of GeoIP2/GeoLite2 or the flat one of DB-IP and `IPtoASN`
//! builds. The analysis looks addresses up; so does a capture that will not keep them.

mod record;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;

use self::record::{CityRecord, NetworkRecord};

/// A database, whole in memory.
pub type Database = Reader<Vec<u8>>;

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the database {}: {error}; give a .mmdb file", .file.display())]
pub struct PlacesError {
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
pub struct Places {
    /// Tells cities and countries; without it the embedded table tells countries.
    pub city: Option<Database>,
    /// Tells networks.
    pub asn: Option<Database>,
}

impl Places {
    /// Reads the databases the user gave.
    ///
    /// # Errors
    /// A file is missing or is no MMDB.
    pub fn open(city: Option<&Path>, asn: Option<&Path>) -> Result<Self, PlacesError> {
        let open = |file: &Path| {
            Reader::open_readfile(file).map_err(|error| PlacesError { file: file.to_path_buf(), error })
        };
        Ok(Self { city: city.map(open).transpose()?, asn: asn.map(open).transpose()? })
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
}

/// The record of an address; `None` without one. A record of a strange shape counts as none: the database is the
/// user's, and one odd record must not cost them the report.
fn decode<'de, T: Deserialize<'de>>(reader: &'de Database, ip: IpAddr) -> Option<T> {
    reader.lookup(ip).ok()?.decode().ok()?
}
