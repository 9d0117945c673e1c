//! The swarms found: each once, written when it is found, or when its size was looked for.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io::{self, Write},
};

use serde::Serialize;
use wire::{
    InfoHash,
    dht::{bloom::Bloom, krpc::Scrape},
};

use super::cli::Format;

/// A swarm and its size, as a line of JSON.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Swarm {
    info_hash: String,
    /// Estimates of BEP 33; none where no node told.
    seeders: Option<u64>,
    leechers: Option<u64>,
    /// Nodes whose filters the estimates are made of.
    nodes: u32,
}

/// A swarm whose size is looked for.
#[derive(Debug, Default)]
struct Measure {
    searches: usize,
    seeds: Bloom,
    peers: Bloom,
    nodes: u32,
}

/// Every swarm found, as many as are wanted.
pub(super) struct Found {
    format: Format,
    limit: usize,
    scrape: bool,
    all: HashSet<InfoHash>,
    waiting: VecDeque<InfoHash>,
    measures: HashMap<InfoHash, Measure>,
    written: usize,
}

impl Found {
    pub fn new(format: Format, limit: usize, scrape: bool) -> Self {
        Self {
            format,
            limit,
            scrape,
            all: HashSet::new(),
            waiting: VecDeque::new(),
            measures: HashMap::new(),
            written: 0,
        }
    }

    /// Takes a swarm that a node named; those beyond the limit are passed over.
    pub fn add(&mut self, info_hash: InfoHash, out: &mut dyn Write) -> io::Result<()> {
        if self.all.len() >= self.limit || !self.all.insert(info_hash) {
            return Ok(());
        }
        if self.scrape {
            self.waiting.push_back(info_hash);
            return Ok(());
        }
        self.write(info_hash, None, out)
    }

    /// The next swarm whose size is to be looked for; [`Self::measuring`] follows.
    pub fn next_to_measure(&mut self) -> Option<InfoHash> {
        self.waiting.pop_front()
    }

    /// So many searches look for a swarm's size.
    pub fn measuring(&mut self, info_hash: InfoHash, searches: usize) {
        if searches == 0 {
            // Nobody is known at the moment.
            self.waiting.push_back(info_hash);
        } else {
            self.measures.insert(info_hash, Measure { searches, ..Measure::default() });
        }
    }

    /// Takes the filters of one node.
    pub fn measured(&mut self, info_hash: InfoHash, scrape: &Scrape) {
        if let Some(measure) = self.measures.get_mut(&info_hash) {
            measure.seeds.merge(&scrape.seeds);
            measure.peers.merge(&scrape.peers);
            measure.nodes += 1;
        }
    }

    /// One search for a swarm's size is over; with the last one it is written.
    pub fn finished(&mut self, info_hash: InfoHash, out: &mut dyn Write) -> io::Result<()> {
        let Some(measure) = self.measures.get_mut(&info_hash) else { return Ok(()) };
        measure.searches = measure.searches.saturating_sub(1);
        if measure.searches > 0 {
            return Ok(());
        }
        let measure = self.measures.remove(&info_hash);
        self.write(info_hash, measure.as_ref(), out)
    }

    /// Writes those whose size was not found in time.
    pub fn write_rest(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let under_way = std::mem::take(&mut self.measures);
        for (info_hash, measure) in &under_way {
            self.write(*info_hash, Some(measure), out)?;
        }
        for info_hash in std::mem::take(&mut self.waiting) {
            self.write(info_hash, None, out)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        info_hash: InfoHash,
        measure: Option<&Measure>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.written += 1;
        let measure = measure.filter(|measure| measure.nodes > 0);
        let swarm = Swarm {
            info_hash: info_hash.to_string(),
            seeders: measure.map(|measure| count(&measure.seeds)),
            leechers: measure.map(|measure| count(&measure.peers)),
            nodes: measure.map_or(0, |measure| measure.nodes),
        };
        match (self.format, swarm.seeders.zip(swarm.leechers)) {
            (Format::Json, _) => {
                serde_json::to_writer(&mut *out, &swarm)?;
                writeln!(out)
            }
            (Format::Text, Some((seeders, leechers))) => {
                let Swarm { info_hash, nodes, .. } = swarm;
                writeln!(out, "{info_hash}  # about {seeders} seeders, {leechers} leechers by {nodes} nodes")
            }
            (Format::Text, None) if self.scrape => writeln!(out, "{}  # of unknown size", swarm.info_hash),
            (Format::Text, None) => writeln!(out, "{}", swarm.info_hash),
        }
    }

    /// Whether as many as are wanted are written.
    pub fn is_done(&self) -> bool {
        self.written >= self.limit
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn written(&self) -> usize {
        self.written
    }

    /// Swarms whose size is still to be looked for.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "estimates are small and not negative"
)]
fn count(filter: &Bloom) -> u64 {
    filter.size().round() as u64
}
