//! What goes out on a connection: numbered packets until they are acknowledged, sent again where they seem lost.
//!
//! Few packets are under way at a time, as there is little to send: congestion control is a count of packets that
//! grows with acknowledgements and falls to one at a timeout.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    PAYLOAD_BYTES_MAX, ahead,
    packet::{Kind, Packet},
};

/// Bytes that may wait to be sent; a writer waits beyond that.
pub(super) const UNSENT_BYTES_MAX: usize = 16 * 1024;
/// Packets under way at once.
const UNDER_WAY_MAX: usize = 16;
/// And at first.
const UNDER_WAY_FIRST: usize = 4;
/// Packets behind a gap that say that the gap is a loss.
const LOST_BEHIND: usize = 3;
/// Timeouts in a row after which the peer is given up.
const TIMEOUTS_MAX: u8 = 8;
const TIMEOUT_FIRST: Duration = Duration::from_secs(1);
const TIMEOUT_MIN: Duration = Duration::from_millis(500);
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// A peer that takes nothing is tried with a packet after this time. transmission 3.00 says that its window is closed
/// whenever its download limit is reached, and takes what comes all the same: a handshake must not wait for long.
const CLOSED_WINDOW_RETRY: Duration = Duration::from_millis(500);
/// Acknowledgements of packets that are no longer under way, this many back, are old; others are forged.
const OLD_ACK: u16 = 512;

/// A packet that is not acknowledged.
#[derive(Debug)]
pub(super) struct Segment {
    pub seq: u16,
    pub kind: Kind,
    pub payload: Box<[u8]>,
    sent_at: Instant,
    lost: bool,
    sent_again: bool,
}

/// The sending half of a connection. Idle, it holds no memory of its own.
#[derive(Debug)]
pub(super) struct Sender {
    /// The number of the next packet.
    pub next_seq: u16,
    segments: VecDeque<Segment>,
    unsent: Vec<u8>,
    /// Whether the stream ends behind what is unsent.
    fin: bool,
    fin_sent: bool,
    peer_window: usize,
    under_way_max: usize,
    /// Round trip time and its variation.
    rtt: Option<(Duration, Duration)>,
    timeouts: u8,
    deadline: Option<Instant>,
}

impl Sender {
    pub fn new(next_seq: u16) -> Self {
        Self {
            next_seq,
            segments: VecDeque::new(),
            unsent: Vec::new(),
            fin: false,
            fin_sent: false,
            peer_window: 0,
            under_way_max: UNDER_WAY_FIRST,
            rtt: None,
            timeouts: 0,
            deadline: None,
        }
    }

