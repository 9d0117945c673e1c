//! What is true of one peer: its observations in order of time → confirmed, already complete, or flagged; its speeds.
//!
//! A linear pass with a few words of state; the rules are those of the design's "Rules for what is true".
//! All counts are pieces, all times microseconds.

use std::collections::HashMap;

use super::{
    speed::{Bytes, Speedometer},
    threshold::Threshold,
};

/// How long a peer's opening burst is held back by default, µs: what a contact without a `contacts` row is given.
pub const SETTLE_US: i64 = 2_000_000;

/// What an observation was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// A bitfield or `have_all` of the opening burst: the handshake itself claimed pieces.
    Handshake,
    /// An opening burst that claimed none: `have_none`, silence.
    Nothing,
    /// HAVE messages.
    Have,
}

/// One known observation of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation<'a> {
    /// When, µs.
    pub time: i64,
    /// Pieces the peer had claimed by then in this contact.
    pub pieces: u32,
    /// The contact, by run and number.
    pub contact: (u32, i64),
    /// When the contact's handshake was complete, µs; `None` where its `contacts` row was lost.
    pub handshake_at: Option<i64>,
    /// The peer ID of the contact's handshake.
    pub peer_id: Option<&'a [u8]>,
    /// What it was made of.
    pub claim: Claim,
    /// Whether the opening burst was over. If not, the count says "at least" and never "at most".
    pub settled: bool,
}

impl Observation<'_> {
    /// Whether, as the first of its contact, it shows that the peer does not super-seed.
    fn claims_pieces(&self) -> bool {
        self.settled && self.claim == Claim::Handshake && self.pieces > 0
    }
}

/// The torrent, as far as the judgement needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torrent {
    /// Number of pieces, at least 1.
    pub piece_count: u32,
    /// What pieces are in bytes; `None` until the metadata is known.
    pub bytes: Option<Bytes>,
}

/// A peer's way past one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// At or above it when first seen.
    Already,
    /// Seen below it, and later at or above.
    Crossed(Crossing),
}

/// The interval that dates a download: after `below_at`, not later than `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The last observation below the threshold before the first above, µs.
    pub below_at: i64,
    /// Pieces then.
    pub below_pieces: u32,
    /// The first observation at or above the threshold, µs.
    pub at: i64,
    /// Pieces then.
    pub pieces: u32,
    /// Whether both were made in one contact.
    pub live: bool,
}

/// What became of one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict<'a> {
    /// Its first observation, µs.
    pub first_at: i64,
    /// Pieces then.
    pub first_pieces: u32,
    /// The peer ID last seen.
    pub peer_id: Option<&'a [u8]>,
    /// Its way past each threshold, in the order of the thresholds; `None` where it never reached one.
    pub reached: Vec<Option<Reached>>,
    /// Its count went down under the same peer ID, or peer IDs took turns.
    pub backwards: bool,
    /// Some handshake of it claimed pieces, and it was once seen with some pieces but not all: it neither
    /// super-seeds nor did so until it turned into a plain seeder.
    pub believed: bool,
    /// Mean speed up to the first threshold, or to the last gain before it, bytes/s.
    pub mean_speed: Option<f64>,
    /// Highest speed until then, bytes/s.
    pub max_speed: Option<f64>,
}

/// Judges the observations of one endpoint, sorted by time; one verdict per peer that was there, in order.
///
/// The endpoint is one peer for as long as its peer ID stays or its progress continues; a peer ID not seen before
/// whose count starts over is another peer, unless the endpoint shows a new peer ID in every contact.
pub fn judge<'a>(
    torrent: &Torrent,
    thresholds: &[Threshold],
    observations: &[Observation<'a>],
) -> Vec<Verdict<'a>> {
    let pieces: Vec<u32> = thresholds.iter().map(|threshold| threshold.pieces(torrent.piece_count)).collect();
    let mut endpoint = Endpoint {
        torrent,
        thresholds: &pieces,
        ids_name_peers: !changes_its_id_each_time(observations),
        peer: None,
        gone: Vec::new(),
        verdicts: Vec::new(),
    };
    for observation in observations {
        endpoint.observe(observation);
    }
    endpoint.finish()
}

