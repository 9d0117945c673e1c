//! Who the lab's peers are: how each client opens, tells of its progress and treats connections, and what each role
//! does with its download. A profile is `role:client`, and behind it what is unusual: `:nat` where nobody can connect to
//! the peer, say `:mse-only` where it obfuscates, `:pex` where no tracker names it, `:utp-only` where it has no TCP.
//!
//! The clients' habits are those measured on real ones, see `docs/`; a new actor is a line in a table here.

use std::{fmt, str::FromStr, time::Duration};

/// When a client tells those it is connected to about new pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// A HAVE for every piece, at once.
    AtOnce,
    /// The HAVEs of this much time together.
    InBatches(Duration),
    /// Never: only a new handshake shows progress.
    OnHandshake,
}

/// What a client does with another connection from an IP address it is connected to already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondConnection {
    /// Takes it.
    Accepted,
    /// Closes it, also for this long after the first one ended.
    Refused(Duration),
}

/// One client program's habits on the wire.
#[derive(Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
pub struct Client {
    /// Name, as in a profile.
    pub name: &'static str,
    /// First eight bytes of its peer IDs (BEP 20).
    pub peer_id_prefix: [u8; 8],
    /// `v` of its extended handshake; without one it does not speak the extension protocol (BEP 10).
    pub version: Option<&'static str>,
    /// Speaks the Fast extension (BEP 6).
    pub fast: bool,
    /// Time between the handshake and its first message, from–to in ms.
    pub opening_delay_ms: (u64, u64),
    /// Allowed-fast messages in its opening.
    pub allowed_fast: u32,
    /// Holds back some pieces from its bitfield and sends them as HAVEs right behind it.
    pub lazy_bitfield: bool,
    /// When it tells of new pieces.
    pub tells: Tells,
    /// Closes a connection from which no byte came for this long.
    pub idle_limit: Option<Duration>,
    /// Treatment of a second connection from the same IP address.
    pub second_connection: SecondConnection,
    /// Drops its connections in the moment it completes.
    pub closes_on_completion: bool,
    /// Speaks MSE.
    pub mse: bool,
    /// Speaks uTP.
    pub utp: bool,
    /// How common it is, relative to the others.
    pub share: u32,
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The most common client.
pub const QBITTORRENT: Client = Client {
    name: "qbittorrent",
    peer_id_prefix: *b"-qB4520-",
    version: Some("qBittorrent/4.5.2"),
    fast: true,
    opening_delay_ms: (0, 20),
    allowed_fast: 0,
    lazy_bitfield: false,
    tells: Tells::AtOnce,
    idle_limit: Some(s(120)),
    second_connection: SecondConnection::Accepted,
    closes_on_completion: false,
    mse: true,
    utp: true,
    share: 24,
};

/// Every client the lab can play.
pub static CLIENTS: &[Client] = &[
    Client {
        name: "libtorrent",
        peer_id_prefix: *b"-LT2110-",
        version: Some("libtorrent/2.1.1.0"),
        fast: true,
        opening_delay_ms: (0, 20),
        allowed_fast: 0,
        lazy_bitfield: false,
        tells: Tells::AtOnce,
        idle_limit: Some(s(120)),
        second_connection: SecondConnection::Refused(s(0)),
        closes_on_completion: false,
        mse: true,
        utp: true,
        share: 18,
    },
    QBITTORRENT,
    Client {
        name: "transmission",
        peer_id_prefix: *b"-TR3000-",
        version: Some("Transmission 3.00"),
        fast: true,
        opening_delay_ms: (700, 900),
        allowed_fast: 0,
        lazy_bitfield: false,
        tells: Tells::InBatches(s(10)),
        idle_limit: Some(s(280)),
        second_connection: SecondConnection::Refused(s(1)),
        closes_on_completion: false,
        mse: true,
        utp: true,
        share: 14,
    },
    Client {
        name: "aria2",
        peer_id_prefix: *b"A2-1-36-",
        version: Some("aria2/1.36.0"),
        fast: true,
        opening_delay_ms: (300, 800),
        allowed_fast: 10,
        lazy_bitfield: false,
        tells: Tells::InBatches(s(2)),
        idle_limit: Some(s(30)),
        second_connection: SecondConnection::Accepted,
        closes_on_completion: false,
        mse: true,
        utp: false,
        share: 6,
    },
    Client {
        name: "rtorrent",
        peer_id_prefix: *b"-lt0D80-",
        version: Some("libTorrent 0.13.8"),
        fast: false,
        opening_delay_ms: (0, 50),
        allowed_fast: 0,
        lazy_bitfield: false,
        tells: Tells::OnHandshake,
        idle_limit: Some(s(120)),
        second_connection: SecondConnection::Refused(s(0)),
        closes_on_completion: true,
        mse: true,
        utp: false,
        share: 5,
    },
    Client {
        name: "ctorrent",
        peer_id_prefix: *b"-CD0303-",
        version: None,
        fast: false,
        opening_delay_ms: (0, 50),
        allowed_fast: 0,
        lazy_bitfield: false,
        tells: Tells::AtOnce,
        idle_limit: Some(s(440)),
        second_connection: SecondConnection::Refused(s(0)),
        closes_on_completion: false,
        mse: false,
        utp: false,
        share: 5,
    },
    Client {
        name: "webtorrent",
        peer_id_prefix: *b"-WW0300-",
        version: Some("WebTorrent/3.0.21"),
        fast: true,
        opening_delay_ms: (0, 50),
        allowed_fast: 0,
        lazy_bitfield: false,
        tells: Tells::AtOnce,
        idle_limit: None,
        second_connection: SecondConnection::Accepted,
        closes_on_completion: false,
        mse: true,
        utp: true,
        share: 10,
    },
    Client {
        name: "rqbit",
        peer_id_prefix: *b"-rQ9100-",
        version: Some("rqbit 9.1.0"),
        fast: false,
        opening_delay_ms: (0, 30),
        allowed_fast: 0,
        lazy_bitfield: false,
        tells: Tells::OnHandshake,
        idle_limit: Some(s(10)),
        second_connection: SecondConnection::Accepted,
        closes_on_completion: false,
        mse: false,
        utp: true,
        share: 8,
    },
    Client {
        name: "utorrent",
        peer_id_prefix: *b"-UT2210-",
        version: Some("\u{b5}Torrent 2.2.1"),
        fast: true,
        opening_delay_ms: (0, 200),
        allowed_fast: 3,
        lazy_bitfield: true,
        tells: Tells::AtOnce,
        idle_limit: Some(s(120)),
        second_connection: SecondConnection::Accepted,
        closes_on_completion: false,
        mse: true,
        utp: true,
        share: 10,
    },
];

/// What a peer does with its life in the swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Named by the trackers; packets to it vanish.
    Blackhole,
    /// Its download dies on the way, without a word to anyone.
    Crashes,
    /// Breaks the protocol in this way.
    Hostile(Hostile),
    /// Downloads and leaves on finishing.
    Leaves,
    /// Downloads and stays, but its program starts anew on the way at another port: the same peer ID and pieces.
    Moves,
    /// Downloads and stays, and shares its address with another one, at another port.
    Neighbours,
    /// Has some files only and wants no more (BEP 21).
    PartialSeed,
    /// Downloads, goes, and comes back complete at another port under another peer ID.
    Rejoins,
    /// Downloads and stays, but its program starts anew on the way: a new peer ID, the same pieces.
    Restarts,
    /// Complete from the start.
    Seeder,
    /// Downloads, but is not done when the lab ends.
    Slow,
    /// Downloads and stays to seed.
    Stays,
    /// Has everything, claims nothing, reveals a piece a second to each connection (BEP 16).
    SuperSeeder,
    /// Named by the trackers; nobody listens there.
    Unresponsive,
}

