//! PEX (BEP 11): what a peer in contact with us tells of others: its messages → rows and answers.
//!
//! We ask by naming `ut_pex` in our extended handshake, and send none ourselves
//! ([decision 20](../../../docs/decisions/0020-we-take-pex-and-send-none.md)). BEP 11 allows a message a minute; a
//! contact may send them somewhat faster and longer ones, but a flood is neither logged nor contacted.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use schema::table::{Family, Request, RequestKind, RequestOutcome, Source};
use tokio::sync::mpsc;
use wire::{bencode, peer::pex::UtPex};

use crate::{
    sources::{Answer, RequestCounts},
    swarm::Swarm,
};

/// A contact's messages are taken this often, over time.
const MESSAGE_EVERY: Duration = Duration::from_secs(20);
/// Messages that may come at once.
const MESSAGES_AT_ONCE: u32 = 4;
/// Addresses taken of one contact in all; who is connected to more sends no more in the half hour it is held.
const ADDRESSES_MAX: usize = 5_000;

/// Where the addresses go.
#[derive(Clone)]
pub struct Pex {
    /// The registry.
    pub answers: mpsc::Sender<Answer>,
    /// Counts messages, for the gauges.
    pub counts: Arc<RequestCounts>,
}

/// What one contact has told so far, and may still tell.
#[derive(Debug)]
pub struct Intake {
    /// Since when the next message is waited for: our question, or the message before.
    since: Instant,
    /// When as many messages had come as may.
    even_at: Instant,
    addresses: usize,
    /// Messages passed over since the last one taken.
    too_many: u32,
}

impl Intake {
    /// A contact that was asked at `now`.
    pub fn new(now: Instant) -> Self {
        Self { since: now, even_at: now, addresses: 0, too_many: 0 }
    }

    /// Takes a message of the peer at `from`: its row, and the addresses in it; `None` if it is one too many.
    pub fn take(
        &mut self,
        now: Instant,
        swarm: &Swarm,
        from: SocketAddr,
        told: Result<UtPex, bencode::Error>,
    ) -> Option<(Request, Option<Answer>)> {
        if self.even_at > now + MESSAGE_EVERY * (MESSAGES_AT_ONCE - 1) || self.addresses >= ADDRESSES_MAX {
            self.too_many = self.too_many.saturating_add(1);
            return None;
        }
        self.even_at = self.even_at.max(now) + MESSAGE_EVERY;
        let waited = now.saturating_duration_since(std::mem::replace(&mut self.since, now));
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let mut row = Request {
            info_hash: swarm.info_hash,
            source: Source::Pex,
            endpoint: from.to_string(),
            family: Some(if from.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }),
            kind: RequestKind::Pex,
            duration_us: u64::try_from(waited.as_micros()).unwrap_or(u64::MAX),
            outcome: RequestOutcome::Ok,
            error: None,
            peers: None,
            interval_s: None,
            seeders: None,
            leechers: None,
            downloaded: None,
        };
        let mut told = match told {
            Ok(told) => told,
            Err(error) => {
                row.outcome = RequestOutcome::Malformed;
                row.error = Some(error.to_string());
                return Some((row, None));
            }
        };
        let kept = told.added.len().min(ADDRESSES_MAX - self.addresses);
        let left_out = told.left_out + told.added.len() - kept;
        told.added.truncate(kept);
        self.addresses += kept;
        row.peers = Some(u32::try_from(kept).unwrap_or(u32::MAX));
        row.error = complaint(left_out, std::mem::take(&mut self.too_many));
        let answer = (kept > 0).then(|| Answer {
            swarm: swarm.id,
            source: Source::Pex,
            endpoint: Some(Arc::from(row.endpoint.as_str())),
            peers: told.added.into_iter().map(|(peer, flags)| (peer, flags.map(|flags| flags.0))).collect(),
        });
        Some((row, answer))
    }
}

/// What was not taken, in words.
fn complaint(left_out: usize, too_many: u32) -> Option<String> {
    let addresses = (left_out > 0).then(|| format!("{left_out} addresses left out"));
    let messages = (too_many > 0).then(|| format!("{too_many} messages before this one left out"));
    let complaints: Vec<String> = addresses.into_iter().chain(messages).collect();
    (!complaints.is_empty()).then(|| complaints.join("; "))
}

