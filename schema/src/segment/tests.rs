use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    InfoHash,
    table::{Sighting, Source, sample::any_event},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_row_of_every_table_is_read_back(events in prop::collection::vec(any_event(), 1..60)) {
        let run = RunId("20260102T030405Z-9f86d081".to_owned());
        let mut read_back = Vec::new();
        for &table in Table::ALL {
            let file = write(table, &run, &events, Vec::new()).unwrap();
            prop_assert_eq!(&file, &write(table, &run, &events, Vec::new()).unwrap());
            let rows = read(table, Bytes::from(file)).unwrap();
            let keys: Vec<_> = rows.iter().map(|(_, event)| (event.row.sort_key(), event.time)).collect();
            prop_assert!(keys.is_sorted());
            prop_assert!(rows.iter().all(|(of, event)| *of == run && event.row.table() == table));
            read_back.extend(rows.into_iter().map(|(_, event)| format!("{event:?}")));
        }
        let mut written: Vec<_> = events.iter().map(|event| format!("{event:?}")).collect();
        written.sort();
        read_back.sort();
        prop_assert_eq!(written, read_back);
    }
}

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
    let read = read(Table::Sightings, Bytes::from(file)).unwrap();
    let [third, second, first] = events;
    assert_eq!(read, [(run.clone(), first), (run.clone(), second), (run, third)]);
}
