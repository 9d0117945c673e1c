//! What an honest peer says after the handshake (BEP 3, 6, 9, 10, 11, 16, 21), without IO.
//!
//! Bytes go in by [`Session::handle_bytes`]; [`Session::tick`] writes what is due; [`Session::wake`] says when to
//! tick again. Opening (after the client's delay) → HAVEs as the schedule runs → over.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;
use wire::peer::{
    bitfield::Bitfield,
    extension::{ExtendedHandshake, HANDSHAKE_ID, UT_METADATA, UT_PEX, UtMetadata},
    handshake::{Handshake, Reserved},
    message::{self, Decoder, Message},
    pex::Flags,
};

use crate::{
    peer::{
        Peer,
        neighbours::{Gossip, Presence},
    },
    profile::{Client, Role, Tells},
};

/// The extended id under which the lab's peers take metadata messages.
const METADATA_ID: u8 = 2;
/// The extended id under which they take word of other peers (BEP 11).
const PEX_ID: u8 = 1;
/// Bytes of a block of metadata (BEP 9).
const METADATA_BLOCK: usize = 16 * 1024;
/// A session writes no more often than this: pieces that come closer together are told together.
const TICK_MIN: Duration = Duration::from_millis(50);
/// Before the lab's start no time is known to wake at.
const BEFORE_START: Duration = Duration::from_millis(250);
/// A session with nothing to say looks after itself this often.
const IDLE: Duration = Duration::from_mins(1);
/// A super-seeder reveals a piece this often to each connection.
const REVEAL_EVERY: Duration = Duration::from_secs(1);

/// Something an observer must never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Wanted pieces.
    Interested,
    /// Sent what is no message.
    Malformed,
    /// Sent a block.
    Piece,
    /// Asked for a block.
    Request,
    /// Said it was upload-only.
    UploadOnly,
}

impl Offence {
    /// Its name in `offences.csv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interested => "interested",
            Self::Malformed => "malformed",
            Self::Piece => "piece",
            Self::Request => "request",
            Self::UploadOnly => "upload_only",
        }
    }
}

/// One connection after its handshakes.
#[derive(Debug)]
pub struct Session<'a> {
    peer: &'a Peer,
    client: &'static Client,
    decoder: Decoder,
    chance: ChaCha8Rng,
    /// Abilities both sides have.
    shared: Reserved,
    /// Where the other side takes metadata messages.
    their_metadata_id: Option<u8>,
    /// Where it is.
    remote: SocketAddr,
    /// It as a neighbour, once it is known where it listens.
    neighbour: Option<(SocketAddr, Presence<'a>)>,
    /// What it is told of others; `None` where it does not want to know.
    gossip: Option<Gossip>,
    /// Peers it was told of since that was asked for.
    named: Vec<SocketAddr>,
    opens_at: Instant,
    opened: bool,
    /// Pieces told, in the order of the schedule.
    told: u32,
    next_tell: Instant,
    last_input: Instant,
    complete_before: bool,
    over: bool,
    offences: Vec<Offence>,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub struct With<'a> {
    /// Its handshake.
    pub handshake: &'a Handshake,
    /// Its address.
    pub remote: SocketAddr,
    /// Whether the peer connected to it.
    pub dialled: bool,
}

impl<'a> Session<'a> {
    /// A session whose handshakes are done; the peer opens after this delay.
    pub fn new(peer: &'a Peer, with: &With<'_>, nth: u32, now: Instant, opening_delay: Duration) -> Self {
        let mut session = Self {
            peer,
            client: peer.plan.profile.client,
            decoder: Decoder::default(),
            chance: peer.chance(nth),
            shared: Reserved(peer.reserved().0 & with.handshake.reserved.0),
            their_metadata_id: None,
            remote: with.remote,
            neighbour: None,
            gossip: None,
            named: Vec::new(),
            opens_at: now + opening_delay,
            opened: false,
            told: 0,
            next_tell: now,
            last_input: now,
            complete_before: false,
            over: false,
            offences: Vec::new(),
        };
        if with.dialled {
            session.listens_at(with.remote, Flags::REACHABLE);
        }
        session
    }

    fn listens_at(&mut self, address: SocketAddr, flags: Flags) {
        if self.neighbour.is_none() {
            self.neighbour = Some((address, self.peer.neighbours.came(address, flags)));
        }
    }

