//! The swarms and peers of a generated log.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::profile::CLIENTS;

/// Peers come up to this long before the log starts.
const BEFORE: Duration = Duration::from_hours(6);
/// Mean time a peer stays.
const STAYS: Duration = Duration::from_hours(3);
/// Share of the addresses that never answer.
const UNREACHABLE: f64 = 0.7;
/// Share of the peers that are complete when they come.
const COMPLETE: f64 = 0.2;

/// What a population is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct PopulationOptions {
    /// Peers over all swarms and the whole time.
    pub peers: u32,
    /// Swarms; the n-th has 1/n of the first one's peers (Zipf).
    pub swarms: u32,
    /// Time the log covers.
    pub length: Duration,
    /// Share of IPv6 peers.
    pub ipv6: f64,
    /// Another seed is another population.
    pub seed: u64,
}

/// A swarm's torrent.
#[derive(Clone, Debug)]
pub struct Torrent {
    /// Its info-hash.
    pub info_hash: [u8; 20],
    /// Bytes of a piece.
    pub piece_length: u64,
    /// Number of pieces.
    pub piece_count: u32,
}

/// A peer; times are seconds from the log's start, and may lie before it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Index of its swarm.
    pub swarm: u32,
    /// Its address.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// Index of its client.
    pub client: u8,
    /// It answers.
    pub reachable: bool,
    /// When it comes.
    pub joins_s: f64,
    /// When it goes.
    pub leaves_s: f64,
    /// Share of the pieces it comes with.
    pub initial: f32,
    /// Time its whole download would take.
    pub takes_s: f32,
    /// Seed of everything else about it.
    pub seed: u64,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Population {
    /// The swarms' torrents.
    pub torrents: Vec<Torrent>,
    /// Every peer, by the time it comes.
    pub peers: Vec<Peer>,
}

impl Population {
    /// Draws them.
    pub fn draw(options: &PopulationOptions) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let torrents = (0..options.swarms).map(|_| Torrent {
            info_hash: rng.random(),
            piece_length: 1 << rng.random_range(16..=22),
            piece_count: rng.random_range(40..=4_000),
        });
        let torrents: Vec<_> = torrents.collect();
        let mut heights = Vec::with_capacity(torrents.len());
        let mut height = 0.0;
        for rank in 1..=options.swarms {
            height += 1.0 / f64::from(rank);
            heights.push(height);
        }
        let mut peers: Vec<_> = (0..options.peers).map(|_| draw_peer(options, &heights, &mut rng)).collect();
        peers.sort_by(|a, b| a.joins_s.total_cmp(&b.joins_s));
        Self { torrents, peers }
    }
}

fn draw_peer(options: &PopulationOptions, heights: &[f64], rng: &mut ChaCha8Rng) -> Peer {
    let at = rng.random::<f64>() * heights.last().copied().unwrap_or(1.0);
    let swarm = heights.partition_point(|height| *height < at);
    let ip = if rng.random_bool(options.ipv6) {
        let host: u64 = rng.random();
        let network = u128::from(0x2000_0000_u32 | rng.random_range(0..0x1000_0000)) << 96;
        IpAddr::V6(Ipv6Addr::from(network | u128::from(host)))
    } else {
        IpAddr::V4(Ipv4Addr::from(rng.random_range(0x0100_0000_u32..0xdf00_0000)))
    };
    let joins_s = rng.random_range(-BEFORE.as_secs_f64()..options.length.as_secs_f64());
    let stays_s = -STAYS.as_secs_f64() * (1.0 - rng.random::<f64>()).ln();
    Peer {
        swarm: u32::try_from(swarm).unwrap_or(0),
        ip,
        port: rng.random_range(1_024..u16::MAX),
        client: u8::try_from(rng.random_range(0..CLIENTS.len())).unwrap_or(0),
        reachable: !rng.random_bool(UNREACHABLE),
        joins_s,
        leaves_s: joins_s + stays_s,
        initial: if rng.random_bool(COMPLETE) { 1.0 } else { rng.random::<f32>().powi(3) * 0.9 },
        takes_s: rng.random_range(300.0..40_000.0),
        seed: rng.random(),
    }
}
