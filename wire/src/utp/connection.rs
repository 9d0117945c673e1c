//! One connection: a sender and a receiver, how it begins, and how it ends.
//!
//! ```text
//! connect ─ SYN ─▶ Connecting ─ STATE ─▶ Open ─ RESET, no acknowledgement ─▶ Ended
//! accept (a SYN's cookie came back) ─────▶┘
//! ```

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    End, KEEP_ALIVE,
    packet::{Header, Kind, Packet},
    receiver::Receiver,
    sender::Sender,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Open,
    Ended(End),
}

/// A connection's state.
#[derive(Debug)]
pub(super) struct Connection {
    pub remote: SocketAddr,
    /// The ID on packets to us.
    pub receive_id: u16,
    /// The ID on packets to the peer.
    pub send_id: u16,
    phase: Phase,
    sender: Sender,
    receiver: Receiver,
    /// Whether a writer was told to wait.
    writer_waits: bool,
    /// How long the peer's last packet took by both clocks, µs.
    delay_us: u32,
    last_sent: Instant,
    /// Whether nobody reads or writes any more.
    pub released: bool,
    reset_due: bool,
}

impl Connection {
    /// One that we begin; `receive_id` and `seq` are random.
    pub fn connect(now: Instant, remote: SocketAddr, receive_id: u16, seq: u16) -> Self {
        let mut connection = Self::new(now, remote, receive_id, receive_id.wrapping_add(1), seq, 0);
        connection.phase = Phase::Connecting;
        connection.sender.begin(now);
        connection
    }

    /// One that the peer began with a SYN numbered `ack`; what we send is numbered from `seq` on.
    pub fn accept(now: Instant, remote: SocketAddr, send_id: u16, seq: u16, ack: u16) -> Self {
        Self::new(now, remote, send_id.wrapping_add(1), send_id, seq, ack)
    }

    fn new(now: Instant, remote: SocketAddr, receive_id: u16, send_id: u16, seq: u16, ack: u16) -> Self {
        Self {
            remote,
            receive_id,
            send_id,
            phase: Phase::Open,
            sender: Sender::new(seq),
            receiver: Receiver::new(ack),
            writer_waits: false,
            delay_us: 0,
            last_sent: now,
            released: false,
            reset_due: false,
        }
    }

    /// Takes a packet; bytes only where there is `room` for any. Whether a reader or writer has something to do.
    pub fn handle(&mut self, now: Instant, now_us: u32, packet: &Packet<'_>, room: bool) -> bool {
        if matches!(self.phase, Phase::Ended(_)) {
            return false;
        }
        let Header { kind, seq, ack, sent_us, .. } = packet.header;
        match kind {
            Kind::Reset => {
                self.end(if self.phase == Phase::Connecting { End::Refused } else { End::Reset });
                return true;
            }
            Kind::Syn => {
                self.receiver.ack_due = true;
                return false;
            }
            Kind::Data | Kind::Fin | Kind::State if !self.sender.is_plausible(ack) => return false,
            Kind::Data | Kind::Fin | Kind::State => {}
        }
        let acknowledged = self.sender.acknowledge(now, packet);
        if self.phase == Phase::Connecting {
            if kind != Kind::State || !acknowledged {
                // What came before the answer to our SYN comes again.
                return false;
            }
            self.phase = Phase::Open;
            self.receiver = Receiver::new(seq.wrapping_sub(1));
            self.delay_us = now_us.wrapping_sub(sent_us);
            return true;
        }
        self.delay_us = now_us.wrapping_sub(sent_us);
        let mut news = false;
        match kind {
            Kind::Data if self.released && !packet.payload.is_empty() => self.abort(),
            Kind::Data if room => news = self.receiver.take(seq, kind, packet.payload),
            Kind::Data => self.receiver.ack_due = true,
            Kind::Fin => news = self.receiver.take(seq, kind, &[]),
            Kind::State | Kind::Reset | Kind::Syn => {}
        }
        let writable = self.writer_waits && self.sender.has_room();
        news || writable
    }

