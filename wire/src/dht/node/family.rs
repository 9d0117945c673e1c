//! What a node has once per family (BEP 32): an ID, a routing table, and a way in.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::super::{
    K, NodeInfo, external::Votes, lookup::Lookup, node_id::NodeId, routing_table::RoutingTable,
};

/// Addresses to begin from that are kept.
const ROUTERS_MAX: usize = 64;
/// Nodes to begin from that are kept, the latest.
const HINTS_MAX: usize = 256;
/// Nodes a search begins from.
const BEGIN_FROM: usize = 2 * K;
/// A table is looked after by a search this often.
const JOIN_EVERY: Duration = Duration::from_mins(10);
/// Until every part of it was once.
const JOIN_FIRST: Duration = Duration::from_secs(5);
/// An empty one is tried to be filled sooner, less often each time.
const JOIN_AGAIN: Duration = Duration::from_secs(3);

/// One family of a node.
pub(super) struct FamilyState {
    pub id: NodeId,
    pub table: RoutingTable,
    pub votes: Votes,
    routers: Vec<SocketAddr>,
    hints: VecDeque<NodeInfo>,
    born: Instant,
    join_at: Instant,
    joining: bool,
    joins: u32,
    joins_in_vain: u32,
}

impl FamilyState {
    pub fn new(id: NodeId, restrict: bool, now: Instant) -> Self {
        Self {
            id,
            table: RoutingTable::new(id, restrict),
            votes: Votes::default(),
            routers: Vec::new(),
            hints: VecDeque::new(),
            born: now,
            join_at: now,
            joining: false,
            joins: 0,
            joins_in_vain: 0,
        }
    }

    /// Adds an address to begin from; tells when the table is looked after next, which is at once if it is empty.
    pub fn add_router(&mut self, address: SocketAddr) -> Instant {
        if self.routers.len() < ROUTERS_MAX && !self.routers.contains(&address) {
            self.routers.push(address);
            self.hurry();
        }
        self.join_at
    }

    /// Adds a node to begin from, as above.
    pub fn add_hint(&mut self, node: NodeInfo) -> Instant {
        if !self.hints.iter().any(|hint| hint.address == node.address) {
            if self.hints.len() >= HINTS_MAX {
                self.hints.pop_front();
            }
            self.hints.push_back(node);
            self.hurry();
        }
        self.join_at
    }

    fn hurry(&mut self) {
        if self.table.is_empty() {
            self.join_at = self.born;
        }
    }

    /// Gives a search those to begin from.
    pub fn give_start(&mut self, now: Instant, lookup: &mut Lookup) {
        let known = self.table.closest(now, &lookup.target(), BEGIN_FROM);
        let is_lost = known.len() < K;
        for node in known {
            lookup.add(node);
        }
        if is_lost {
            // Those that led nowhere are not tried for ever: whoever answers is in the table from then on.
            self.hints.drain(..self.hints.len().min(4 * BEGIN_FROM)).for_each(|hint| lookup.add(hint));
            self.routers.iter().for_each(|&router| lookup.add_router(router));
        }
    }

    /// Whether it is time to look after the table; it is then being done.
    pub fn takes_join(&mut self, now: Instant) -> bool {
        let is_due = !self.joining && now >= self.join_at;
        self.joining |= is_due;
        is_due
    }

    /// First our own neighbourhood, then in turn the parts of the ID space ever nearer to us.
    pub fn join_target(&mut self, random: [u8; 20]) -> NodeId {
        let turn = self.joins as usize % (self.table.depth() + 2);
        self.joins += 1;
        match turn.checked_sub(1) {
            None => self.id,
            Some(bits) => self.id.at_shared_bits(bits, random),
        }
    }

    pub fn joined(&mut self, now: Instant) {
        self.joining = false;
        if self.table.len() >= K {
            self.joins_in_vain = 0;
            let parts_left = (self.joins as usize) < self.table.depth() + 2;
            self.join_at = now + if parts_left { JOIN_FIRST } else { JOIN_EVERY };
        } else {
            self.joins = 0;
            self.join_at = now + (JOIN_AGAIN * (1 << self.joins_in_vain.min(6))).min(JOIN_EVERY);
            self.joins_in_vain += 1;
        }
    }

    /// Takes another ID, and sorts the known nodes anew.
    pub fn rename(&mut self, now: Instant, id: NodeId, restrict: bool) {
        let known = self.table.proven(now);
        self.id = id;
        self.table = RoutingTable::new(id, restrict);
        for node in known {
            self.table.answered(now, node);
        }
    }
}
