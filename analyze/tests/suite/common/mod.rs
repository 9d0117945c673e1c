//! Hand-written logs: contacts and observations by the second, written as the segments a capture writes.

pub mod mmdb;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use analyze::{cli::ReportOptions, csv_file, run::Report, table};
use schema::{
    InfoHash, PeerId, RunId, Timestamp,
    layout::Date,
    segment,
    table::{
        Contact, ContactOutcome, Direction, Encryption, Event, Family, Gauge, Hostname, HostnameOutcome,
        Progress, ProgressKind, Request, RequestKind, RequestOutcome, Row, Run, RunEvent, Sighting, Source,
        Table, Torrent, TorrentOrigin, Transport,
    },
};
use tempfile::TempDir;

/// 2026-01-02T00:00:00Z in seconds: second 0 of every hand-written log.
pub const EPOCH_S: i64 = 1_767_312_000;

/// The settle time of a hand-written log, seconds.
pub const SETTLE_S: f64 = 2.0;

pub const PIECES: u32 = 100;
pub const PIECE_LENGTH: u64 = 1_000;
/// The last piece is half a piece.
pub const SIZE: u64 = 99_500;

pub fn at(second: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "seconds of a test")]
    Timestamp(EPOCH_S * 1_000_000 + (second * 1_000_000.0) as i64)
}

pub fn hash(byte: u8) -> InfoHash {
    InfoHash([byte; 20])
}

/// The peer ID of [`id`] as the tables write it.
pub fn id_hex(letter: u8) -> String {
    let mut text = String::new();
    for byte in id(letter).0 {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// An Azureus-style peer ID that ends with the given letter.
pub fn id(letter: u8) -> PeerId {
    let mut id = *b"-qB4520-............";
    id[19] = letter;
    PeerId(id)
}

pub fn endpoint(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A log that is being written.
#[derive(Clone)]
pub struct LogWriter {
    pub run: RunId,
    next_contact: u64,
    pub events: Vec<Event>,
}

impl LogWriter {
    pub fn new(run: &str) -> Self {
        Self { run: RunId(run.to_owned()), next_contact: 1, events: Vec::new() }
    }

    pub fn row(&mut self, second: f64, row: impl Into<Row>) -> &mut Self {
        self.events.push(Event { time: at(second), row: row.into() });
        self
    }

    pub fn run_event(&mut self, second: f64, event: RunEvent) -> &mut Self {
        let reason = (event == RunEvent::Stopped).then(|| "signal".to_owned());
        let version = "0.1.0".to_owned();
        self.row(second, Run { event, vantage: "test".to_owned(), version, config: "{}".to_owned(), reason })
    }

    /// A torrent of [`PIECES`] pieces, from a file.
    pub fn torrent(&mut self, info_hash: InfoHash) -> &mut Self {
        self.row(0.0, torrent(info_hash, TorrentOrigin::File, Some((PIECES, PIECE_LENGTH, SIZE))))
    }

    /// A request to a tracker that was answered; `downloaded` is its counter.
    pub fn scrape(&mut self, second: f64, info_hash: InfoHash, endpoint: &str, downloaded: u64) -> &mut Self {
        let mut request = request(info_hash, endpoint, RequestKind::Scrape, RequestOutcome::Ok);
        request.downloaded = Some(downloaded);
        self.row(second, request)
    }

    pub fn sighting(&mut self, second: f64, info_hash: InfoHash, source: Source, peer: &str) -> &mut Self {
        let address = endpoint(peer);
        let (ip, port) = (address.ip(), address.port());
        self.row(second, Sighting { info_hash, source, endpoint: None, ip, port, flags: None })
    }

    /// A gauge of a capture that has begun so many contacts; everything else follows from them.
    pub fn gauge(&mut self, second: f64, contacts_started: u64) -> &mut Self {
        self.row(
            second,
            Gauge {
                swarms: 2,
                peers_known: contacts_started * 2,
                peers_due: contacts_started / 10,
                peers_waiting: contacts_started / 2,
                peers_not_allowed: 0,
                peers_complete: 1,
                contacts_opening: 3,
                contacts_open: contacts_started / 5,
                contacts_started,
                first_contacts_ok: 0,
                first_contacts_failed: 0,
                later_contacts_ok: 0,
                later_contacts_failed: 0,
                incoming_contacts: 2,
                incoming_unique: 1,
                incoming_refused: 0,
                sightings: contacts_started * 3,
                sightings_new: contacts_started * 2,
                requests_ok: 1,
                requests_failed: 0,
                crossings: 0,
                log_rows: contacts_started * 7,
                log_lag_rows: 0,
                log_lag_us: 900_000,
                log_wal_bytes: 0,
                log_segment_bytes: 0,
                log_segments: 0,
                bytes_in: 0,
                bytes_out: 0,
                memory_bytes: None,
                open_files: Some(40),
                log_paused: None,
                log_wals_waiting: None,
                udp_dropped: None,
                utp_syns: None,
                uploads_waiting: None,
                uploads_waiting_bytes: None,
                uploads: None,
            },
        )
    }

    /// A reverse lookup that found a name, or that there is none.
    pub fn hostname(&mut self, second: f64, ip: &str, hostname: Option<&str>) -> &mut Self {
        let outcome = if hostname.is_some() { HostnameOutcome::Ok } else { HostnameOutcome::NoName };
        let ip = ip.parse().unwrap();
        self.row(second, Hostname { ip, hostname: hostname.map(str::to_owned), outcome })
    }

    /// An outgoing contact whose handshake is complete at a second.
    pub fn out(&mut self, second: f64, info_hash: InfoHash, peer: &str) -> ContactWriter<'_> {
        self.contact(second, info_hash, peer, Direction::Out)
    }

    /// An incoming contact whose handshake is complete at a second.
    pub fn incoming(&mut self, second: f64, info_hash: InfoHash, peer: &str) -> ContactWriter<'_> {
        self.contact(second, info_hash, peer, Direction::In)
    }

    fn contact(
        &mut self,
        second: f64,
        info_hash: InfoHash,
        peer: &str,
        direction: Direction,
    ) -> ContactWriter<'_> {
        let address = endpoint(peer);
        let contact = Contact {
            contact: self.next_contact,
            info_hash,
            ip: address.ip(),
            port: address.port(),
            direction,
            transport: Transport::Tcp,
            encryption: Encryption::Plain,
            attempt: 1,
            outcome: ContactOutcome::VisitDone,
            error: None,
            connect_us: (direction == Direction::Out).then_some(20_000),
            handshake_us: Some(30_000),
            open_us: None,
            peer_id: Some(id(b'a')),
            reserved: None,
            client: None,
            listen_port: None,
            upload_only: None,
            metadata_size: None,
            pieces_first: None,
            pieces_last: None,
            messages: 0,
            max_gap_us: None,
            bytes_in: 0,
            bytes_out: 0,
        };
        self.next_contact += 1;
        ContactWriter { log: self, contact, begun: second, piece_count: Some(PIECES) }
    }

    /// Writes the segments of all events into a data folder, cut into `files` files per table by turns.
    pub fn write(&self, folder: &Path, files: usize) {
        let mut segments: BTreeMap<(Table, String, usize), Vec<Event>> = BTreeMap::new();
        for (number, event) in self.events.iter().enumerate() {
            let key = (event.row.table(), Date::of(event.time).to_string(), number % files.max(1));
            segments.entry(key).or_default().push(event.clone());
        }
        for ((table, date, file), events) in segments {
            let path = folder.join(table.name()).join(format!("date={date}"));
            fs::create_dir_all(&path).unwrap();
            let name = format!("{}-{file:06}.parquet", self.run.0);
            let bytes = segment::write(table, &self.run, &events, Vec::new()).unwrap();
            fs::write(path.join(name), bytes).unwrap();
        }
    }

    /// Writes one segment per table into a fresh data folder.
    pub fn data(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path(), 1);
        folder
    }

    /// The report of this log alone.
    pub fn report(&self) -> Report {
        self.report_with(|_| ())
    }

    pub fn report_with(&self, change: impl FnOnce(&mut ReportOptions)) -> Report {
        let data = self.data();
        report_of(&[data.path()], change)
    }
}

