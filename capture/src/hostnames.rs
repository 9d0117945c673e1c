//! Reverse lookups beside the capture: addresses of peers → `hostnames` rows (RFC 1035 PTR).
//!
//! Whoever meets an address offers it and never waits. Each is asked once, and again after a day if it is still met; at
//! most so many a second, never for private or excluded addresses. A resolver that answers nothing is given ever longer
//! rests.

mod lookup;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use schema::table::{Event, Hostname, HostnameOutcome, Row};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::lookup::Resolver;
use crate::{address::AddressPolicy, clock::Clock};

/// Addresses offered that may wait to be looked at.
const OFFERED_MAX: usize = 4_096;
/// Addresses that may wait for their lookup.
const WAITING_MAX: usize = 200_000;
/// Addresses remembered as asked; beyond that the oldest are forgotten, and asked again when they are met again.
const ASKED_MAX: usize = 2_000_000;
/// Lookups under way at once.
const OPEN_MAX: usize = 64;
/// An address that is still met is asked again after this long: dynamic names follow their users.
const ASK_AGAIN: Duration = Duration::from_hours(24);
/// Lookups in a row without an answer after which the resolver rests.
const SILENT_MAX: u32 = 32;
/// Its first rest; each further one is twice as long.
const FIRST_REST: Duration = Duration::from_secs(30);
/// Its longest rest.
const LONGEST_REST: Duration = Duration::from_hours(1);

/// What reverse lookups need.
pub struct Setup {
    /// Whose addresses are never asked, besides private ones.
    pub policy: Arc<AddressPolicy>,
    /// The clock.
    pub clock: Clock,
    /// Lookups per second, at most.
    pub per_second: u32,
    /// Which resolver is asked; `None` for the system's.
    pub server: Option<SocketAddr>,
    /// Ends the lookups.
    pub ending: CancellationToken,
}

/// Where addresses are offered.
#[derive(Clone, Debug)]
pub struct Offers {
    sender: mpsc::Sender<IpAddr>,
    dropped: Arc<AtomicU64>,
}

impl Offers {
    /// Offers an address; where too many wait it is left out, counted, and may be offered again.
    pub fn offer(&self, ip: IpAddr) {
        if self.sender.try_send(ip).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The offers' two ends.
pub fn channel() -> (Offers, mpsc::Receiver<IpAddr>) {
    let (sender, receiver) = mpsc::channel(OFFERED_MAX);
    (Offers { sender, dropped: Arc::default() }, receiver)
}

/// Looks addresses up until the run ends; rows go to `rows`, which is waited for.
pub async fn run<R, F>(setup: Setup, offers: Offers, offered: mpsc::Receiver<IpAddr>, rows: R)
where
    R: Fn(Event) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    let resolver = match Resolver::new(setup.server) {
        Ok(resolver) => Arc::new(resolver),
        Err(why) => {
            warn!("no reverse lookups: {why}; give the system a resolver, or --no-rdns");
            return;
        }
    };
    let dropped = Arc::clone(&offers.dropped);
    // The engine alone keeps the channel open.
    drop(offers);
    let mut queue = Queue::new(setup.policy);
    look_up(&mut queue, &resolver, setup.clock, setup.per_second, offered, &setup.ending, rows).await;
    let dropped = dropped.load(Ordering::Relaxed) + queue.dropped;
    if dropped > 0 {
        info!("{dropped} addresses had no reverse lookup: more were met than --rdns-per-second allows");
    }
}

async fn look_up<R, F>(
    queue: &mut Queue,
    resolver: &Arc<Resolver>,
    clock: Clock,
    per_second: u32,
    mut offered: mpsc::Receiver<IpAddr>,
    ending: &CancellationToken,
    rows: R,
) where
    R: Fn(Event) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    let mut pace = interval_at(clock.instant(), Duration::from_secs(1) / per_second.max(1));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open: JoinSet<(IpAddr, HostnameOutcome, Option<String>)> = JoinSet::new();
    let mut rest = Rest::default();
    loop {
        let may_ask = !queue.waiting.is_empty() && open.len() < OPEN_MAX && rest.until.is_none();
        tokio::select! {
            biased;
            () = ending.cancelled() => return,
            Some(done) = open.join_next(), if !open.is_empty() => {
                let Ok((ip, outcome, hostname)) = done else { continue };
                if let Some(pause) = rest.heard(outcome, clock.instant()) {
                    warn!("the resolver answers nothing; no reverse lookups for {} s", pause.as_secs());
                }
                rows(Event { time: clock.now(), row: Row::Hostname(Hostname { ip, hostname, outcome }) }).await;
            }
            ip = offered.recv() => match ip {
                Some(ip) => queue.offer(ip, clock.instant()),
                None => return,
            },
            () = sleep_until(rest.until.unwrap_or_else(|| clock.instant())), if rest.until.is_some() => {
                rest.until = None;
            }
            _ = pace.tick(), if may_ask => {
                if let Some(ip) = queue.waiting.pop_front() {
                    let resolver = Arc::clone(resolver);
                    open.spawn(async move {
                        let (outcome, hostname) = resolver.name_of(ip).await;
                        (ip, outcome, hostname)
                    });
                }
            }
        }
    }
}