    /// Takes the peers that the other side was told of since the last call.
    pub fn named(&mut self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.named)
    }

    /// Whether the peer wants to close.
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Takes what the other side did wrong since the last call.
    pub fn offences(&mut self) -> Vec<Offence> {
        std::mem::take(&mut self.offences)
    }

    /// When to tick next: thousands of sessions wake for what they have to say, and for nothing else.
    pub fn wake(&self, now: Instant) -> Instant {
        if !self.opened {
            return self.opens_at.max(now);
        }
        let Some(says_at) = self.says_at(now) else { return now + BEFORE_START };
        let says_at = self.gossip.as_ref().map_or(says_at, |gossip| says_at.min(gossip.wake()));
        let hangs_up_at = self.client.idle_limit.map(|limit| self.last_input + limit);
        says_at.max(now + TICK_MIN).min(hangs_up_at.unwrap_or(says_at))
    }

    /// When the peer says or does something next by itself; `None` before the lab's start.
    fn says_at(&self, now: Instant) -> Option<Instant> {
        let world = &self.peer.world;
        world.moment(Duration::ZERO)?;
        let never = now + IDLE;
        if self.peer.plan.profile.role == Role::SuperSeeder {
            return Some(self.next_tell);
        }
        let schedule = &self.peer.plan.schedule;
        let of = |count| schedule.time_of(count).and_then(|at| world.moment(at)).unwrap_or(never);
        let closes = self.client.closes_on_completion && !self.complete_before;
        let completes_at = if closes { of(self.peer.torrent.piece_count) } else { never };
        let tells_at = match self.client.tells {
            // What a lazy bitfield held back.
            Tells::AtOnce if self.told < self.peer.pieces(now) => now,
            Tells::AtOnce => of(self.told + 1),
            Tells::InBatches(_) if self.told < self.peer.torrent.piece_count => self.next_tell,
            Tells::InBatches(_) | Tells::OnHandshake => never,
        };
        Some(tells_at.min(completes_at).min(never))
    }

    /// Writes what is due.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        if self.client.idle_limit.is_some_and(|limit| now >= self.last_input + limit) {
            self.over = true;
            return;
        }
        if !self.opened {
            if now >= self.opens_at {
                self.open(now, out);
            }
            return;
        }
        if self.peer.plan.profile.role == Role::SuperSeeder {
            self.reveal(now, out);
        } else {
            self.tell(now, out);
        }
        self.tell_of_neighbours(now, out);
    }

    fn tell_of_neighbours(&mut self, now: Instant, out: &mut Vec<u8>) {
        let listener = self.neighbour.as_ref().map(|(address, _)| *address);
        let Some(gossip) = &mut self.gossip else { return };
        let Some(told) = gossip.due(now, &self.peer.neighbours, listener) else { return };
        self.named.extend(told.added.iter().map(|(address, _)| *address));
        message::encode(&Message::Extended { id: gossip.to, payload: told.encode() }, out);
    }

    fn open(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.opened = true;
        if self.shared.extension() {
            let payload = self.extended_handshake().encode();
            message::encode(&Message::Extended { id: HANDSHAKE_ID, payload }, out);
        }
        let piece_count = self.peer.torrent.piece_count;
        let has = self.peer.pieces(now);
        self.complete_before = has == piece_count;
        self.told = has;
        if self.peer.plan.profile.role == Role::SuperSeeder {
            self.told = 0;
            self.next_tell = now + REVEAL_EVERY;
            if self.shared.fast() {
                message::encode(&Message::HaveNone, out);
            }
        } else {
            self.claim(has, piece_count, out);
            if let Tells::InBatches(batch) = self.client.tells {
                self.next_tell = now + batch;
            }
        }
        if self.shared.fast() {
            for _ in 0..self.client.allowed_fast {
                let piece = self.chance.random_range(0..piece_count.max(1));
                message::encode(&Message::AllowedFast(piece), out);
            }
        }
        message::encode(&Message::Unchoke, out);
        // What a lazy bitfield held back is behind it, often in the same packet.
        if self.client.lazy_bitfield && self.chance.random_bool(0.5) {
            self.tell(now, out);
        }
    }

    /// The opening's word about pieces; a lazy one holds some back, which [`Self::tell`] then sends at once.
    fn claim(&mut self, has: u32, piece_count: u32, out: &mut Vec<u8>) {
        if self.client.lazy_bitfield && has > 0 {
            self.told = has - has.min(self.chance.random_range(1..=5));
        } else if self.shared.fast() && has == piece_count {
            message::encode(&Message::HaveAll, out);
            return;
        }
        if self.told > 0 {
            message::encode(&Message::Bitfield(self.bitfield(self.told)), out);
        } else if self.shared.fast() {
            message::encode(&Message::HaveNone, out);
        }
    }

    /// The first pieces of the schedule as a bitfield.
    fn bitfield(&self, count: u32) -> Vec<u8> {
        let mut bitfield = Bitfield::empty(self.peer.torrent.piece_count);
        for piece in self.peer.plan.schedule.pieces(0, count) {
            bitfield.set(*piece).ok();
        }
        bitfield.to_bytes()
    }

    fn tell(&mut self, now: Instant, out: &mut Vec<u8>) {
        let has = self.peer.pieces(now);
        let complete = has == self.peer.torrent.piece_count;
        if self.client.closes_on_completion && complete && !self.complete_before {
            self.over = true;
            return;
        }
        let due = match self.client.tells {
            Tells::AtOnce => true,
            Tells::InBatches(_) => now >= self.next_tell,
            Tells::OnHandshake => false,
        };
        if !due {
            return;
        }
        for piece in self.peer.plan.schedule.pieces(self.told, has) {
            message::encode(&Message::Have(*piece), out);
        }
        self.told = self.told.max(has);
        if let Tells::InBatches(batch) = self.client.tells {
            self.next_tell = now + batch;
        }
    }

    fn reveal(&mut self, now: Instant, out: &mut Vec<u8>) {
        while now >= self.next_tell {
            self.next_tell += REVEAL_EVERY;
            for piece in self.peer.plan.schedule.pieces(self.told, self.told + 1) {
                message::encode(&Message::Have(*piece), out);
            }
            self.told = self.told.saturating_add(1).min(self.peer.torrent.piece_count);
        }
    }

    fn extended_handshake(&self) -> ExtendedHandshake {
        ExtendedHandshake {
            m: BTreeMap::from([(UT_METADATA.to_owned(), METADATA_ID), (UT_PEX.to_owned(), PEX_ID)]),
            v: self.client.version.map(str::to_owned),
            p: Some(self.peer.address.port()),
            reqq: Some(250),
            metadata_size: u32::try_from(self.peer.torrent.info.len()).ok(),
            upload_only: (self.peer.plan.profile.role == Role::PartialSeed).then_some(true),
            ..ExtendedHandshake::default()
        }
    }

    /// Takes bytes from the other side; false if they are not to be followed any further.
    pub fn handle_bytes(&mut self, mut bytes: &[u8], now: Instant, out: &mut Vec<u8>) -> bool {
        self.last_input = now;
        loop {
            match self.decoder.next(&mut bytes) {
                Ok(Some(message)) => self.handle(&message, now, out),
                Ok(None) => return true,
                Err(error) => {
                    tracing::debug!(peer = %self.peer.address, %error, "the other side broke the protocol");
                    self.offences.push(Offence::Malformed);
                    return false;
                }
            }
        }
    }

    fn handle(&mut self, message: &Message, now: Instant, out: &mut Vec<u8>) {
        match message {
            Message::Interested => self.offences.push(Offence::Interested),
            Message::Request(_) => self.offences.push(Offence::Request),
            Message::Piece(_) => self.offences.push(Offence::Piece),
            Message::Extended { id: HANDSHAKE_ID, payload } => match ExtendedHandshake::decode(payload) {
                Ok(theirs) => {
                    self.their_metadata_id = theirs.id_of(UT_METADATA);
                    self.gossip = theirs.id_of(UT_PEX).map(|id| Gossip::new(id, now));
                    if let Some(port) = theirs.p.filter(|port| *port > 0) {
                        self.listens_at(SocketAddr::new(self.remote.ip(), port), Flags::default());
                    }
                    if theirs.upload_only == Some(true) {
                        self.offences.push(Offence::UploadOnly);
                    }
                }
                Err(_) => self.offences.push(Offence::Malformed),
            },
            Message::Extended { id: METADATA_ID, payload } => match UtMetadata::decode(payload) {
                Ok(UtMetadata::Request { piece }) => self.serve_metadata(piece, out),
                Ok(_) => {}
                Err(_) => self.offences.push(Offence::Malformed),
            },
            _ => {}
        }
    }

    fn serve_metadata(&self, piece: u32, out: &mut Vec<u8>) {
        let Some(id) = self.their_metadata_id else { return };
        let info = &self.peer.torrent.info;
        let block = usize::try_from(piece).ok().and_then(|piece| info.chunks(METADATA_BLOCK).nth(piece));
        let reply = match (block, u32::try_from(info.len())) {
            (Some(bytes), Ok(total_size)) => {
                UtMetadata::Data { piece, total_size: Some(total_size), bytes: bytes.to_vec() }
            }
            _ => UtMetadata::Reject { piece },
        };
        message::encode(&Message::Extended { id, payload: reply.encode() }, out);
    }
}
