//! Frames under every cut and any bytes: rows come back, or where the whole ones end.

use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::{SCHEMA_VERSION, disk::Reader, table::sample::any_event};

fn header() -> Header {
    let run = RunId("20260102T030405Z-9f86d081".to_owned());
    Header { schema_version: SCHEMA_VERSION, run, seq: 3, cuts: vec![Cut { seq: 2, length: 4096 }] }
}

/// A file of these frames, as it grows: everything before each frame is durable.
fn file_of(frames: &[Vec<Event>]) -> (Vec<u8>, Vec<usize>) {
    let mut file = header().encode().unwrap();
    let mut ends = vec![file.len()];
    for events in frames {
        let mut frame = FrameBuilder::default();
        for event in events {
            frame.push(event).unwrap();
        }
        let durable = file.len() as u64;
        file.extend(Packer::default().pack(&frame).seal(durable));
        ends.push(file.len());
    }
    (file, ends)
}

fn scan_of(bytes: &[u8]) -> Scan {
    Scan::new(Reader::new(bytes.to_vec()).unwrap(), None).unwrap()
}

/// Everything a file holds.
struct Scanned {
    header: Result<Header, HeaderError>,
    events: Vec<Event>,
    damage: Vec<Range<usize>>,
    torn: Vec<Range<usize>>,
}

fn scanned(bytes: &[u8]) -> Scanned {
    let mut scan = scan_of(bytes);
    let mut events = Vec::new();
    while let Some(frame) = scan.next_frame().unwrap() {
        events.extend(frame.events().unwrap());
    }
    let range = |range: Range<u64>| range.start.try_into().unwrap()..range.end.try_into().unwrap();
    let (damage, torn) = (scan.damage().map(range).collect(), scan.torn().map(range).collect());
    Scanned { header: scan.header().cloned(), events, damage, torn }
}

/// The rows of a frame that has no file around it.
fn events_of(frame: &[u8]) -> Result<Vec<Event>, DecodeError> {
    scan_of(frame).next_frame().unwrap().unwrap().events()
}

