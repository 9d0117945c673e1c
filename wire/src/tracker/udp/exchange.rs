//! One question to a UDP tracker, from the first datagram to the answer or the end of patience (BEP 15).
//!
//! Datagrams and times go in by `handle_*`, datagrams and deadlines come out of `poll_*`; no socket or clock.
//! Unanswered datagrams are sent again after 15·2ⁿ s, n from 0 to 8; a connection id is good for 60 s.

use std::time::{Duration, Instant};

use super::{Announce, Counts, MAX_SCRAPE, Request, Response, ResponseError};
use crate::{
    InfoHash,
    tracker::{AnnounceRequest, AnnounceResponse, Family, ScrapeEntry},
};

/// How long a client may use a connection id (BEP 15).
pub const CONNECTION_LIFETIME: Duration = Duration::from_mins(1);

/// Keeps absurd timings from running out of time itself.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// When an unanswered datagram is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The first wait; each further one is twice as long.
    pub base: Duration,
    /// How often a datagram is sent again before the tracker counts as silent, 30 at most.
    pub retransmissions: u32,
}

/// 15·2ⁿ s, n from 0 to 8: 7,665 s in all. Whoever has other sources to ask will want to give up sooner.
impl Default for Timing {
    fn default() -> Self {
        Self { base: Duration::from_secs(15), retransmissions: 8 }
    }
}

impl Timing {
    fn wait(&self, n: u32) -> Duration {
        self.base.saturating_mul(1 << n.min(30)).min(LONGEST_WAIT)
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Peers, with the tracker URL's path and query (BEP 41), empty for none.
    Announce {
        /// The announce.
        request: Box<AnnounceRequest>,
        /// The URL data.
        url_data: Vec<u8>,
    },
    /// Counts of these swarms, of which the first [`MAX_SCRAPE`] are asked about.
    Scrape(Vec<InfoHash>),
}

/// What the tracker said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To an announce.
    Announce(AnnounceResponse),
    /// To a scrape, in the order of the question.
    Scrape(Vec<ScrapeEntry>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A datagram with our transaction id that is not what was asked for.
    #[error("the tracker's answer is malformed: {0}")]
    Malformed(#[from] ResponseError),
    /// The tracker will not serve us, in its own words.
    #[error("the tracker refuses: {0}")]
    Refused(String),
    /// Silence after every retransmission.
    #[error("the tracker does not answer")]
    TimedOut,
    /// A sound answer of another number of swarms than were asked about.
    #[error("the tracker's answer is malformed: counts of {found} swarms instead of {expected}")]
    WrongCount {
        /// Swarms in the answer.
        found: usize,
        /// Swarms asked about.
        expected: usize,
    },
}

/// A tracker's proof that our address is ours, to be reused while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The id the tracker gave.
    pub id: u64,
    /// When it ends.
    pub expires_at: Instant,
}

#[derive(Clone, Debug)]
enum State {
    /// Asking for a connection id.
    Connecting,
    /// Asking the question under this connection. `reused`: it is from an earlier exchange.
    Asking { connection: Connection, reused: bool },
    /// Answered or given up.
    Done(Result<Answer, Failure>),
}

/// A question on its way.
///
/// ```text
/// Connecting ── connect response ──→ Asking ── answer ──→ Done(Ok)
///     │  ↑─ id expired, or a reused one refused ─┘ │
///     └───── silence, an error, a malformed answer ┴────→ Done(Err)
/// ```
///
/// The waits go on growing from `Connecting` to `Asking`: a tracker that only ever connects is given up too.
#[derive(Clone, Debug)]
pub struct Exchange {
    query: Query,
    family: Family,
    transaction_id: u32,
    timing: Timing,
    /// Times a datagram was sent again.
    n: u32,
    /// When to send again; `None` while a datagram waits to be sent, and at the end.
    deadline: Option<Instant>,
    /// The last connection granted or given.
    connection: Option<Connection>,
    state: State,
}

impl Exchange {
    /// A question, with a random transaction id, and a connection of an earlier exchange with the same
    /// tracker over the same socket, if there is one.
    pub fn new(
        query: Query,
        family: Family,
        transaction_id: u32,
        timing: Timing,
        connection: Option<Connection>,
    ) -> Self {
        let state = match connection {
            Some(connection) => State::Asking { connection, reused: true },
            None => State::Connecting,
        };
        Self { query, family, transaction_id, timing, n: 0, deadline: None, connection, state }
    }

