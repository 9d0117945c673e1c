//! What a contact needs of a run: a swarm, a log in a temporary folder, and its rows once it is closed.

use std::{path::Path, sync::Arc, time::Duration};

use capture::{
    address::AddressPolicy,
    clock::Clock,
    contact::{ContactEvent, Context, KeepAlives, Traffic, introductions::Introductions, metadata_fetches},
    log::{Log, LogOptions},
    swarm::{self, Description, Metadata, Swarm},
    udp::Utp,
};
use schema::{InfoHash, RunId, table::TorrentOrigin};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::peer::session::Settings;

use crate::support::Rows;

/// Pieces of every torrent here whose metadata is known.
pub const PIECES: u32 = 20;

/// The settle time of every contact here.
pub const SETTLE_US: u64 = 200_000;

/// A swarm with known metadata, or none.
pub fn swarm(info_hash: [u8; 20], known: bool) -> Arc<[Arc<Swarm>]> {
    let metadata = Metadata {
        info_hash_v2: None,
        name: "a torrent".into(),
        piece_length: 16_384,
        piece_count: PIECES,
        size_bytes: 16_384 * u64::from(PIECES),
        private: false,
    };
    swarm::assemble([Description {
        info_hash: InfoHash(info_hash),
        info_hash_v2: None,
        name: None,
        origin: if known { TorrentOrigin::File } else { TorrentOrigin::Magnet },
        trackers: vec![],
        peers: vec![],
        metadata: known.then_some(metadata),
    }])
}

/// What contacts need, with a log of its own.
pub struct Bench {
    pub context: Arc<Context>,
    pub events: mpsc::Receiver<ContactEvent>,
    folder: TempDir,
}

impl Bench {
    /// Sessions settle and time out within a second.
    pub fn new(swarms: Arc<[Arc<Swarm>]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let (events, heard) = mpsc::channel(10_000);
        let context = Context {
            clock,
            log: Log::open(log_options(folder.path()), clock).unwrap(),
            policy: Arc::new(AddressPolicy::new(true, &[])),
            bind: vec![],
            utp: Utp::default(),
            introductions: Introductions::default(),
            connect_timeout: Duration::from_secs(5),
            mse: Some([wire::InfoHash(swarms[0].info_hash.0)].into_iter().collect()),
            settings: Settings {
                handshake_timeout: Duration::from_millis(500),
                idle_timeout: Duration::from_millis(900),
                settle: Duration::from_micros(SETTLE_US),
                ..Settings::default()
            },
            listen_port: Some(6881),
            pex: None,
            metadata_fetches: metadata_fetches(swarms.len()),
            swarms,
            events,
            cancel: CancellationToken::new(),
            keep_alives: KeepAlives::default(),
            traffic: Traffic::default(),
        };
        Self { context: Arc::new(context), events: heard, folder }
    }

    /// What contacts tell the scheduler.
    pub fn take_events(&mut self) -> mpsc::Receiver<ContactEvent> {
        std::mem::replace(&mut self.events, mpsc::channel(1).1)
    }

    /// Closes the log and reads it.
    pub async fn rows(self) -> Rows {
        self.context.log.clone().close().await.unwrap();
        Rows::read(self.folder.path())
    }
}

fn log_options(folder: &Path) -> LogOptions {
    LogOptions {
        folder: folder.to_owned(),
        run: RunId("20260102T030405Z-9f86d081".to_owned()),
        rotate_every: Duration::from_mins(10),
        rotate_size: 1 << 30,
        sync_every: Duration::from_millis(100),
    }
}