pub fn torrent(info_hash: InfoHash, origin: TorrentOrigin, metadata: Option<(u32, u64, u64)>) -> Torrent {
    Torrent {
        info_hash,
        info_hash_v2: None,
        name: Some("a torrent".to_owned()),
        piece_length: metadata.map(|(_, length, _)| length),
        piece_count: metadata.map(|(count, ..)| count),
        size_bytes: metadata.map(|(.., size)| size),
        private: metadata.map(|_| false),
        origin,
        trackers: Vec::new(),
    }
}

/// A request of 10 ms over IPv4 to an HTTP or UDP tracker.
pub fn request(info_hash: InfoHash, endpoint: &str, kind: RequestKind, outcome: RequestOutcome) -> Request {
    let source = if endpoint.starts_with("udp") { Source::TrackerUdp } else { Source::TrackerHttp };
    Request {
        info_hash,
        source,
        endpoint: endpoint.to_owned(),
        family: Some(Family::Ipv4),
        kind,
        duration_us: 10_000,
        outcome,
        error: None,
        peers: None,
        interval_s: None,
        seeders: None,
        leechers: None,
        downloaded: None,
    }
}

/// A contact that is being written; its row is written by [`ContactWriter::end`].
pub struct ContactWriter<'a> {
    log: &'a mut LogWriter,
    pub contact: Contact,
    begun: f64,
    piece_count: Option<u32>,
}