/// Whether at least three contacts showed a peer ID each, and no two the same: libtorrent 2.1 makes one up for every
/// connection, so that its peer IDs tell nothing about who is there.
fn changes_its_id_each_time(observations: &[Observation<'_>]) -> bool {
    let mut contacts: Vec<_> =
        observations.iter().filter_map(|row| Some((row.peer_id?, row.contact))).collect();
    contacts.sort_unstable();
    contacts.dedup();
    contacts.len() >= 3
        && contacts.windows(2).all(|pair| matches!(pair, [(one, _), (other, _)] if one != other))
}

struct Endpoint<'a, 'b> {
    torrent: &'b Torrent,
    /// In pieces.
    thresholds: &'b [u32],
    /// Whether a new peer ID may be a new peer.
    ids_name_peers: bool,
    /// The peer that is there.
    peer: Option<Peer<'a>>,
    /// Peer IDs of those that were there before.
    gone: Vec<&'a [u8]>,
    verdicts: Vec<Verdict<'a>>,
}

impl<'a> Endpoint<'a, '_> {
    fn observe(&mut self, observation: &Observation<'a>) {
        if observation.pieces > self.torrent.piece_count {
            return;
        }
        let opened_at = observation.handshake_at.unwrap_or(observation.time - SETTLE_US);
        let thresholds = self.thresholds.len();
        let peer = self.peer.get_or_insert_with(|| Peer::new(i64::MIN, thresholds));
        if observation.handshake_at.is_some_and(|handshake_at| handshake_at < peer.since) {
            return;
        }
        let told_before = peer.note(observation);
        // Within a contact counts only rise; a first one is held against what was known when it was told.
        let known = told_before.or_else(|| peer.pieces_before(opened_at));
        if observation.settled && known.is_some_and(|known| observation.pieces < known) {
            if told_before.is_none() && self.ids_name_peers && peer.is_other(observation.peer_id) {
                self.replace(opened_at, observation);
                return;
            }
            peer.backwards = true;
            peer.rises.clear();
        }
        peer.believed |= told_before.is_none() && observation.claims_pieces();
        self.count(observation);
    }

    /// Another peer has taken the endpoint.
    fn replace(&mut self, since: i64, observation: &Observation<'a>) {
        if let Some(before) = self.peer.take() {
            self.gone.extend(before.ids.iter().copied());
            self.verdicts.extend(before.verdict());
        }
        let mut peer = Peer::new(since, self.thresholds.len());
        peer.note(observation);
        peer.believed = observation.claims_pieces();
        self.peer = Some(peer);
        self.count(observation);
    }

    fn count(&mut self, observation: &Observation<'a>) {
        if let Some(peer) = &mut self.peer {
            peer.count(observation, self.torrent, self.thresholds);
            if let Some(id) = observation.peer_id
                && self.gone.contains(&id)
            {
                peer.backwards = true;
            }
        }
    }

    fn finish(mut self) -> Vec<Verdict<'a>> {
        if let Some(peer) = self.peer.take() {
            self.verdicts.extend(peer.verdict());
        }
        self.verdicts
    }
}

/// The last observation below a threshold, and the one before it that is earlier still.
#[derive(Clone, Copy, Debug, Default)]
struct Below {
    last: Option<(i64, u32, (u32, i64))>,
    earlier: Option<(i64, u32, (u32, i64))>,
}

impl Below {
    fn note(&mut self, observation: &Observation<'_>) {
        if self.last.is_none_or(|(time, ..)| time < observation.time) {
            self.earlier = self.last;
        }
        self.last = Some((observation.time, observation.pieces, observation.contact));
    }

    /// The last one that is earlier than a time.
    fn before(&self, time: i64) -> Option<(i64, u32, (u32, i64))> {
        self.last.filter(|(at, ..)| *at < time).or(self.earlier)
    }
}

