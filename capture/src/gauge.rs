//! The capture's own state as a row: from counters of every part → `gauges`, the live display.

use std::fs;

use schema::table::Gauge;
use tokio::sync::watch;

use crate::{
    contact::Traffic,
    log::{LogState, LogStats},
    registry::Registry,
    schedule::Schedule,
    sources::incoming::IncomingCounts,
    udp::UdpCounts,
    upload::UploadStats,
};

/// The latest gauge, for whoever shows it; none before the first.
pub fn channel() -> (watch::Sender<Option<Gauge>>, watch::Receiver<Option<Gauge>>) {
    watch::channel(None)
}

/// Where the figures come from.
pub struct Parts<'a> {
    /// Swarms watched.
    pub swarms: usize,
    /// Every peer known.
    pub registry: &'a Registry,
    /// Who is contacted when.
    pub schedule: &'a Schedule,
    /// Incoming contacts; `None` where nobody can connect.
    pub incoming: Option<&'a IncomingCounts>,
    /// Requests to sources: answered, and not.
    pub requests: (u64, u64),
    /// The UDP sockets' figures.
    pub udp: UdpCounts,
    /// Bytes exchanged with peers.
    pub traffic: &'a Traffic,
    /// The log's state.
    pub log: LogStats,
    /// How uploading goes; `None` where nothing is uploaded.
    pub uploads: Option<UploadStats>,
}

/// Reads every figure.
pub fn read(parts: &Parts<'_>) -> Gauge {
    let (registry, schedule) = (parts.registry.counts(), parts.schedule.counts());
    let incoming = |read: fn(&IncomingCounts) -> u64| parts.incoming.map_or(0, read);
    let (requests_ok, requests_failed) = parts.requests;
    let uploads = parts.uploads.as_ref();
    Gauge {
        swarms: parts.swarms as u64,
        peers_known: parts.registry.len() as u64,
        peers_due: parts.schedule.due(),
        peers_waiting: parts.schedule.waiting(),
        peers_not_allowed: registry.not_allowed,
        peers_complete: schedule.complete,
        contacts_opening: parts.schedule.opening(),
        contacts_open: parts.schedule.open(),
        contacts_started: schedule.contacts_started,
        first_contacts_ok: schedule.first_ok,
        first_contacts_failed: schedule.first_failed,
        later_contacts_ok: schedule.later_ok,
        later_contacts_failed: schedule.later_failed,
        incoming_contacts: incoming(IncomingCounts::accepted),
        incoming_unique: incoming(IncomingCounts::unique),
        incoming_refused: incoming(IncomingCounts::refused),
        sightings: registry.sightings,
        sightings_new: registry.sightings_new,
        requests_ok,
        requests_failed,
        crossings: schedule.crossings,
        log_rows: parts.log.rows,
        log_lag_rows: parts.log.rows_not_durable,
        log_lag_us: parts
            .log
            .oldest_not_durable
            .map_or(0, |age| u64::try_from(age.as_micros()).unwrap_or(u64::MAX)),
        log_wal_bytes: parts.log.wal_bytes,
        log_segment_bytes: parts.log.segment_bytes,
        log_segments: parts.log.segments,
        bytes_in: parts.traffic.bytes_in(),
        bytes_out: parts.traffic.bytes_out(),
        memory_bytes: memory_bytes(),
        open_files: open_files(),
        log_paused: Some(parts.log.state != LogState::Ok),
        log_wals_waiting: Some(parts.log.wals_waiting),
        udp_dropped: Some(parts.udp.dropped),
        utp_syns: Some(parts.udp.syns),
        uploads_waiting: uploads.map(|uploads| uploads.waiting),
        uploads_waiting_bytes: uploads.map(|uploads| uploads.waiting_bytes),
        uploads: uploads.map(|uploads| uploads.uploaded),
    }
}

/// Resident memory, as Linux tells it; `/proc/self/statm` would count in pages of a size it does not tell.
fn memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn open_files() -> Option<u64> {
    // The listing itself holds one open.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_open_files() {
        if cfg!(target_os = "linux") {
            assert!(memory_bytes() > Some(1 << 20));
            assert!(open_files() > Some(2));
        }
    }
}