/// How a hostile peer breaks the protocol. None of them ever downloads anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hostile {
    /// Claims most pieces on one handshake, few on the next, and so on.
    Backwards,
    /// Random bytes in place of a handshake.
    Garbage,
    /// A message length near 4 GiB.
    GiantLength,
    /// HAVEs for pieces that do not exist.
    HaveOutOfRange,
    /// Claims little on its first connection and everything on the next: faster than anyone could download it.
    Leaps,
    /// A bitfield with spare bits set, or of a wrong length.
    LyingBitfield,
    /// A complete peer that says nothing and closes on its first connections.
    MuteFirst,
    /// A handshake, some silence, a close; always.
    SilentClose,
    /// Its handshake byte by byte.
    Slowloris,
    /// The handshake of another swarm.
    WrongInfoHash,
}

impl Role {
    /// Every role with its name and how common it is, relative to the others.
    pub const TABLE: &[(Self, &str, u32)] = &[
        (Self::Blackhole, "blackhole", 8),
        (Self::Crashes, "crashes", 50),
        (Self::Hostile(Hostile::Backwards), "backwards", 3),
        (Self::Hostile(Hostile::Garbage), "garbage", 4),
        (Self::Hostile(Hostile::GiantLength), "giant_length", 4),
        (Self::Hostile(Hostile::HaveOutOfRange), "have_out_of_range", 4),
        (Self::Hostile(Hostile::Leaps), "leaps", 4),
        (Self::Hostile(Hostile::LyingBitfield), "lying_bitfield", 4),
        (Self::Hostile(Hostile::MuteFirst), "mute_first", 6),
        (Self::Hostile(Hostile::SilentClose), "silent_close", 4),
        (Self::Hostile(Hostile::Slowloris), "slowloris", 2),
        (Self::Hostile(Hostile::WrongInfoHash), "wrong_info_hash", 3),
        (Self::Leaves, "leaves", 280),
        (Self::Moves, "moves", 12),
        (Self::Neighbours, "neighbours", 16),
        (Self::PartialSeed, "partial_seed", 30),
        (Self::Rejoins, "rejoins", 12),
        (Self::Restarts, "restarts", 25),
        (Self::Seeder, "seeder", 150),
        (Self::Slow, "slow", 50),
        (Self::Stays, "stays", 340),
        (Self::SuperSeeder, "super_seeder", 18),
        (Self::Unresponsive, "unresponsive", 50),
    ];

