use super::*;
use crate::{
    InfoHash,
    table::{Sighting, Source},
};

#[test]
fn rows_are_read_back_sorted() {
    let run = RunId("20260102T030405Z-9f86d081".to_owned());
    let sighting = |time, hash: u8, ip: &str| Event {
        time: Timestamp(time),
        row: Row::from(Sighting {
            info_hash: InfoHash([hash; 20]),
            source: Source::TrackerHttp,
            endpoint: Some("http://tracker.example/announce".to_owned()),
            ip: ip.parse().unwrap(),
            port: 6881,
            flags: None,
        }),
    };
    let events = [sighting(3, 2, "10.0.0.2"), sighting(2, 1, "10.0.0.2"), sighting(1, 1, "10.0.0.10")];
    let file = write(Table::Sightings, &run, &events, Vec::new()).unwrap();
    let read = read(Table::Sightings, bytes::Bytes::from(file)).unwrap();
    let [third, second, first] = events;
    assert_eq!(read, [(run.clone(), first), (run.clone(), second), (run, third)]);
}
