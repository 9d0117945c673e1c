//! Places: databases of both shapes, the embedded table, and files that are no database.

use std::path::PathBuf;

use crate::common::{
    ip,
    mmdb::{Value, database, map, nested_city},
};
use analyze::geo::{Geo, Place};

fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn place(country: &str, city: &str, latitude: f64, longitude: f64) -> Place {
    Place {
        country: Some(country.to_owned()),
        city: Some(city.to_owned()),
        latitude: Some(latitude),
        longitude: Some(longitude),
        ..Place::default()
    }
}

#[test]
fn geolite2_s_nested_shape_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = database("GeoLite2-City", &[("81.2.69.0/24", nested_city("GB", "London", 51.5142, -0.0931))]);
    let geo = Geo::open(Some(&file(&folder, "city.mmdb", &bytes)), None).unwrap();
    assert_eq!(geo.place(ip("81.2.69.160")), place("GB", "London", 51.5142, -0.0931));
    assert_eq!(geo.place(ip("81.2.70.1")), Place::default(), "an address the database lacks has no place");
    let [source] = geo.sources().try_into().unwrap();
    assert_eq!((source.tells.as_str(), source.name.as_str()), ("city", "GeoLite2-City of 2026-01-02"));
    assert!(source.attribution.unwrap().contains("MaxMind"));
}

#[test]
fn db_ip_s_flat_shape_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let record = map(&[
        ("country_code", Value::Text("SE")),
        ("city", Value::Text("Linköping")),
        ("latitude", Value::Double(58.4167)),
        ("longitude", Value::Text("15.6167")),
    ]);
    let bytes = database("DBIP-City-Lite (compat=City)", &[("2001:480::/32", record)]);
    let geo = Geo::open(Some(&file(&folder, "city.mmdb", &bytes)), None).unwrap();
    assert_eq!(geo.place(ip("2001:480::7")), place("SE", "Linköping", 58.4167, 15.6167));
}

#[test]
fn networks_of_both_shapes_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let nested = map(&[
        ("autonomous_system_number", Value::U32(1221)),
        ("autonomous_system_organization", Value::Text("Telstra Pty Ltd")),
    ]);
    let flat = map(&[("asn", Value::Text("AS13335")), ("name", Value::Text("Cloudflare"))]);
    let bytes = database("GeoLite2-ASN", &[("1.128.0.0/11", nested), ("1.1.1.0/24", flat)]);
    let geo = Geo::open(None, Some(&file(&folder, "asn.mmdb", &bytes))).unwrap();
    let network = |text| {
        let place = geo.place(ip(text));
        (place.asn, place.organization)
    };
    assert_eq!(network("1.128.0.1"), (Some(1221), Some("Telstra Pty Ltd".to_owned())));
    assert_eq!(network("1.1.1.1"), (Some(13335), Some("Cloudflare".to_owned())));
    assert_eq!(network("9.9.9.9"), (None, None));
}

#[test]
fn without_a_database_the_country_comes_from_the_registries() {
    let geo = Geo::open(None, None).unwrap();
    assert_eq!(geo.place(ip("8.8.8.8")).country.as_deref(), Some("US"));
    assert_eq!(geo.place(ip("10.0.0.1")), Place::default());
    assert!(!geo.has_cities());
}

#[test]
fn a_record_of_a_strange_shape_is_no_place() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = database("GeoLite2-City", &[("81.2.69.0/24", Value::Text("here"))]);
    let geo = Geo::open(Some(&file(&folder, "city.mmdb", &bytes)), None).unwrap();
    assert_eq!(geo.place(ip("81.2.69.160")), Place::default());
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for bytes in [b"".as_slice(), b"not a database"] {
        let path = file(&folder, "city.mmdb", bytes);
        let error = Geo::open(Some(&path), None).unwrap_err().to_string();
        assert!(error.contains("city.mmdb") && error.contains("give a .mmdb file"), "{error}");
    }
    assert!(Geo::open(None, Some(&folder.path().join("missing.mmdb"))).is_err());
}