    /// Whether peers of this role download pieces.
    pub const fn downloads(self) -> bool {
        matches!(
            self,
            Self::Crashes
                | Self::Leaves
                | Self::Moves
                | Self::Neighbours
                | Self::Rejoins
                | Self::Restarts
                | Self::Slow
                | Self::Stays
        )
    }

    /// Whether its program starts anew on the way.
    pub const fn comes_back(self) -> bool {
        matches!(self, Self::Moves | Self::Rejoins | Self::Restarts)
    }

    /// Whether it comes back at another port, and so as another endpoint.
    pub const fn moves(self) -> bool {
        matches!(self, Self::Moves | Self::Rejoins)
    }

    /// Its name in a profile.
    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|(role, ..)| *role == self).map_or("", |(_, name, _)| name)
    }
}

/// Which connections a peer obfuscates (MSE), and which it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Obfuscation {
    /// Connects in plain, takes both.
    #[default]
    Either,
    /// Nothing else will do.
    MseOnly,
    /// Nothing else will do, and behind the handshake the payload must be as it is.
    MsePlaintextOnly,
    /// Does not speak MSE, or was told not to.
    PlainOnly,
    /// Connects obfuscated, takes both.
    PrefersMse,
}

impl Obfuscation {
    /// Every kind with its name in a profile; none for the usual one.
    pub const TABLE: &[(Self, &str)] = &[
        (Self::Either, ""),
        (Self::MseOnly, "mse-only"),
        (Self::MsePlaintextOnly, "mse-plaintext-only"),
        (Self::PlainOnly, "plain-only"),
        (Self::PrefersMse, "prefers-mse"),
    ];