    /// Queues bytes; how many found room.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let length = bytes.len().min(UNSENT_BYTES_MAX.saturating_sub(self.unsent.len()));
        self.unsent.extend_from_slice(bytes.get(..length).unwrap_or_default());
        length
    }

    /// Ends the stream behind what was written.
    pub fn finish(&mut self) {
        self.fin = true;
    }

    /// Whether bytes can be queued.
    pub fn has_room(&self) -> bool {
        !self.fin && self.unsent.len() < UNSENT_BYTES_MAX
    }

    /// Whether all that was written is acknowledged, and the end if there is one.
    pub fn is_drained(&self) -> bool {
        self.unsent.is_empty() && self.segments.is_empty() && self.fin == self.fin_sent
    }

    /// Whether everything is acknowledged and the stream has ended.
    pub fn is_finished(&self) -> bool {
        self.fin_sent && self.is_drained()
    }

    /// Whether `ack` is about a packet that we sent, not too long ago.
    pub fn is_plausible(&self, ack: u16) -> bool {
        self.next_seq.wrapping_sub(1).wrapping_sub(ack) <= OLD_ACK
    }

    /// The packet that begins the connection.
    pub fn begin(&mut self, now: Instant) {
        self.push(now, Kind::Syn, Box::default());
        if let Some(syn) = self.segments.front_mut() {
            syn.lost = true;
        }
    }

    /// Takes the acknowledgements of a packet, and its window. Whether anything was acknowledged.
    pub fn acknowledge(&mut self, now: Instant, packet: &Packet<'_>) -> bool {
        self.peer_window = usize::try_from(packet.header.window).unwrap_or(usize::MAX);
        let before = self.segments.len();
        while let Some(segment) = self.segments.front() {
            if ahead(segment.seq, packet.header.ack) > 0 {
                break;
            }
            if !segment.sent_again {
                self.rtt = Some(smoothed(self.rtt, now.saturating_duration_since(segment.sent_at)));
            }
            self.segments.pop_front();
        }
        let mut behind = 0;
        for seq in packet.selectively_acknowledged() {
            let length = self.segments.len();
            self.segments.retain(|segment| segment.seq != seq);
            behind += length - self.segments.len();
        }
        if behind >= LOST_BEHIND
            && let Some(first) = self.segments.front_mut()
            && !first.sent_again
        {
            (first.lost, first.sent_again) = (true, true);
            self.under_way_max = (self.under_way_max / 2).max(1);
        }
        let acknowledged = before - self.segments.len();
        if self.segments.is_empty() {
            self.segments = VecDeque::new();
        }
        if acknowledged > 0 {
            self.timeouts = 0;
            self.under_way_max = (self.under_way_max + acknowledged).min(UNDER_WAY_MAX);
            self.deadline = None;
        }
        self.arm(now);
        acknowledged > 0
    }

    /// The next packet to be sent at `now`; only a SYN until the connection is made.
    pub fn next(&mut self, now: Instant, connected: bool) -> Option<&Segment> {
        let under_way = self.segments.iter().filter(|segment| !segment.lost).count();
        if under_way >= self.under_way_max {
            return None;
        }
        if let Some(at) = self.segments.iter().position(|segment| segment.lost) {
            self.arm(now);
            let segment = self.segments.get_mut(at)?;
            segment.lost = false;
            segment.sent_at = now;
            return Some(segment);
        }
        if !connected || self.fin_sent {
            return None;
        }
        if !self.unsent.is_empty() {
            let in_flight: usize = self.segments.iter().map(|segment| segment.payload.len()).sum();
            let room = self.peer_window.saturating_sub(in_flight);
            let wanted = self.unsent.len().min(PAYLOAD_BYTES_MAX);
            if room == 0 || room < wanted && in_flight > 0 {
                self.arm(now);
                return None;
            }
            let payload: Box<[u8]> = self.unsent.drain(..wanted.min(room)).collect();
            if self.unsent.is_empty() {
                self.unsent = Vec::new();
            }
            return self.push(now, Kind::Data, payload);
        }
        if !self.fin {
            return None;
        }
        self.fin_sent = true;
        self.push(now, Kind::Fin, Box::default())
    }

    fn push(&mut self, now: Instant, kind: Kind, payload: Box<[u8]>) -> Option<&Segment> {
        let seq = self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        if self.segments.is_empty() {
            self.deadline = None;
        }
        self.segments.push_back(Segment { seq, kind, payload, sent_at: now, lost: false, sent_again: false });
        self.arm(now);
        self.segments.back()
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Finds what is lost. False where the peer is to be given up.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return true;
        }
        self.deadline = None;
        if self.segments.is_empty() {
            // The window is closed, or the word that it has opened was lost.
            self.peer_window = self.peer_window.max(PAYLOAD_BYTES_MAX);
        } else {
            self.timeouts = self.timeouts.saturating_add(1);
            self.under_way_max = 1;
            for segment in &mut self.segments {
                (segment.lost, segment.sent_again) = (true, true);
            }
        }
        self.arm(now);
        self.timeouts < TIMEOUTS_MAX
    }

    fn arm(&mut self, now: Instant) {
        let wait = if !self.segments.is_empty() {
            self.timeout()
        } else if self.unsent.is_empty() {
            self.deadline = None;
            return;
        } else {
            CLOSED_WINDOW_RETRY
        };
        self.deadline.get_or_insert(now + wait);
    }

    fn timeout(&self) -> Duration {
        let once = self.rtt.map_or(TIMEOUT_FIRST, |(rtt, variation)| (rtt + variation * 4).max(TIMEOUT_MIN));
        once.saturating_mul(1 << self.timeouts.min(TIMEOUTS_MAX)).min(TIMEOUT_MAX)
    }
}

/// BEP 29's estimate: an eighth of a new round trip, a quarter of its deviation.
fn smoothed(rtt: Option<(Duration, Duration)>, sample: Duration) -> (Duration, Duration) {
    match rtt {
        None => (sample, sample / 2),
        Some((rtt, variation)) => ((rtt * 7 + sample) / 8, (variation * 3 + rtt.abs_diff(sample)) / 4),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::packet::Header, *};

    /// The acknowledgement of all up to `ack` by a peer that says it takes nothing.
    fn closed(ack: u16) -> Packet<'static> {
        let header =
            Header { kind: Kind::State, connection: 1, sent_us: 0, delay_us: 0, window: 0, seq: 1, ack };
        Packet { header, selective_ack: &[], payload: &[] }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "only differences are used")]
    fn a_peer_that_always_says_its_window_is_closed_gets_a_handshake_within_two_seconds() {
        let began = Instant::now();
        let (mut now, mut sender) = (began, Sender::new(7));
        for message in [&b"key"[..], b"request", b"handshake"] {
            assert_eq!(sender.write(message), message.len());
            assert!(sender.next(now, true).is_none());
            now = sender.deadline().unwrap();
            assert!(sender.handle_timeout(now));
            let seq = sender.next(now, true).unwrap().seq;
            sender.acknowledge(now, &closed(seq));
            assert!(sender.is_drained());
        }
        assert!(now - began <= Duration::from_secs(2), "{:?}", now - began);
    }
}
