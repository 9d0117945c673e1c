//! Peers as a frame: who each is, what became of it, which program it runs and where it is.

use polars::prelude::{DataFrame, DataType, IntoColumn, NamedFrom, PolarsResult, Series};

use super::{
    identity::NO_PORT,
    judge::{Reached, Verdict},
    rows::{Address, Names, PeerId},
};
use crate::{client, geo::Place};

/// The columns of a frame of peers, in order.
///
/// `peer_port` is [`NO_PORT`](super::identity::NO_PORT) where `port` is null. `reached_at` is the first observation at or
/// above the threshold, `below_at` the last below it before: `crossed` peers have both, `already_complete` ones only the
/// former. Times are microseconds, peer IDs hex. What is not known of a peer that was only contacted is null, its flags are
/// false; so is what no table asked for needs.
pub const COLUMNS: [(&str, DataType); 38] = [
    ("info_hash", DataType::String),
    ("ip", DataType::String),
    ("peer_port", DataType::Int64),
    ("port", DataType::Int64),
    ("alias", DataType::Binary),
    ("peer_id", DataType::String),
    ("client", DataType::String),
    ("client_of_id", DataType::String),
    ("software_of_id", DataType::String),
    ("peer_id_prefix", DataType::String),
    ("software_of_v", DataType::String),
    ("first_at", DataType::Int64),
    ("first_pieces", DataType::Int64),
    ("below_at", DataType::Int64),
    ("below_pieces", DataType::Int64),
    ("reached_at", DataType::Int64),
    ("reached_pieces", DataType::Int64),
    ("piece_count", DataType::Int64),
    ("live", DataType::Boolean),
    ("mean_speed_bytes_per_s", DataType::Float64),
    ("max_speed_bytes_per_s", DataType::Float64),
    ("crossed", DataType::Boolean),
    ("already_complete", DataType::Boolean),
    ("backwards", DataType::Boolean),
    ("have_only", DataType::Boolean),
    ("implausible_speed", DataType::Boolean),
    ("flagged", DataType::Boolean),
    ("confirmed", DataType::Boolean),
    ("watched_from", DataType::Int64),
    ("stayed_us", DataType::Int64),
    ("gone_us", DataType::Int64),
    ("came_after", DataType::Int64),
    ("country", DataType::String),
    ("city", DataType::String),
    ("latitude", DataType::Float64),
    ("longitude", DataType::Float64),
    ("asn", DataType::UInt64),
    ("organization", DataType::String),
];

/// One peer.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The torrent.
    pub info_hash: Address,
    /// The address.
    pub ip: Address,
    /// The port, or [`NO_PORT`].
    pub port: i32,
    /// Its peer ID, where that names it.
    pub alias: Option<PeerId>,
    /// The peer ID last seen.
    pub peer_id: Option<PeerId>,
    /// The `v` last told with that peer ID; 0 where none was.
    pub client: u32,
    /// What was observed of it.
    pub seen: Option<Seen>,
    /// When its torrent's watch began.
    pub watched_from: Option<i64>,
    /// How long it was seen after the threshold, and after how long it was gone.
    pub stay: Option<(i64, Option<i64>)>,
    /// When it can have come at the earliest.
    pub came_after: Option<i64>,
    /// Where it is, by its number in the range.
    pub place: Option<u32>,
}

/// What was observed of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    first_at: i64,
    first_pieces: u32,
    piece_count: u32,
    reached: Option<Reached>,
    mean_speed: Option<f64>,
    max_speed: Option<f64>,
    backwards: bool,
    have_only: bool,
    implausible_speed: bool,
}

impl Seen {
    /// What a verdict says; speeds beyond the limit are not believed.
    pub fn of(verdict: &Verdict, piece_count: u32, max_plausible_speed: u64) -> Self {
        let reached = verdict.reached.first().copied().flatten();
        let crossed = matches!(reached, Some(Reached::Crossed(_)));
        Self {
            first_at: verdict.first_at,
            first_pieces: verdict.first_pieces,
            piece_count,
            reached,
            mean_speed: verdict.mean_speed,
            max_speed: verdict.max_speed,
            backwards: verdict.backwards,
            have_only: crossed && !verdict.believed,
            implausible_speed: is_implausible(verdict, max_plausible_speed),
        }
    }

