//! Peers that connect to us: listeners, limits, and who they ask for.
//!
//! Sockets, TCP and uTP → contacts with direction `in`. Every accepted connection has a row, whatever becomes of it.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use schema::table::{ContactOutcome, Direction};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::sleep,
};
use tokio_util::task::TaskTracker;
use tracing::warn;
use wire::peer::{handshake::Handshake, session::Session};

use crate::{
    cli::Listen,
    contact::{
        Context,
        session::{Admission, Admit, Contacted, Driver},
    },
    schedule::{ContactNumbers, Rung},
    sources::tracker::ListenPorts,
    swarm::Swarm,
    udp::utp::UtpStream,
};

/// Incoming connections of one address at once; a household or a seedbox has no more in one watched swarm or two.
const PER_IP_MAX: usize = 16;
/// Connections that may wait in the kernel to be accepted.
const BACKLOG: i32 = 1024;
/// Incoming peers that are told apart; further ones count as new each time.
const KNOWN_MAX: usize = 4_000_000;
/// After a failed accept, as when no file descriptor is left, the next one waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why nobody can connect to us.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another place with --listen, or none with --no-listen")]
pub struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

/// The sockets peers connect to.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<TcpListener>,
}

impl Listeners {
    /// Opens them all; of a bare port, one family suffices.
    pub fn bind(listen: &[Listen]) -> Result<Self, ListenError> {
        let mut sockets = Vec::new();
        for place in listen {
            match *place {
                Listen::Address(address) => sockets.push(open(address)?),
                Listen::Port(port) => {
                    let v4 = open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))?;
                    // Port 0 means any: the same one for both families then, as there is one to tell to peers.
                    let port = v4.local_addr().map_or(port, |address| address.port());
                    sockets.push(v4);
                    match open(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)) {
                        Ok(v6) => sockets.push(v6),
                        Err(error) => warn!("IPv6 peers cannot connect to us: {error}"),
                    }
                }
            }
        }
        Ok(Self { sockets })
    }

    /// The port told to peers; `None` where nobody can connect.
    pub fn port(&self) -> Option<u16> {
        self.addresses().first().map(SocketAddr::port)
    }

    /// The ports told to trackers, by family.
    pub fn ports(&self) -> ListenPorts {
        let of = |is_ipv4| {
            let addresses = self.addresses();
            addresses.iter().find(|address| address.is_ipv4() == is_ipv4).map(SocketAddr::port)
        };
        ListenPorts { ipv4: of(true), ipv6: of(false) }
    }

    /// Where we listen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

fn open(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|source| ListenError { address, source })
}

/// Counters of incoming contacts, from the start of the run.
#[derive(Debug, Default)]
pub struct IncomingCounts {
    accepted: AtomicU64,
    refused: AtomicU64,
    unique: AtomicU64,
}

impl IncomingCounts {
    /// Connections accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections turned away at a limit.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Peers that came in with a handshake, each once by swarm, address and peer ID.
    pub fn unique(&self) -> u64 {
        self.unique.load(Ordering::Relaxed)
    }
}

/// Accepts connections and makes contacts of them.
pub struct Incoming {
    context: Arc<Context>,
    numbers: ContactNumbers,
    /// Places for incoming contacts.
    places: Arc<Semaphore>,
    counts: Arc<IncomingCounts>,
    by_info_hash: HashMap<[u8; 20], Arc<Swarm>>,
    own_ids: HashSet<[u8; 20]>,
    per_ip: Mutex<HashMap<IpAddr, usize>>,
    /// Contacts so far of each peer, by a hash of swarm, address and peer ID.
    attempts: Mutex<HashMap<u64, u32>>,
    hasher: RandomState,
}

impl Incoming {
    /// An acceptor with room for `places_max` contacts at once.
    pub fn new(context: Arc<Context>, numbers: ContactNumbers, places_max: usize) -> Arc<Self> {
        let swarms = Arc::clone(&context.swarms);
        Arc::new(Self {
            context,
            numbers,
            places: Arc::new(Semaphore::new(places_max)),
            counts: Arc::default(),
            by_info_hash: swarms.iter().map(|swarm| (swarm.info_hash.0, Arc::clone(swarm))).collect(),
            own_ids: swarms.iter().map(|swarm| swarm.peer_id.0).collect(),
            per_ip: Mutex::default(),
            attempts: Mutex::default(),
            hasher: RandomState::new(),
        })
    }

    /// Counters, to be read at any time.
    pub fn counts(&self) -> Arc<IncomingCounts> {
        Arc::clone(&self.counts)
    }

