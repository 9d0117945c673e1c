//! What leaves the DHT: a row per query about a swarm, and the peers of each answer, named by the node.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use schema::table::{Event, Family, Request, RequestKind, RequestOutcome, Row, Source};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::dht::node::{Asked, Outcome};

use crate::{
    clock::Clock,
    printable::printable,
    sources::{Answer, RequestCounts},
    swarm::Swarm,
};

/// A query that ended: its row, and the peers in its answer.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub event: Event,
    pub answer: Option<Answer>,
}

/// A query about a swarm, as the node tells of it.
pub(super) struct Query {
    pub asked: Asked,
    pub node: SocketAddr,
    pub began: Instant,
    pub ended: Instant,
    pub outcome: Outcome,
}

impl Report {
    pub fn new(swarm: &Swarm, query: Query, clock: Clock, counts: &RequestCounts) -> Self {
        let Query { asked, node, began, ended, outcome } = query;
        let mut row = Request {
            info_hash: swarm.info_hash,
            source: Source::Dht,
            endpoint: node.to_string(),
            family: Some(if node.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }),
            kind: match asked {
                Asked::Announce => RequestKind::Announce,
                Asked::GetPeers => RequestKind::GetPeers,
                Asked::Scrape => RequestKind::ScrapeBloom,
            },
            duration_us: micros(ended.saturating_duration_since(began)),
            outcome: RequestOutcome::Ok,
            error: None,
            peers: None,
            interval_s: None,
            seeders: None,
            leechers: None,
            downloaded: None,
        };
        let peers = fill(&mut row, asked, outcome);
        let count = if row.outcome == RequestOutcome::Ok { &counts.ok } else { &counts.failed };
        count.fetch_add(1, Ordering::Relaxed);
        let answer = (!peers.is_empty()).then(|| Answer {
            swarm: swarm.id,
            source: Source::Dht,
            endpoint: Some(Arc::from(row.endpoint.as_str())),
            peers: peers.into_iter().map(|peer| (peer, None)).collect(),
        });
        Self { event: Event { time: clock.at(ended.into()), row: Row::Request(row) }, answer }
    }
}

/// Writes into the row how the query ended; gives the peers in the answer.
fn fill(row: &mut Request, asked: Asked, outcome: Outcome) -> Vec<SocketAddr> {
    (row.outcome, row.error) = match outcome {
        Outcome::Answered { peers, scrape } => {
            match (asked, scrape) {
                (Asked::GetPeers, _) => row.peers = Some(u32::try_from(peers.len()).unwrap_or(u32::MAX)),
                (Asked::Scrape, Some(scrape)) => {
                    row.seeders = Some(count(scrape.seeds.size()));
                    row.leechers = Some(count(scrape.peers.size()));
                }
                (Asked::Scrape, None) => row.error = Some("the answer has no filters".to_owned()),
                (Asked::Announce, _) => {}
            }
            return peers;
        }
        Outcome::Failure { code, text } => {
            (RequestOutcome::Failure, Some(format!("error {code}: {}", printable(&text))))
        }
        Outcome::Malformed(why) => (RequestOutcome::Malformed, Some(why)),
        Outcome::TimedOut => (RequestOutcome::TimedOut, None),
    };
    Vec::new()
}

/// A filter tells of some 7,800 at most.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "estimates are small and not negative"
)]
fn count(estimate: f64) -> u64 {
    estimate.round() as u64
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Hands on rows and answers until there are no more; a full registry or log is waited for.
pub(super) async fn report(
    mut ended: mpsc::Receiver<Report>,
    answers: mpsc::Sender<Answer>,
    rows: mpsc::Sender<Event>,
    ending: CancellationToken,
) {
    while let Some(Report { event, answer }) = ended.recv().await {
        // The rows' reader outlives us; where a test ends first, nobody is left to tell.
        rows.send(event).await.ok();
        if let Some(answer) = answer {
            tokio::select! {
                biased;
                // The registry may have ended already; that its half is closed needs no more words.
                sent = answers.send(answer) => drop(sent),
                () = ending.cancelled() => {}
            }
        }
    }
}
