//! All uTP connections of one UDP socket: which datagram belongs to which, who may begin one, and what is due when.
//!
//! A SYN is answered without a memory of it, by a number that only we can make (a cookie); the connection begins with
//! the first bytes from who has received that number. A flood of SYNs from forged addresses therefore costs an answer
//! each, up to a number per second, and no memory.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use super::{
    End, WINDOW_BYTES,
    connection::Connection,
    packet::{Header, Kind, Packet},
};
use crate::dht::random::Random;

/// Bytes of all peers that are held and not read; what comes beyond is as good as lost.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Connections that nobody uses any more and that still say goodbye.
const LINGERING_MAX: usize = 4096;
/// Answers to who has no connection, per second.
const ANSWERS_PER_SECOND: u32 = 1000;
/// The peer's first packets may come in another order: its SYN was at most so many packets before.
const SYN_BEFORE_MAX: u16 = 8;

/// How an endpoint behaves.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Whether peers may begin connections.
    pub accepts: bool,
    /// Connections at once, in both directions.
    pub connections_max: usize,
    /// Unguessable bytes.
    pub seed: [u8; 32],
}

/// A connection of an endpoint, until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(u32);

impl Handle {
    /// Position in lists kept beside the endpoint.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is something to read, room to write, or an end.
    Changed(Handle),
    /// A peer has begun a connection.
    Incoming(Handle, SocketAddr),
}

/// Counters, from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// SYNs from peers, repeats included.
    pub syns: u64,
    /// Datagrams that are no packets, belong to no connection, or come at a limit.
    pub strays: u64,
}

/// There are as many connections as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("as many uTP connections are open as there may be")]
pub struct Full;

#[derive(Debug)]
struct Slot {
    connection: Connection,
    /// The earliest entry in `timers` for it.
    armed: Option<Instant>,
    /// Whether it is in `dirty`.
    dirty: bool,
    held: usize,
    /// When it is forgotten even if the peer does not acknowledge.
    forget_at: Option<Instant>,
}

/// The uTP side of a UDP socket.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    epoch: Instant,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    index: HashMap<(SocketAddr, u16), Handle>,
    timers: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Connections that may have something to send.
    dirty: Vec<Handle>,
    /// Answers to who has no connection.
    answers: VecDeque<(SocketAddr, Vec<u8>)>,
    answers_since: Instant,
    answers_given: u32,
    events: VecDeque<Event>,
    lingering: usize,
    held: usize,
    random: Random,
    counts: Counts,
}

