//! A running lab: trackers, peers on their schedules, and the truth written down.
//!
//! plan → trackers and first peers up → `ready` → start → schedules run → end → `truth.csv`.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::{
    net::{TcpListener, UdpSocket},
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bench::tally::Tally,
    clock::{self, Clock},
    peer::{Peer, life, session::Offence},
    plan::{PeerPlan, Plan, PlanOptions, torrent::Torrent},
    profile::{NamedBy, Role},
    tracker::{self, Tracker, members::Members},
    truth::{self, Growing, Request, Truth},
};

/// What `lab swarm` was asked for.
#[derive(Clone, Debug)]
pub struct SwarmOptions {
    /// What the plan is drawn from.
    pub plan: PlanOptions,
    /// Folder for everything the lab writes.
    pub out: PathBuf,
    /// The trackers' announce interval.
    pub interval: Duration,
    /// Peers in a tracker's answer, at most.
    pub answer_peers: usize,
    /// The clock starts with the first announce, not when the lab is ready.
    pub wait_for_capture: bool,
    /// File to create when the lab is ready.
    pub ready_file: Option<PathBuf>,
}

/// What everybody in a lab shares.
#[derive(Debug)]
pub struct World {
    /// Tells the time.
    pub clock: Clock,
    /// Cancelled when the lab ends.
    pub end: CancellationToken,
    /// The swarms' torrents.
    pub torrents: Vec<Arc<Torrent>>,
    /// Who is in which swarm.
    pub members: Members,
    /// The trackers' announce interval.
    pub interval: Duration,
    /// Peers in a tracker's answer, at most.
    pub answer_peers: usize,
    /// Peers that were shaken hands with.
    pub tally: Tally,
    own: HashSet<IpAddr>,
    length: Duration,
    started: OnceLock<Instant>,
    begun: CancellationToken,
    requests: Mutex<Growing>,
    offences: Mutex<Growing>,
    connections: Mutex<Growing>,
    up: Mutex<Vec<(SocketAddr, Instant)>>,
    named: Mutex<HashMap<SocketAddr, Instant>>,
    met: Mutex<HashMap<SocketAddr, Instant>>,
    truths: Mutex<Vec<Truth>>,
}

#[derive(Serialize)]
struct ConnectionRow {
    time: String,
    info_hash: String,
    peer: SocketAddr,
    by: SocketAddr,
}

#[derive(Serialize)]
struct OffenceRow {
    time: String,
    info_hash: String,
    peer: SocketAddr,
    profile: String,
    by: SocketAddr,
    offence: &'static str,
}

impl World {
    /// A lab about to start, writing below this folder.
    pub fn new(plan: &Plan, options: &SwarmOptions) -> Result<Self> {
        let requests = ["time", "tracker", "kind", "info_hash", "ip", "port", "event", "left", "peers"];
        let offences = ["time", "info_hash", "peer", "profile", "by", "offence"];
        let connections = ["time", "info_hash", "peer", "by"];
        Ok(Self {
            clock: Clock::start(),
            end: CancellationToken::new(),
            torrents: plan.torrents.iter().cloned().map(Arc::new).collect(),
            members: Members::new(plan.torrents.len(), options.plan.seed),
            interval: options.interval,
            answer_peers: options.answer_peers,
            tally: Tally::default(),
            own: plan.peers.iter().map(|peer| IpAddr::V4(peer.ip)).collect(),
            length: options.plan.length,
            started: OnceLock::new(),
            begun: CancellationToken::new(),
            requests: Mutex::new(Growing::create(&options.out.join("requests.csv"), &requests)?),
            offences: Mutex::new(Growing::create(&options.out.join("offences.csv"), &offences)?),
            connections: Mutex::new(Growing::create(&options.out.join("connections.csv"), &connections)?),
            up: Mutex::default(),
            named: Mutex::default(),
            met: Mutex::default(),
            truths: Mutex::default(),
        })
    }

