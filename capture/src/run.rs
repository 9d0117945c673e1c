//! One run from start to stop: log, sources, registry, schedule, contacts and incoming peers tied together.
//!
//! One task owns the registry and the schedule; it hears answers and contact events, and starts and closes contacts.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use schema::{
    RunId, Timestamp,
    conceal::{Addresses, Concealer, key_file},
    layout::Date,
    place::Places,
    table::{Event, Gauge, Run, RunEvent, Sighting, Source},
};
use store::Store;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval_at, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, info, warn};
use wire::{
    peer::{pex::Flags, session::Settings},
    tracker::Family,
};

use crate::{
    address::AddressPolicy,
    cli::{self, Options, Out},
    clock::Clock,
    contact::{
        ContactEvent, Context, KeepAlives, Traffic, What,
        dial::{CONNECT_TIMEOUT, Dial, dial},
        introductions::Introductions,
        metadata_fetches,
    },
    gauge, hostnames,
    log::{Log, LogOptions, LogState},
    registry::{PeerKey, Registry, Sighted},
    schedule::{Action, ContactNumbers, Limit, Origin, Pacing, Rung, Rungs, Schedule, Why},
    sources::{
        self, Answer, RequestCounts, dht,
        incoming::{Incoming, IncomingCounts, Listeners},
        lsd, magnet,
        pex::Pex,
        tracker,
    },
    swarm::Swarm,
    udp::{self, Udp, UdpGauge},
    upload::{UploadProgress, Uploads},
};

/// Contact events that may wait for the scheduler; contacts wait beyond that.
const EVENTS_WAITING_MAX: usize = 4096;
/// Contact events handled before the schedule is asked again.
const EVENTS_AT_ONCE: usize = 256;
/// Of the places of `--max-open`, one in so many is kept for peers that connect to us.
const INCOMING_SHARE: usize = 4;
/// Time for contacts and sources to end in good order.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

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
    let uploads = store.map(|store| start_uploads(store, &setup.options, &run));
    let log = log.concealed(concealer(&setup.options)?);
    let (events, heard) = mpsc::channel(EVENTS_WAITING_MAX);
    let (answers, answered) = sources::channel();
    let requests = Arc::<RequestCounts>::default();
    let pex = Pex { answers: answers.clone(), counts: Arc::clone(&requests) };
    let udp = Udp::open(&udp(&setup, &listeners));
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