fn any_frames() -> impl Strategy<Value = Vec<Vec<Event>>> {
    prop::collection::vec(prop::collection::vec(any_event(), 1..4), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_row_is_read_back(frames in any_frames()) {
        let (file, _) = file_of(&frames);
        let scan = scanned(&file);
        prop_assert_eq!(scan.header.as_ref(), Ok(&header()));
        prop_assert_eq!(scan.events, frames.concat());
        prop_assert!(scan.damage.is_empty() && scan.torn.is_empty());
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let scan = scanned(&bytes);
        prop_assert!(scan.header.is_err());
        let mut file = header().encode().unwrap();
        let start = file.len();
        file.extend(&bytes);
        let torn: usize = scanned(&file).torn.iter().map(Range::len).sum();
        prop_assert_eq!(torn, file.len() - start);
    }

    #[test]
    fn a_payload_of_any_bytes_is_read_or_refused(
        rows in 0_u32..4,
        payload in prop::collection::vec(any::<u8>(), 0..200),
        is_packed in any::<bool>(),
    ) {
        let mut frame = FrameBuilder::default();
        frame.payload.extend(&payload);
        frame.rows = rows;
        let mut packed = Packer::default().pack(&frame);
        if is_packed {
            // The payload itself in the place of one that zstd made.
            packed.bytes.splice(FRAME_HEADER.., payload);
            packed.bytes[..4].copy_from_slice(PACKED_MARKER);
        }
        let bytes = packed.seal(0).to_vec();
        if let Ok(events) = events_of(&bytes) {
            prop_assert_eq!(events.len(), rows as usize);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn a_file_cut_at_every_byte_gives_the_frames_before_the_cut(frames in any_frames()) {
        let (file, ends) = file_of(&frames);
        for length in 0..file.len() {
            let scan = scanned(&file[..length]);
            let whole = ends.iter().filter(|end| **end <= length).count();
            if whole == 0 {
                prop_assert_eq!(scan.header, Err(HeaderError::Torn));
                continue;
            }
            prop_assert_eq!(scan.events, frames[..whole - 1].concat());
            prop_assert!(scan.damage.is_empty());
            let torn = length - ends[whole - 1];
            prop_assert_eq!(scan.torn.iter().map(Range::len).sum::<usize>(), torn);
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_costs_its_frame_and_is_seen(frames in any_frames()) {
        let (file, ends) = file_of(&frames);
        for at in 0..file.len() {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << (at % 8);
            let scan = scanned(&flipped);
            if at < ends[0] {
                prop_assert!(scan.header.is_err());
                prop_assert_eq!(scan.events, frames.concat());
                continue;
            }
            let hit = ends.iter().filter(|end| **end <= at).count() - 1;
            let mut rest = frames.clone();
            rest.remove(hit);
            prop_assert_eq!(scan.events, rest.concat());
            let (expected, other) =
                if hit + 1 < frames.len() { (&scan.damage, &scan.torn) } else { (&scan.torn, &scan.damage) };
            let gap = ends[hit]..ends[hit + 1];
            prop_assert_eq!(expected.as_slice(), std::slice::from_ref(&gap));
            prop_assert!(other.is_empty());
        }
    }
}

#[test]
fn a_gap_in_what_was_never_durable_is_torn_not_damage() {
    let mut first = FrameBuilder::default();
    let mut second = FrameBuilder::default();
    let mut file = header().encode().unwrap();
    let durable = file.len() as u64;
    let mut events = prop::strategy::ValueTree::current(
        &any_event().new_tree(&mut proptest::test_runner::TestRunner::deterministic()).unwrap(),
    );
    first.push(&events).unwrap();
    events.time.0 += 1;
    second.push(&events).unwrap();
    let mut packer = Packer::default();
    let (mut first, mut second) = (packer.pack(&first), packer.pack(&second));
    let gap = file.len()..file.len() + first.len();
    file.extend(first.seal(durable));
    file.extend(second.seal(durable));
    file[gap.clone()].fill(0);
    let scan = scanned(&file);
    assert_eq!((scan.torn.as_slice(), scan.damage.as_slice()), ([gap].as_slice(), [].as_slice()));
    assert_eq!(scan.events, [events]);
}

#[test]
fn a_long_file_is_read_a_frame_at_a_time() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut file = header().encode().unwrap();
    let mut expected = Vec::new();
    let mut gap = 0..0;
    for number in 0..24_usize {
        let mut event = prop::strategy::ValueTree::current(&any_event().new_tree(&mut runner).unwrap());
        event.time.0 = i64::try_from(number).unwrap();
        let mut frame = FrameBuilder::default();
        frame.push(&event).unwrap();
        // Frames that begin and end anywhere, some longer than what is read at once.
        let run = RunId("x".repeat(number * 70_000));
        let long = crate::table::Run {
            event: crate::table::RunEvent::Started,
            vantage: run.0,
            version: String::new(),
            config: String::new(),
            reason: None,
        };
        let long = Event { time: event.time, row: long.into() };
        frame.push(&long).unwrap();
        file.extend(Packer(None).pack(&frame).seal(file.len() as u64));
        expected.extend([event, long]);
        if number == 11 {
            // Longer than what is searched at once, with the beginning of a marker at the end of it.
            gap = file.len()..file.len() + (3 << 20);
            file.resize(gap.end, 0);
            file[gap.end - 2..].copy_from_slice(&MARKERS[..2]);
        }
    }
    let read = scanned(&file);
    assert!(read.events == expected && read.torn.is_empty());
    assert_eq!(read.damage, [gap]);
    let mut scan = scan_of(&file);
    while scan.next_frame().unwrap().is_some() {}
    assert_eq!(scan.frames(), 24);
}

#[test]
fn a_length_beyond_the_file_allocates_nothing() {
    let mut frame = FrameBuilder::default();
    // A text said to be 2^60 bytes long, in a frame whose checksum is right.
    let event =
        [0_i64.to_le_bytes().as_slice(), &0_u32.to_le_bytes(), &[0], &(1_u64 << 60).to_le_bytes()].concat();
    frame.payload.extend(event);
    frame.rows = 1;
    let bytes = Packer::default().pack(&frame).seal(0).to_vec();
    assert!(matches!(events_of(&bytes), Err(DecodeError::Bincode(_))));
}

#[test]
fn a_payload_that_would_unpack_to_more_than_a_frame_allocates_nothing() {
    // A zstd frame that tells a content of 2^40 bytes.
    let payload = [[0x28, 0xb5, 0x2f, 0xfd, 0xe0].as_slice(), &(1_u64 << 40).to_le_bytes()].concat();
    let mut packed = Packer::default().pack(&FrameBuilder { payload, rows: 1 });
    packed.bytes[..4].copy_from_slice(PACKED_MARKER);
    let bytes = packed.seal(0).to_vec();
    assert!(matches!(events_of(&bytes), Err(DecodeError::TooLong)));
}

/// A file whose header says this version.
fn file_of_version(version: u32) -> Vec<u8> {
    let mut file = header().encode().unwrap();
    file[8..12].copy_from_slice(&version.to_le_bytes());
    let length = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&file[8..16]), &file[20..20 + length]);
    file[16..20].copy_from_slice(&crc.to_le_bytes());
    file
}

#[test]
fn a_format_of_the_future_is_named() {
    assert_eq!(Header::decode(&file_of_version(3)), Err(HeaderError::UnknownVersion(3)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn files_of_version_1_are_read(events in prop::collection::vec(any_event(), 1..9)) {
        let mut file = file_of_version(1);
        let mut frame = FrameBuilder::default();
        for event in &events {
            frame.push(event).unwrap();
        }
        let mut never = Packer(None);
        file.extend(never.pack(&frame).seal(0));
        let scan = scanned(&file);
        prop_assert_eq!(scan.header.as_ref(), Ok(&header()));
        prop_assert_eq!(scan.events, events);
    }

    #[test]
    fn many_rows_are_packed(events in prop::collection::vec(any_event(), 200..300)) {
        let mut frame = FrameBuilder::default();
        for event in &events {
            frame.push(event).unwrap();
        }
        let length = frame.len();
        let mut packed = Packer::default().pack(&frame);
        prop_assert!(packed.len() < length);
        let bytes = packed.seal(0).to_vec();
        prop_assert_eq!(events_of(&bytes).unwrap(), events);
    }
}