    /// Whether its counts cannot be trusted.
    pub fn flagged(&self) -> bool {
        self.backwards || self.have_only || self.implausible_speed
    }

    /// When it crossed the threshold.
    pub fn crossed_at(&self) -> Option<i64> {
        match self.reached? {
            Reached::Crossed(crossing) => Some(crossing.at),
            Reached::Already => None,
        }
    }

    /// Whether any table tells more of it than that it was there.
    pub fn tells(&self) -> bool {
        self.reached.is_some() || self.flagged() || self.mean_speed.is_some()
    }

    /// Whether it is told of by itself, and so where it is.
    pub fn is_told(&self) -> bool {
        self.crossed_at().is_some() || self.mean_speed.is_some()
    }
}

/// Whether a peer was faster than it can be.
pub fn is_implausible(verdict: &Verdict, max_plausible_speed: u64) -> bool {
    let limit = max_plausible_speed as f64;
    verdict.max_speed.into_iter().chain(verdict.mean_speed).any(|speed| speed > limit)
}

/// Puts peers into a frame of [`COLUMNS`].
pub fn frame(
    peers: &[Peer],
    names: &Names,
    places: &[Place],
    with_programs: bool,
) -> PolarsResult<DataFrame> {
    let clients: Vec<Option<&str>> = peers.iter().map(|peer| names.text(peer.client)).collect();
    let of_id: Vec<Option<client::Client>> = peers
        .iter()
        .map(|peer| client::by_peer_id(peer.peer_id.filter(|_| with_programs)?.as_slice()))
        .collect();
    let of_v: Vec<Option<&str>> =
        clients.iter().map(|client| client::software_of_v((*client).filter(|_| with_programs)?)).collect();
    let place = |peer: &Peer| places.get(peer.place? as usize);
    let build = |name: &str| -> Series {
        let name_of = name;
        let text = |read: &dyn Fn(&Peer) -> Option<String>| {
            Series::new(name_of.into(), peers.iter().map(read).collect::<Vec<_>>())
        };
        let of_place = |read: fn(&Place) -> Option<&str>| {
            let read = |peer| place(peer).and_then(read);
            Series::new(name_of.into(), peers.iter().map(read).collect::<Vec<_>>())
        };
        let degrees = |read: fn(&Place) -> Option<f64>| {
            let read = |peer| place(peer).and_then(read);
            Series::new(name_of.into(), peers.iter().map(read).collect::<Vec<_>>())
        };
        let number = |read: &dyn Fn(&Peer) -> Option<i64>| {
            Series::new(name_of.into(), peers.iter().map(read).collect::<Vec<_>>())
        };
        let crossing = |read: fn(&super::judge::Crossing) -> i64| {
            number(&|peer| match peer.seen?.reached? {
                Reached::Crossed(crossing) => Some(read(&crossing)),
                Reached::Already => None,
            })
        };
        let speed = |read: fn(&Seen) -> Option<f64>| {
            let read = |peer: &Peer| read(peer.seen.as_ref()?);
            Series::new(name_of.into(), peers.iter().map(read).collect::<Vec<_>>())
        };
        let truth = |read: fn(&Seen) -> bool| {
            let read = |peer: &Peer| peer.seen.as_ref().is_some_and(read);
            Series::new(name_of.into(), peers.iter().map(read).collect::<Vec<_>>())
        };
        match name {
            "info_hash" => {
                let texts: Vec<&str> = peers.iter().map(|peer| peer.info_hash.as_str()).collect();
                Series::new(name.into(), texts)
            }
            "ip" => {
                let texts: Vec<&str> = peers.iter().map(|peer| peer.ip.as_str()).collect();
                Series::new(name.into(), texts)
            }
            "peer_port" => number(&|peer| Some(peer.port.into())),
            "port" => number(&|peer| (peer.port != NO_PORT).then_some(peer.port.into())),
            "alias" => {
                let bytes: Vec<&[u8]> =
                    peers.iter().map(|peer| peer.alias.as_ref().map_or(&[][..], PeerId::as_slice)).collect();
                Series::new(name.into(), bytes)
            }
            "peer_id" => text(&|peer| Some(hex(peer.peer_id?.as_slice()))),
            "client" => Series::new(name.into(), &clients),
            "client_of_id" => {
                let name_of =
                    |client: &client::Client| Some(format!("{} {}", client.software?, client.version));
                let names: Vec<_> = of_id.iter().map(|client| client.as_ref().and_then(name_of)).collect();
                Series::new(name.into(), names)
            }
            "software_of_id" => Series::new(
                name.into(),
                of_id.iter().map(|client| client.as_ref()?.software).collect::<Vec<_>>(),
            ),
            "peer_id_prefix" => {
                let prefixes = of_id.iter().map(|client| Some(client.as_ref()?.prefix.as_str()));
                Series::new(name.into(), prefixes.collect::<Vec<_>>())
            }
            "software_of_v" => Series::new(name.into(), &of_v),
            "first_at" => number(&|peer| Some(peer.seen?.first_at)),
            "first_pieces" => number(&|peer| Some(peer.seen?.first_pieces.into())),
            "below_at" => crossing(|crossing| crossing.below_at),
            "below_pieces" => crossing(|crossing| crossing.below_pieces.into()),
            "reached_at" => crossing(|crossing| crossing.at),
            "reached_pieces" => crossing(|crossing| crossing.pieces.into()),
            "piece_count" => number(&|peer| Some(peer.seen?.piece_count.into())),
            "live" => {
                let live = |peer: &Peer| match peer.seen?.reached? {
                    Reached::Crossed(crossing) => Some(crossing.live),
                    Reached::Already => None,
                };
                Series::new(name.into(), peers.iter().map(live).collect::<Vec<_>>())
            }
            "mean_speed_bytes_per_s" => speed(|seen| seen.mean_speed),
            "max_speed_bytes_per_s" => speed(|seen| seen.max_speed),
            "crossed" => truth(|seen| seen.crossed_at().is_some()),
            "already_complete" => truth(|seen| seen.reached == Some(Reached::Already) && !seen.flagged()),
            "backwards" => truth(|seen| seen.backwards),
            "have_only" => truth(|seen| seen.have_only),
            "implausible_speed" => truth(|seen| seen.implausible_speed),
            "flagged" => truth(Seen::flagged),
            "confirmed" => truth(|seen| seen.crossed_at().is_some() && !seen.flagged()),
            "watched_from" => number(&|peer| peer.watched_from),
            "stayed_us" => number(&|peer| Some(peer.stay?.0)),
            "gone_us" => number(&|peer| peer.stay?.1),
            "came_after" => number(&|peer| peer.came_after),
            "country" => of_place(|place| place.country.as_deref()),
            "city" => of_place(|place| place.city.as_deref()),
            "latitude" => degrees(|place| place.latitude),
            "longitude" => degrees(|place| place.longitude),
            "asn" => {
                let asn = |peer| place(peer).and_then(|place| place.asn);
                Series::new(name.into(), peers.iter().map(asn).collect::<Vec<_>>())
            }
            _ => of_place(|place| place.organization.as_deref()),
        }
    };
    let columns = COLUMNS.iter().map(|(name, dtype)| Ok(build(name).cast(dtype)?.into_column()));
    DataFrame::new(peers.len(), columns.collect::<PolarsResult<Vec<_>>>()?)
}

/// A frame of no peers.
pub fn empty() -> PolarsResult<DataFrame> {
    frame(&[], &Names::default(), &[], false)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}