    /// Starts the schedules, unless they run already.
    pub fn begin(&self) {
        self.started.get_or_init(|| self.clock.instant());
        self.begun.cancel();
    }

    /// Time since the start: none before it, and no more than the lab's length.
    pub fn elapsed(&self, now: Instant) -> Duration {
        let elapsed = self.started.get().map(|started| now.saturating_duration_since(*started));
        elapsed.unwrap_or_default().min(self.length)
    }

    /// The moment of this offset; `None` before the start.
    pub fn moment(&self, at: Duration) -> Option<Instant> {
        self.started.get().map(|started| *started + at)
    }

    /// Waits for this offset from the start; for ever where there is none.
    pub async fn reaches(&self, at: Option<Duration>) {
        let Some(at) = at else { return std::future::pending().await };
        self.begun.cancelled().await;
        if let Some(moment) = self.moment(at) {
            sleep_until(moment).await;
        }
    }

    /// A peer has come up.
    pub fn joined(&self, peer: &Peer) {
        let now = self.clock.instant();
        self.up.lock().unwrap_or_else(PoisonError::into_inner).push((peer.address, now));
        if peer.plan.profile.named_by == NamedBy::Trackers {
            let complete = peer.pieces(now) == peer.torrent.piece_count;
            self.members.join(peer.plan.swarm, peer.address, complete);
        }
    }

    /// A peer has told these addresses of neighbours to who is connected to it.
    pub fn told(&self, peer: &Peer, remote: SocketAddr, addresses: &[SocketAddr]) {
        if !addresses.is_empty() && !self.own.contains(&remote.ip()) {
            tracing::debug!(peer = %peer.address, %remote, ?addresses, "told of neighbours");
            self.named(addresses);
        }
    }

