//! An observer's side of one peer connection (BEP 3, 6, 9, 10, 11): bytes and time in, observations and a few bytes out.
//!
//! ```text
//! outgoing ─ our handshake ─▶ Handshaking ─ theirs ──────────────────▶ Opening ─ settle time ─▶ Watching
//! incoming ─────────────────▶ Handshaking ─ theirs ▶ Deciding ─ accept ─▲                         │
//!                                   └──────────┴───────────── close, end, lie ─────────────────────┴─▶ Ended
//! ```

mod claims;
mod extensions;
mod fetch;
mod fold;
mod opening;
mod report;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

pub use self::{
    claims::{Basis, ClaimError},
    fetch::FetchError,
    report::{End, Event, Extended, Kind, Observation, Summary},
    settings::{Closer, Local, Settings},
};
use self::{
    claims::{Claims, MAX_PIECES_UNKNOWN},
    fetch::Fetch,
    fold::Fold,
};
use crate::peer::{
    handshake::{self, Handshake, Reserved},
    message::{Decoder, Limits, Message, encode},
};

/// Answers to a peer that does not read what we send are dropped beyond this.
const OUTPUT_MAX: usize = 4096;
/// A peer that keeps talking about other things is given this many settle times before its silence is given up on.
const SETTLE_TIMES_MAX: u32 = 5;

#[derive(Debug)]
enum Phase {
    Handshaking {
        received: Vec<u8>,
    },
    /// An incoming handshake waits for [`Session::accept`]; the bytes behind it wait as well.
    Deciding {
        handshake: Handshake,
        behind: Vec<u8>,
    },
    Opening {
        settle_at: Instant,
    },
    Watching,
    Ended,
}

/// The state of one connection to a peer.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    /// `None` for an incoming connection until it is accepted.
    local: Option<Local>,
    phase: Phase,
    began: Instant,
    decoder: Decoder,
    claims: Claims,
    /// When the last claim of the opening burst came.
    claimed_at: Option<Instant>,
    /// When the settle time of a silent peer was over, until that is told or proved wrong.
    silent_at: Option<Instant>,
    opening_told: bool,
    fold: Fold,
    fetch: Option<Box<Fetch>>,
    /// The peer's ID for `ut_metadata`.
    their_ut_metadata: Option<u8>,
    /// And for `ut_holepunch`.
    their_ut_holepunch: Option<u8>,
    output: Vec<u8>,
    /// When we last sent something, or could not as the output was full.
    last_queued: Instant,
    last_received: Instant,
    events: VecDeque<Event>,
    summary: Summary,
}

impl Session {
    /// A connection we opened: our handshake is the first output.
    pub fn outgoing(now: Instant, local: Local, settings: Settings) -> Self {
        let mut session = Self::new(now, Some(local), settings);
        session.send_handshake(now, &local);
        session
    }

    /// A connection the peer opened: its handshake is awaited, see [`Self::accept`].
    pub fn incoming(now: Instant, settings: Settings) -> Self {
        Self::new(now, None, settings)
    }

    fn new(now: Instant, local: Option<Local>, settings: Settings) -> Self {
        let piece_count = local.and_then(|local| local.piece_count);
        Self {
            settings,
            local,
            phase: Phase::Handshaking { received: Vec::new() },
            began: now,
            decoder: Decoder::new(limits(piece_count)),
            claims: Claims::new(piece_count),
            claimed_at: None,
            silent_at: None,
            opening_told: false,
            fold: Fold::new(settings.have_resolution),
            fetch: None,
            their_ut_metadata: None,
            their_ut_holepunch: None,
            output: Vec::new(),
            last_queued: now,
            last_received: now,
            events: VecDeque::new(),
            summary: Summary::default(),
        }
    }

    /// Goes on with an incoming connection whose [`Event::Handshake`] named a swarm we watch.
    pub fn accept(&mut self, now: Instant, local: Local) {
        let Phase::Deciding { handshake, behind } = &mut self.phase else { return };
        let (handshake, behind) = (*handshake, std::mem::take(behind));
        self.local = Some(local);
        self.claims = Claims::new(local.piece_count);
        self.decoder.set_limits(limits(local.piece_count));
        if handshake.peer_id == local.peer_id {
            self.end(End::SelfConnection);
            return;
        }
        self.send_handshake(now, &local);
        self.begin_opening(now, &handshake);
        self.handle_messages(now, &behind);
    }

