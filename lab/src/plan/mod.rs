//! Everything a lab does, drawn from its seed before it starts: torrents, and each peer's profile and schedule.
//!
//! The same options give the same plan on every machine. Times are offsets from the lab's start.

pub mod schedule;
pub mod torrent;

use std::{net::Ipv4Addr, time::Duration};

use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    plan::{schedule::Schedule, torrent::Torrent},
    profile::{self, CLIENTS, Client, Hostile, NamedBy, Obfuscation, Profile, Role, Tells, Transport},
};

/// Labs of more swarms than this give the last one to those who claim what nobody can have downloaded.
const LIARS_FROM: u32 = 8;

/// What a plan is drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanOptions {
    /// Peers over all swarms.
    pub peers: u32,
    /// Swarms; the first is the largest.
    pub swarms: u32,
    /// The lab's length; downloads are paced to end within it.
    pub length: Duration,
    /// Another seed, another lab.
    pub seed: u64,
}

/// A whole lab.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The swarms' torrents.
    pub torrents: Vec<Torrent>,
    /// Every peer, in the order in which they join.
    pub peers: Vec<PeerPlan>,
}

/// One peer's life.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerPlan {
    /// Index of its swarm.
    pub swarm: usize,
    /// Its address, its own in the whole lab.
    pub ip: Ipv4Addr,
    /// Who it is.
    pub profile: Profile,
    /// What it calls itself.
    pub peer_id: [u8; 20],
    /// When it arrives.
    pub joins: Duration,
    /// When it goes, if before the lab's end.
    pub leaves: Option<Duration>,
    /// When its program is down, from–to, and comes back with a new peer ID.
    pub away: Option<(Duration, Duration)>,
    /// Which pieces it has when.
    pub schedule: Schedule,
    /// Connects to the addresses the trackers name (peers behind a NAT always do), or that it was told by hand.
    pub dials: bool,
    /// Seed of what is left to its own chance: delays, garbage.
    pub seed: u64,
}

impl Plan {
    /// A swarm of nothing but seeders, all of them there from the start.
    pub fn of_seeders(options: &PlanOptions) -> Self {
        Self::of_one_kind(options, Role::Seeder, Schedule::complete)
    }

    /// A swarm of nothing but leechers that have half of the pieces and get no others, all there from the start.
    pub fn of_waiting_leechers(options: &PlanOptions) -> Self {
        Self::of_one_kind(options, Role::Slow, |pieces| Schedule::fixed(pieces, pieces / 2, Vec::new()))
    }

    fn of_one_kind(options: &PlanOptions, role: Role, schedule: fn(u32) -> Schedule) -> Self {
        let torrent = Torrent::draw(options.seed, 0);
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let peer = |number: u32| PeerPlan {
            swarm: 0,
            ip: address(0, usize::try_from(number).unwrap_or(0)),
            profile: Profile::usual(role, &profile::QBITTORRENT),
            peer_id: draw_peer_id(&profile::QBITTORRENT, &mut rng),
            joins: Duration::ZERO,
            leaves: None,
            away: None,
            schedule: schedule(torrent.piece_count),
            dials: false,
            seed: rng.random(),
        };
        Self { peers: (0..options.peers).map(peer).collect(), torrents: vec![torrent] }
    }

    /// Draws the plan.
    pub fn draw(options: &PlanOptions) -> Self {
        let liars = options.swarms.checked_sub(1).filter(|last| *last >= LIARS_FROM);
        let draw = |number| match liars {
            Some(last) if number == last => Torrent::vast(options.seed, number),
            _ => Torrent::draw(options.seed, number),
        };
        let torrents: Vec<Torrent> = (0..options.swarms).map(draw).collect();
        let others = torrents.len() - usize::from(liars.is_some());
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let mut roles = deal_roles(options.peers, liars.is_some(), &mut rng);
        let mut peers = Vec::with_capacity(roles.len());
        let mut neighbour = None;
        for (number, role) in roles.drain(..).enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            rng.set_stream(u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1));
            let swarm = match role {
                Role::Hostile(Hostile::Leaps) => others,
                _ => draw_swarm(others, &mut rng),
            };
            let mut place = (swarm, address(swarm, number));
            if role == Role::Neighbours {
                // The second of each two moves in with the first.
                match neighbour.take() {
                    Some(first) => place = first,
                    None => neighbour = Some(place),
                }
            }
            let (swarm, ip) = place;
            let Some(torrent) = torrents.get(swarm) else { continue };
            peers.push(draw_peer(role, swarm, ip, torrent.piece_count, options.length, &mut rng));
        }
        peers.sort_by_key(|peer| (peer.joins, peer.ip));
        Self { torrents, peers }
    }
}

/// Roles in exactly their shares (largest remainders), so that small labs have no accidental lack of downloaders.
fn deal_roles(peers: u32, liars: bool, rng: &mut ChaCha8Rng) -> Vec<Role> {
    let table = Role::TABLE.iter().filter(|(role, ..)| liars || *role != Role::Hostile(Hostile::Leaps));
    let total: u32 = table.clone().map(|(_, _, share)| share).sum();
    let mut shares: Vec<(Role, u32, u32)> = table
        .map(|(role, _, share)| {
            let product = u64::from(peers) * u64::from(*share);
            let whole = u32::try_from(product / u64::from(total)).unwrap_or(0);
            let rest = u32::try_from(product % u64::from(total)).unwrap_or(0);
            (*role, whole, rest)
        })
        .collect();
    let mut missing = peers.saturating_sub(shares.iter().map(|(_, whole, _)| whole).sum());
    shares.sort_by_key(|(role, _, rest)| (std::cmp::Reverse(*rest), *role));
    for (_, whole, _) in &mut shares {
        if missing > 0 {
            *whole += 1;
            missing -= 1;
        }
    }
    let mut roles: Vec<Role> =
        shares.iter().flat_map(|(role, whole, _)| (0..*whole).map(move |_| *role)).collect();
    roles.sort_unstable();
    roles.shuffle(rng);
    roles
}