impl ContactWriter<'_> {
    pub fn id(mut self, letter: u8) -> Self {
        self.contact.peer_id = Some(id(letter));
        self
    }

    pub fn listens(mut self, port: u16) -> Self {
        self.contact.listen_port = Some(port);
        self
    }

    pub fn client(mut self, v: &str) -> Self {
        self.contact.client = Some(v.to_owned());
        self
    }

    pub fn attempt(mut self, attempt: u32) -> Self {
        self.contact.attempt = attempt;
        self
    }

    /// The torrent's metadata is not known yet.
    pub fn without_metadata(mut self) -> Self {
        self.piece_count = None;
        self
    }

    /// The opening burst, told when the settle time is over.
    pub fn opens(self, kind: ProgressKind, pieces: impl Into<Option<u32>>) -> Self {
        let second = self.begun + SETTLE_S;
        self.observes(second, kind, pieces.into(), true)
    }

    pub fn bitfield(self, pieces: u32) -> Self {
        self.opens(ProgressKind::Bitfield, pieces)
    }

    /// The opening burst, cut short by the end of the contact half a second after the handshake.
    pub fn cut_short(self, kind: ProgressKind, pieces: impl Into<Option<u32>>) -> Self {
        let second = self.begun + 0.5;
        self.observes(second, kind, pieces.into(), false)
    }

    pub fn have(self, second: f64, pieces: u32) -> Self {
        self.observes(second, ProgressKind::Have, Some(pieces), true)
    }

    pub fn observes(self, second: f64, kind: ProgressKind, pieces: Option<u32>, settled: bool) -> Self {
        let Contact { contact, info_hash, ip, port, direction, .. } = self.contact;
        let piece_count = self.piece_count;
        let progress = Progress {
            contact,
            info_hash,
            ip,
            port,
            direction,
            kind,
            settled,
            pieces,
            piece_count,
            piece: None,
            bitfield: None,
        };
        self.log.row(second, progress);
        self
    }

    /// Writes the contact's row; it ends at a second, in good order.
    pub fn end(self, second: f64) {
        self.end_as(second, ContactOutcome::VisitDone);
    }

    pub fn end_as(mut self, second: f64, outcome: ContactOutcome) {
        self.contact.outcome = outcome;
        if outcome.has_handshake() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a test")]
            let open_us = ((second - self.begun) * 1_000_000.0) as u64;
            self.contact.open_us = Some(open_us);
        } else if outcome != ContactOutcome::SelfConnection {
            self.contact.peer_id = None;
            self.contact.handshake_us = None;
        }
        let contact = self.contact;
        self.log.row(second, contact);
    }

    /// The capture was killed: the contact's row is lost. Returns the contact's number.
    pub fn lost(self) -> u64 {
        self.contact.contact
    }
}

pub fn options(data: &[&Path]) -> ReportOptions {
    ReportOptions {
        data: data.iter().map(PathBuf::from).collect(),
        since: None,
        until: None,
        info_hash: Vec::new(),
        threshold: "0.98".parse().unwrap(),
        max_plausible_speed: 125_000_000,
        geoip_city: None,
        geoip_asn: None,
        out: PathBuf::from("report"),
        only: Vec::new(),
        bucket: Some(3_600_000_000),
        format: vec![analyze::table_file::Format::Csv],
        identity: analyze::replay::Identity::Endpoint,
    }
}

pub fn report_of(data: &[&Path], change: impl FnOnce(&mut ReportOptions)) -> Report {
    let mut options = options(data);
    change(&mut options);
    analyze::run::compute(&options).unwrap()
}

/// A table as CSV text.
pub fn csv(report: &Report, name: &str) -> String {
    let definition = table::find(name).unwrap();
    let mut bytes = Vec::new();
    csv_file::write_to(definition, report.tables.get(name).unwrap(), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Every table as CSV text, by name.
pub fn all_csv(report: &Report) -> BTreeMap<&'static str, String> {
    report.tables.iter().map(|(definition, _)| (definition.name, csv(report, definition.name))).collect()
}

/// The given columns of a table's rows.
pub fn columns(report: &Report, table: &str, names: &[&str]) -> Vec<Vec<String>> {
    let text = csv(report, table);
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let positions: Vec<usize> = names
        .iter()
        .map(|name| header.iter().position(|column| column == *name).expect("a column of the table"))
        .collect();
    reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            positions.iter().map(|position| record[*position].to_owned()).collect()
        })
        .collect()
}

/// The addresses of the confirmed downloads, in order.
pub fn confirmed(report: &Report) -> Vec<String> {
    columns(report, "confirmed_downloads", &["ip"]).into_iter().flatten().collect()
}

/// The flags of the only flagged peer: `crossed`, `backwards`, `have_only`, `implausible_speed`.
pub fn flags(report: &Report) -> Vec<String> {
    let rows = columns(report, "flagged", &["crossed", "backwards", "have_only", "implausible_speed"]);
    assert!(rows.len() <= 1, "{rows:?}");
    rows.into_iter().flatten().collect()
}

/// One number of the row `all` of the summary.
pub fn total(report: &Report, column: &str) -> String {
    let rows = columns(report, "summary", &["info_hash", column]);
    rows.into_iter().find(|row| row[0] == "all").expect("the row all")[1].clone()
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