    /// Somebody from outside was told these addresses.
    pub fn named(&self, addresses: &[SocketAddr]) {
        let now = self.clock.instant();
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            named.entry(*address).or_insert(now);
        }
    }

    /// A peer has shaken hands with somebody it connected to.
    pub fn met(&self, peer: &Peer, remote: SocketAddr) {
        if !self.own.contains(&remote.ip()) {
            let now = self.clock.instant();
            self.met.lock().unwrap_or_else(PoisonError::into_inner).entry(peer.address).or_insert(now);
        }
    }

    /// When somebody from outside came to know of a peer.
    fn known_at(&self, peer: &Peer) -> Option<Instant> {
        let at = |known: &Mutex<HashMap<SocketAddr, Instant>>| {
            known.lock().unwrap_or_else(PoisonError::into_inner).get(&peer.address).copied()
        };
        let (named, met) = (at(&self.named), at(&self.met));
        if peer.plan.profile.nat { met } else { named.into_iter().chain(met).min() }
    }

    /// A peer has gone. Of one that crashes the trackers hear nothing, and name it for a while.
    pub fn left(self: &Arc<Self>, peer: &Arc<Peer>) {
        let now = self.clock.instant();
        let joined = {
            let mut up = self.up.lock().unwrap_or_else(PoisonError::into_inner);
            let index = up.iter().position(|(address, _)| *address == peer.address);
            index.map_or(now, |index| up.swap_remove(index).1)
        };
        let truth = self.truth_of(peer, joined, now);
        self.truths.lock().unwrap_or_else(PoisonError::into_inner).push(truth);
        if peer.plan.profile.role == Role::Crashes && !self.end.is_cancelled() {
            let (world, peer) = (Arc::clone(self), Arc::clone(peer));
            tokio::spawn(async move {
                tokio::time::sleep(world.interval * 2).await;
                world.members.leave(peer.plan.swarm, peer.address);
            });
        } else {
            self.members.leave(peer.plan.swarm, peer.address);
        }
    }

    /// What is true of those that have left.
    pub fn truths(&self) -> Vec<Truth> {
        self.truths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn truth_of(&self, peer: &Peer, joined: Instant, left: Instant) -> Truth {
        let schedule = &peer.plan.schedule;
        let pieces = peer.pieces(left);
        let gained = pieces.saturating_sub(peer.pieces(joined));
        let last_piece = schedule.time_of(pieces).and_then(|at| self.moment(at));
        // Who was up when the lab started began its download with that, not with coming up.
        let began = self.started.get().map_or(joined, |started| joined.max(*started));
        let took = last_piece.map(|last| last.saturating_duration_since(began).as_secs_f64());
        let bytes = f64::from(gained) * peer.torrent.piece_length as f64;
        let crossed = schedule.crosses().and_then(|at| self.moment(at)).filter(|crossed| {
            pieces >= crate::plan::schedule::threshold_pieces(peer.torrent.piece_count)
                && (joined..=left).contains(crossed)
        });
        Truth {
            info_hash: peer.torrent.info_hash_text(),
            ip: peer.address.ip(),
            port: peer.address.port(),
            profile: peer.plan.profile,
            joined: self.clock.at(joined),
            left: self.clock.at(left),
            crossed_at: crossed.map(|crossed| self.clock.at(crossed)),
            known_at: self.known_at(peer).map(|known| self.clock.at(known)),
            mean_speed_bytes_per_s: took
                .filter(|took| *took > 0.0 && gained > 0)
                .map(|took| (bytes / took).round()),
        }
    }

    /// A tracker has answered a request.
    pub fn note_request(&self, request: &Request) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = requests.push(request) {
            tracing::error!(%error, "cannot write requests.csv");
        }
    }

    /// A peer has accepted a connection; one from outside is written down.
    pub fn note_connection(&self, peer: &Peer, by: SocketAddr) {
        if self.own.contains(&by.ip()) {
            return;
        }
        let row = ConnectionRow {
            time: clock::to_text(self.clock.now()),
            info_hash: peer.torrent.info_hash_text(),
            peer: peer.address,
            by,
        };
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = connections.push(&row) {
            tracing::error!(%error, "cannot write connections.csv");
        }
    }

    /// Somebody from outside did to a peer what an observer must not do.
    pub fn note_offence(&self, peer: &Peer, by: SocketAddr, offence: Offence) {
        if self.own.contains(&by.ip()) {
            return;
        }
        let row = OffenceRow {
            time: clock::to_text(self.clock.now()),
            info_hash: peer.torrent.info_hash_text(),
            peer: peer.address,
            profile: peer.plan.profile.to_string(),
            by,
            offence: offence.name(),
        };
        let mut offences = self.offences.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = offences.push(&row) {
            tracing::error!(%error, "cannot write offences.csv");
        }
    }
}

/// Runs a lab to its end, which comes by time or by `stop`.
pub async fn run(options: &SwarmOptions, stop: CancellationToken) -> Result<()> {
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot make {}", options.out.display()))?;
    let plan = Plan::draw(&options.plan);
    let world = Arc::new(World::new(&plan, options)?);
    let tasks = TaskTracker::new();
    let trackers = start_trackers(&world, &tasks).await?;
    write_inputs(&plan, &trackers, &options.out)?;
    let (first, later): (Vec<_>, Vec<_>) = plan.peers.into_iter().partition(|peer| peer.joins.is_zero());
    let (at_start, to_come) = (first.len(), later.len());
    for peer in first {
        let up = life::come_up(&world, peer).await?;
        tasks.spawn(up.live());
    }
    for peer in later {
        tasks.spawn(come_later(Arc::clone(&world), peer));
    }
    announce_ready(options, at_start, to_come)?;
    if !options.wait_for_capture {
        world.begin();
    }
    tokio::select! {
        () = world.reaches(Some(options.plan.length)) => {}
        () = stop.cancelled() => {}
    }
    world.end.cancel();
    tasks.close();
    if tokio::time::timeout(Duration::from_secs(5), tasks.wait()).await.is_err() {
        tracing::warn!("some peers did not end in time; truth.csv lacks them");
    }
    let mut truths = world.truths();
    truths.sort_by(|a, b| (&a.info_hash, a.joined.0, a.ip).cmp(&(&b.info_hash, b.joined.0, b.ip)));
    truth::write(&options.out.join("truth.csv"), &truths)?;
    let crossings = truths.iter().filter(|truth| truth.crossed_at.is_some()).count();
    tracing::info!(peers = truths.len(), crossings, "the lab has ended; truth.csv is written");
    Ok(())
}

