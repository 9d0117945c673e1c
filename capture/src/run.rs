//! One run from start to stop: log, sources, registry, schedule, contacts and incoming peers tied together.
//!
//! `engine` is the task that decides; `beside` starts what works beside it.

mod beside;
mod engine;

use std::sync::Arc;

use anyhow::Context as _;
use schema::{
    RunId, Timestamp,
    conceal::{Addresses, Concealer, key_file},
    layout::Date,
    place::Places,
    staging,
    table::{Gauge, Run, RunEvent},
};
use store::Store;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use wire::peer::session::Settings;

use self::engine::{Engine, Sources};
use crate::{
    address::AddressPolicy,
    cli::{self, Options, Out},
    clock::Clock,
    contact::{
        ContactEvent, Context, KeepAlives, Traffic, dial::CONNECT_TIMEOUT, introductions::Introductions,
        metadata_fetches,
    },
    log::{Log, LogOptions},
    sources::{self, RequestCounts, incoming::Listeners, pex::Pex},
    swarm::Swarm,
    udp::Udp,
    upload::Uploads,
};

/// Contact events that may wait for the scheduler; contacts wait beyond that.
const EVENTS_WAITING_MAX: usize = 4096;

/// Names a run: when it started, and randomness.
pub fn run_id(now: Timestamp, random: u32) -> RunId {
    let date = Date::of(now);
    let second = (now.0 - date.start().0) / 1_000_000;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let date = date.to_string().replace('-', "");
    RunId(format!("{date}T{hour:02}{minute:02}{second:02}Z-{random:08x}"))
}

/// What a run needs from the edge.
pub struct Setup {
    /// The options in force.
    pub options: Options,
    /// Which addresses may be contacted.
    pub policy: Arc<AddressPolicy>,
    /// What is watched.
    pub swarms: Arc<[Arc<Swarm>]>,
    /// The clock.
    pub clock: Clock,
    /// Ends the run.
    pub cancel: CancellationToken,
    /// Where the latest gauge is shown.
    pub gauges: watch::Sender<Option<Gauge>>,
}

/// Watches swarms until the run is cancelled or the time of `--for` is over; then the log is closed.
pub async fn run(mut setup: Setup) -> anyhow::Result<()> {
    let listeners = Listeners::bind(setup.options.listen())?;
    setup.options.bound_to(&listeners.addresses());
    let store = match &setup.options.input.out {
        Out::Folder(_) => None,
        Out::Store(url) => Some(Store::from_env(url)?),
    };
    let log_options = log_options(&setup.options, setup.clock);
    let run = log_options.run.clone();
    let log = Log::open(log_options, setup.clock)?;
    let uploads = store.map(|store| start_uploads(store, &setup, &run)).transpose()?;
    let log = log.concealed(concealer(&setup.options)?);
    let (events, heard) = mpsc::channel(EVENTS_WAITING_MAX);
    let (answers, answered) = sources::channel();
    let requests = Arc::<RequestCounts>::default();
    let pex = Pex { answers: answers.clone(), counts: Arc::clone(&requests) };
    let udp = Udp::open(&beside::udp(&setup, &listeners));
    let context = Arc::new(context(&setup, &log, &listeners, &udp, events, pex));
    log.append(run_row(&setup.options, RunEvent::Started, None)).await;
    for swarm in &*setup.swarms {
        log.append(swarm.torrent_row(swarm.origin)).await;
    }
    let uploading = uploads.as_ref().map(Uploads::progress);
    let sources = Sources { answers, answered, requests, udp, uploads: uploading };
    let reason = Engine::start(&setup, context, listeners, sources).run(heard).await;
    if !log.append_now(run_row(&setup.options, RunEvent::Stopped, Some(reason.to_owned()))) {
        warn!("the log has no room for the row that tells the end of the run");
    }
    let closed = log.close().await.context("the log did not close in good order");
    // What was closed before a failure is uploaded all the same.
    let uploaded = match uploads {
        Some(uploads) => uploads.finish().await,
        None => Ok(()),
    };
    closed.and_then(|()| uploaded.map_err(anyhow::Error::from))
}

/// Begins to upload closed segments; a mark of the run goes first. The folder says what it is, so that nobody takes what
/// waits in it for a log.
fn start_uploads(store: Store, setup: &Setup, run: &RunId) -> anyhow::Result<Uploads> {
    let options = &setup.options;
    let folder = options.folder();
    staging::mark(&folder, &store.to_string())
        .with_context(|| format!("cannot mark {}", folder.display()))?;
    let Run { vantage, version, .. } = run_row(options, RunEvent::Started, None);
    let mark = serde_json::json!({ "run": run.0, "vantage": vantage, "version": version });
    let mark = (format!("captures/{run}.json"), mark.to_string().into_bytes());
    Ok(Uploads::start(store, folder, mark, setup.clock))
}

/// What hides addresses; `None` where full ones are kept. The log's folder is ours by then, so its key is too.
fn concealer(options: &Options) -> anyhow::Result<Option<Concealer>> {
    let cli::Log { addresses, geoip_city, geoip_asn, .. } = &options.log;
    if *addresses == Addresses::Full {
        return Ok(None);
    }
    let places = Places::open(geoip_city.as_deref(), geoip_asn.as_deref())?;
    let path = options.address_key();
    let (key, made) = key_file::load_or_make(&path)?;
    if made {
        info!("a key for pseudonyms was made: {}; destroy it to make them final", path.display());
    }
    Ok(Concealer::new(*addresses, key, places))
}

fn log_options(options: &Options, clock: Clock) -> LogOptions {
    LogOptions {
        folder: options.folder(),
        run: run_id(clock.now(), rand::random()),
        rotate_every: options.log.rotate_every,
        rotate_size: options.log.rotate_size,
        sync_every: options.log.sync_every,
    }
}

fn context(
    setup: &Setup,
    log: &Log,
    listeners: &Listeners,
    udp: &Udp,
    events: mpsc::Sender<ContactEvent>,
    pex: Pex,
) -> Context {
    let options = &setup.options;
    Context {
        clock: setup.clock,
        log: log.clone(),
        policy: Arc::clone(&setup.policy),
        bind: options.network.bind.clone(),
        utp: udp.utp(),
        introductions: Introductions::default(),
        connect_timeout: CONNECT_TIMEOUT,
        mse: (!options.network.no_mse)
            .then(|| setup.swarms.iter().map(|swarm| wire::InfoHash(swarm.info_hash.0)).collect()),
        settings: Settings {
            have_resolution: options.log.have_resolution,
            record_bitfields: options.log.record_bitfields,
            settle: options.pacing.settle,
            ..Settings::default()
        },
        listen_port: listeners.port(),
        pex: (!options.network.no_pex).then_some(pex),
        swarms: Arc::clone(&setup.swarms),
        events,
        cancel: setup.cancel.clone(),
        metadata_fetches: metadata_fetches(setup.swarms.len()),
        keep_alives: KeepAlives::default(),
        traffic: Traffic::default(),
    }
}

fn run_row(options: &Options, event: RunEvent, reason: Option<String>) -> Run {
    Run {
        event,
        vantage: options.run.vantage.clone().unwrap_or_else(host_name),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config: options.to_json(),
        reason,
    }
}

/// The host's name, as far as the system tells it without a resolver.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "unknown".to_owned() } else { name.trim().to_owned() }
}