    /// Takes bytes from the peer, in any split.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.summary.bytes_in += bytes.len() as u64;
        self.note_received(now);
        match &mut self.phase {
            Phase::Handshaking { received } => {
                received.extend_from_slice(bytes);
                self.handle_handshake(now);
            }
            // The caller decides before it reads on, so that this stays small.
            Phase::Deciding { behind, .. } => behind.extend_from_slice(bytes),
            Phase::Opening { .. } | Phase::Watching => self.handle_messages(now, bytes),
            Phase::Ended => {}
        }
    }

    /// Acts on whatever is due; called at or after [`Self::next_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Handshaking { .. } | Phase::Deciding { .. } => {
                if now >= self.began + self.settings.handshake_timeout {
                    self.end(End::HandshakeTimedOut);
                }
                return;
            }
            Phase::Opening { settle_at } if now >= settle_at => self.settle(now),
            Phase::Opening { .. } | Phase::Watching => {}
            Phase::Ended => return,
        }
        if self.fold.deadline().is_some_and(|deadline| now >= deadline) {
            self.tell_folded(now);
        }
        if self.fetch.as_ref().map(|fetch| fetch.deadline()).is_some_and(|deadline| now >= deadline) {
            self.fetch = None;
            self.events.push_back(Event::MetadataFailed(FetchError::TimedOut));
        }
        if now >= self.last_received + self.settings.idle_timeout {
            self.tell_rest(now);
            self.end(End::IdleTimedOut);
        } else if now >= self.last_queued + self.settings.keep_alive {
            // A peer that does not read what we sent gets no keep-alive on top.
            if self.output.is_empty() {
                self.send(now, &Message::KeepAlive);
            }
            self.last_queued = now;
        }
    }

    /// When [`Self::handle_timeout`] is to be called next; `None` once the session has ended.
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Handshaking { .. } | Phase::Deciding { .. } => {
                return Some(self.began + self.settings.handshake_timeout);
            }
            Phase::Ended => return None,
            Phase::Opening { .. } | Phase::Watching => {}
        }
        let settle_at = match self.phase {
            Phase::Opening { settle_at } => Some(settle_at),
            _ => None,
        };
        [
            settle_at,
            self.fold.deadline(),
            self.fetch.as_ref().map(|fetch| fetch.deadline()),
            Some(self.last_queued + self.settings.keep_alive),
            Some(self.last_received + self.settings.idle_timeout),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Ends the session because the connection is closed; tells what was held back.
    pub fn handle_closed(&mut self, now: Instant, by: Closer) {
        if !matches!(self.phase, Phase::Ended) {
            if by == Closer::Peer {
                self.doubt_silence(now);
            }
            self.tell_rest(now);
            self.phase = Phase::Ended;
        }
        self.note_gap(now);
    }

    /// Says how long we may be silent: less than the peer's client waits for a byte before it hangs up.
    pub fn set_keep_alive(&mut self, keep_alive: Duration) {
        self.settings.keep_alive = keep_alive;
    }

    /// How long the connection was open, if its opening burst is over.
    pub fn watched_for(&self, now: Instant) -> Option<Duration> {
        let handshake_at = self.summary.handshake_at.filter(|_| matches!(self.phase, Phase::Watching))?;
        Some(now.saturating_duration_since(handshake_at))
    }

    /// How long we have sent nothing.
    pub fn silent_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_queued)
    }

    /// What happened since the last call, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if event.is_none() {
            // Gives the memory back: most sessions are silent most of the time.
            self.events = VecDeque::new();
        }
        event
    }

    /// Bytes to send.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Says that the first `len` bytes of the output went out.
    pub fn sent(&mut self, len: usize) {
        let len = len.min(self.output.len());
        self.summary.bytes_out += len as u64;
        self.output.drain(..len);
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }

    /// Takes the torrent's piece count, learnt while the session was open, and checks the claims made before.
    pub fn metadata_learnt(&mut self, now: Instant, piece_count: u32) {
        if self.claims.piece_count().is_some() {
            return;
        }
        if let Some(local) = &mut self.local {
            local.piece_count = Some(piece_count);
        }
        self.decoder.set_limits(limits(Some(piece_count)));
        if let Err(lie) = self.claims.learn(piece_count) {
            self.protocol_error(now, lie.to_string());
        }
    }

    /// Whether the piece count is known.
    pub fn knows_piece_count(&self) -> bool {
        self.claims.piece_count().is_some()
    }

    /// Figures of the session so far; whole after [`Self::handle_closed`].
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    fn handle_handshake(&mut self, now: Instant) {
        let Phase::Handshaking { received } = &mut self.phase else { return };
        let handshake = match Handshake::decode(received) {
            Ok(Some(handshake)) => handshake,
            Ok(None) => return,
            Err(error) => return self.end(End::HandshakeMalformed(error.to_string())),
        };
        let behind = received.get(handshake::LEN..).unwrap_or_default().to_vec();
        self.summary.handshake_at = Some(now);
        self.summary.peer_id = Some(handshake.peer_id);
        self.summary.reserved = Some(handshake.reserved);
        match self.local {
            None => {
                self.phase = Phase::Deciding { handshake, behind };
                self.events.push_back(Event::Handshake(handshake));
            }
            Some(local) if handshake.info_hash != local.info_hash => self.end(End::WrongInfoHash),
            Some(local) if handshake.peer_id == local.peer_id => self.end(End::SelfConnection),
            Some(_) => {
                self.events.push_back(Event::Handshake(handshake));
                self.begin_opening(now, &handshake);
                self.handle_messages(now, &behind);
            }
        }
    }

    fn begin_opening(&mut self, now: Instant, handshake: &Handshake) {
        self.phase = Phase::Opening { settle_at: now + self.settings.settle };
        if handshake.reserved.extension() {
            self.send_extended_handshake(now);
        }
    }

    fn handle_messages(&mut self, now: Instant, mut bytes: &[u8]) {
        while !matches!(self.phase, Phase::Ended) {
            match self.decoder.next(&mut bytes) {
                Ok(Some(message)) => {
                    self.summary.messages += 1;
                    if let (1, Phase::Opening { settle_at }) = (self.summary.messages, &mut self.phase) {
                        *settle_at = now + self.settings.settle;
                    }
                    self.handle_message(now, message);
                }
                Ok(None) => return,
                Err(error) => self.protocol_error(now, error.to_string()),
            }
        }
    }

    fn handle_message(&mut self, now: Instant, message: Message) {
        let done = match message {
            Message::Bitfield(bytes) => self.handle_bitfield(now, bytes),
            Message::Have(index) => self.handle_have(now, index),
            Message::HaveAll => {
                self.handle_have_all(now);
                Ok(())
            }
            Message::HaveNone => {
                self.handle_have_none(now);
                Ok(())
            }
            Message::Extended { id, payload } => {
                self.handle_extended(now, id, &payload);
                Ok(())
            }
            // Nothing an observer needs, and nothing it answers.
            _ => Ok(()),
        };
        if let Err(lie) = done {
            self.protocol_error(now, lie.to_string());
        }
    }

    fn send_handshake(&mut self, now: Instant, local: &Local) {
        let reserved = Reserved(Reserved::DHT | Reserved::EXTENSION | Reserved::FAST);
        let handshake = Handshake { reserved, info_hash: local.info_hash, peer_id: local.peer_id };
        self.output.extend_from_slice(&handshake.encode());
        self.last_queued = now;
    }

    fn send(&mut self, now: Instant, message: &Message) {
        if self.output.len() < OUTPUT_MAX {
            encode(message, &mut self.output);
            self.last_queued = now;
        }
    }

    fn note_received(&mut self, now: Instant) {
        self.note_gap(now);
        self.last_received = now;
    }

    fn note_gap(&mut self, now: Instant) {
        if let Some(handshake_at) = self.summary.handshake_at {
            let gap = now.saturating_duration_since(self.last_received.max(handshake_at));
            self.summary.max_gap = Some(self.summary.max_gap.unwrap_or_default().max(gap));
        }
    }

    fn protocol_error(&mut self, now: Instant, reason: String) {
        self.doubt_silence(now);
        self.tell_rest(now);
        self.end(End::ProtocolError(reason));
    }

    fn end(&mut self, end: End) {
        self.phase = Phase::Ended;
        self.output = Vec::new();
        self.events.push_back(Event::Ended(end));
    }
}

/// What is taken of a message: no longer bitfield than one that is a little wrong, so that the error tells by how much.
fn limits(piece_count: Option<u32>) -> Limits {
    let pieces = piece_count.unwrap_or(MAX_PIECES_UNKNOWN);
    Limits { bitfield_bytes: pieces.div_ceil(8).saturating_add(16), ..Limits::default() }
}
