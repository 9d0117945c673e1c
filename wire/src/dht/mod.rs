//! The DHT (BEP 5, 32, 33, 42, 43, 51) without IO: datagrams and time in, datagrams and events out of [`node::Node`].
//!
//! `krpc` is the messages; `routing_table` and `lookup` are how nodes are found; `server` is what others get from us;
//! `walk` lists swarms.
//! Randomness is a seed handed in. Every table, queue and candidate list is bounded.

pub mod bloom;
mod budget;
mod external;
pub mod krpc;
pub mod lookup;
pub mod node;
pub mod node_id;
pub(crate) mod random;
pub mod routing_table;
pub mod server;
pub mod token;
pub mod walk;

use std::net::{IpAddr, SocketAddr};

use crate::tracker::Family;

/// How many of the closest nodes hold a swarm's peers (BEP 5).
pub const K: usize = 8;

/// A node's name and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeInfo {
    /// What it calls itself.
    pub id: node_id::NodeId,
    /// Where it answers.
    pub address: SocketAddr,
}

/// The family whose DHT (BEP 32) an address belongs to.
fn family_of(address: SocketAddr) -> Family {
    if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
}

/// What one owner has cheaply: an IPv4 address, or an IPv6 /64.
fn host_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
    }
}

/// The network whose nodes are taken to be of one mind: an IPv4 /24, or an IPv6 /48.
fn network_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits() >> 8 << 8),
        IpAddr::V6(ip) => ip.to_bits() >> 80 << 80,
    }
}

#[cfg(test)]
mod simulation;
