//! A peer's life: it waits for its time, comes up, is served, and goes as its role says.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use rand::RngExt;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::sleep,
};

use crate::{
    peer::{
        Peer, connection,
        stream::Link,
        utp::{Begun, UtpSocket},
    },
    plan::PeerPlan,
    profile::{NamedBy, Role, Transport},
    swarm::World,
};

/// How often a peer that connects to others looks for some.
const DIAL_EVERY: Duration = Duration::from_secs(3);
/// Other peers of the lab it connects to, at most, each time.
const DIALS: usize = 1;
/// A peer that has gone still answers on its uTP connections for so long.
const UTP_LINGERS: Duration = Duration::from_secs(1);
/// With so many connections it looks for observers only: thousands of peers share one limit of open files.
const CONNECTIONS_ENOUGH: u32 = 3;
/// One that only its neighbours name has more of them: not all of them would tell.
const NEIGHBOURS_ENOUGH: u32 = 6;

/// A peer that is up: known to the trackers if it wants to be, with its listener if it has one.
#[derive(Debug)]
pub struct Up {
    peer: Arc<Peer>,
    listener: Option<TcpListener>,
    /// uTP connections to be served.
    begun: Option<Begun>,
    /// Connections that fill a black hole's queue.
    plugs: Vec<TcpStream>,
}

/// Brings a peer up: from then on it is named, by whom its profile says, and accepts connections.
pub async fn come_up(world: &Arc<World>, plan: PeerPlan) -> Result<Up> {
    let torrent = world.torrents.get(plan.swarm).context("the plan names no such swarm")?.clone();
    let at = SocketAddr::new(IpAddr::V4(plan.ip), 0);
    let (mut listener, mut plugs, mut utp) = (None, Vec::new(), None);
    let address = match plan.profile.role {
        Role::Blackhole => {
            let (socket, filled) = black_hole(at).await?;
            plugs = filled;
            let address = socket.local_addr()?;
            listener = Some(socket);
            address
        }
        Role::Unresponsive => SocketAddr::new(at.ip(), unused_port(&plan)),
        _ if plan.profile.transport == Transport::Utp => {
            let bound = UtpSocket::bind(at, world.clock, !plan.profile.nat, utp_seed(&plan)).await;
            let bound = bound.with_context(|| format!("cannot open a UDP socket at {at}"))?;
            let address = bound.0.address()?;
            utp = Some(bound);
            address
        }
        _ if plan.profile.nat => SocketAddr::new(at.ip(), unused_port(&plan)),
        _ => {
            let socket = TcpListener::bind(at).await.with_context(|| format!("cannot listen on {at}"))?;
            let address = socket.local_addr()?;
            listener = Some(socket);
            address
        }
    };
    let (utp, begun) = utp.unzip();
    let peer = Arc::new(Peer { utp, ..Peer::new(plan, torrent, Arc::clone(world), address) });
    world.joined(&peer);
    Ok(Up { peer, listener, begun, plugs })
}

/// Below the ports that systems hand out by themselves, so that nobody happens to listen there.
fn unused_port(plan: &PeerPlan) -> u16 {
    use rand::SeedableRng;
    rand_chacha::ChaCha8Rng::seed_from_u64(plan.seed).random_range(10_000..32_000)
}

fn utp_seed(plan: &PeerPlan) -> [u8; 32] {
    use rand::SeedableRng;
    rand_chacha::ChaCha8Rng::seed_from_u64(!plan.seed).random()
}

/// A listener that answers no SYN: its queue is full, and nobody empties it.
async fn black_hole(at: SocketAddr) -> Result<(TcpListener, Vec<TcpStream>)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(at)?;
    let listener = socket.listen(1)?;
    let address = listener.local_addr()?;
    let mut plugs = Vec::new();
    for _ in 0..4 {
        match tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            Ok(connected) => plugs.push(connected?),
            Err(_) => break,
        }
    }
    Ok((listener, plugs))
}

impl Up {
    /// Where the peer listens, or says it does.
    pub fn address(&self) -> SocketAddr {
        self.peer.address
    }

    /// Lives until the peer's time, or the lab's, is over.
    pub async fn live(self) {
        let world = Arc::clone(&self.peer.world);
        let mut peer = Arc::clone(&self.peer);
        if let Some((from, to)) = self.peer.plan.away {
            self.serve_until(Some(from)).await;
            let moves = peer.plan.profile.role.moves();
            if moves {
                world.left(&peer);
            } else {
                world.members.leave(peer.plan.swarm, peer.address);
            }
            match come_back(&world, &peer, to).await {
                Ok(Some(up)) => {
                    peer = Arc::clone(&up.peer);
                    up.serve_until(peer.plan.leaves).await;
                }
                // Its endpoint went before.
                Ok(None) if moves => return,
                Ok(None) => {}
                Err(error) => tracing::error!("a peer could not come back: {error:#}"),
            }
        } else {
            self.serve_until(peer.plan.leaves).await;
        }
        world.left(&peer);
    }

