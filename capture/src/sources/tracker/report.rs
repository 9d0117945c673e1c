//! What leaves the tracker sources: a row per request and swarm, and the peers of each answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use schema::{
    InfoHash,
    table::{Event, Family, Request, RequestKind, RequestOutcome, Row, Source},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use wire::tracker::{AnnounceResponse, ScrapeEntry};

use super::trouble::Trouble;
use crate::{
    clock::Clock,
    sources::{Answer, RequestCounts},
    swarm::Swarm,
};

/// Which tracker was asked, over what, since when.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The announce URL.
    pub endpoint: Arc<str>,
    /// What kind of tracker it is.
    pub source: Source,
    /// Over which family; none where no connection was tried.
    pub family: Option<Family>,
    /// When the first packet or connect was made.
    pub began: Instant,
}

/// Tells of requests and answers.
#[derive(Debug)]
pub struct Reporter {
    /// Peers go here.
    pub answers: mpsc::Sender<Answer>,
    /// Rows go here.
    pub rows: mpsc::Sender<Event>,
    /// Requests answered and not.
    pub counts: Arc<RequestCounts>,
    /// Dates the rows.
    pub clock: Clock,
    /// Once the run ends, answers are no longer waited for.
    pub ending: CancellationToken,
}

impl Reporter {
    /// Tells of an announce: its row, and its peers.
    pub async fn announced(&self, swarm: &Swarm, asked: &Asked, result: &Result<AnnounceResponse, Trouble>) {
        let mut row = self.row(swarm.info_hash, asked, RequestKind::Announce);
        match result {
            Err(trouble) => fail(&mut row, trouble),
            Ok(response) => {
                row.error.clone_from(&response.warning);
                if response.left_out > 0 {
                    let left_out = format!("{} peers left out", response.left_out);
                    row.error =
                        Some(row.error.map_or(left_out.clone(), |warning| format!("{warning}; {left_out}")));
                }
                row.peers = Some(u32::try_from(response.peers.len()).unwrap_or(u32::MAX));
                row.interval_s = response.interval_s;
                row.seeders = response.seeders;
                row.leechers = response.leechers;
                row.downloaded = response.downloaded;
            }
        }
        self.send(row).await;
        if let Ok(response) = result
            && !response.peers.is_empty()
        {
            self.answer(swarm, asked, response).await;
        }
    }

    /// Tells of one swarm's part of a scrape; a swarm that a sound answer does not name has no counts.
    pub async fn scraped(
        &self,
        info_hash: InfoHash,
        asked: &Asked,
        result: Result<Option<ScrapeEntry>, &Trouble>,
    ) {
        let mut row = self.row(info_hash, asked, RequestKind::Scrape);
        match result {
            Err(trouble) => fail(&mut row, trouble),
            Ok(None) => row.error = Some("the answer does not name the swarm".to_owned()),
            Ok(Some(entry)) => {
                row.seeders = entry.seeders;
                row.leechers = entry.leechers;
                row.downloaded = entry.downloaded;
            }
        }
        self.send(row).await;
    }

    async fn answer(&self, swarm: &Swarm, asked: &Asked, response: &AnnounceResponse) {
        let answer = Answer {
            swarm: swarm.id,
            source: asked.source,
            endpoint: Some(Arc::clone(&asked.endpoint)),
            peers: response.peers.iter().map(|&peer| (peer, None)).collect(),
        };
        tokio::select! {
            biased;
            // The registry may have ended already; that its half is closed needs no more words.
            sent = self.answers.send(answer) => drop(sent),
            () = self.ending.cancelled() => {}
        }
    }

    fn row(&self, info_hash: InfoHash, asked: &Asked, kind: RequestKind) -> Request {
        Request {
            info_hash,
            source: asked.source,
            endpoint: asked.endpoint.as_ref().to_owned(),
            family: asked.family,
            kind,
            duration_us: micros(self.clock.instant().saturating_duration_since(asked.began)),
            outcome: RequestOutcome::Ok,
            error: None,
            peers: None,
            interval_s: None,
            seeders: None,
            leechers: None,
            downloaded: None,
        }
    }

    async fn send(&self, row: Request) {
        let count = if row.outcome == RequestOutcome::Ok { &self.counts.ok } else { &self.counts.failed };
        count.fetch_add(1, Ordering::Relaxed);
        let event = Event { time: self.clock.now(), row: Row::Request(row) };
        // The rows' reader outlives every tracker; where a test ends first, nobody is left to tell.
        self.rows.send(event).await.ok();
    }
}

fn fail(row: &mut Request, trouble: &Trouble) {
    row.outcome = trouble.outcome;
    row.error = Some(trouble.error.clone());
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl RequestCounts {
    /// Requests that were answered, and that were not, since the start of the run.
    pub fn read(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.ok), read(&self.failed))
    }
}