/// The n-th swarm is 1/n as likely as the first, in steps half as steep.
fn draw_swarm(swarms: usize, rng: &mut ChaCha8Rng) -> usize {
    let weights: Vec<f64> = (0..swarms).map(|number| 1.0 / (1.0 + number as f64 * 0.5)).collect();
    let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
    for (number, weight) in weights.iter().enumerate() {
        left -= weight;
        if left <= 0.0 {
            return number;
        }
    }
    0
}

fn draw_client(rng: &mut ChaCha8Rng) -> &'static Client {
    let total: u32 = CLIENTS.iter().map(|client| client.share).sum();
    let mut left = rng.random_range(0..total);
    for client in CLIENTS {
        if left < client.share {
            return client;
        }
        left -= client.share;
    }
    &profile::QBITTORRENT
}

fn draw_peer_id(client: &Client, rng: &mut ChaCha8Rng) -> [u8; 20] {
    let mut peer_id = rng.random::<[u8; 20]>();
    peer_id.iter_mut().zip(client.peer_id_prefix).for_each(|(byte, prefix)| *byte = prefix);
    peer_id
}

/// `127.64+swarm.x.y`: loopback, away from 127.0.0.0/16, which others use.
fn address(swarm: usize, number: usize) -> Ipv4Addr {
    let octet = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
    Ipv4Addr::new(127, octet(64 + swarm % 128), octet(1 + number / 250 % 250), octet(1 + number % 250))
}

fn draw_obfuscation(role: Role, client: &Client, rng: &mut ChaCha8Rng) -> Obfuscation {
    match rng.random_range(0..100) {
        // What a hostile peer is about is said in plain.
        _ if matches!(role, Role::Hostile(_)) => Obfuscation::Either,
        _ if !client.mse => Obfuscation::PlainOnly,
        0..9 => Obfuscation::MseOnly,
        9..12 => Obfuscation::MsePlaintextOnly,
        12..24 => Obfuscation::PlainOnly,
        24..40 => Obfuscation::PrefersMse,
        _ => Obfuscation::Either,
    }
}

fn draw_peer(
    role: Role,
    swarm: usize,
    ip: Ipv4Addr,
    piece_count: u32,
    length: Duration,
    rng: &mut ChaCha8Rng,
) -> PeerPlan {
    let client = draw_client(rng);
    // Who leaves on finishing without a word of it is gone before anyone can know; such peers exist, but are few.
    let silent = role == Role::Leaves && client.tells != Tells::AtOnce;
    let role = if silent && rng.random_bool(0.75) { Role::Stays } else { role };
    let joins =
        if rng.random_bool(0.45) { Duration::ZERO } else { length.mul_f64(rng.random_range(0.0..0.6)) };
    let mut schedule = Schedule::draw(role, piece_count, joins, length, rng);
    let away = role.comes_back().then(|| {
        let ends = schedule.time_of(piece_count).unwrap_or(joins);
        if role == Role::Rejoins {
            let goes = ends + length.mul_f64(0.1);
            return (goes, goes + length.mul_f64(0.05));
        }
        let goes = joins + ends.saturating_sub(joins).mul_f64(rng.random_range(0.4..0.7));
        let returns = goes + ends.saturating_sub(goes).mul_f64(rng.random_range(0.2..0.4));
        schedule.pause(goes, returns);
        (goes, returns)
    });
    let leaves = match role {
        Role::Crashes => {
            let crash = joins + length.saturating_sub(joins).mul_f64(rng.random_range(0.15..0.9));
            let before_crossing = schedule.crosses().map(|at| at.saturating_sub(Duration::from_millis(50)));
            Some(crash.min(before_crossing.unwrap_or(crash)))
        }
        Role::Leaves => schedule.time_of(piece_count).map(|finished| {
            let linger_ms = if client.tells == Tells::AtOnce { 1_500 } else { 5_000 };
            finished + Duration::from_millis(rng.random_range(100..linger_ms))
        }),
        _ => None,
    };
    // Behind a NAT, who never tells of progress cannot be seen at all.
    let shows_its_port = role.comes_back() || role == Role::Neighbours;
    let can_nat = role.downloads() && !shows_its_port && client.tells != Tells::OnHandshake;
    let nat = can_nat && rng.random_bool(0.1);
    let dials = nat || (role.downloads() && rng.random_bool(0.15));
    let peer_id = draw_peer_id(client, rng);
    let seed = rng.random();
    let obfuscation = draw_obfuscation(role, client, rng);
    // Such a peer says at which port it listens, and is there long enough to be told of.
    let can_whisper = role.downloads() && client.version.is_some() && !shows_its_port && !nat;
    let whispers = can_whisper && rng.random_bool(0.06);
    let can_utp = client.utp && !shows_its_port && !nat && !whispers;
    let has_utp = role.downloads() || matches!(role, Role::PartialSeed | Role::Seeder | Role::SuperSeeder);
    let utp_only = can_utp && has_utp && rng.random_bool(0.08);
    let named_by = if whispers { NamedBy::Neighbours } else { NamedBy::Trackers };
    let transport = if utp_only { Transport::Utp } else { Transport::Tcp };
    let dials = dials || whispers;
    PeerPlan {
        swarm,
        ip,
        profile: Profile { role, client, nat, obfuscation, named_by, transport },
        peer_id,
        joins,
        leaves,
        away,
        schedule,
        dials,
        seed,
    }
}

#[cfg(test)]
mod tests;
