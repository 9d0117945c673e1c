//! Which clients tell their progress on a held connection, as measured with real ones.
//!
//! Peer ID (BEP 20) and extended `v` → [`Habit`]; what a peer is seen to do counts for more.

use std::time::Duration;

/// How a client behaves towards an observer that only listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Habit {
    /// Sends HAVEs in batches, about ten seconds apart (transmission).
    Batches,
    /// Sends no HAVE to one that is not interested: worth visits, not a held connection (rqbit).
    Silent,
    /// Sends HAVEs at once or nearly so (libtorrent, webtorrent, ctorrent, aria2).
    Tells,
    /// Not known.
    #[default]
    Unknown,
    /// Sends some HAVEs, and hangs up when it completes (rtorrent).
    Unreliable,
}

impl Habit {
    /// The habit of a client by what it calls itself.
    pub fn of(peer_id: &[u8; 20], client: Option<&str>) -> Self {
        let client = client.unwrap_or_default();
        if peer_id.starts_with(b"-rQ") || starts_with_ignoring_case(client, "rqbit") {
            return Self::Silent;
        }
        // rtorrent's libTorrent writes `-lt`, the other libtorrent `-LT`.
        if peer_id.starts_with(b"-lt") || starts_with_ignoring_case(client, "rtorrent") {
            return Self::Unreliable;
        }
        if peer_id.starts_with(b"-TR") || starts_with_ignoring_case(client, "transmission") {
            return Self::Batches;
        }
        let tells: [&[u8]; 6] = [b"-LT", b"-qB", b"-DE", b"-WW", b"-CD", b"A2-"];
        if tells.iter().any(|prefix| peer_id.starts_with(prefix)) { Self::Tells } else { Self::Unknown }
    }

    /// How long a held connection may go without a HAVE before the peer is asked by a fresh handshake.
    pub fn patience(self) -> Duration {
        match self {
            Self::Batches => Duration::from_secs(30),
            Self::Silent => Duration::ZERO,
            Self::Tells => Duration::from_mins(2),
            Self::Unknown => Duration::from_secs(8),
            Self::Unreliable => Duration::from_secs(6),
        }
    }
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(start: &str) -> [u8; 20] {
        let mut id = [b'x'; 20];
        id[..start.len()].copy_from_slice(start.as_bytes());
        id
    }

    #[test]
    fn clients_are_told_apart_by_peer_id_and_name() {
        assert_eq!(Habit::of(&id("-LT20B0-"), Some("libtorrent/2.0.11")), Habit::Tells);
        assert_eq!(Habit::of(&id("-lt0D80-"), Some("libTorrent 0.13.8")), Habit::Unreliable);
        assert_eq!(Habit::of(&id("-TR3000-"), None), Habit::Batches);
        assert_eq!(Habit::of(&id("-XX0000-"), Some("RQBit 9.1.0")), Habit::Silent);
        assert_eq!(Habit::of(&id("-XX0000-"), Some("ü")), Habit::Unknown);
    }
}
