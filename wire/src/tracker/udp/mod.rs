//! The UDP tracker protocol (BEP 15), its URL data option (BEP 41), and IPv6: datagrams ⇄ types.
//!
//! [`Request`] is what a client sends, [`Response`] what a tracker sends, [`Exchange`] a question until it
//! is answered. All numbers are big-endian.

pub mod exchange;
mod request;
mod response;

pub use exchange::Exchange;
pub use request::{Announce, MAX_SCRAPE, Request, RequestError};
pub use response::{Counts, Response, ResponseError};

/// The constant in front of a connect request, which tells the protocol (BEP 15).
pub const PROTOCOL_ID: u64 = 0x0417_2710_1980;

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// Takes numbers and byte strings off the front of a datagram.
#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }
}

#[cfg(test)]
mod tests;