struct Peer<'a> {
    /// Contacts whose handshake is earlier belong to the peer before this one.
    since: i64,
    first: Option<(i64, u32)>,
    ids: Vec<&'a [u8]>,
    /// The count each contact told last.
    contacts: HashMap<(u32, i64), u32>,
    /// The highest count known so far, each time it rose.
    rises: Vec<(i64, u32)>,
    below: Vec<Below>,
    reached: Vec<Option<Reached>>,
    backwards: bool,
    believed: bool,
    /// Seen with some pieces, but not all.
    partly: bool,
    speed: Speedometer,
}

impl<'a> Peer<'a> {
    fn new(since: i64, thresholds: usize) -> Self {
        Self {
            since,
            first: None,
            ids: Vec::new(),
            contacts: HashMap::new(),
            rises: Vec::new(),
            below: vec![Below::default(); thresholds],
            reached: vec![None; thresholds],
            backwards: false,
            believed: false,
            partly: false,
            speed: Speedometer::default(),
        }
    }

    /// Notes what a contact tells and returns what it told before.
    fn note(&mut self, observation: &Observation<'_>) -> Option<u32> {
        self.contacts.insert(observation.contact, observation.pieces)
    }

    /// The highest count known at a time, that is before a handshake completed then.
    fn pieces_before(&self, time: i64) -> Option<u32> {
        let known = self.rises.partition_point(|(at, _)| *at <= time);
        self.rises.get(known.checked_sub(1)?).map(|(_, pieces)| *pieces)
    }

    fn pieces(&self) -> u32 {
        self.rises.last().map_or(0, |(_, pieces)| *pieces)
    }

    /// Whether a peer ID is known and none that this peer has used.
    fn is_other(&self, peer_id: Option<&[u8]>) -> bool {
        peer_id.is_some_and(|id| !self.ids.is_empty() && !self.ids.contains(&id))
    }

    fn count(&mut self, observation: &Observation<'a>, torrent: &Torrent, thresholds: &[u32]) {
        // A count below what is known comes from a contact that lags behind another one, or is an "at least".
        let lags = observation.pieces < self.pieces();
        let tells =
            observation.settled || thresholds.iter().any(|threshold| observation.pieces >= *threshold);
        if lags || !tells {
            return;
        }
        self.first.get_or_insert((observation.time, observation.pieces));
        self.partly |= (1..torrent.piece_count).contains(&observation.pieces);
        if let Some(id) = observation.peer_id
            && self.ids.last() != Some(&id)
        {
            self.ids.retain(|known| *known != id);
            self.ids.push(id);
        }
        if self.rises.is_empty() || observation.pieces > self.pieces() {
            self.rises.push((observation.time, observation.pieces));
        }
        // Nobody watches a finished peer closely: its last pieces, seen an hour late, would be an hour's work.
        let downloading = !self.backwards && self.reached.first().is_some_and(Option::is_none);
        if let Some(bytes) = torrent.bytes.filter(|_| downloading) {
            let bytes = bytes.of(observation.pieces, torrent.piece_count);
            self.speed.observe(observation.time, bytes, observation.settled);
        }
        for ((threshold, below), reached) in thresholds.iter().zip(&mut self.below).zip(&mut self.reached) {
            if reached.is_some() {
                continue;
            }
            if observation.pieces >= *threshold {
                *reached = Some(reach(below, observation));
            } else if observation.settled {
                below.note(observation);
            }
        }
    }

    fn verdict(self) -> Option<Verdict<'a>> {
        let (mean_speed, max_speed) = self.speed.read();
        let (first_at, first_pieces) = self.first?;
        Some(Verdict {
            first_at,
            first_pieces,
            peer_id: self.ids.last().copied(),
            reached: self.reached,
            backwards: self.backwards,
            believed: self.believed && self.partly,
            mean_speed,
            max_speed,
        })
    }
}

fn reach(below: &Below, observation: &Observation<'_>) -> Reached {
    let Some((below_at, below_pieces, contact)) = below.before(observation.time) else {
        return Reached::Already;
    };
    let live = contact == observation.contact;
    Reached::Crossed(Crossing {
        below_at,
        below_pieces,
        at: observation.time,
        pieces: observation.pieces,
        live,
    })
}
