//! The rows a capture would have written about a population, window of time by window of time.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schema::{
    InfoHash, PeerId, Reserved, Timestamp,
    table::{
        Contact, ContactOutcome, Direction, Encryption, Event, Family, Progress, ProgressKind, Request,
        RequestKind, RequestOutcome, Row, Run, RunEvent, Sighting, Source, TorrentOrigin, Transport,
    },
};

use crate::{
    log::population::{Peer, Population, Torrent},
    profile::{CLIENTS, Client},
};

/// Seconds between announces, and so between sightings of a peer.
const ANNOUNCE_EVERY_S: f64 = 1_800.0;
/// Seconds between visits to a peer that answers.
const REVISIT_S: f64 = 600.0;
/// Seconds from a visit's beginning until its opening burst is over.
const SETTLED_S: f64 = 2.3;
/// Seconds until the first retry of one that does not; each further one waits twice as long.
const RETRY_S: f64 = 300.0;
/// Retries of a peer that never answers.
const RETRIES: u32 = 8;

const TRACKER: &str = "udp://tracker.example:6969/announce";

/// Writes the rows of a population.
#[derive(Debug)]
pub struct Writer<'a> {
    population: &'a Population,
    start: Timestamp,
    /// Contacts before the next row.
    contacts: u64,
}

/// Where a row is about to be written: the peer, and chance that is the same for the same visit.
struct Visit<'a> {
    torrent: &'a Torrent,
    peer: &'a Peer,
    client: &'static Client,
    attempt: u32,
    rng: ChaCha8Rng,
}

impl<'a> Writer<'a> {
    /// A writer at the start of the log.
    pub const fn new(population: &'a Population, start: Timestamp) -> Self {
        Self { population, start, contacts: 0 }
    }

    /// A writer that goes on after so many contacts.
    pub const fn after(population: &'a Population, start: Timestamp, contacts: u64) -> Self {
        Self { population, start, contacts }
    }

    /// The rows of this window, from–to since the start; windows are to be asked for in their order, or of writers that go
    /// on after the contacts of those before.
    pub fn window(&mut self, from: Duration, to: Duration) -> Vec<Event> {
        let (from_s, to_s) = (from.as_secs_f64(), to.as_secs_f64());
        let mut events = Vec::new();
        if from.is_zero() {
            self.push(&mut events, 0.0, started());
            for (nth, torrent) in (1..).zip(&self.population.torrents) {
                self.push(&mut events, 0.0, described(nth, torrent));
            }
        }
        for torrent in &self.population.torrents {
            self.announce(torrent, from_s, to_s, &mut events);
        }
        let population = self.population;
        let come = population.peers.partition_point(|peer| peer.joins_s < to_s);
        let gone = |peer: &Peer| peer.leaves_s + REVISIT_S <= from_s;
        for peer in population.peers.iter().take(come).filter(|peer| !gone(peer)) {
            let index = usize::try_from(peer.swarm).unwrap_or(0);
            let Some(torrent) = population.torrents.get(index) else { continue };
            sighting_times(peer).filter(|at| (from_s..to_s).contains(at)).for_each(|at| {
                self.push(&mut events, at, sighting(peer, torrent));
            });
            for (attempt, at) in (1..).zip(visit_times(peer)).filter(|(_, at)| (from_s..to_s).contains(at)) {
                let client = CLIENTS.get(usize::from(peer.client)).unwrap_or(&crate::profile::QBITTORRENT);
                let mut rng = ChaCha8Rng::seed_from_u64(peer.seed);
                rng.set_stream(u64::from(attempt));
                self.visit(at, Visit { torrent, peer, client, attempt, rng }, &mut events);
            }
        }
        events
    }

    fn push(&self, events: &mut Vec<Event>, at_s: f64, row: Row) {
        #[expect(clippy::cast_possible_truncation, reason = "microseconds of some days fit an i64")]
        let time = Timestamp(self.start.0 + (at_s * 1e6) as i64);
        events.push(Event { time, row });
    }

