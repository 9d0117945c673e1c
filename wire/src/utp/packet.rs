//! A uTP packet (BEP 29): a header of 20 bytes, extensions, and payload.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0 | type (0 DATA, 1 FIN, 2 STATE, 3 RESET, 4 SYN) in the high four bits, version 1 in the low ones |
//! | 1 | the first extension's type, 0 for none |
//! | 2–3 | connection ID |
//! | 4–7 | when it was sent, µs of the sender's clock |
//! | 8–11 | how long the last packet of the other side took by both clocks, µs |
//! | 12–15 | bytes the sender takes beyond those acknowledged |
//! | 16–17 | sequence number |
//! | 18–19 | number of the last packet received with all before it |
//!
//! An extension is the next one's type, its own length, and as many bytes. Only the selective acknowledgement (type 1)
//! is read: bit `i` of it, from the low bits of the first byte on, stands for the packet `ack + 2 + i`.

/// Bytes of a header without extensions.
pub const HEADER_BYTES: usize = 20;

const VERSION: u8 = 1;
const SELECTIVE_ACK: u8 = 1;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Carries bytes of the stream.
    Data,
    /// The sender's last packet with a number of its own.
    Fin,
    /// Acknowledges, and has no number of its own.
    State,
    /// Ends the connection at once.
    Reset,
    /// Begins a connection.
    Syn,
}

impl Kind {
    fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Data,
            1 => Self::Fin,
            2 => Self::State,
            3 => Self::Reset,
            4 => Self::Syn,
            _ => return None,
        })
    }
}

/// A packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the packet is for.
    pub kind: Kind,
    /// Which connection it belongs to, by the receiver's count; a SYN tells the sender's.
    pub connection: u16,
    /// When it was sent, µs of the sender's clock.
    pub sent_us: u32,
    /// How long the last packet of the other side took by both clocks, µs.
    pub delay_us: u32,
    /// Bytes the sender takes.
    pub window: u32,
    /// The packet's number; of a STATE, the next one's.
    pub seq: u16,
    /// The last packet received with all before it.
    pub ack: u16,
}

/// A packet: header, selective acknowledgement (empty for none), payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The header.
    pub header: Header,
    /// The bits of the selective acknowledgement.
    pub selective_ack: &'a [u8],
    /// Bytes of the stream.
    pub payload: &'a [u8],
}

/// Whether a datagram is one of uTP, by its first byte; KRPC begins with `d`.
pub fn is_utp(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|&first| first & 0xf == VERSION && Kind::from_number(first >> 4).is_some())
}

impl<'a> Packet<'a> {
    /// A packet without extensions and payload.
    pub fn bare(header: Header) -> Self {
        Self { header, selective_ack: &[], payload: &[] }
    }

    /// Reads a datagram; `None` where it is no packet. Unknown extensions are passed over.
    pub fn decode(datagram: &'a [u8]) -> Option<Self> {
        let (head, mut rest) = datagram.split_first_chunk::<HEADER_BYTES>()?;
        let [first, mut extension, c0, c1, s0, s1, s2, s3, d0, d1, d2, d3, w0, w1, w2, w3, q0, q1, a0, a1] =
            *head;
        if first & 0xf != VERSION {
            return None;
        }
        let header = Header {
            kind: Kind::from_number(first >> 4)?,
            connection: u16::from_be_bytes([c0, c1]),
            sent_us: u32::from_be_bytes([s0, s1, s2, s3]),
            delay_us: u32::from_be_bytes([d0, d1, d2, d3]),
            window: u32::from_be_bytes([w0, w1, w2, w3]),
            seq: u16::from_be_bytes([q0, q1]),
            ack: u16::from_be_bytes([a0, a1]),
        };
        let mut selective_ack: &[u8] = &[];
        while extension != 0 {
            let (&[next, length], behind) = rest.split_first_chunk::<2>()?;
            let (body, behind) = behind.split_at_checked(length.into())?;
            if extension == SELECTIVE_ACK {
                selective_ack = body;
            }
            (extension, rest) = (next, behind);
        }
        Some(Self { header, selective_ack, payload: rest })
    }

    /// The datagram. A selective acknowledgement beyond 255 bytes, which no one writes, is left out.
    pub fn encode(&self) -> Vec<u8> {
        let Header { kind, connection, sent_us, delay_us, window, seq, ack } = self.header;
        let length = u8::try_from(self.selective_ack.len()).unwrap_or(0);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + 2 + usize::from(length) + self.payload.len());
        bytes.push((kind as u8) << 4 | VERSION);
        bytes.push(if length > 0 { SELECTIVE_ACK } else { 0 });
        bytes.extend(connection.to_be_bytes());
        bytes.extend(sent_us.to_be_bytes());
        bytes.extend(delay_us.to_be_bytes());
        bytes.extend(window.to_be_bytes());
        bytes.extend(seq.to_be_bytes());
        bytes.extend(ack.to_be_bytes());
        if length > 0 {
            bytes.extend([0, length]);
            bytes.extend_from_slice(self.selective_ack);
        }
        bytes.extend_from_slice(self.payload);
        bytes
    }

    /// Numbers of packets that the selective acknowledgement names.
    pub fn selectively_acknowledged(&self) -> impl Iterator<Item = u16> + use<'a> {
        let first = self.header.ack.wrapping_add(2);
        let bits = self.selective_ack.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        (0..).zip(bits).filter(|&(_, set)| set).map(move |(at, _)| first.wrapping_add(at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_byte_by_byte() {
        let header = Header {
            kind: Kind::State,
            connection: 0x0102,
            sent_us: 0x0304_0506,
            delay_us: 0x0708_090a,
            window: 0x0b0c_0d0e,
            seq: 0x0f10,
            ack: 0x1112,
        };
        let packet = Packet { header, selective_ack: &[0b101, 0, 0, 0x80], payload: b"xy" };
        let bytes = packet.encode();
        assert_eq!(
            bytes,
            b"\x21\x01\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\0\x04\x05\0\0\x80xy"
        );
        assert_eq!(Packet::decode(&bytes), Some(packet));
        let named: Vec<u16> = packet.selectively_acknowledged().collect();
        assert_eq!(named, [0x1114, 0x1116, 0x1112 + 2 + 31]);
        assert!(is_utp(&bytes) && !is_utp(b"d1:q") && !is_utp(b"") && !is_utp(b"\x51") && !is_utp(b"\x22"));
    }

    #[test]
    fn unknown_extensions_are_passed_over_and_torn_ones_refused() {
        let mut bytes = vec![0x01, 2, 0, 7];
        bytes.extend([0; 16]);
        bytes.extend([3, 2, 9, 9, 0, 1, 8]);
        bytes.extend(b"payload");
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!((packet.payload, packet.selective_ack), (&b"payload"[..], &[][..]));
        for length in 0..26 {
            assert_eq!(Packet::decode(&bytes[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(bytes in proptest::collection::vec(any::<u8>(), 0..64), first in 0..5_u8) {
            let mut bytes = bytes;
            if let Some(byte) = bytes.first_mut() {
                *byte = first << 4 | 1;
            }
            if let Some(packet) = Packet::decode(&bytes) {
                let written = packet.encode();
                prop_assert_eq!(Packet::decode(&written), Some(packet));
            }
        }
    }
}