/// Begins to upload closed segments; a mark of the run goes first.
fn start_uploads(store: Store, options: &Options, run: &RunId) -> Uploads {
    let Run { vantage, version, .. } = run_row(options, RunEvent::Started, None);
    let mark = serde_json::json!({ "run": run.0, "vantage": vantage, "version": version });
    let mark = (format!("captures/{run}.json"), mark.to_string().into_bytes());
    Uploads::start(store, options.folder(), mark)
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

/// What sources and the engine share.
struct Sources {
    answers: mpsc::Sender<Answer>,
    answered: mpsc::Receiver<Answer>,
    requests: Arc<RequestCounts>,
    udp: Udp,
    uploads: Option<UploadProgress>,
}

/// The task that decides.
struct Engine {
    context: Arc<Context>,
    registry: Registry,
    schedule: Schedule,
    tasks: TaskTracker,
    /// What closes each contact, and the peer of an outgoing one.
    contacts: HashMap<u64, (oneshot::Sender<Why>, Option<PeerKey>)>,
    answered: mpsc::Receiver<Answer>,
    /// Keeps the channel open where there is no source.
    _answers: mpsc::Sender<Answer>,
    incoming: Option<Arc<IncomingCounts>>,
    requests: Arc<RequestCounts>,
    uploads: Option<UploadProgress>,
    rdns: Option<hostnames::Offers>,
    udp: UdpGauge,
    gauges: watch::Sender<Option<Gauge>>,
    gauge_every: Duration,
    run_for: Option<Duration>,
}

impl Engine {
    /// Starts what works beside the engine: trackers and listeners.
    fn start(setup: &Setup, context: Arc<Context>, listeners: Listeners, sources: Sources) -> Self {
        let options = &setup.options;
        let max_open = usize::try_from(options.pacing.max_open).unwrap_or(usize::MAX);
        let places_in = if listeners.port().is_some() { (max_open / INCOMING_SHARE).max(1) } else { 0 };
        let pacing = Pacing {
            max_out: max_open.saturating_sub(places_in).max(1),
            per_second: options.pacing.contacts_per_second,
            hold: options.pacing.hold,
            revisit: options.pacing.revisit,
            rungs: Rungs::new(!options.network.no_mse, !options.network.no_utp),
            ip: Limit { open: options.pacing.max_per_ip, per_minute: options.pacing.rate_per_ip },
            network: Limit {
                open: options.pacing.max_per_network,
                per_minute: options.pacing.rate_per_network,
            },
        };
        let numbers = ContactNumbers::default();
        let now = context.clock.instant().into_std();
        let tasks = TaskTracker::new();
        let mut registry = Registry::new(Arc::clone(&setup.policy), context.swarms.len());
        for address in listeners.addresses() {
            registry.mark_own(address);
        }
        let Sources { answers, answered, requests, mut udp, uploads } = sources;
        if !options.network.no_trackers {
            let trackers = trackers(setup, &context, &listeners, answers.clone(), Arc::clone(&requests));
            tasks.spawn(trackers);
        }
        if !options.network.no_dht {
            let dht = dht(setup, &listeners, &mut udp, answers.clone(), &requests);
            tasks.spawn(dht::run(dht, context.log.clone()));
        }
        // A host name names the address, and so does the question for it.
        let asks_names = !options.network.no_rdns && options.log.addresses == Addresses::Full;
        let rdns = asks_names.then(|| reverse_lookups(setup, &context.log, &tasks));
        let magnets = magnet::name(Arc::clone(&setup.swarms), answers.clone(), setup.cancel.clone());
        tasks.spawn(magnets);
        if let Some(interfaces) = options.lsd_interfaces() {
            let lsd = lsd(setup, &listeners, answers.clone(), &requests, interfaces.to_vec());
            tasks.spawn(lsd::run(lsd, context.log.clone()));
        }
        let incoming = (places_in > 0).then(|| {
            let incoming = Incoming::new(Arc::clone(&context), numbers.clone(), places_in);
            incoming.spawn(listeners, udp.take_incoming(), &tasks);
            incoming.counts()
        });
        let figures = udp.gauge();
        udp.spawn(&tasks, &context.cancel);
        Self {
            context,
            registry,
            schedule: Schedule::new(now, pacing, numbers, rand::random()),
            tasks,
            contacts: HashMap::new(),
            answered,
            _answers: answers,
            incoming,
            requests,
            uploads,
            rdns,
            udp: figures,
            gauges: setup.gauges.clone(),
            gauge_every: options.log.gauge_every,
            run_for: options.run.for_,
        }
    }

    /// Runs until the end; tells why it ended.
    async fn run(mut self, mut heard: mpsc::Receiver<ContactEvent>) -> &'static str {
        let cancel = self.context.cancel.clone();
        let started = self.context.clock.instant();
        let ends_at = self.run_for.map(|duration| started + duration);
        let mut gauge_tick = interval_at(started, self.gauge_every);
        gauge_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut events = Vec::with_capacity(EVENTS_AT_ONCE);
        let reason = loop {
            // While the disk takes no rows there is nowhere to put what a contact or a source would tell.
            let paused = self.context.log.is_paused();
            let wake = if paused { None } else { self.act() };
            tokio::select! {
                () = cancel.cancelled() => break "signal",
                () = sleep_until(ends_at.unwrap_or(started)), if ends_at.is_some() => break "duration",
                _ = gauge_tick.tick() => self.log_gauge(),
                _ = heard.recv_many(&mut events, EVENTS_AT_ONCE) => {
                    for event in events.drain(..) {
                        self.handle(event);
                    }
                }
                Some(answer) = self.answered.recv(), if !paused => self.sight(answer).await,
                _ = self.context.log.wait_until(|log| log.state == LogState::Ok), if paused => {}
                () = sleep_until(wake.unwrap_or(started)), if wake.is_some() => {}
            }
        };
        cancel.cancel();
        self.end(heard).await;
        reason
    }

    /// Lets contacts and sources write their last rows.
    async fn end(mut self, mut heard: mpsc::Receiver<ContactEvent>) {
        // No peer is taken in any more; a source that has one to name must not wait for us.
        self.answered.close();
        self.tasks.close();
        let tasks = self.tasks.clone();
        let ending = async {
            let mut ended = std::pin::pin!(tasks.wait());
            loop {
                tokio::select! {
                    biased;
                    Some(event) = heard.recv() => self.handle(event),
                    () = &mut ended => return,
                }
            }
        };
        if timeout(SHUTDOWN_TIMEOUT, ending).await.is_err() {
            warn!("{} contacts did not end in time; they have no row", self.tasks.len());
        }
        while let Ok(event) = heard.try_recv() {
            self.handle(event);
        }
        self.log_gauge();
    }

    /// Does all that is due; tells when to look again.
    fn act(&mut self) -> Option<tokio::time::Instant> {
        let now = self.now();
        while let Some(action) = self.schedule.next(now, &self.registry) {
            match action {
                Action::Close { contact, why } => {
                    if let Some((close, _)) = self.contacts.remove(&contact)
                        && close.send(why).is_err()
                    {
                        debug!(contact, "ended before it was closed");
                    }
                }
                Action::Dial { contact, peer, attempt, rung } => self.dial(contact, peer, attempt, rung),
            }
        }
        self.schedule.next_wake(now).map(Into::into)
    }

    fn dial(&mut self, contact: u64, key: PeerKey, attempt: u32, rung: Rung) {
        let Some(peer) = self.registry.peer(key) else { return };
        let Some(swarm) = self.context.swarms.get(peer.swarm.index()) else { return };
        let (close, closed) = oneshot::channel();
        self.contacts.insert(contact, (close, Some(key)));
        let swarm = Arc::clone(swarm);
        let contact = Dial { contact, attempt, rung, swarm, address: peer.address(), close: closed };
        self.tasks.spawn(dial(Arc::clone(&self.context), contact));
    }

    fn handle(&mut self, event: ContactEvent) {
        let ContactEvent { contact, what } = event;
        let now = self.now();
        match what {
            What::Claimed { pieces, piece_count } => {
                self.schedule.claimed(now, contact, pieces, piece_count);
            }
            What::Ended(outcome) => {
                let peer = self.contacts.remove(&contact).and_then(|(_, peer)| peer);
                if outcome == schema::table::ContactOutcome::SelfConnection
                    && let Some(peer) = peer.and_then(|key| self.registry.peer(key))
                {
                    info!(address = %peer.address(), "a source named our own address");
                    self.registry.mark_own(peer.address());
                }
                self.schedule.ended(now, contact, outcome);
            }
            What::Extended { habit, upload_only, listens_at } => {
                self.schedule.extended(contact, habit, upload_only);
                if let Some((swarm, address)) = self.schedule.swarm_of(contact).zip(listens_at)
                    && let Sighted::Known(peer) | Sighted::New(peer) = self.registry.register(swarm, address)
                {
                    self.schedule.attach(contact, peer);
                }
            }
            What::Handshake { peer_id } => {
                let peer = self.contacts.get(&contact).and_then(|(_, peer)| *peer);
                if let Some(peer) = peer.and_then(|key| self.registry.peer(key)) {
                    self.look_up(peer.ip);
                }
                self.schedule.handshake(contact, &peer_id);
            }
            What::HungUp { open, silent } => {
                if let Some((program, keep_alive)) = self.schedule.hung_up(contact, open, silent) {
                    debug!(?program, ?keep_alive, "a client's idle limit is known");
                    self.context.keep_alives.set(program, keep_alive);
                }
            }
            What::Incoming { swarm, ip, peer_id, rung, close } => {
                self.contacts.insert(contact, (close, None));
                self.look_up(ip);
                self.schedule.incoming(contact, swarm, ip, &peer_id, rung);
            }
            What::Introduced { peer } => {
                // It is dialled at once or not at all: while nobody is dialled, not at all.
                if !self.context.log.is_paused()
                    && self.context.policy.check_endpoint(peer).is_ok()
                    && let Some(swarm) = self.schedule.swarm_of(contact)
                    && let Sighted::Known(peer) | Sighted::New(peer) = self.registry.register(swarm, peer)
                    && let Some(Action::Dial { contact, peer, attempt, rung }) =
                        self.schedule.introduced(now, peer, &self.registry)
                {
                    self.dial(contact, peer, attempt, rung);
                }
            }
            What::Seen(seen) => self.schedule.observed(now, contact, seen),
            What::Settled => self.schedule.settled(now, contact),
        }
    }

    /// Takes an answer of a source: every address is a row, and each new one a peer.
    async fn sight(&mut self, answer: Answer) {
        let Answer { swarm, source, endpoint, peers } = answer;
        let Some(info_hash) = self.context.swarms.get(swarm.index()).map(|swarm| swarm.info_hash) else {
            return;
        };
        for (address, flags) in peers {
            let now = self.now();
            let sighted = self.registry.sight(swarm, address);
            if let (Sighted::New(peer) | Sighted::Known(peer), Some(flags)) = (sighted, flags) {
                self.schedule.hinted(peer, Flags(flags));
                if Flags(flags).has(Flags::HOLEPUNCH) && self.schedule.is_unreached(peer) {
                    self.context.introductions.failed(swarm, address);
                }
            }
            if let Sighted::New(peer) = sighted {
                self.schedule.add(now, peer, origin(source));
                self.look_up(address.ip());
            }
            let row = Sighting {
                info_hash,
                source,
                endpoint: endpoint.as_deref().map(ToOwned::to_owned),
                ip: address.ip().to_canonical(),
                port: address.port(),
                flags,
            };
            self.context.log.append(row).await;
        }
    }

    /// Has an address looked up, some time.
    fn look_up(&self, ip: std::net::IpAddr) {
        if let Some(rdns) = &self.rdns {
            rdns.offer(ip);
        }
    }

    fn log_gauge(&self) {
        let row = gauge::read(&gauge::Parts {
            swarms: self.context.swarms.len(),
            registry: &self.registry,
            schedule: &self.schedule,
            incoming: self.incoming.as_deref(),
            requests: (
                self.requests.ok.load(Ordering::Relaxed),
                self.requests.failed.load(Ordering::Relaxed),
            ),
            udp: self.udp.read(),
            traffic: &self.context.traffic,
            log: self.context.log.stats(),
            uploads: self.uploads.as_ref().map(UploadProgress::stats),
        });
        self.gauges.send_replace(Some(row.clone()));
        if !self.context.log.append_now(row) {
            debug!("the log has no room for a gauge");
        }
    }

    fn now(&self) -> Instant {
        self.context.clock.instant().into_std()
    }
}