    fn announce(&self, torrent: &Torrent, from_s: f64, to_s: f64, events: &mut Vec<Event>) {
        let mut rng = ChaCha8Rng::from_seed(std::array::from_fn(|index| {
            torrent.info_hash.get(index % 20).copied().unwrap_or(0)
        }));
        let phase = rng.random_range(0.0..ANNOUNCE_EVERY_S);
        for kind in [RequestKind::Announce, RequestKind::Scrape] {
            for at in times(phase, ANNOUNCE_EVERY_S).skip_while(|at| *at < from_s).take_while(|at| *at < to_s)
            {
                let peers = (kind == RequestKind::Announce).then_some(200);
                self.push(events, at, request(torrent, kind, peers, rng.random_range(20_000..900_000)));
            }
        }
    }

    fn visit(&mut self, at_s: f64, mut visit: Visit<'_>, events: &mut Vec<Event>) {
        self.contacts += 1;
        let number = self.contacts;
        if !visit.peer.reachable || at_s >= visit.peer.leaves_s {
            let contact = visit.failed(number);
            let took_s = contact.connect_us.unwrap_or(0) as f64 / 1e6;
            self.push(events, at_s + took_s, Row::Contact(Box::new(contact)));
            return;
        }
        let held_s = if visit.rng.random_bool(0.3) { visit.rng.random_range(60.0..500.0) } else { 2.5 };
        let first = visit.pieces(at_s);
        self.push(
            events,
            at_s + SETTLED_S,
            visit.progress(number, first, opening(visit.client, first, visit.torrent)),
        );
        let mut last = first;
        // A short visit tells its opening and nothing more.
        for share in [0.4, 0.9].into_iter().filter(|share| held_s * share > SETTLED_S) {
            let (then_s, now) = (at_s + held_s * share, visit.pieces(at_s + held_s * share));
            if now > last {
                self.push(events, then_s, visit.progress(number, now, ProgressKind::Have));
                last = now;
            }
        }
        let contact = visit.talked(number, first, last, held_s);
        self.push(events, at_s + held_s + 0.2, Row::Contact(Box::new(contact)));
    }
}

/// How many contacts begin in each of `windows` windows of this length.
pub fn contacts_by_window(population: &Population, window: Duration, windows: usize) -> Vec<u64> {
    let mut counts = vec![0; windows];
    for at in population.peers.iter().flat_map(visit_times).filter(|at| *at >= 0.0) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a quotient that is not negative"
        )]
        let place = (at / window.as_secs_f64()) as usize;
        if let Some(count) = counts.get_mut(place) {
            *count += 1;
        }
    }
    counts
}

fn times(first: f64, every: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(first), move |at| Some(at + every))
}

fn sighting_times(peer: &Peer) -> impl Iterator<Item = f64> {
    let leaves_s = peer.leaves_s;
    times(peer.joins_s + 60.0, ANNOUNCE_EVERY_S).take_while(move |at| *at < leaves_s)
}

/// Visits at even steps to a peer that answers, and one that finds it gone; to one that does not, at ever longer ones.
fn visit_times(peer: &Peer) -> Box<dyn Iterator<Item = f64>> {
    let first = peer.joins_s + 61.0;
    let leaves_s = peer.leaves_s;
    if peer.reachable {
        return Box::new(times(first, REVISIT_S).take_while(move |at| *at < leaves_s + REVISIT_S));
    }
    let retries = (0..=RETRIES).map(move |retry| first + RETRY_S * (f64::from(1_u32 << retry) - 1.0));
    Box::new(retries.take_while(move |at| *at < leaves_s))
}

fn opening(client: &Client, pieces: u32, torrent: &Torrent) -> ProgressKind {
    match pieces {
        0 if client.fast => ProgressKind::HaveNone,
        0 => ProgressKind::Silence,
        _ if pieces == torrent.piece_count && client.fast => ProgressKind::HaveAll,
        _ => ProgressKind::Bitfield,
    }
}

fn started() -> Row {
    Row::Run(Run {
        event: RunEvent::Started,
        vantage: "lab".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config: "{}".to_owned(),
        reason: None,
    })
}

fn described(nth: u32, torrent: &Torrent) -> Row {
    Row::Torrent(schema::table::Torrent {
        info_hash: InfoHash(torrent.info_hash),
        info_hash_v2: None,
        name: Some(format!("torrent {nth}")),
        piece_length: Some(torrent.piece_length),
        piece_count: Some(torrent.piece_count),
        size_bytes: Some(torrent.piece_length * u64::from(torrent.piece_count)),
        private: Some(false),
        origin: TorrentOrigin::File,
        trackers: vec![TRACKER.to_owned()],
    })
}