    /// A datagram to send, if it is time for one.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.deadline.is_some() {
            return None;
        }
        if let State::Asking { connection, .. } = &self.state
            && now >= connection.expires_at
        {
            self.state = State::Connecting;
        }
        let request = match &self.state {
            State::Connecting => Request::Connect { transaction_id: self.transaction_id },
            State::Asking { connection, .. } => self.question(connection.id),
            State::Done(_) => return None,
        };
        self.deadline = Some(now + self.timing.wait(self.n));
        Some(request.encode())
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` when a datagram is to be sent or all is done.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes note of the time; at the deadline the datagram falls due again, or the tracker counts as silent.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.n >= self.timing.retransmissions {
            return self.finish(Err(Failure::TimedOut));
        }
        self.n += 1;
        self.deadline = None;
    }

    /// Takes in a datagram; whether it belongs to this exchange. Others, late and forged ones are left alone.
    pub fn handle_input(&mut self, datagram: &[u8], now: Instant) -> bool {
        if Response::transaction_id_of(datagram) != Some(self.transaction_id) {
            return false;
        }
        let response = match Response::decode(datagram, self.family) {
            Ok(response) => response,
            Err(error) => return self.handle_malformed(error),
        };
        match (&self.state, &self.query, response) {
            (State::Connecting, _, Response::Connect { connection_id: id, .. }) => {
                let connection = Connection { id, expires_at: now + CONNECTION_LIFETIME };
                self.connection = Some(connection);
                self.state = State::Asking { connection, reused: false };
                self.deadline = None;
            }
            (State::Asking { .. }, Query::Announce { .. }, Response::Announce { response, .. }) => {
                self.finish(Ok(Answer::Announce(response)));
            }
            (State::Asking { .. }, Query::Scrape(swarms), Response::Scrape { counts, .. }) => {
                let answer = scrape_entries(swarms, &counts);
                self.finish(answer);
            }
            // A tracker that was restarted refuses ids it gave before: ask it for one.
            (State::Asking { reused: true, .. }, _, Response::Error { .. }) => {
                self.connection = None;
                self.state = State::Connecting;
                self.deadline = None;
            }
            (State::Connecting | State::Asking { .. }, _, Response::Error { message, .. }) => {
                self.finish(Err(Failure::Refused(message)));
            }
            _ => return false,
        }
        true
    }

    /// The answer or the failure, once there is one.
    pub fn outcome(&self) -> Option<&Result<Answer, Failure>> {
        match &self.state {
            State::Done(outcome) => Some(outcome),
            State::Connecting | State::Asking { .. } => None,
        }
    }

    /// The connection the tracker granted, while it lasts: keep it for the next exchange.
    pub fn connection(&self, now: Instant) -> Option<Connection> {
        self.connection.filter(|connection| now < connection.expires_at)
    }

    fn handle_malformed(&mut self, error: ResponseError) -> bool {
        let open = self.outcome().is_none();
        if open {
            self.finish(Err(error.into()));
        }
        open
    }

    fn finish(&mut self, outcome: Result<Answer, Failure>) {
        self.deadline = None;
        self.state = State::Done(outcome);
    }

    fn question(&self, connection_id: u64) -> Request {
        let transaction_id = self.transaction_id;
        match &self.query {
            Query::Announce { request, url_data } => Request::Announce(Box::new(Announce {
                connection_id,
                transaction_id,
                request: (**request).clone(),
                url_data: url_data.clone(),
            })),
            Query::Scrape(swarms) => {
                let info_hashes = swarms.iter().copied().take(MAX_SCRAPE).collect();
                Request::Scrape { connection_id, transaction_id, info_hashes }
            }
        }
    }
}

/// Pairs the swarms asked about with their counts.
fn scrape_entries(swarms: &[InfoHash], counts: &[Counts]) -> Result<Answer, Failure> {
    let expected = swarms.len().min(MAX_SCRAPE);
    if counts.len() != expected {
        return Err(Failure::WrongCount { found: counts.len(), expected });
    }
    let entry = |(info_hash, counts): (&InfoHash, &Counts)| ScrapeEntry {
        info_hash: *info_hash,
        seeders: Some(counts.seeders.into()),
        leechers: Some(counts.leechers.into()),
        downloaded: Some(counts.completed.into()),
    };
    Ok(Answer::Scrape(swarms.iter().zip(counts).map(entry).collect()))
}

#[cfg(test)]
mod tests;
