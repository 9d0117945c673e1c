//! The rungs by which a peer can be reached: a transport, and what obfuscates it. Each tried rung is a contact.

use schema::table::{Encryption, Transport};

/// One way to reach a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rung {
    /// What carries the connection.
    pub transport: Transport,
    /// What obfuscates it.
    pub encryption: Encryption,
}

impl Rung {
    /// What every client accepts unless it was told not to.
    pub const PLAIN_TCP: Self = Self { transport: Transport::Tcp, encryption: Encryption::Plain };
}