    /// Accepts on every listener, and takes uTP connections, until the run ends; contacts run on `tasks`.
    pub fn spawn(
        self: &Arc<Self>,
        listeners: Listeners,
        utp: Option<mpsc::Receiver<UtpStream>>,
        tasks: &TaskTracker,
    ) {
        if let Some(utp) = utp {
            tasks.spawn(Arc::clone(self).accept_utp(utp, tasks.clone()));
        }
        for listener in listeners.sockets {
            let incoming = Arc::clone(self);
            let contacts = tasks.clone();
            tasks.spawn(async move { incoming.accept(listener, contacts).await });
        }
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, tasks: TaskTracker) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.context.cancel.cancelled() => return,
            };
            match accepted {
                Ok((stream, address)) => {
                    if let Some(guest) = self.admit_connection(address) {
                        tasks.spawn(Arc::clone(&self).contact(stream, address, Rung::PLAIN_TCP, guest));
                    }
                }
                Err(error) => {
                    warn!("cannot accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// As [`Self::accept`], where the connection has been made already.
    async fn accept_utp(self: Arc<Self>, mut begun: mpsc::Receiver<UtpStream>, tasks: TaskTracker) {
        loop {
            let stream = tokio::select! {
                stream = begun.recv() => stream,
                () = self.context.cancel.cancelled() => None,
            };
            let Some(stream) = stream else { return };
            let address = stream.remote();
            match self.admit_connection(address) {
                Some(guest) => {
                    tasks.spawn(Arc::clone(&self).contact(stream, address, Rung::PLAIN_UTP, guest));
                }
                None => stream.refuse(),
            }
        }
    }

    async fn contact(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        address: SocketAddr,
        rung: Rung,
        guest: Guest,
    ) {
        let context = Arc::clone(&self.context);
        let contacted = Contacted {
            contact: self.numbers.next(),
            address,
            direction: Direction::In,
            rung,
            attempt: 1,
            connect: None,
        };
        let session = Session::incoming(context.clock.instant().into_std(), context.settings);
        let (close, closed) = oneshot::channel();
        let admit = Arc::clone(&self) as Arc<dyn Admit>;
        let driver = Driver::new(context, contacted, session, closed, None).admitted_by(admit, close);
        driver.run(stream).await;
        drop(guest);
    }

    /// A place for a connection, if its address may have one more.
    fn admit_connection(self: &Arc<Self>, address: SocketAddr) -> Option<Guest> {
        let guest = self.place_for(address);
        let counter = if guest.is_some() { &self.counts.accepted } else { &self.counts.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        guest
    }

    fn place_for(self: &Arc<Self>, address: SocketAddr) -> Option<Guest> {
        let ip = address.ip().to_canonical();
        if self.context.policy.check(ip).is_err() {
            return None;
        }
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let mut per_ip = lock(&self.per_ip);
        let here = per_ip.entry(ip).or_default();
        if *here >= PER_IP_MAX {
            return None;
        }
        *here += 1;
        Some(Guest { incoming: Arc::clone(self), ip, _place: place })
    }

    /// Notes a contact of a peer; tells how many there were.
    fn attempt(&self, swarm: &Swarm, ip: IpAddr, handshake: &Handshake) -> u32 {
        let peer = self.hasher.hash_one((swarm.id, ip, handshake.peer_id.0));
        let mut attempts = lock(&self.attempts);
        if attempts.len() >= KNOWN_MAX && !attempts.contains_key(&peer) {
            return 1;
        }
        let attempt = attempts.entry(peer).or_default();
        *attempt = attempt.saturating_add(1);
        if *attempt == 1 {
            self.counts.unique.fetch_add(1, Ordering::Relaxed);
        }
        *attempt
    }
}

impl Admit for Incoming {
    fn admit(&self, address: SocketAddr, handshake: &Handshake) -> Admission {
        if self.own_ids.contains(&handshake.peer_id.0) {
            return Admission::Refuse(ContactOutcome::SelfConnection);
        }
        match self.by_info_hash.get(&handshake.info_hash.0) {
            Some(swarm) => {
                let attempt = self.attempt(swarm, address.ip().to_canonical(), handshake);
                Admission::Accept { swarm: Arc::clone(swarm), attempt }
            }
            None => Admission::Refuse(ContactOutcome::WrongInfoHash),
        }
    }
}

/// A connection's place, given back when it is dropped.
struct Guest {
    incoming: Arc<Incoming>,
    ip: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut per_ip = lock(&self.incoming.per_ip);
        if let Some(here) = per_ip.get_mut(&self.ip) {
            *here -= 1;
            if *here == 0 {
                per_ip.remove(&self.ip);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
