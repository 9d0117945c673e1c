//! The rows of a contact: sighting, progress, and the contact itself when it ends.

use std::time::{Duration, Instant};

use schema::{
    InfoHash, PeerId, Reserved,
    table::{Contact, Progress, ProgressKind, Sighting, Source},
};
use wire::peer::session::{Kind, Observation};

use super::{
    Context, What,
    outcome::Ending,
    session::{Contacted, Driver},
};
use crate::swarm::Swarm;

impl Contacted {
    /// Writes the row of a contact that never had a connection.
    pub async fn log_unconnected(self, context: &Context, swarm: &Swarm, ending: Ending) {
        let row = self.row(swarm.info_hash, ending);
        let outcome = row.outcome;
        context.log.append(row).await;
        context.tell(self.contact, What::Ended(outcome)).await;
    }

    fn row(&self, info_hash: InfoHash, ending: Ending) -> Contact {
        Contact {
            contact: self.contact,
            info_hash,
            ip: self.address.ip().to_canonical(),
            port: self.address.port(),
            direction: self.direction,
            transport: self.rung.transport,
            encryption: self.rung.encryption,
            attempt: self.attempt,
            outcome: ending.outcome,
            error: ending.error,
            connect_us: self.connect.map(micros),
            handshake_us: None,
            open_us: None,
            peer_id: None,
            reserved: None,
            client: None,
            listen_port: None,
            upload_only: None,
            metadata_size: None,
            pieces_first: None,
            pieces_last: None,
            messages: 0,
            max_gap_us: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }
}

impl Driver {
    /// Writes the contact's row and tells the scheduler.
    pub(super) async fn log_contact(&self, now: Instant, ending: Ending) {
        let summary = self.session.summary();
        let info_hash = self.swarm.as_ref().map(|swarm| swarm.info_hash).or(self.named);
        let row = self.contacted.row(info_hash.unwrap_or(InfoHash([0; 20])), ending);
        let outcome = row.outcome;
        let open_since = summary.handshake_at.filter(|_| outcome.has_handshake());
        let handshake_until = summary.handshake_at.unwrap_or(now);
        let row = Contact {
            handshake_us: Some(micros(handshake_until.saturating_duration_since(self.connected))),
            open_us: open_since.map(|since| micros(now.saturating_duration_since(since))),
            peer_id: summary.peer_id.map(|id| PeerId(id.0)),
            reserved: summary.reserved.map(|reserved| Reserved(reserved.0)),
            client: summary.client.clone(),
            listen_port: summary.listen_port,
            upload_only: summary.upload_only,
            metadata_size: summary.metadata_size.map(u64::from),
            pieces_first: summary.pieces_first,
            pieces_last: summary.pieces_last,
            messages: summary.messages,
            max_gap_us: open_since.and(summary.max_gap).map(micros),
            bytes_in: self.carried.0,
            bytes_out: self.carried.1,
            ..row
        };
        self.context.traffic.add(row.bytes_in, row.bytes_out);
        self.context.log.append_at(self.context.clock.at(now.into()), row).await;
        self.context.tell(self.contacted.contact, What::Ended(outcome)).await;
    }

    /// Writes an observation's row.
    pub(super) async fn log_progress(&self, observation: Observation) {
        let Some(swarm) = &self.swarm else { return };
        let row = Progress {
            contact: self.contacted.contact,
            info_hash: swarm.info_hash,
            ip: self.contacted.address.ip().to_canonical(),
            port: self.contacted.address.port(),
            direction: self.contacted.direction,
            kind: kind(observation.kind),
            settled: observation.settled,
            pieces: observation.pieces,
            piece_count: observation.piece_count,
            piece: observation.piece,
            bitfield: observation.bitfield,
        };
        self.context.log.append_at(self.context.clock.at(observation.at.into()), row).await;
    }

    /// Writes the row that says a peer of `swarm` came to us.
    pub(super) async fn log_sighting(&self, swarm: &Swarm) {
        let row = Sighting {
            info_hash: swarm.info_hash,
            source: Source::Incoming,
            endpoint: None,
            ip: self.contacted.address.ip().to_canonical(),
            port: self.contacted.address.port(),
            flags: None,
        };
        self.context.log.append(row).await;
    }
}

fn kind(kind: Kind) -> ProgressKind {
    match kind {
        Kind::Bitfield => ProgressKind::Bitfield,
        Kind::Have => ProgressKind::Have,
        Kind::HaveAll => ProgressKind::HaveAll,
        Kind::HaveNone => ProgressKind::HaveNone,
        Kind::Silence => ProgressKind::Silence,
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
