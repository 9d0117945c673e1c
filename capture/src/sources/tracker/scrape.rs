//! A round of scrapes: every swarm of a tracker once, as many in a request as it takes (BEP 48, BEP 15).
//!
//! Trackers that refuse several swarms at once, or answer for some of them, are asked one by one.

use std::{collections::VecDeque, net::SocketAddr};

use schema::table::{Family, RequestOutcome};
use wire::{InfoHash, tracker::ScrapeEntry};

use super::{trouble::Trouble, watch::Watch};

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Whether a request failed, and the rest was left out.
    pub failed: bool,
    /// Swarms that the next round may ask about at once.
    pub at_once_max: usize,
}

/// Scrapes every swarm of the tracker, over the first family that its host has.
pub async fn round(watch: &Watch, at_once_max: usize) -> Round {
    tokio::select! {
        biased;
        () = watch.shared.ending.cancelled() => Round { failed: false, at_once_max },
        round = scrape_all(watch, at_once_max) => round,
    }
}

async fn scrape_all(watch: &Watch, mut at_once_max: usize) -> Round {
    let Some((family, address)) = place(watch).await else { return Round { failed: true, at_once_max } };
    let mut waiting: VecDeque<InfoHash> =
        watch.swarms.iter().map(|swarm| InfoHash(swarm.info_hash.0)).collect();
    let mut unanswered = Vec::new();
    while !waiting.is_empty() {
        let batch: Vec<InfoHash> = waiting.drain(..at_once_max.clamp(1, waiting.len())).collect();
        match scrape(watch, family, address, &batch).await {
            Ok(without_answer) if batch.len() > 1 => unanswered.extend(without_answer),
            Ok(_told) => {}
            Err(trouble) if batch.len() > 1 && is_refusal(&trouble) => {
                at_once_max = 1;
                waiting.extend(batch);
            }
            Err(_told) => return Round { failed: true, at_once_max },
        }
    }
    for info_hash in unanswered {
        match scrape(watch, family, address, &[info_hash]).await {
            Ok(without_answer) if without_answer.is_empty() => at_once_max = 1,
            Ok(_told) => {}
            Err(_told) => return Round { failed: true, at_once_max },
        }
    }
    Round { failed: false, at_once_max }
}

async fn place(watch: &Watch) -> Option<(Family, SocketAddr)> {
    for family in [Family::Ipv4, Family::Ipv6] {
        let addresses = watch.tracker.host.addresses(family, &watch.shared.policy, &watch.shared.clock).await;
        if let Some(address) = addresses.ok().and_then(|addresses| addresses.first().copied()) {
            return Some((family, address));
        }
    }
    None
}

/// Asks about `batch` and tells of it; those without an answer are given back, and of several not told of yet.
async fn scrape(
    watch: &Watch,
    family: Family,
    address: SocketAddr,
    batch: &[InfoHash],
) -> Result<Vec<InfoHash>, Trouble> {
    let _place = watch.tracker.place(&watch.shared).await;
    let asked = watch.asked(Some(family));
    let result = watch.tracker.scrape(&watch.shared, family, address, batch).await;
    let mut unanswered = Vec::new();
    for &info_hash in batch {
        let entry = match &result {
            Ok(entries) => Ok(find(entries, info_hash)),
            Err(trouble) => Err(trouble),
        };
        if matches!(entry, Ok(None)) {
            unanswered.push(info_hash);
            if batch.len() > 1 {
                continue;
            }
        }
        watch.shared.reporter.scraped(schema::InfoHash(info_hash.0), &asked, entry).await;
    }
    result.map(|_entries| unanswered)
}

fn find(entries: &[ScrapeEntry], info_hash: InfoHash) -> Option<ScrapeEntry> {
    entries.iter().copied().find(|entry| entry.info_hash == info_hash)
}

/// Whether the tracker may have minded how many swarms were asked about.
fn is_refusal(trouble: &Trouble) -> bool {
    matches!(
        trouble.outcome,
        RequestOutcome::Failure | RequestOutcome::HttpStatus | RequestOutcome::Malformed
    )
}
