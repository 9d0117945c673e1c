//! Writes small MMDB files: a binary trie of networks, a data section, metadata (`MaxMind` DB file format 2.0).

use std::net::IpAddr;

/// A value of the data section.
#[derive(Clone)]
pub enum Value {
    Double(f64),
    Map(Vec<(&'static str, Value)>),
    Text(&'static str),
    U16(u16),
    U32(u32),
    U64(u64),
    Array,
}

pub fn map(fields: &[(&'static str, Value)]) -> Value {
    Value::Map(fields.to_vec())
}

fn control(kind: u8, size: usize) -> Vec<u8> {
    let (first, more) = if size < 29 { (size, None) } else { (29, Some(size - 29)) };
    let first = u8::try_from(first).unwrap();
    let mut bytes = if kind <= 7 { vec![kind << 5 | first] } else { vec![first, kind - 7] };
    bytes.extend(more.map(|more| u8::try_from(more).unwrap()));
    bytes
}

fn integer(kind: u8, big_endian: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = big_endian.iter().copied().skip_while(|byte| *byte == 0).collect();
    [control(kind, digits.len()), digits].concat()
}

fn encode(value: &Value) -> Vec<u8> {
    match value {
        Value::Text(text) => [control(2, text.len()), text.as_bytes().to_vec()].concat(),
        Value::Double(number) => [control(3, 8), number.to_be_bytes().to_vec()].concat(),
        Value::U16(number) => integer(5, &number.to_be_bytes()),
        Value::U32(number) => integer(6, &number.to_be_bytes()),
        Value::U64(number) => integer(9, &number.to_be_bytes()),
        Value::Array => control(11, 0),
        Value::Map(fields) => {
            let mut bytes = control(7, fields.len());
            for (name, value) in fields {
                bytes.extend(encode(&Value::Text(name)));
                bytes.extend(encode(value));
            }
            bytes
        }
    }
}

fn bits(ip: IpAddr, prefix: u8) -> Vec<bool> {
    let (address, prefix) = match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)), prefix + 96),
        IpAddr::V6(ip) => (u128::from(ip), prefix),
    };
    (0..prefix).map(|bit| address >> (127 - bit) & 1 == 1).collect()
}

/// A database of the given networks, as the bytes of its file.
pub fn database(kind: &'static str, networks: &[(&str, Value)]) -> Vec<u8> {
    const EMPTY: usize = usize::MAX;
    const DATA: usize = 1 << 40;
    let mut nodes = vec![[EMPTY; 2]];
    let mut data = Vec::new();
    for (network, value) in networks {
        let (ip, prefix) = network.split_once('/').unwrap();
        let path = bits(ip.parse().unwrap(), prefix.parse().unwrap());
        let (last, above) = path.split_last().unwrap();
        let mut node = 0;
        for bit in above {
            if nodes[node][usize::from(*bit)] == EMPTY {
                nodes.push([EMPTY; 2]);
                nodes[node][usize::from(*bit)] = nodes.len() - 1;
            }
            node = nodes[node][usize::from(*bit)];
        }
        nodes[node][usize::from(*last)] = DATA + data.len();
        data.extend(encode(value));
    }
    let count = nodes.len();
    let mut file = Vec::new();
    for record in nodes.iter().flatten() {
        let value = match *record {
            EMPTY => count,
            node if node < DATA => node,
            data => count + 16 + (data - DATA),
        };
        file.extend_from_slice(&u32::try_from(value).unwrap().to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.extend(encode(&map(&[
        ("binary_format_major_version", Value::U16(2)),
        ("binary_format_minor_version", Value::U16(0)),
        ("build_epoch", Value::U64(1_767_312_000)),
        ("database_type", Value::Text(kind)),
        ("description", map(&[])),
        ("ip_version", Value::U16(6)),
        ("languages", Value::Array),
        ("node_count", Value::U32(u32::try_from(count).unwrap())),
        ("record_size", Value::U16(24)),
    ])));
    file
}

/// The record of a city in the shape of GeoLite2.
pub fn nested_city(country: &'static str, city: &'static str, latitude: f64, longitude: f64) -> Value {
    map(&[
        ("country", map(&[("iso_code", Value::Text(country)), ("geoname_id", Value::U32(1))])),
        ("city", map(&[("names", map(&[("de", Value::Text("anders")), ("en", Value::Text(city))]))])),
        ("location", map(&[("latitude", Value::Double(latitude)), ("longitude", Value::Double(longitude))])),
    ])
}
