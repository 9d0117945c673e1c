//! Segments: every row read back, sorted, merged, and every flipped bit found.

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    checksum::{Checked, check},
    *,
};
use crate::{
    InfoHash,
    disk::Reader,
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

fn run(number: u32) -> RunId {
    RunId(format!("20260102T030405Z-{number:08x}"))
}

/// The file's bytes as a file to read.
fn file(bytes: &[u8]) -> Reader {
    Reader::new(bytes.to_vec()).unwrap()
}

fn text(rows: &[(RunId, Event)]) -> Vec<String> {
    rows.iter().map(|row| format!("{row:?}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn merged_is_the_stable_sort_of_all(
        files in prop::collection::vec(prop::collection::vec(any_event(), 0..40), 1..6),
        group_rows in 1_usize..50,
    ) {
        for &table in Table::ALL {
            let written: Vec<_> = (0..).zip(&files)
                .map(|(number, events)| write(table, &run(number), events, Vec::new()).unwrap())
                .collect();
            let inputs = written.iter().map(|bytes| file(bytes)).collect();
            let origin = Origin { runs: vec![run(0)], replaces: vec!["a.parquet".to_owned(), "b.parquet".to_owned()] };
            let (merged, count) = merge(table, inputs, &origin, group_rows, Vec::new()).unwrap();
            let found = metadata(table, &file(&merged)).unwrap();
            prop_assert_eq!((found.runs, found.replaces, found.rows), (origin.runs, origin.replaces, count));
            prop_assert_eq!(check(&mut file(&merged)).unwrap(), Checked::Whole);
            let inspection = inspect(table, None, &file(&merged), |_| ()).unwrap();
            prop_assert_eq!((inspection.problems, inspection.rows_intact), (Vec::new(), count));

            let mut expected: Vec<_> =
                written.iter().flat_map(|bytes| read(table, Bytes::from(bytes.clone())).unwrap()).collect();
            expected.sort_by_key(|(_, event)| (event.row.sort_key(), event.time));
            prop_assert_eq!(text(&read(table, Bytes::from(merged)).unwrap()), text(&expected));
        }
    }
}

fn sightings(count: i64) -> Vec<Event> {
    let sighting = |number: i64| Sighting {
        info_hash: InfoHash([u8::try_from(number % 3).unwrap(); 20]),
        source: Source::Dht,
        endpoint: Some("10.0.0.1:6881".to_owned()),
        ip: std::net::Ipv4Addr::from_bits(u32::try_from(number * 7919).unwrap()).into(),
        port: 6881,
        flags: None,
    };
    (0..count).map(|number| Event { time: Timestamp(number), row: sighting(number).into() }).collect()
}

#[test]
fn every_flipped_bit_is_found() {
    let whole = write(Table::Sightings, &run(1), &sightings(40), Vec::new()).unwrap();
    assert_eq!(check(&mut file(&whole)).unwrap(), Checked::Whole);
    let key = checksum::CHECKSUM_KEY.as_bytes();
    let key_at = whole.windows(key.len()).rposition(|window| window == key).unwrap();
    // Without its key, or its length, the checksum is not found: such a file is told apart as one without.
    let unfindable = key_at..key_at + key.len() + 2;
    for (at, bit) in (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << bit;
        let expected = if unfindable.contains(&at) { Checked::NoChecksum } else { Checked::Damaged };
        assert_eq!(check(&mut file(&damaged)).unwrap(), expected, "bit {bit} of byte {at}");
    }
}

#[test]
fn a_file_cut_anywhere_is_damaged() {
    let whole = write(Table::Sightings, &run(1), &sightings(40), Vec::new()).unwrap();
    for length in 0..whole.len() {
        assert_eq!(check(&mut file(&whole[..length])).unwrap(), Checked::Damaged, "{length} bytes");
    }
}

#[test]
fn damage_in_one_row_group_leaves_the_others_intact() {
    let rows = 2 * ROW_GROUP_ROWS + 1000;
    let mut bytes =
        write(Table::Sightings, &run(1), &sightings(i64::try_from(rows).unwrap()), Vec::new()).unwrap();
    let quarter = bytes.len() / 4;
    bytes[quarter] ^= 0x10;
    let mut seen = 0;
    let inspection = inspect(Table::Sightings, None, &file(&bytes), |_| seen += 1).unwrap();
    assert_eq!(inspection.checked, Checked::Damaged);
    assert_eq!(inspection.rows_intact, u64::try_from(rows - ROW_GROUP_ROWS).unwrap());
    assert!(inspection.rows >= inspection.rows_intact && seen >= inspection.rows_intact);
    assert!(!inspection.problems.is_empty());
}

#[test]
fn noise_of_any_kind_is_inspected_without_a_panic() {
    let whole = write(Table::Sightings, &run(1), &sightings(300), Vec::new()).unwrap();
    let mut state = 1_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    for _ in 0..400 {
        let mut damaged = whole.clone();
        for _ in 0..=draw() % 12 {
            let at = draw() % damaged.len();
            damaged[at] = u8::try_from(draw() % 256).unwrap();
        }
        if damaged == whole {
            continue;
        }
        let inspection = inspect(Table::Sightings, None, &file(&damaged), |_| ()).unwrap();
        assert!(!inspection.problems.is_empty() || inspection.checked == Checked::NoChecksum);
    }
}

#[test]
fn rows_out_of_order_cannot_be_merged() {
    let sorted = write(Table::Sightings, &run(1), &sightings(40), Vec::new()).unwrap();
    let batch = batch(Table::Sightings, &run(1), sightings(40).iter().rev()).unwrap();
    let mut unsorted = SegmentWriter::new(Table::Sightings, &Origin::default(), 100, Vec::new()).unwrap();
    unsorted.write(&batch).unwrap();
    let unsorted = unsorted.finish().unwrap();
    let merged =
        merge(Table::Sightings, vec![file(&sorted), file(&unsorted)], &Origin::default(), 100, Vec::new());
    assert!(matches!(merged, Err(MergeError::Input { index: 1, .. })));
    let inspection = inspect(Table::Sightings, None, &file(&unsorted), |_| ()).unwrap();
    assert_eq!(inspection.problems.len(), 1, "{:?}", inspection.problems);
}

#[test]
fn a_row_of_another_date_is_told() {
    let bytes = write(Table::Sightings, &run(1), &sightings(4), Vec::new()).unwrap();
    let date = crate::layout::Date::of(Timestamp(0));
    assert_eq!(inspect(Table::Sightings, Some(date), &file(&bytes), |_| ()).unwrap().problems, []);
    let date = crate::layout::Date::of(Timestamp(crate::layout::MICROS_PER_DAY));
    assert_eq!(inspect(Table::Sightings, Some(date), &file(&bytes), |_| ()).unwrap().problems.len(), 1);
}