impl Endpoint {
    /// An endpoint without connections.
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            config,
            epoch: now,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            timers: BinaryHeap::new(),
            dirty: Vec::new(),
            answers: VecDeque::new(),
            answers_since: now,
            answers_given: 0,
            events: VecDeque::new(),
            lingering: 0,
            held: 0,
            random: Random::new(config.seed),
            counts: Counts::default(),
        }
    }

    /// Begins a connection.
    pub fn connect(&mut self, now: Instant, remote: SocketAddr) -> Result<Handle, Full> {
        let [i0, i1, s0, s1] = self.random.bytes();
        let mut id = u16::from_be_bytes([i0, i1]);
        while self.index.contains_key(&(remote, id)) {
            id = id.wrapping_add(2);
        }
        self.insert(Connection::connect(now, remote, id, u16::from_be_bytes([s0, s1])))
    }

    /// Takes a datagram.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Some(packet) = Packet::decode(datagram) else {
            self.counts.strays += 1;
            return;
        };
        let id = packet.header.connection;
        let known = match packet.header.kind {
            Kind::Syn => {
                self.counts.syns += 1;
                self.index.get(&(from, id.wrapping_add(1))).copied()
            }
            Kind::Reset => self.find_by_any_id(from, id),
            Kind::Data | Kind::Fin | Kind::State => self.index.get(&(from, id)).copied(),
        };
        match known {
            Some(handle) => self.handle_packet(now, handle, &packet),
            None => self.handle_stranger(now, from, &packet),
        }
    }

    /// Clients differ in which of a connection's two IDs a RESET bears.
    fn find_by_any_id(&self, from: SocketAddr, id: u16) -> Option<Handle> {
        [id, id.wrapping_sub(1), id.wrapping_add(1)].into_iter().find_map(|key| {
            let handle = *self.index.get(&(from, key))?;
            let connection = &self.slot(handle)?.connection;
            (connection.receive_id == id || connection.send_id == id).then_some(handle)
        })
    }

    fn handle_packet(&mut self, now: Instant, handle: Handle, packet: &Packet<'_>) {
        let now_us = self.micros(now);
        let room = self.held < HELD_BYTES_MAX;
        let Some(slot) = self.slot_mut(handle) else { return };
        let changed = slot.connection.handle(now, now_us, packet, room);
        if changed && !slot.connection.released {
            self.events.push_back(Event::Changed(handle));
        }
        self.touch(handle);
    }

    /// Answers who has no connection, or makes one of it.
    fn handle_stranger(&mut self, now: Instant, from: SocketAddr, packet: &Packet<'_>) {
        let Header { kind, connection: id, seq, ack, sent_us, .. } = packet.header;
        let answer = match kind {
            Kind::Syn if self.config.accepts => Header {
                kind: Kind::State,
                connection: id,
                sent_us: self.micros(now),
                delay_us: self.micros(now).wrapping_sub(sent_us),
                window: u32::try_from(WINDOW_BYTES).unwrap_or(u32::MAX),
                seq: self.cookie(from, id, seq),
                ack: seq,
            },
            Kind::Data | Kind::Fin if self.config.accepts && self.accept(now, from, packet) => return,
            // Who knows a connection that we do not is told so, and who would begin one where we take none: libtorrent
            // refuses a connection of ours while its own attempt to reach us is pending.
            Kind::Data | Kind::Fin | Kind::State | Kind::Syn => {
                self.counts.strays += 1;
                Header {
                    kind: Kind::Reset,
                    connection: id,
                    sent_us: self.micros(now),
                    delay_us: 0,
                    window: 0,
                    seq: ack,
                    ack: seq,
                }
            }
            Kind::Reset => {
                self.counts.strays += 1;
                return;
            }
        };
        if now >= self.answers_since + Duration::from_secs(1) {
            (self.answers_since, self.answers_given) = (now, 0);
        }
        if self.answers_given >= ANSWERS_PER_SECOND {
            self.counts.strays += 1;
            return;
        }
        self.answers_given += 1;
        self.answers.push_back((from, Packet::bare(answer).encode()));
    }

    /// Makes a connection of the first bytes of who has received our cookie.
    fn accept(&mut self, now: Instant, from: SocketAddr, packet: &Packet<'_>) -> bool {
        let Header { connection: receive_id, seq, ack, .. } = packet.header;
        let id = receive_id.wrapping_sub(1);
        let syn = (1..=SYN_BEFORE_MAX).map(|before| seq.wrapping_sub(before)).find(|&syn| {
            let cookie = self.cookie(from, id, syn);
            // Most clients take the number of our answer for that of our first packet; BEP 29's text counts it.
            ack == cookie.wrapping_sub(1) || ack == cookie
        });
        let Some(syn) = syn else { return false };
        let connection = Connection::accept(now, from, id, ack.wrapping_add(1), syn);
        let Ok(handle) = self.insert(connection) else { return false };
        self.events.push_back(Event::Incoming(handle, from));
        self.handle_packet(now, handle, packet);
        true
    }

    /// Does all that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&Reverse((at, number))) = self.timers.peek() {
            if at > now {
                return;
            }
            self.timers.pop();
            let handle = Handle(number);
            let Some(slot) = self.slot_mut(handle).filter(|slot| slot.armed == Some(at)) else { continue };
            slot.armed = None;
            let changed = slot.connection.handle_timeout(now) && !slot.connection.released;
            if slot.forget_at.is_some_and(|at| at <= now) {
                self.remove(handle);
                continue;
            }
            if changed {
                self.events.push_back(Event::Changed(handle));
            }
            self.touch(handle);
        }
    }

    /// When [`Self::handle_timeout`] is to be called; a little early at times.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.peek().map(|&Reverse((at, _))| at)
    }

    /// The next datagram to send; to be asked after each of the other calls until there is none.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        let now_us = self.micros(now);
        while let Some(&handle) = self.dirty.last() {
            if let Some(slot) = self.slot_mut(handle) {
                if let Some(datagram) = slot.connection.poll_transmit(now, now_us) {
                    return Some((slot.connection.remote, datagram));
                }
                slot.dirty = false;
            }
            self.dirty.pop();
            self.settle(handle);
        }
        self.answers.pop_front()
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether the connection is made; `Err` once it has ended.
    pub fn is_connected(&self, handle: Handle) -> Result<bool, End> {
        self.slot(handle).map_or(Err(End::Reset), |slot| slot.connection.is_connected())
    }

    /// Reads bytes; `None` where there is nothing yet, 0 at the end of the stream.
    pub fn read(&mut self, handle: Handle, to: &mut [u8]) -> Result<Option<usize>, End> {
        let Some(slot) = self.slot_mut(handle) else { return Err(End::Reset) };
        let read = slot.connection.read(to);
        self.touch(handle);
        read
    }

    /// Writes bytes; how many found room, 0 to be tried again after a change.
    pub fn write(&mut self, handle: Handle, bytes: &[u8]) -> Result<usize, End> {
        let Some(slot) = self.slot_mut(handle) else { return Err(End::Reset) };
        let written = slot.connection.write(bytes);
        self.touch(handle);
        written
    }

    /// Ends the stream behind what was written.
    pub fn finish(&mut self, handle: Handle) {
        if let Some(slot) = self.slot_mut(handle) {
            slot.connection.finish();
            self.touch(handle);
        }
    }

    /// Ends the connection at once, and tells the peer.
    pub fn abort(&mut self, handle: Handle) {
        if let Some(slot) = self.slot_mut(handle) {
            slot.connection.abort();
            self.touch(handle);
        }
    }

    /// Gives the handle back; what was written is still delivered, if the peer takes it soon.
    pub fn release(&mut self, now: Instant, handle: Handle) {
        let at_once = self.lingering >= LINGERING_MAX;
        let Some(slot) = self.slot_mut(handle).filter(|slot| slot.forget_at.is_none()) else { return };
        slot.connection.release();
        if at_once {
            slot.connection.abort();
        }
        let at = now + Connection::LINGER;
        slot.forget_at = Some(at);
        self.lingering += 1;
        self.arm(handle, at);
        self.touch(handle);
    }

    /// Connections, those included that still say goodbye.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes of peers that are held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Counters so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn insert(&mut self, connection: Connection) -> Result<Handle, Full> {
        if self.index.len().saturating_sub(self.lingering) >= self.config.connections_max {
            self.counts.strays += 1;
            return Err(Full);
        }
        let key = (connection.remote, connection.receive_id);
        let slot = Slot { connection, armed: None, dirty: false, held: 0, forget_at: None };
        let number = if let Some(number) = self.free.pop() {
            number
        } else {
            let number = u32::try_from(self.slots.len()).map_err(|_many| Full)?;
            self.slots.push(None);
            number
        };
        let handle = Handle(number);
        if let Some(place) = self.slots.get_mut(handle.index()) {
            *place = Some(slot);
        }
        self.index.insert(key, handle);
        self.touch(handle);
        Ok(handle)
    }

    fn remove(&mut self, handle: Handle) {
        let Some(slot) = self.slots.get_mut(handle.index()).and_then(Option::take) else { return };
        self.index.remove(&(slot.connection.remote, slot.connection.receive_id));
        self.held -= slot.held;
        self.lingering -= usize::from(slot.forget_at.is_some());
        self.free.push(handle.0);
    }

    /// Notes that a connection may have something to send, and what it holds.
    fn touch(&mut self, handle: Handle) {
        let Some(slot) = self.slots.get_mut(handle.index()).and_then(Option::as_mut) else { return };
        let held = slot.connection.held();
        self.held = self.held - slot.held + held;
        slot.held = held;
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(handle);
        }
    }

    /// After a connection has sent all it had: forgets it if it is over, else sees to it that its time is heeded.
    fn settle(&mut self, handle: Handle) {
        let Some(slot) = self.slot(handle) else { return };
        if slot.connection.is_over() {
            self.remove(handle);
        } else if let Some(at) = slot.connection.deadline() {
            self.arm(handle, at);
        }
    }

    fn arm(&mut self, handle: Handle, at: Instant) {
        let Some(slot) = self.slot_mut(handle) else { return };
        let at = slot.forget_at.map_or(at, |forget_at| at.min(forget_at));
        if slot.armed.is_none_or(|armed| at < armed) {
            slot.armed = Some(at);
            self.timers.push(Reverse((at, handle.0)));
        }
    }

    fn slot(&self, handle: Handle) -> Option<&Slot> {
        self.slots.get(handle.index())?.as_ref()
    }

    fn slot_mut(&mut self, handle: Handle) -> Option<&mut Slot> {
        self.slots.get_mut(handle.index())?.as_mut()
    }

    fn micros(&self, now: Instant) -> u32 {
        // It wraps around every 71 minutes, as BEP 29 has it.
        let micros = now.saturating_duration_since(self.epoch).as_micros() & u128::from(u32::MAX);
        u32::try_from(micros).unwrap_or(0)
    }

    /// The number we answer a SYN with.
    fn cookie(&self, from: SocketAddr, id: u16, seq: u16) -> u16 {
        let ip = match from.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let digest: [u8; 32] = Sha256::new()
            .chain_update(self.config.seed)
            .chain_update(ip.octets())
            .chain_update(from.port().to_be_bytes())
            .chain_update(id.to_be_bytes())
            .chain_update(seq.to_be_bytes())
            .finalize()
            .into();
        let [high, low, ..] = digest;
        u16::from_be_bytes([high, low])
    }
}