fn sighting(peer: &Peer, torrent: &Torrent) -> Row {
    Row::Sighting(Sighting {
        info_hash: InfoHash(torrent.info_hash),
        source: Source::TrackerUdp,
        endpoint: Some(TRACKER.to_owned()),
        ip: peer.ip,
        port: peer.port,
        flags: None,
    })
}

fn request(torrent: &Torrent, kind: RequestKind, peers: Option<u32>, duration_us: u64) -> Row {
    Row::Request(Request {
        info_hash: InfoHash(torrent.info_hash),
        source: Source::TrackerUdp,
        endpoint: TRACKER.to_owned(),
        family: Some(Family::Ipv4),
        kind,
        duration_us,
        outcome: RequestOutcome::Ok,
        error: None,
        peers,
        interval_s: peers.map(|_| 1_800),
        seeders: Some(duration_us % 500),
        leechers: Some(duration_us % 300),
        downloaded: None,
    })
}

impl Visit<'_> {
    /// Pieces the peer has at this time.
    fn pieces(&self, at_s: f64) -> u32 {
        let gained = (at_s - self.peer.joins_s) / f64::from(self.peer.takes_s);
        let share = (f64::from(self.peer.initial) + gained).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a u32 is a u32"
        )]
        let pieces = (f64::from(self.torrent.piece_count) * share) as u32;
        pieces
    }

    fn progress(&self, contact: u64, pieces: u32, kind: ProgressKind) -> Row {
        Row::Progress(Progress {
            contact,
            info_hash: InfoHash(self.torrent.info_hash),
            ip: self.peer.ip,
            port: self.peer.port,
            direction: Direction::Out,
            kind,
            settled: true,
            pieces: Some(pieces),
            piece_count: Some(self.torrent.piece_count),
            piece: None,
            bitfield: None,
        })
    }

    fn failed(&mut self, contact: u64) -> Contact {
        let refused = self.rng.random_bool(0.4);
        let connect_us = if refused { self.rng.random_range(8_000..400_000) } else { 10_000_000 };
        let outcome = if refused { ContactOutcome::Refused } else { ContactOutcome::ConnectTimedOut };
        self.contact(contact, outcome, connect_us)
    }

    fn talked(&mut self, contact: u64, first: u32, last: u32, held_s: f64) -> Contact {
        let connect_us = self.rng.random_range(8_000..400_000);
        let mut rng = ChaCha8Rng::seed_from_u64(self.peer.seed);
        let mut peer_id: [u8; 20] = rng.random();
        peer_id.iter_mut().zip(self.client.peer_id_prefix).for_each(|(byte, prefix)| *byte = prefix);
        let extended = self.client.version.is_some();
        Contact {
            handshake_us: Some(self.rng.random_range(8_000..600_000)),
            open_us: Some(u64::try_from(Duration::from_secs_f64(held_s).as_micros()).unwrap_or(0)),
            peer_id: Some(PeerId(peer_id)),
            reserved: Some(Reserved(if extended { 0x10_00_05 } else { 0 })),
            client: self.client.version.map(str::to_owned),
            listen_port: extended.then_some(self.peer.port),
            metadata_size: extended.then_some(u64::from(self.torrent.piece_count) * 20 + 200),
            pieces_first: Some(first),
            pieces_last: Some(last),
            messages: u64::from(last - first) + 3,
            max_gap_us: Some(self.rng.random_range(500_000..2_400_000)),
            bytes_in: u64::from(self.torrent.piece_count / 8) + 300 + u64::from(last - first) * 9,
            bytes_out: 68 + 120,
            ..self.contact(contact, ContactOutcome::VisitDone, connect_us)
        }
    }

    fn contact(&self, contact: u64, outcome: ContactOutcome, connect_us: u64) -> Contact {
        Contact {
            contact,
            info_hash: InfoHash(self.torrent.info_hash),
            ip: self.peer.ip,
            port: self.peer.port,
            direction: Direction::Out,
            transport: Transport::Tcp,
            encryption: Encryption::Plain,
            attempt: self.attempt,
            outcome,
            error: None,
            connect_us: Some(connect_us),
            handshake_us: None,
            open_us: None,
            peer_id: None,
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
        }
    }
}