/// What a source's word is worth to the schedule.
fn origin(source: Source) -> Origin {
    match source {
        Source::TrackerHttp | Source::TrackerUdp => Origin::Tracker,
        Source::Dht => Origin::Dht,
        Source::Incoming | Source::Lsd | Source::Magnet | Source::Pex => Origin::Other,
    }
}

/// Asks trackers until the run ends.
fn trackers(
    setup: &Setup,
    context: &Arc<Context>,
    listeners: &Listeners,
    answers: mpsc::Sender<Answer>,
    counts: Arc<RequestCounts>,
) -> impl Future<Output = ()> + use<> {
    let log = context.log.clone();
    let trackers = tracker::Setup {
        swarms: Arc::clone(&setup.swarms),
        answers,
        counts,
        clock: setup.clock,
        policy: Arc::clone(&setup.policy),
        bind: setup.options.network.bind.clone(),
        announce_every: setup.options.network.announce_every,
        ports: listeners.ports(),
        ending: setup.cancel.clone(),
    };
    async move {
        if let Err(why) = tracker::run(trackers, log).await {
            error!("trackers are not asked: {why}");
        }
    }
}

/// Looks host names up until the run ends.
fn reverse_lookups(setup: &Setup, log: &Log, tasks: &TaskTracker) -> hostnames::Offers {
    let (offers, offered) = hostnames::channel();
    let network = &setup.options.network;
    let lookups = hostnames::Setup {
        policy: Arc::clone(&setup.policy),
        clock: setup.clock,
        per_second: network.rdns_per_second,
        server: network.dns_server,
        ending: setup.cancel.clone(),
    };
    let log = log.clone();
    let rows = move |event: Event| {
        let log = log.clone();
        async move { log.append_at(event.time, event.row).await }
    };
    tasks.spawn(hostnames::run(lookups, offers.clone(), offered, rows));
    offers
}

