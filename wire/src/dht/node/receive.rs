//! What comes in: answers to our queries, and queries of others.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use super::{
    super::{
        K, NodeInfo, family_of,
        krpc::{Body, Message, Query, Response},
        node_id::{NodeId, is_local},
        server::Asker,
        walk::Sampled,
    },
    Event, Node, OUT_MAX, Outcome, Pending, Purpose, Transaction,
};

/// Peers of one answer that are taken.
const PEERS_MAX: usize = 500;

impl Node {
    /// Takes a datagram.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let from = canonical(from);
        match Message::decode(datagram) {
            Err(error) => {
                let pending =
                    error.transaction.as_deref().and_then(|transaction| self.awaited(transaction, from));
                if let Some(pending) = pending {
                    self.end(now, &pending, Outcome::Malformed(error.to_string()));
                }
            }
            Ok(Message { transaction, body: Body::Query { id, read_only, query }, .. }) => {
                let asker = NodeInfo { id, address: from };
                self.handle_query(now, asker, read_only, transaction, &query);
            }
            Ok(Message { transaction, body: Body::Response { external, response }, .. }) => {
                if let Some(pending) = self.awaited(&transaction, from) {
                    self.handle_response(now, &pending, external, response);
                }
            }
            Ok(Message { transaction, body: Body::Error { code, text }, .. }) => {
                if let Some(pending) = self.awaited(&transaction, from) {
                    self.end(now, &pending, Outcome::Failure { code, text });
                }
            }
        }
    }

    /// The query that `from` was asked under that transaction; it is no longer waited for.
    fn awaited(&mut self, transaction: &[u8], from: SocketAddr) -> Option<Pending> {
        let transaction: Transaction = transaction.try_into().ok()?;
        if self.pending.get(&transaction)?.to != from {
            return None;
        }
        self.pending.remove(&transaction)
    }

    fn handle_response(
        &mut self,
        now: Instant,
        pending: &Pending,
        external: Option<SocketAddr>,
        response: Response,
    ) {
        let Response { id, nodes, values, token, scrape, samples } = response;
        let from = NodeInfo { id, address: pending.to };
        if let Some(state) = self.state_of(from.address) {
            state.table.answered(now, from);
        }
        if let Some(external) = external {
            self.hear_vote(now, from.address, canonical(external).ip());
        }
        if matches!(pending.purpose, Purpose::Sample) {
            let sampled = Sampled { id, nodes, samples };
            self.events.push_back(Event::Sampled { node: from.address, answer: Some(sampled) });
            return;
        }
        let family = family_of(from.address);
        let (of_family, others): (Vec<_>, Vec<_>) =
            nodes.into_iter().partition(|node| family_of(node.address) == family);
        others.into_iter().take(2 * K).for_each(|node| self.add_hint(node));
        if let Purpose::Search(search, _) = pending.purpose {
            self.found(search, from, token, &of_family);
        }
        let mut peers: Vec<SocketAddr> = values.into_iter().map(canonical).collect();
        peers.truncate(PEERS_MAX);
        self.end(now, pending, Outcome::Answered { peers, scrape });
    }

    /// Takes note of where a node sees us; when enough agree, our ID is made to fit (BEP 42).
    fn hear_vote(&mut self, now: Instant, voter: SocketAddr, seen: IpAddr) {
        let (random, restrict) = (self.random.bytes(), self.config.pace.restrict);
        let Some(state) = self.state_of(voter) else { return };
        if seen.is_ipv4() != voter.is_ipv4() || is_local(seen) {
            return;
        }
        if let Some(ip) = state.votes.add(voter.ip(), seen)
            && !state.id.fits(ip)
        {
            state.rename(now, NodeId::for_ip(ip, random), restrict);
        }
    }

    fn handle_query(
        &mut self,
        now: Instant,
        asker: NodeInfo,
        read_only: bool,
        transaction: Vec<u8>,
        query: &Query,
    ) {
        let NodeInfo { id, address } = asker;
        if self.server.is_none() || !(self.config.allows)(address) || self.out.len() >= OUT_MAX {
            return;
        }
        let Some(state) = self.families.get_mut(&family_of(address)) else { return };
        if !self.answers.take(now) {
            return;
        }
        // Whoever may choose any ID may sit anywhere: strangers are kept only under IDs that fit (BEP 42).
        if !read_only && id.fits(address.ip()) {
            state.table.asked_us(now, asker);
        }
        let id = state.id;
        let tables = &self.families;
        let nodes = |family, target: &NodeId| {
            tables.get(&family).map(|state| state.table.closest(now, target, K)).unwrap_or_default()
        };
        let Some(server) = &mut self.server else { return };
        let body = match server.answer(&Asker { now, from: address, id, nodes: &nodes }, query) {
            Ok(response) => Body::Response { external: Some(address), response },
            Err((code, text)) => Body::Error { code, text: text.to_owned() },
        };
        let message = Message { transaction, version: Some(self.config.version.to_vec()), body };
        self.out.push_back((address, message.encode()));
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
