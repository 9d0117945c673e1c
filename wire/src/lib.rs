//! BitTorrent on the wire: bytes ⇄ types, and protocol state machines driven by `now`.
//!
//! Torrent files, magnet links, tracker, DHT, LSD and peer messages, uTP; every input is taken to be hostile.
//! No sockets, clock, tasks or randomness live here, and nothing panics on any bytes.

pub mod bencode;
pub mod compact;
pub mod dht;
pub mod dns;
pub mod info_hash;
pub mod lsd;
pub mod magnet;
pub mod metainfo;
pub mod peer;
pub mod tracker;
pub mod utp;

pub use info_hash::{InfoHash, InfoHashV2, PeerId};
