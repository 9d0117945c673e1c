//! Peers as a frame: who each is, what became of it, which program it runs and where it is.

use data_encoding::HEXLOWER;
use polars::prelude::{
    Column, DataFrame, DataType, IntoColumn, NamedFrom, PolarsError, PolarsResult, Scalar, Series,
};

use super::{
    Needs,
    identity::NO_PORT,
    judge::{Crossing, Reached, Verdict},
    rows::{Address, Names, PeerId},
    segments::SegmentError,
};
use crate::{client, geo::Place};

/// The columns of a frame of peers, in order.
///
/// `peer_port` is [`NO_PORT`] where `port` is null. `reached_at` is the first observation at or
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

    /// Whether it is a confirmed download.
    pub fn is_confirmed(&self) -> bool {
        self.crossing().is_some() && !self.flagged()
    }

    /// Its way past the threshold.
    fn crossing(&self) -> Option<&Crossing> {
        match self.reached.as_ref()? {
            Reached::Crossed(crossing) => Some(crossing),
            Reached::Already => None,
        }
    }

    /// When it crossed the threshold.
    pub fn crossed_at(&self) -> Option<i64> {
        self.crossing().map(|crossing| crossing.at)
    }

    /// Whether any table tells more of it than that it was there, or was complete.
    pub fn tells(&self) -> bool {
        self.crossing().is_some() || self.flagged() || self.mean_speed.is_some()
    }

    /// Whether it was at the threshold when it was first seen.
    pub fn was_complete(&self) -> bool {
        self.reached == Some(Reached::Already)
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
pub fn frame(peers: &[Peer], names: &Names, places: &[Place], needs: Needs) -> PolarsResult<DataFrame> {
    let programs = Programs::of(peers, names, needs);
    let columns = COLUMNS.iter().map(|(name, dtype)| {
        let found = of_identity(name, peers, names)
            .or_else(|| of_seen(name, peers))
            .or_else(|| if needs.presence { of_presence(name, peers) } else { None })
            .or_else(|| if places.is_empty() { None } else { of_place(name, peers, places) })
            .or_else(|| if needs.programs { programs.column(name) } else { None });
        match found {
            Some(values) => Ok(values.cast(dtype)?.into_column()),
            None => Ok(Column::new_scalar((*name).into(), Scalar::null(dtype.clone()), peers.len())),
        }
    });
    DataFrame::new(peers.len(), columns.collect::<PolarsResult<Vec<_>>>()?)
}

/// A column of what `read` reads of each peer.
#[expect(clippy::unnecessary_wraps, reason = "as all that may have a column")]
fn column<'a, T>(name: &str, peers: &'a [Peer], read: impl Fn(&'a Peer) -> T) -> Option<Series>
where
    Vec<T>: AsRef<[T]>,
    Series: NamedFrom<Vec<T>, [T]>,
{
    Some(Series::new(name.into(), peers.iter().map(read).collect::<Vec<T>>()))
}

fn of_identity(name: &str, peers: &[Peer], names: &Names) -> Option<Series> {
    match name {
        "info_hash" => column(name, peers, |peer| peer.info_hash.as_str()),
        "ip" => column(name, peers, |peer| peer.ip.as_str()),
        "peer_port" => column(name, peers, |peer| i64::from(peer.port)),
        "port" => column(name, peers, |peer| (peer.port != NO_PORT).then_some(i64::from(peer.port))),
        "alias" => {
            let aliases: Vec<Vec<u8>> =
                peers.iter().map(|peer| peer.alias.map(PeerId::to_bytes).unwrap_or_default()).collect();
            Some(Series::new(name.into(), aliases.iter().map(Vec::as_slice).collect::<Vec<&[u8]>>()))
        }
        "peer_id" => column(name, peers, |peer| Some(HEXLOWER.encode(&peer.peer_id?.to_bytes()))),
        "client" => column(name, peers, |peer| names.text(peer.client)),
        _ => None,
    }
}

fn of_presence(name: &str, peers: &[Peer]) -> Option<Series> {
    match name {
        "watched_from" => column(name, peers, |peer| peer.watched_from),
        "stayed_us" => column(name, peers, |peer| Some(peer.stay?.0)),
        "gone_us" => column(name, peers, |peer| peer.stay?.1),
        "came_after" => column(name, peers, |peer| peer.came_after),
        _ => None,
    }
}

fn of_seen(name: &str, peers: &[Peer]) -> Option<Series> {
    let number = |read: fn(&Seen) -> i64| column(name, peers, |peer| Some(read(peer.seen.as_ref()?)));
    let speed = |read: fn(&Seen) -> Option<f64>| column(name, peers, |peer| read(peer.seen.as_ref()?));
    let truth = |read: fn(&Seen) -> bool| column(name, peers, |peer| peer.seen.as_ref().is_some_and(read));
    let crossing =
        |read: fn(&Crossing) -> i64| column(name, peers, |peer| Some(read(peer.seen.as_ref()?.crossing()?)));
    match name {
        "first_at" => number(|seen| seen.first_at),
        "first_pieces" => number(|seen| seen.first_pieces.into()),
        "piece_count" => number(|seen| seen.piece_count.into()),
        "below_at" => crossing(|crossing| crossing.below_at),
        "below_pieces" => crossing(|crossing| crossing.below_pieces.into()),
        "reached_at" => crossing(|crossing| crossing.at),
        "reached_pieces" => crossing(|crossing| crossing.pieces.into()),
        "live" => column(name, peers, |peer| Some(peer.seen.as_ref()?.crossing()?.live)),
        "mean_speed_bytes_per_s" => speed(|seen| seen.mean_speed),
        "max_speed_bytes_per_s" => speed(|seen| seen.max_speed),
        "crossed" => truth(|seen| seen.crossing().is_some()),
        "already_complete" => truth(|seen| seen.was_complete() && !seen.flagged()),
        "backwards" => truth(|seen| seen.backwards),
        "have_only" => truth(|seen| seen.have_only),
        "implausible_speed" => truth(|seen| seen.implausible_speed),
        "flagged" => truth(Seen::flagged),
        "confirmed" => truth(Seen::is_confirmed),
        _ => None,
    }
}

fn of_place(name: &str, peers: &[Peer], places: &[Place]) -> Option<Series> {
    let place = |peer: &Peer| places.get(peer.place? as usize);
    match name {
        "country" => column(name, peers, |peer| place(peer)?.country.as_deref()),
        "city" => column(name, peers, |peer| place(peer)?.city.as_deref()),
        "latitude" => column(name, peers, |peer| place(peer)?.latitude),
        "longitude" => column(name, peers, |peer| place(peer)?.longitude),
        "asn" => column(name, peers, |peer| place(peer)?.asn),
        "organization" => column(name, peers, |peer| place(peer)?.organization.as_deref()),
        _ => None,
    }
}

/// The programs that peers run, by their peer IDs and by their words.
struct Programs<'a> {
    of_id: Vec<Option<client::Client>>,
    of_v: Vec<Option<&'a str>>,
}

impl<'a> Programs<'a> {
    /// Those of everyone, or of the peers whose downloads are told of.
    fn of(peers: &[Peer], names: &'a Names, needs: Needs) -> Self {
        let asked_for = |peer: &&Peer| {
            needs.programs && (needs.everyone || peer.seen.is_some_and(|seen| seen.crossed_at().is_some()))
        };
        let told = |peer| Some(peer).filter(asked_for);
        let of_id = peers.iter().map(|peer| client::by_peer_id(&told(peer)?.peer_id?.to_bytes()));
        let of_v = peers.iter().map(|peer| client::software_of_v(names.text(told(peer)?.client)?));
        Self { of_id: of_id.collect(), of_v: of_v.collect() }
    }

    fn column(&self, name: &str) -> Option<Series> {
        let of_id = self.of_id.iter().map(Option::as_ref);
        let named = |client: &client::Client| Some(format!("{} {}", client.software?, client.version));
        match name {
            "client_of_id" => {
                let texts: Vec<Option<String>> = of_id.map(|client| client.and_then(named)).collect();
                Some(Series::new(name.into(), texts))
            }
            "software_of_id" => {
                let texts: Vec<Option<&str>> = of_id.map(|client| client?.software).collect();
                Some(Series::new(name.into(), texts))
            }
            "peer_id_prefix" => {
                let prefixes: Vec<Option<&str>> = of_id.map(|client| Some(client?.prefix.as_str())).collect();
                Some(Series::new(name.into(), prefixes))
            }
            "software_of_v" => Some(Series::new(name.into(), &self.of_v)),
            _ => None,
        }
    }
}

/// Peers could not be kept.
#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
pub fn failed(error: PolarsError) -> SegmentError {
    SegmentError { file: "peers".into(), problem: error.to_string() }
}

/// A frame of no peers.
pub fn empty() -> PolarsResult<DataFrame> {
    frame(&[], &Names::default(), &[], Needs::default())
}
