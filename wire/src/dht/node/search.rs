//! A search: the lookup, then what is asked of the nearest nodes it found.
//!
//! ```text
//! looking ─ the nearest have all answered ─▶ announcing, scraping ─ no query under way ─▶ finished
//! ```

use std::{collections::VecDeque, net::SocketAddr, time::Instant};

use super::{
    super::{
        NodeInfo,
        krpc::Query,
        lookup::{Lookup, Pace},
        node_id::NodeId,
    },
    Asked, Besides, Event, Node, Outcome, Pending, Purpose, SearchId,
};
use crate::{InfoHash, tracker::Family};

/// What is looked for.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// Nodes for our own table.
    Join,
    /// Peers of a swarm.
    Peers(InfoHash, Besides),
}

/// A search under way.
pub(super) struct Search {
    goal: Goal,
    pub lookup: Lookup,
    /// Whether the lookup is over.
    looked: bool,
    /// What is still to be asked of the nearest nodes.
    besides: VecDeque<(SocketAddr, Asked, Query)>,
    under_way: usize,
    answered: u32,
    failed: u32,
}

impl Search {
    pub fn join(target: NodeId, pace: Pace) -> Self {
        Self::new(Goal::Join, target, pace)
    }

    pub fn peers(info_hash: InfoHash, besides: Besides, pace: Pace) -> Self {
        Self::new(Goal::Peers(info_hash, besides), info_hash.into(), pace)
    }

    fn new(goal: Goal, target: NodeId, pace: Pace) -> Self {
        Self {
            goal,
            lookup: Lookup::new(target, pace),
            looked: false,
            besides: VecDeque::new(),
            under_way: 0,
            answered: 0,
            failed: 0,
        }
    }

    /// Whether nodes are still looked for.
    pub fn is_looking(&self) -> bool {
        !self.looked
    }

    /// What to ask whom next.
    pub fn next(&mut self, now: Instant) -> Option<(SocketAddr, Asked, Query)> {
        let next = if self.looked {
            self.besides.pop_front()?
        } else {
            let query = match self.goal {
                Goal::Join => Query::FindNode { target: self.lookup.target(), want: None },
                Goal::Peers(info_hash, _) => Query::GetPeers { info_hash, scrape: false, want: None },
            };
            (self.lookup.next(now)?, Asked::GetPeers, query)
        };
        self.under_way += 1;
        Some(next)
    }

    pub fn next_late(&self, now: Instant) -> Option<Instant> {
        if self.looked { None } else { self.lookup.next_late(now) }
    }

    /// Goes on to what comes after the lookup once that is over; whether nothing is left to do.
    fn settle(&mut self) -> bool {
        if !self.looked && self.lookup.is_done() {
            self.looked = true;
            if let Goal::Peers(info_hash, besides) = self.goal {
                self.ask_besides(info_hash, besides);
            }
        }
        self.looked && self.besides.is_empty() && self.under_way == 0
    }

    fn ask_besides(&mut self, info_hash: InfoHash, Besides { announce, scrape }: Besides) {
        for (node, token) in self.lookup.closest() {
            if let Some((port, token)) = announce.zip(token) {
                let token = token.to_vec();
                let query = Query::AnnouncePeer { info_hash, implied_port: false, port, seed: false, token };
                self.besides.push_back((node.address, Asked::Announce, query));
            }
            if scrape {
                let query = Query::GetPeers { info_hash, scrape, want: None };
                self.besides.push_back((node.address, Asked::Scrape, query));
            }
        }
    }
}

impl Node {
    pub(super) fn begin(&mut self, now: Instant, family: Family, mut search: Search) -> Option<SearchId> {
        self.families.get_mut(&family)?.give_start(now, &mut search.lookup);
        self.searches_begun += 1;
        let id = SearchId(self.searches_begun);
        self.searches.insert(id, search);
        self.settle(now, family, id);
        Some(id)
    }

    /// A query of a search was answered.
    pub(super) fn found(&mut self, id: SearchId, from: NodeInfo, token: Option<Vec<u8>>, nodes: &[NodeInfo]) {
        let own: Vec<NodeId> = self.families.values().map(|state| state.id).collect();
        let Some(search) = self.searches.get_mut(&id).filter(|search| search.is_looking()) else { return };
        search.lookup.answered(from.address, from.id, token);
        for node in nodes.iter().filter(|node| !own.contains(&node.id) && (self.config.allows)(node.address))
        {
            search.lookup.add(*node);
        }
    }

    /// A query ended: tells of it and lets its search go on.
    pub(super) fn end(&mut self, now: Instant, pending: &Pending, outcome: Outcome) {
        let (id, asked) = match pending.purpose {
            Purpose::Ping => return,
            Purpose::Sample => {
                self.events.push_back(Event::Sampled { node: pending.to, answer: None });
                return;
            }
            Purpose::Search(id, asked) => (id, asked),
        };
        let Some(search) = self.searches.get_mut(&id) else { return };
        search.under_way = search.under_way.saturating_sub(1);
        let is_answered = matches!(outcome, Outcome::Answered { .. });
        if asked == Asked::GetPeers {
            *(if is_answered { &mut search.answered } else { &mut search.failed }) += 1;
            if !is_answered {
                search.lookup.failed(pending.to);
            }
        }
        if matches!(search.goal, Goal::Peers(..)) {
            let (node, began) = (pending.to, pending.began);
            self.events.push_back(Event::Ended { search: id, asked, node, began, ended: now, outcome });
        }
        self.settle(now, super::super::family_of(pending.to), id);
    }

    fn settle(&mut self, now: Instant, family: Family, id: SearchId) {
        if !self.searches.get_mut(&id).is_some_and(Search::settle) {
            return;
        }
        let Some(Search { goal, answered, failed, .. }) = self.searches.remove(&id) else { return };
        match goal {
            Goal::Join => {
                let Some(state) = self.families.get_mut(&family) else { return };
                state.joined(now);
                self.events.push_back(Event::Joined { family, nodes: state.table.len() });
            }
            Goal::Peers(..) => self.events.push_back(Event::Finished { search: id, answered, failed }),
        }
    }
}
