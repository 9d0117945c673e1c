//! What is found does not depend on how a log is cut into files, row groups, ranges and threads, nor on their order.

use std::{fs, net::Ipv4Addr, path::Path};

use arrow::{array::UInt32Array, compute::take_record_batch};
use bytes::Bytes;
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use polars::prelude::{IntoLazy as _, SortMultipleOptions, col};
use proptest::prelude::*;
use schema::{
    InfoHash, PeerId, RunId, Timestamp,
    disk::Reader,
    layout::{Date, SegmentPath, WalPath},
    segment::{self, Origin},
    table::{
        Contact, ContactOutcome, Direction, Encryption, Event, Progress, ProgressKind, Row, Sighting, Source,
        Torrent, TorrentOrigin, Transport,
    },
};

use super::{spool::Spool, *};

const START: i64 = 1_767_225_600_000_000;
const PIECES: u32 = 100;

/// A visit: torrent, host, port, peer ID, second, pieces, whether we dialled, whether it answered.
type Visit = (u8, u8, u16, u8, u32, u32, bool, bool);

fn visit() -> impl Strategy<Value = Visit> {
    let port = prop_oneof![Just(6881_u16), Just(7000)];
    let pieces = prop_oneof![0..=PIECES, 95..=PIECES];
    (
        0..2_u8,
        1..12_u8,
        port,
        b'a'..=b'c',
        0..40_000_u32,
        pieces,
        any::<bool>(),
        proptest::bool::weighted(0.8),
    )
}

fn at(second: u32, micros: i64) -> Timestamp {
    Timestamp(START + i64::from(second) * 1_000_000 + micros)
}

fn events(visits: &[Visit]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut push = |time, row: Row| events.push(Event { time, row });
    for torrent in 0..2 {
        let row = Torrent {
            info_hash: InfoHash([torrent; 20]),
            info_hash_v2: None,
            name: None,
            piece_length: Some(1 << 18),
            piece_count: Some(PIECES),
            size_bytes: Some(u64::from(PIECES) << 18),
            private: None,
            origin: TorrentOrigin::File,
            trackers: Vec::new(),
        };
        push(at(0, 0), row.into());
    }
    for (number, (torrent, host, port, id, second, pieces, out, answers)) in (1..).zip(visits) {
        let (info_hash, ip) = (InfoHash([*torrent; 20]), Ipv4Addr::new(2, 2, 2, *host).into());
        let direction = if *out { Direction::Out } else { Direction::In };
        let remote = if *out { *port } else { 40_000 + *port };
        let source = if *out { Source::Dht } else { Source::Incoming };
        let sighting = Sighting { info_hash, source, endpoint: None, ip, port: remote, flags: None };
        push(at(*second, 0), sighting.into());
        let contact = Contact {
            contact: number,
            info_hash,
            ip,
            port: remote,
            direction,
            transport: Transport::Tcp,
            encryption: Encryption::Plain,
            attempt: 1,
            outcome: if *answers { ContactOutcome::VisitDone } else { ContactOutcome::Refused },
            error: None,
            connect_us: None,
            handshake_us: answers.then_some(1_000),
            open_us: answers.then_some(4_000_000),
            peer_id: answers.then_some(PeerId([*id; 20])),
            reserved: None,
            client: answers.then(|| format!("client {id}")),
            listen_port: (!out && *answers).then_some(*port),
            upload_only: None,
            metadata_size: None,
            pieces_first: None,
            pieces_last: None,
            messages: 0,
            max_gap_us: None,
            bytes_in: 0,
            bytes_out: 0,
        };
        push(at(second + 4, 7), contact.into());
        if *answers {
            let progress = Progress {
                contact: number,
                info_hash,
                ip,
                port: remote,
                direction,
                kind: ProgressKind::Bitfield,
                settled: true,
                pieces: Some(*pieces),
                piece_count: Some(PIECES),
                piece: None,
                bitfield: None,
            };
            push(at(second + 2, 0), progress.into());
        }
    }
    events
}

/// How a log is written.
#[derive(Clone, Copy, Debug)]
struct Cut {
    files: usize,
    group_rows: usize,
    order: Order,
}

/// In which order a file's rows are.
#[derive(Clone, Copy, Debug)]
enum Order {
    Ascending,
    Descending,
    /// Ascending but for every so manieth row, which is exchanged with the next one.
    Nearly(usize),
}

impl Order {
    fn places(self, rows: u32) -> Vec<u32> {
        let mut places: Vec<u32> = (0..rows).collect();
        match self {
            Self::Ascending => {}
            Self::Descending => places.reverse(),
            Self::Nearly(every) => {
                places.chunks_exact_mut(every + 1).for_each(|chunk| chunk.swap(every - 1, every));
            }
        }
        places
    }
}