async fn come_later(world: Arc<World>, plan: PeerPlan) {
    tokio::select! {
        () = world.reaches(Some(plan.joins)) => {}
        () = world.end.cancelled() => return,
    }
    match life::come_up(&world, plan).await {
        Ok(up) => up.live().await,
        Err(error) => tracing::error!("a peer could not come up: {error:#}"),
    }
}

/// The trackers' URLs: HTTP that packs peers, HTTP that does not, UDP.
async fn start_trackers(world: &Arc<World>, tasks: &TaskTracker) -> Result<[String; 3]> {
    let mut urls = [const { String::new() }; 2];
    for (number, (url, compact)) in (2..).zip(urls.iter_mut().zip([true, false])) {
        let at = SocketAddr::from((Ipv4Addr::new(127, 0, 1, number), 0));
        let listener = TcpListener::bind(at).await.with_context(|| format!("cannot listen on {at}"))?;
        *url = format!("http://{}/announce", listener.local_addr()?);
        let tracker = Tracker { world: Arc::clone(world), url: url.clone(), compact, generous: false };
        tasks.spawn(tracker::http::serve(tracker, listener, world.end.clone()));
    }
    let at = SocketAddr::from((Ipv4Addr::new(127, 0, 1, 4), 0));
    let socket = UdpSocket::bind(at).await.with_context(|| format!("cannot listen on {at}"))?;
    let udp = format!("udp://{}/announce", socket.local_addr()?);
    let tracker = Tracker { world: Arc::clone(world), url: udp.clone(), compact: true, generous: false };
    tasks.spawn(tracker::udp::serve(tracker, socket, world.end.clone()));
    let [compact, dictionary] = urls;
    Ok([compact, dictionary, udp])
}

/// Writes the torrents and `list.txt`, which names every other swarm by its magnet link.
fn write_inputs(plan: &Plan, [compact, dictionary, udp]: &[String; 3], out: &Path) -> Result<()> {
    let folder = out.join("torrents");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut list = "# The swarms of a lab.\n".to_owned();
    for (number, torrent) in plan.torrents.iter().enumerate() {
        let dead = "http://127.0.1.1:1/announce".to_owned();
        let trackers = match number % 4 {
            0 => vec![compact.clone(), udp.clone()],
            1 => vec![udp.clone(), dead],
            2 => vec![dictionary.clone()],
            _ => vec![dead, compact.clone()],
        };
        let file = folder.join(format!("{}.torrent", torrent.name));
        std::fs::write(&file, torrent.file(&trackers))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let file = file.canonicalize().unwrap_or(file);
        // Nobody in the liars' swarm would give its metadata.
        list += &if number % 2 == 0 || torrent.is_vast() {
            file.display().to_string()
        } else {
            torrent.magnet(&trackers)
        };
        list.push('\n');
    }
    let path = out.join("list.txt");
    std::fs::write(&path, list).with_context(|| format!("cannot write {}", path.display()))
}

fn announce_ready(options: &SwarmOptions, at_start: usize, to_come: usize) -> Result<()> {
    let list = options.out.join("list.txt");
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "ready list={} peers={at_start} to_come={to_come}", list.display())?;
    stdout.flush()?;
    if let Some(path) = &options.ready_file {
        std::fs::write(path, "").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