impl Pex {
    /// Counts a message, and hands on what it named; the registry sets the pace.
    pub async fn hand_on(&self, outcome: RequestOutcome, answer: Option<Answer>) {
        let count = if outcome == RequestOutcome::Ok { &self.counts.ok } else { &self.counts.failed };
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(answer) = answer {
            // The registry takes nobody in any more once the run ends.
            self.answers.send(answer).await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use schema::{InfoHash, PeerId, table::TorrentOrigin};
    use wire::peer::pex::Flags;

    use super::*;
    use crate::{
        clock::Clock,
        swarm::{Description, SwarmId},
    };

    fn swarm() -> Swarm {
        let description = Description {
            info_hash: InfoHash([1; 20]),
            info_hash_v2: None,
            name: None,
            origin: TorrentOrigin::InfoHash,
            trackers: vec![],
            peers: vec![],
            metadata: None,
        };
        Swarm::new(SwarmId(3), description, PeerId([b'x'; 20]), 7)
    }

    fn naming(count: usize) -> UtPex {
        let peer = |n: usize| SocketAddr::from(([10, 0, 0, 1], u16::try_from(n).unwrap_or(u16::MAX)));
        let added = (0..count).map(|n| (peer(n), Some(Flags::SEED))).collect();
        UtPex { added, ..UtPex::default() }
    }

    fn from() -> SocketAddr {
        "[::ffff:192.0.2.1]:6881".parse().expect("an address")
    }

    #[test]
    fn a_message_is_a_row_and_its_addresses_an_answer() {
        let (swarm, start) = (swarm(), Clock::start().instant().into_std());
        let mut intake = Intake::new(start);
        let now = start + Duration::from_millis(1500);
        let (row, answer) = intake.take(now, &swarm, from(), Ok(naming(2))).expect("it is the first");
        assert_eq!((row.source, row.kind, row.outcome), (Source::Pex, RequestKind::Pex, RequestOutcome::Ok));
        assert_eq!((row.endpoint.as_str(), row.family), ("192.0.2.1:6881", Some(Family::Ipv4)));
        assert_eq!((row.duration_us, row.peers, row.error), (1_500_000, Some(2), None));
        let answer = answer.expect("it names peers");
        assert_eq!((answer.swarm, answer.source), (SwarmId(3), Source::Pex));
        assert_eq!(answer.endpoint.as_deref(), Some("192.0.2.1:6881"));
        assert_eq!(answer.peers[1], (([10, 0, 0, 1], 1).into(), Some(0x02)));
        let (row, answer) = intake.take(now, &swarm, from(), Ok(UtPex::default())).expect("it is the second");
        assert_eq!((row.duration_us, row.peers, answer), (0, Some(0), None));
        let (row, answer) = intake
            .take(now, &swarm, from(), UtPex::decode(b"le"))
            .expect("what cannot be read is a row as well");
        assert_eq!((row.outcome, row.peers, answer), (RequestOutcome::Malformed, None, None));
        assert_eq!(row.error.as_deref(), Some("bencode: a ut_pex message is no dictionary"));
    }

    #[test]
    fn a_flood_is_neither_logged_nor_contacted() {
        let (swarm, start) = (swarm(), Clock::start().instant().into_std());
        let mut intake = Intake::new(start);
        let taken = |intake: &mut Intake, now| {
            (0..1000).filter(|_| intake.take(now, &swarm, from(), Ok(naming(1))).is_some()).count()
        };
        assert_eq!(taken(&mut intake, start), MESSAGES_AT_ONCE as usize);
        let later = start + MESSAGE_EVERY;
        let (row, _) = intake.take(later, &swarm, from(), Ok(naming(1))).expect("time has passed");
        assert_eq!(row.error.as_deref(), Some("996 messages before this one left out"));

        let mut intake = Intake::new(start);
        let mut addresses = 0;
        for minute in 0..10_000 {
            let now = start + Duration::from_mins(minute);
            let told = UtPex { left_out: 7, ..naming(400) };
            if let Some((row, answer)) = intake.take(now, &swarm, from(), Ok(told)) {
                addresses += answer.map_or(0, |answer| answer.peers.len());
                let left_out = if minute == 12 { 207 } else { 7 };
                assert_eq!(row.error, Some(format!("{left_out} addresses left out")));
            }
        }
        assert_eq!(addresses, ADDRESSES_MAX);
    }
}