/// Who is asked next, and who was asked.
struct Queue {
    policy: Arc<AddressPolicy>,
    /// Public addresses only, whatever the run may contact.
    public: AddressPolicy,
    waiting: VecDeque<IpAddr>,
    asked: HashMap<IpAddr, Instant>,
    /// The asked ones in order of time.
    oldest: VecDeque<(Instant, IpAddr)>,
    dropped: u64,
}

impl Queue {
    fn new(policy: Arc<AddressPolicy>) -> Self {
        Self {
            policy,
            public: AddressPolicy::default(),
            waiting: VecDeque::new(),
            asked: HashMap::new(),
            oldest: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Takes an address in, unless it was asked within a day or must not be.
    fn offer(&mut self, ip: IpAddr, now: Instant) {
        let ip = ip.to_canonical();
        if self.public.check(ip).is_err() || self.policy.check(ip).is_err() {
            return;
        }
        self.forget(now);
        if self.asked.contains_key(&ip) {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            self.dropped += 1;
            return;
        }
        self.asked.insert(ip, now);
        self.oldest.push_back((now, ip));
        self.waiting.push_back(ip);
    }

    /// Forgets who was asked a day ago, and the oldest where there are too many.
    fn forget(&mut self, now: Instant) {
        while let Some((asked, ip)) = self.oldest.front() {
            let is_old = now.saturating_duration_since(*asked) >= ASK_AGAIN;
            if !is_old && self.oldest.len() < ASKED_MAX {
                return;
            }
            self.asked.remove(ip);
            self.oldest.pop_front();
        }
    }
}

/// When a resolver that answers nothing is left alone.
#[derive(Debug, Default)]
struct Rest {
    silent: u32,
    rests: u32,
    until: Option<Instant>,
}

impl Rest {
    /// Hears how a lookup ended; tells how long the resolver rests from now on, if it does.
    fn heard(&mut self, outcome: HostnameOutcome, now: Instant) -> Option<Duration> {
        match outcome {
            HostnameOutcome::NoName | HostnameOutcome::Ok => {
                *self = Self { until: self.until, ..Self::default() };
                return None;
            }
            HostnameOutcome::Failed | HostnameOutcome::TimedOut => self.silent += 1,
        }
        if self.silent < SILENT_MAX || self.until.is_some() {
            return None;
        }
        let pause = FIRST_REST.saturating_mul(1 << self.rests.min(10)).min(LONGEST_REST);
        self.silent = 0;
        self.rests += 1;
        self.until = Some(now + pause);
        Some(pause)
    }
}
