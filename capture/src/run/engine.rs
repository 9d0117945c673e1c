//! The task that decides: it owns the registry and the schedule, hears answers and contact events, and starts and closes
//! contacts.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use schema::{
    conceal::Addresses,
    table::{Gauge, Sighting, Source},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval_at, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use wire::peer::pex::Flags;

use super::{Setup, beside};
use crate::{
    contact::{
        ContactEvent, Context, What,
        dial::{Dial, dial},
    },
    gauge, hostnames,
    log::LogState,
    registry::{PeerKey, Registry, Sighted},
    schedule::{Action, ContactNumbers, Limit, Origin, Pacing, Rung, Rungs, Schedule, Why},
    sources::{
        Answer, RequestCounts, dht,
        incoming::{Incoming, IncomingCounts, Listeners},
        lsd, magnet,
    },
    udp::{Udp, UdpGauge},
    upload::UploadProgress,
};

/// Contact events handled before the schedule is asked again.
const EVENTS_AT_ONCE: usize = 256;
/// Of the places of `--max-open`, one in so many is kept for peers that connect to us.
const INCOMING_SHARE: usize = 4;
/// Time for contacts and sources to end in good order.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// What sources and the engine share.
pub(super) struct Sources {
    pub(super) answers: mpsc::Sender<Answer>,
    pub(super) answered: mpsc::Receiver<Answer>,
    pub(super) requests: Arc<RequestCounts>,
    pub(super) udp: Udp,
    pub(super) uploads: Option<UploadProgress>,
}

/// The task that decides.
pub(super) struct Engine {
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
    pub(super) fn start(
        setup: &Setup,
        context: Arc<Context>,
        listeners: Listeners,
        sources: Sources,
    ) -> Self {
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
            let trackers =
                beside::trackers(setup, &context, &listeners, answers.clone(), Arc::clone(&requests));
            tasks.spawn(trackers);
        }
        if !options.network.no_dht {
            let dht = beside::dht(setup, &listeners, &mut udp, answers.clone(), &requests);
            tasks.spawn(dht::run(dht, context.log.clone()));
        }
        // A host name names the address, and so does the question for it.
        let asks_names = !options.network.no_rdns && options.log.addresses == Addresses::Full;
        let rdns = asks_names.then(|| beside::reverse_lookups(setup, &context.log, &tasks));
        let magnets = magnet::name(Arc::clone(&setup.swarms), answers.clone(), setup.cancel.clone());
        tasks.spawn(magnets);
        if let Some(interfaces) = options.lsd_interfaces() {
            let lsd = beside::lsd(setup, &listeners, answers.clone(), &requests, interfaces.to_vec());
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
    pub(super) async fn run(mut self, mut heard: mpsc::Receiver<ContactEvent>) -> &'static str {
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
            What::Refused => self.schedule.refused(contact),
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
