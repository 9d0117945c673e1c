//! What comes in on a connection: bytes in order for the reader, early packets until those before them are here.

use super::{WINDOW_BYTES, ahead, packet::Kind};

/// Packets behind a gap that are kept; as many as the selective acknowledgement has bits.
const EARLY_MAX: usize = 64;
/// A window smaller than this is taken for none; a peer is told when it opens.
const WINDOW_SMALL: usize = 4096;

/// A packet that came before one that should have been first.
#[derive(Debug)]
struct Early {
    seq: u16,
    payload: Box<[u8]>,
}

/// The receiving half of a connection. Idle, it holds no memory of its own.
#[derive(Debug)]
pub(super) struct Receiver {
    /// The last packet received with all before it.
    pub ack: u16,
    /// Whether the peer is to be told what we have.
    pub ack_due: bool,
    ready: Vec<u8>,
    early: Vec<Early>,
    /// The number of the peer's last packet.
    fin: Option<u16>,
    /// The window told last.
    told: usize,
}

impl Receiver {
    pub fn new(ack: u16) -> Self {
        Self { ack, ack_due: false, ready: Vec::new(), early: Vec::new(), fin: None, told: WINDOW_BYTES }
    }

    /// Takes a numbered packet; one that finds no room is as good as lost. Whether the reader has something new.
    pub fn take(&mut self, seq: u16, kind: Kind, payload: &[u8]) -> bool {
        self.ack_due = true;
        let distance = usize::try_from(ahead(seq, self.ack)).unwrap_or(0);
        let beyond_fin = self.fin.is_some_and(|fin| ahead(seq, fin) > 0);
        // What is early must not take the room of what the reader waits for: it has been acknowledged, and stays.
        let room = if distance == 1 { WINDOW_BYTES.saturating_sub(self.ready.len()) } else { self.room() };
        if distance == 0 || distance > EARLY_MAX + 1 || beyond_fin || payload.len() > room {
            return false;
        }
        if kind == Kind::Fin && self.fin.is_none() {
            self.fin = Some(seq);
        }
        if distance > 1 {
            if self.early.iter().all(|early| early.seq != seq) {
                self.early.push(Early { seq, payload: payload.into() });
            }
            return false;
        }
        self.ready.extend_from_slice(payload);
        self.ack = seq;
        while let Some(at) = self.early.iter().position(|early| ahead(early.seq, self.ack) == 1) {
            let next = self.early.swap_remove(at);
            self.ack = next.seq;
            self.ready.extend_from_slice(&next.payload);
        }
        if self.early.is_empty() {
            self.early = Vec::new();
        }
        true
    }

    /// Moves bytes to the reader; how many.
    pub fn read(&mut self, to: &mut [u8]) -> usize {
        let length = self.ready.len().min(to.len());
        for (to, from) in to.iter_mut().zip(self.ready.drain(..length)) {
            *to = from;
        }
        if self.ready.is_empty() {
            self.ready = Vec::new();
        }
        if self.told < WINDOW_SMALL && self.room() >= WINDOW_BYTES / 2 {
            self.ack_due = true;
        }
        length
    }

    /// Whether there is something to read.
    pub fn is_readable(&self) -> bool {
        !self.ready.is_empty() || self.is_finished()
    }

    /// Whether the peer's last packet has come, with all before it.
    pub fn is_finished(&self) -> bool {
        self.fin == Some(self.ack)
    }

    /// Forgets what nobody will read.
    pub fn discard(&mut self) {
        self.ready = Vec::new();
        self.early = Vec::new();
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.ready.len() + self.early.iter().map(|early| early.payload.len()).sum::<usize>()
    }

    fn room(&self) -> usize {
        WINDOW_BYTES.saturating_sub(self.held())
    }

    /// The window to tell the peer, as it is told.
    pub fn tell_window(&mut self) -> u32 {
        self.told = self.room();
        u32::try_from(self.told).unwrap_or(u32::MAX)
    }

    /// The selective acknowledgement to tell the peer; empty where nothing is early.
    pub fn selective_ack(&self) -> Vec<u8> {
        if self.early.is_empty() {
            return Vec::new();
        }
        let bits = self.early.iter().fold(0_u64, |bits, early| {
            let bit = u32::try_from(ahead(early.seq, self.ack)).unwrap_or(0).saturating_sub(2);
            bits | 1_u64.checked_shl(bit).unwrap_or(0)
        });
        bits.to_le_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(receiver: &mut Receiver) -> Vec<u8> {
        let mut bytes = vec![0; 2 * WINDOW_BYTES];
        let length = receiver.read(&mut bytes);
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn early_packets_wait_and_are_told_of() {
        let mut receiver = Receiver::new(u16::MAX - 1);
        assert!(!receiver.take(0, Kind::Data, b"b"));
        assert!(!receiver.take(2, Kind::Fin, b""));
        assert!(!receiver.take(1, Kind::Data, b"c"));
        assert!(!receiver.take(3, Kind::Data, b"behind the end"));
        assert_eq!(receiver.selective_ack(), [0b111, 0, 0, 0, 0, 0, 0, 0]);
        assert!(receiver.take(u16::MAX, Kind::Data, b"a"));
        assert!(receiver.selective_ack().is_empty());
        assert_eq!((receiver.ack, receiver.is_finished()), (2, true));
        assert_eq!(read(&mut receiver), b"abc");
        assert!(!receiver.take(1, Kind::Data, b"c"), "a repeat is nothing new");
    }

    #[test]
    fn no_more_than_the_window_is_held() {
        let mut receiver = Receiver::new(0);
        for seq in (1..200_u16).rev().chain(1..200) {
            receiver.take(seq, Kind::Data, &[7; 1000]);
            assert!(receiver.held() <= 2 * WINDOW_BYTES);
        }
        assert!(receiver.ack >= 32, "early packets do not keep out those that are waited for");
        assert!(receiver.tell_window() < 4096);
        assert!(read(&mut receiver).len() > 20_000);
        receiver.take(receiver.ack + 1, Kind::Data, &[7; 1000]);
        assert!(receiver.tell_window() < 4096);
        receiver.ack_due = false;
        assert!(read(&mut receiver).len() > 20_000);
        assert!(receiver.ack_due, "an open window is news");
    }
}
