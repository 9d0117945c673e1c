//! `gauges`: the capture's own state, every `--gauge-every`.

define_table! {
    /// The state of the capture. Counters count from the start of the run.
    Gauge in "gauges" {
        /// Swarms watched.
        swarms: u64,
        /// Peers known, over all swarms.
        peers_known: u64,
        /// Peers whose next contact is due and waits for a place.
        peers_due: u64,
        /// Peers whose next contact is scheduled for later.
        peers_waiting: u64,
        /// Peers that will not be contacted (private, reserved, excluded, ourselves).
        peers_not_allowed: u64,
        /// Peers last seen at or above 98 % of the pieces.
        peers_complete: u64,
        /// Contacts being made: no handshake yet.
        contacts_opening: u64,
        /// Contacts open after the handshake.
        contacts_open: u64,
        /// Counter: outgoing contacts begun.
        contacts_started: u64,
        /// Counter: first outgoing contacts with a handshake.
        first_contacts_ok: u64,
        /// Counter: first outgoing contacts without one.
        first_contacts_failed: u64,
        /// Counter: later outgoing contacts with a handshake.
        later_contacts_ok: u64,
        /// Counter: later outgoing contacts without one.
        later_contacts_failed: u64,
        /// Counter: incoming connections accepted.
        incoming_contacts: u64,
        /// Peers that have come in with a handshake, each counted once by swarm, address and peer ID.
        incoming_unique: u64,
        /// Counter: incoming connections turned away at the limit.
        incoming_refused: u64,
        /// Counter: addresses named by sources, repeats included.
        sightings: u64,
        /// Counter: addresses named by sources for the first time.
        sightings_new: u64,
        /// Counter: requests to sources that were answered.
        requests_ok: u64,
        /// Counter: requests to sources that were not.
        requests_failed: u64,
        /// Counter: peers seen below 98 % and later at or above it, before any judgement of the replay.
        crossings: u64,
        /// Counter: rows given to the log.
        log_rows: u64,
        /// Rows given to the log and not yet durable.
        log_lag_rows: u64,
        /// Age of the oldest row that is not yet durable, µs.
        log_lag_us: u64,
        /// Counter: bytes written to the write-ahead log.
        log_wal_bytes: u64,
        /// Counter: bytes of finished segments.
        log_segment_bytes: u64,
        /// Counter: segments finished.
        log_segments: u64,
        /// Counter: bytes received from peers.
        bytes_in: u64,
        /// Counter: bytes sent to peers.
        bytes_out: u64,
        /// Resident memory of the process, bytes; null where the system does not tell.
        memory_bytes: Option<u64>,
        /// Open file descriptors; null where the system does not tell.
        open_files: Option<u64>,
        /// Whether the disk takes no rows at the moment, so that contacts wait; such a row is written when it does again.
        log_paused: Option<bool>,
        /// Write-ahead files that are closed and not yet segments.
        log_wals_waiting: Option<u64>,
        /// Counter: UDP datagrams received and not taken: of no protocol we speak, from an address that is not
        /// contacted, of no connection, or beyond a limit; null in logs of versions that did not count them.
        udp_dropped: Option<u64>,
        /// Counter: uTP connections asked for by peers, repeats and forged senders included; null in logs of versions
        /// that did not count them.
        utp_syns: Option<u64>,
        /// Segments that are not uploaded yet; null without `--out s3://…` and the like.
        uploads_waiting: Option<u64>,
        /// Their bytes; null without.
        uploads_waiting_bytes: Option<u64>,
        /// Counter: segments uploaded; null without.
        uploads: Option<u64>,
    }
}