    /// Acts on what is due. Whether a reader or writer has something to do.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if matches!(self.phase, Phase::Ended(_)) {
            return false;
        }
        if !self.sender.handle_timeout(now) {
            self.end(End::TimedOut);
            return true;
        }
        if self.phase == Phase::Open && now >= self.last_sent + KEEP_ALIVE {
            self.receiver.ack_due = true;
        }
        false
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Ended(_) => None,
            Phase::Connecting => self.sender.deadline(),
            Phase::Open => {
                let keep_alive = self.last_sent + KEEP_ALIVE;
                Some(self.sender.deadline().map_or(keep_alive, |deadline| deadline.min(keep_alive)))
            }
        }
    }

    /// The next datagram to send, if any.
    pub fn poll_transmit(&mut self, now: Instant, now_us: u32) -> Option<Vec<u8>> {
        let mut header = Header {
            kind: Kind::State,
            connection: self.send_id,
            sent_us: now_us,
            delay_us: self.delay_us,
            window: 0,
            seq: self.sender.next_seq,
            ack: self.receiver.ack,
        };
        if std::mem::take(&mut self.reset_due) {
            return Some(Packet::bare(Header { kind: Kind::Reset, ..header }).encode());
        }
        if matches!(self.phase, Phase::Ended(_)) {
            return None;
        }
        let connected = self.phase == Phase::Open;
        header.window = self.receiver.tell_window();
        let selective_ack = self.receiver.selective_ack();
        let datagram = match self.sender.next(now, connected) {
            Some(segment) => {
                (header.kind, header.seq) = (segment.kind, segment.seq);
                if segment.kind == Kind::Syn {
                    header.connection = self.receive_id;
                }
                Packet { header, selective_ack: &selective_ack, payload: &segment.payload }.encode()
            }
            None if connected && self.receiver.ack_due => {
                Packet { header, selective_ack: &selective_ack, payload: &[] }.encode()
            }
            None => return None,
        };
        self.receiver.ack_due = false;
        self.last_sent = now;
        Some(datagram)
    }

    /// Queues bytes; how many found room, 0 to be tried again after a change.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, End> {
        if let Phase::Ended(end) = self.phase {
            return Err(end);
        }
        let length = self.sender.write(bytes);
        self.writer_waits = length == 0;
        Ok(length)
    }

    /// Reads bytes; `None` where there is nothing yet, 0 at the end of the stream.
    pub fn read(&mut self, to: &mut [u8]) -> Result<Option<usize>, End> {
        if self.receiver.is_readable() {
            return Ok(Some(self.receiver.read(to)));
        }
        match self.phase {
            Phase::Ended(end) => Err(end),
            Phase::Connecting | Phase::Open => Ok(None),
        }
    }

    /// Ends the stream behind what was written.
    pub fn finish(&mut self) {
        self.sender.finish();
    }

    /// Nobody reads or writes any more: what was written is still delivered.
    pub fn release(&mut self) {
        self.released = true;
        self.receiver.discard();
        self.sender.finish();
        if self.phase == Phase::Connecting {
            self.end(End::Refused);
        }
    }

    /// Ends the connection at once, and tells the peer.
    pub fn abort(&mut self) {
        if !matches!(self.phase, Phase::Ended(_)) {
            self.reset_due = true;
            self.end(End::Reset);
        }
    }

    /// Whether it is made; `Err` once it has ended.
    pub fn is_connected(&self) -> Result<bool, End> {
        match self.phase {
            Phase::Connecting => Ok(false),
            Phase::Open => Ok(true),
            Phase::Ended(end) => Err(end),
        }
    }

    /// Whether nothing is left to be done for it.
    pub fn is_over(&self) -> bool {
        let ended = matches!(self.phase, Phase::Ended(_)) && !self.reset_due;
        self.released && (ended || self.sender.is_finished() && !self.receiver.ack_due)
    }

    /// Bytes held of what the peer sent.
    pub fn held(&self) -> usize {
        self.receiver.held()
    }

    fn end(&mut self, end: End) {
        self.phase = Phase::Ended(end);
        self.sender = Sender::new(self.sender.next_seq);
        self.receiver.discard();
    }

    /// How long a connection that nobody uses any more may take to say goodbye.
    pub const LINGER: Duration = Duration::from_secs(5);
}