    /// Serves until this time, or the lab's end; then nobody listens any more and all connections end.
    async fn serve_until(self, time: Option<Duration>) {
        let Self { peer, listener, mut begun, plugs } = self;
        let accepting = async {
            match (&listener, &mut begun) {
                (Some(listener), _) if peer.plan.profile.role != Role::Blackhole => {
                    accept_all(&peer, listener).await;
                }
                (_, Some(begun)) => accept_utp(&peer, begun).await,
                _ => std::future::pending::<()>().await,
            }
        };
        if let Some(utp) = &peer.utp {
            let (utp, gone) = (Arc::clone(utp), peer.gone.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = utp.run() => {}
                    // Farewells still go out, and are answered.
                    () = async { gone.cancelled().await; sleep(UTP_LINGERS).await } => {}
                }
            });
        }
        tokio::select! {
            () = accepting => {}
            () = dial_all(&peer) => {}
            () = tell_completion(&peer) => {}
            () = peer.world.reaches(time) => {}
            () = peer.gone.cancelled() => {}
        }
        drop((listener, begun, plugs));
        peer.gone.cancel();
    }
}

/// The same peer again: under a new peer ID, at another port, or both; `None` if the lab ends before.
async fn come_back(world: &Arc<World>, peer: &Peer, at: Duration) -> Result<Option<Up>> {
    tokio::select! {
        () = world.reaches(Some(at)) => {}
        () = world.end.cancelled() => return Ok(None),
    }
    let role = peer.plan.profile.role;
    let at = if role.moves() { SocketAddr::new(peer.address.ip(), 0) } else { peer.address };
    let listener = TcpListener::bind(at).await.with_context(|| format!("cannot listen on {at}"))?;
    let address = listener.local_addr()?;
    let mut plan = peer.plan.clone();
    if role != Role::Moves {
        let prefix = plan.profile.client.peer_id_prefix.len();
        plan.peer_id.iter_mut().skip(prefix).for_each(|byte| *byte = !*byte);
    }
    let peer = Arc::new(Peer::new(plan, Arc::clone(&peer.torrent), Arc::clone(world), address));
    if role.moves() {
        world.joined(&peer);
    } else {
        world.members.join(peer.plan.swarm, address, false);
    }
    Ok(Some(Up { peer, listener: Some(listener), begun: None, plugs: Vec::new() }))
}

async fn accept_all(peer: &Arc<Peer>, listener: &TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                serve(peer, Link::Tcp(stream), remote);
            }
            Err(error) => {
                tracing::warn!(peer = %peer.address, %error, "cannot accept; trying again");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn accept_utp(peer: &Arc<Peer>, begun: &mut Begun) {
    while let Some(stream) = begun.recv().await {
        let remote = stream.remote();
        serve(peer, Link::Utp(stream), remote);
    }
}

fn serve(peer: &Arc<Peer>, link: Link, remote: SocketAddr) {
    peer.world.note_connection(peer, remote);
    let peer = Arc::clone(peer);
    tokio::spawn(async move {
        if let Err(error) = connection::accept(&peer, link, remote).await {
            tracing::debug!(peer = %peer.address, %remote, %error, "connection ended");
        }
    });
}

/// Connects to observers and a few others, as far as the trackers name them.
async fn dial_all(peer: &Arc<Peer>) {
    if !peer.plan.dials {
        std::future::pending::<()>().await;
    }
    loop {
        let (mut observers, mut others) = peer.world.members.name(peer.plan.swarm, peer.world.answer_peers);
        others.retain(|address| *address != peer.address);
        let profile = &peer.plan.profile;
        let enough = if profile.named_by == NamedBy::Neighbours {
            // It asks no tracker: some peers it was told of by hand.
            observers.clear();
            NEIGHBOURS_ENOUGH
        } else {
            CONNECTIONS_ENOUGH
        };
        // Few others would answer over uTP.
        let looks = peer.open_connections() < enough && profile.transport == Transport::Tcp;
        others.truncate(if looks { DIALS } else { 0 });
        observers.append(&mut others);
        for remote in observers {
            let peer = Arc::clone(peer);
            tokio::spawn(async move {
                if let Err(error) = connection::dial(&peer, remote).await {
                    tracing::debug!(peer = %peer.address, %remote, %error, "connection ended");
                }
            });
        }
        sleep(DIAL_EVERY).await;
    }
}

/// Tells the trackers once the download is complete; never ends.
async fn tell_completion(peer: &Arc<Peer>) {
    if let Some(at) = peer.plan.schedule.time_of(peer.torrent.piece_count) {
        peer.world.reaches(Some(at)).await;
        peer.world.members.complete(peer.plan.swarm, peer.address);
    }
    std::future::pending::<()>().await;
}