fn write(events: &[Event], cut: Cut, folder: &Path) {
    let run = RunId("20260101T000000Z-00000001".to_owned());
    for seq in 0..cut.files {
        let own: Vec<Event> = events.iter().skip(seq).step_by(cut.files).cloned().collect();
        for table in Table::ALL {
            let rows = own.iter().filter(|event| event.row.table() == *table);
            if rows.clone().next().is_none() {
                continue;
            }
            let whole = segment::write(*table, &run, rows, Vec::new()).unwrap();
            let origin = Origin { runs: vec![run.clone()], replaces: Vec::new() };
            let reader = Reader::new(whole).unwrap();
            let (bytes, _) =
                segment::merge(*table, vec![reader], &origin, cut.group_rows, Vec::new()).unwrap();
            let bytes = match cut.order {
                Order::Ascending => bytes,
                order => reordered(bytes, cut.group_rows, order),
            };
            let wal = WalPath { run: run.clone(), seq: u32::try_from(seq).unwrap() };
            let path = SegmentPath { table: *table, date: Date::of(Timestamp(START)), wal };
            fs::create_dir_all(folder.join(path.folder())).unwrap();
            fs::write(folder.join(path.folder()).join(path.file_name()), bytes).unwrap();
        }
    }
}

/// A file of the same rows in another order, without checksums.
fn reordered(bytes: Vec<u8>, group_rows: usize, order: Order) -> Vec<u8> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap().with_batch_size(1 << 20);
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let rows = u32::try_from(batch.num_rows()).unwrap();
    let turned = take_record_batch(&batch, &UInt32Array::from(order.places(rows))).unwrap();
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), turned.schema(), Some(properties)).unwrap();
    writer.write(&turned).unwrap();
    writer.into_inner().unwrap()
}

/// Everything that is found, as text.
fn found(events: &[Event], cut: Cut, pace: Pace, rules: &Rules) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(events, cut, folder.path());
    let log = Log::open(&[folder.path().to_path_buf()]).unwrap();
    let needs = Needs {
        addresses: true,
        complete: true,
        everyone: true,
        known: true,
        places: Whose::Everybody,
        presence: true,
        programs: true,
        progress: true,
        seeders: true,
        sightings: true,
        thresholds: true,
    };
    let geo = Geo::default();
    let (replay, kept) = replay_at(pace, &log, rules, needs, &geo, &Spool::default, &|_, _| ()).unwrap();
    let mut peers = Vec::new();
    let frame = kept.lazy().unwrap().map_or_else(|| peers::empty().unwrap(), |rows| rows.collect().unwrap());
    for row in 0..frame.height() {
        let values = frame.get(row).unwrap().into_iter().map(polars::prelude::AnyValue::into_static);
        peers.push(format!("{:?}", values.collect::<Vec<_>>()));
    }
    let text = |frame: &DataFrame| {
        (0..frame.height()).map(|row| format!("{:?}", frame.get(row))).collect::<Vec<_>>()
    };
    let addresses: Vec<String> = (0..by_address::PARTS)
        .filter_map(|part| replay.addresses.read(part).unwrap())
        .flat_map(|part| {
            let counts = ["peers", "contacted_peers", "confirmed_downloads"].map(|name| col(name).sum());
            let sums = part.lazy().group_by([col("ip")]).agg(counts);
            text(&sums.sort(["ip"], SortMultipleOptions::default()).collect().unwrap())
        })
        .collect();
    let frames =
        [&replay.swarms, &replay.places, &replay.rounds, &replay.seeders, &replay.source_hours].map(text);
    format!(
        "{peers:#?} {frames:#?} {addresses:?} {:?} {:?} {:?} {:?}",
        replay.thresholds, replay.source_sets, replay.visits, replay.sessions
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_cut_changes_what_is_found(
        visits in proptest::collection::vec(visit(), 1..80),
        files in 1..4_usize,
        group_rows in 1..9_usize,
        range_rows in 1..30_usize,
        threads in 1..4_usize,
        shuffles: bool,
        only in proptest::option::of(0..2_u8),
        order in prop_oneof![
            Just(Order::Ascending),
            Just(Order::Descending),
            (1..20_usize).prop_map(Order::Nearly),
        ],
        identity in prop_oneof![Just(Identity::Endpoint), Just(Identity::Ip), Just(Identity::PeerId)],
    ) {
        let events = events(&visits);
        let info_hashes = only.map(|torrent| InfoHash([torrent; 20]).to_string()).into_iter().collect();
        let selection = Selection { info_hashes, ..Selection::default() };
        let rules = &Rules { selection, identity, ..Rules::default() };
        let whole = Cut { files: 1, group_rows: 1 << 20, order: Order::Ascending };
        let expected = found(&events, whole, Pace { range_rows: 1 << 30, threads: 1, shuffles: false }, rules);
        let cut = Cut { files, group_rows, order };
        prop_assert_eq!(found(&events, cut, Pace { range_rows, threads, shuffles }, rules), expected);
    }
}
