//! uTP (BEP 29) without IO: datagrams and time in, datagrams and events out of [`endpoint::Endpoint`].
//!
//! Made for an observer: it receives much on many idle connections and sends little. `packet` is the header; `sender`
//! and `receiver` are a connection's two directions, tied together by `connection`. Every queue is bounded, and a SYN
//! leaves no trace: its answer carries a cookie, so that only who receives at its address becomes a connection.

mod connection;
pub mod endpoint;
pub mod packet;
mod receiver;
mod sender;
#[cfg(test)]
mod simulation;

use std::time::Duration;

/// Payload of a packet, bytes: what passes every IPv6 link unsplit.
pub const PAYLOAD_BYTES_MAX: usize = 1200;
/// What a peer may have sent and we have not read, bytes; memory is taken as it arrives.
pub const WINDOW_BYTES: usize = 32 * 1024;
/// A connection without any packet is kept alive in the address translators between after this time (as libutp does).
pub const KEEP_ALIVE: Duration = Duration::from_secs(29);

/// Why a connection is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer did not accept the connection.
    Refused,
    /// The peer does not know the connection, or no longer wants it.
    Reset,
    /// What we sent was not acknowledged.
    TimedOut,
}

/// How far `seq` is ahead of `base`; negative behind it.
fn ahead(seq: u16, base: u16) -> i16 {
    seq.wrapping_sub(base).cast_signed()
}