    fn name(self) -> &'static str {
        Self::TABLE.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// Who tells others of a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamedBy {
    /// Its neighbours alone (PEX, BEP 11): it announces itself nowhere, and connects to peers it was told of by hand.
    Neighbours,
    /// The trackers, and its neighbours too.
    #[default]
    Trackers,
}

/// What a peer is connected over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// uTP (BEP 29); its TCP port refuses.
    Utp,
}

const NAT: &str = "nat";
const PEX: &str = "pex";
const UTP_ONLY: &str = "utp-only";

/// A peer's role and client, whether others can connect to it, how, and who names it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// What it does.
    pub role: Role,
    /// As which client.
    pub client: &'static Client,
    /// Behind a NAT: it has no listener, and connects to those the trackers name.
    pub nat: bool,
    /// Which connections it obfuscates and takes.
    pub obfuscation: Obfuscation,
    /// Who tells others of it.
    pub named_by: NamedBy,
    /// What it is connected over.
    pub transport: Transport,
}

impl Profile {
    /// A peer with nothing unusual about it.
    pub const fn usual(role: Role, client: &'static Client) -> Self {
        Self {
            role,
            client,
            nat: false,
            obfuscation: Obfuscation::Either,
            named_by: NamedBy::Trackers,
            transport: Transport::Tcp,
        }
    }

    fn words(&self) -> [&'static str; 4] {
        [
            if self.nat { NAT } else { "" },
            self.obfuscation.name(),
            if self.named_by == NamedBy::Neighbours { PEX } else { "" },
            if self.transport == Transport::Utp { UTP_ONLY } else { "" },
        ]
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.role.name(), self.client.name)?;
        let mut words = self.words().into_iter().filter(|word| !word.is_empty());
        words.try_for_each(|word| write!(formatter, ":{word}"))
    }
}

/// Text that names no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no profile (expected `role:client`, then any of `:nat`; `:mse-only`, `:mse-plaintext-only`, `:plain-only` \
     or `:prefers-mse`; `:pex`; `:utp-only`)"
)]
pub struct UnknownProfile(String);

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        let unknown = || UnknownProfile(text.to_owned());
        let mut parts = text.split(':');
        let (role, client) = (parts.next(), parts.next());
        let role = Role::TABLE.iter().find(|(_, name, _)| Some(*name) == role).ok_or_else(unknown)?.0;
        let client = CLIENTS.iter().find(|known| Some(known.name) == client).ok_or_else(unknown)?;
        let mut profile = Self::usual(role, client);
        for word in parts {
            match word {
                NAT => profile.nat = true,
                PEX => profile.named_by = NamedBy::Neighbours,
                UTP_ONLY => profile.transport = Transport::Utp,
                word => {
                    let kinds = &Obfuscation::TABLE;
                    let kind = kinds.iter().find(|(_, name)| *name == word && !word.is_empty());
                    profile.obfuscation = kind.ok_or_else(unknown)?.0;
                }
            }
        }
        // Each word once, and in its order.
        if profile.to_string() == text { Ok(profile) } else { Err(unknown()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_reads_back_as_written() {
        for (role, ..) in Role::TABLE {
            for client in CLIENTS {
                for unusual in 0..8 {
                    for &(obfuscation, _) in Obfuscation::TABLE {
                        let mut profile = Profile { obfuscation, ..Profile::usual(*role, client) };
                        profile.nat = unusual & 1 != 0;
                        profile.named_by =
                            if unusual & 2 != 0 { NamedBy::Neighbours } else { NamedBy::Trackers };
                        profile.transport = if unusual & 4 != 0 { Transport::Utp } else { Transport::Tcp };
                        assert_eq!(profile.to_string().parse(), Ok(profile));
                    }
                }
            }
        }
        for text in [
            "",
            "leaves",
            "leaves:rqbit:",
            "leaves:rqbit:nat:",
            "leaves:rqbit:nat:nat",
            "leaves:rqbit:pex:nat",
            "leaves:mosaic",
            "left:rqbit",
        ] {
            assert!(text.parse::<Profile>().is_err(), "{text}");
        }
    }
}
