//! What peers say to each other over TCP or uTP (BEP 3, 5, 6, 9, 10, 11, 55): bytes ⇄ types.

pub mod bitfield;
pub mod extension;
pub mod handshake;
pub mod holepunch;
pub mod message;
pub mod metadata;
pub mod mse;
pub mod pex;
pub mod session;