/// What the UDP sockets are for.
fn udp(setup: &Setup, listeners: &Listeners) -> udp::Setup {
    let Options { network, pacing, .. } = &setup.options;
    udp::Setup {
        listen: listeners.addresses(),
        bind: network.bind.clone(),
        policy: Arc::clone(&setup.policy),
        clock: setup.clock,
        krpc: !network.no_dht,
        utp_connections_max: (!network.no_utp)
            .then(|| usize::try_from(pacing.max_open).unwrap_or(usize::MAX)),
    }
}

/// What is needed to look for local peers until the run ends.
fn lsd(
    setup: &Setup,
    listeners: &Listeners,
    answers: mpsc::Sender<Answer>,
    counts: &Arc<RequestCounts>,
    interfaces: Vec<IpAddr>,
) -> lsd::Setup {
    lsd::Setup {
        swarms: Arc::clone(&setup.swarms),
        answers,
        counts: Arc::clone(counts),
        clock: setup.clock,
        policy: Arc::clone(&setup.policy),
        interfaces,
        ports: listeners.ports(),
        announce_every: setup.options.network.announce_every,
        groups: lsd::GROUPS,
        ending: setup.cancel.clone(),
    }
}

/// What the DHT needs to look swarms up until the run ends.
fn dht(
    setup: &Setup,
    listeners: &Listeners,
    udp: &mut Udp,
    answers: mpsc::Sender<Answer>,
    counts: &Arc<RequestCounts>,
) -> dht::Setup {
    let Options { input, network, .. } = &setup.options;
    dht::Setup {
        swarms: Arc::clone(&setup.swarms),
        answers,
        counts: Arc::clone(counts),
        clock: setup.clock,
        policy: Arc::clone(&setup.policy),
        udp: [udp.take_krpc(Family::Ipv4), udp.take_krpc(Family::Ipv6)],
        ports: listeners.ports(),
        look_up_every: network.announce_every,
        queries_per_second: network.dht_queries_per_second,
        serve: network.dht_serve,
        unrestricted: input.allow_private,
        routers: setup.options.dht_routers(),
        state: setup.options.folder().join("state").join("dht-nodes"),
        keeps_nodes: setup.options.log.addresses == Addresses::Full,
        ending: setup.cancel.clone(),
    }
}
