//! Drives one session over its connection: bytes and time in, rows and [`ContactEvent`]s out.
//!
//! A held contact owns no read buffer: bytes go from the socket through the stack into the state machine.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use schema::{
    InfoHashV2,
    table::{ContactOutcome, Direction, Encryption, TorrentOrigin, Transport},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, oneshot},
    time::{sleep_until, timeout},
};
use tracing::{debug, info, warn};
use wire::{
    bencode,
    metainfo::{Info, parse_info},
    peer::{
        handshake::Handshake,
        mse::{Methods, SwarmKeys},
        pex::{Flags, UtPex},
        session::{Closer, Event, Extended, Kind, Local, Observation, Session},
    },
};

use super::{CLIENT, ContactEvent, Context, What, introductions::Broker, link::Link, outcome::Ending};
use crate::{
    schedule::{Habit, Offer, Rung, Seen, Why},
    sources::pex::Intake,
    swarm::{Metadata, Swarm, SwarmId},
};

/// A contact that could not ask for metadata, as others did, looks again after this time.
const METADATA_RECHECK: Duration = Duration::from_secs(2);
/// Time to say goodbye in.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Which contact this is, and how it came about.
#[derive(Clone, Copy, Debug)]
pub struct Contacted {
    /// The contact's number.
    pub contact: u64,
    /// The peer's side of the connection.
    pub address: SocketAddr,
    /// Who opened it.
    pub direction: Direction,
    /// What carries it, and what obfuscates it.
    pub rung: Rung,
    /// How often this peer had been contacted in this direction, this time included.
    pub attempt: u32,
    /// How long the connect took; `None` for incoming contacts.
    pub connect: Option<Duration>,
}

impl Contacted {
    fn broker(&self, now: Instant, swarm: SwarmId) -> Broker {
        let seen_at_port = self.direction == Direction::In || self.rung.transport == Transport::Utp;
        Broker::new(now, self.contact, swarm, seen_at_port)
    }
}

/// Who a peer that connected to us asked for, decided at its handshake.
pub enum Admission {
    /// One of our swarms.
    Accept {
        /// The swarm.
        swarm: Arc<Swarm>,
        /// How often this peer came in, this time included.
        attempt: u32,
    },
    /// Nothing we can talk about.
    Refuse(ContactOutcome),
}

/// Decides about incoming handshakes.
pub trait Admit: Send + Sync {
    /// Which swarm the handshake is for.
    fn admit(&self, address: SocketAddr, handshake: &Handshake) -> Admission;
}

impl Context {
    /// Who we are in a swarm.
    pub fn local(&self, swarm: &Swarm) -> Local {
        Local {
            info_hash: wire::InfoHash(swarm.info_hash.0),
            peer_id: wire::PeerId(swarm.peer_id.0),
            listen_port: self.listen_port,
            client: CLIENT,
            piece_count: swarm.piece_count(),
            pex: self.pex.is_some() && !swarm.is_private(),
            introductions: self.utp.is_spoken() && !swarm.is_private(),
        }
    }
}

impl Context {
    /// Tells the scheduler; once it is gone, nobody needs to know.
    pub async fn tell(&self, contact: u64, what: What) {
        if self.events.send(ContactEvent { contact, what }).await.is_err() {
            debug!(contact, "the scheduler is gone");
        }
    }
}

/// One contact from its connection to its end.
pub struct Driver {
    pub(super) context: Arc<Context>,
    pub(super) contacted: Contacted,
    pub(super) session: Session,
    /// Resolves when the contact is to be closed.
    close: oneshot::Receiver<Why>,
    /// `None` until an incoming peer has named one.
    pub(super) swarm: Option<Arc<Swarm>>,
    /// What an incoming peer named that is none of ours.
    pub(super) named: Option<schema::InfoHash>,
    /// Who decides about an incoming handshake, and what closes the contact after it.
    admit: Option<(Arc<dyn Admit>, oneshot::Sender<Why>)>,
    pub(super) connected: Instant,
    /// Bytes received and sent; told when the contact has ended.
    pub(super) carried: (u64, u64),
    metadata: Option<OwnedSemaphorePermit>,
    metadata_failed: bool,
    /// What the peer told of others; none before it did.
    intake: Option<Box<Intake>>,
    /// Whom it can introduce; none before it named one.
    broker: Option<Box<Broker>>,
}

impl Driver {
    /// A contact over a connection that has just been made.
    pub fn new(
        context: Arc<Context>,
        contacted: Contacted,
        session: Session,
        close: oneshot::Receiver<Why>,
        swarm: Option<Arc<Swarm>>,
    ) -> Self {
        let connected = context.clock.instant().into_std();
        Self {
            context,
            contacted,
            session,
            close,
            swarm,
            named: None,
            admit: None,
            connected,
            carried: (0, 0),
            metadata: None,
            metadata_failed: false,
            intake: None,
            broker: None,
        }
    }

    /// Says who decides about the handshake of an incoming contact, and what the scheduler closes it with.
    #[must_use]
    pub fn admitted_by(mut self, admit: Arc<dyn Admit>, close: oneshot::Sender<Why>) -> Self {
        self.admit = Some((admit, close));
        self
    }

    /// Observes the peer until the contact ends, and writes its rows.
    pub async fn run(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut link = self.link(stream);
        let mut ending = self.observe(&mut link).await;
        if let (None, Some(awaited)) = (&ending.error, link.awaits()) {
            ending.error = Some(format!("MSE: waited for {awaited}"));
        }
        if link.was_refused() && ending.is_refusal() {
            self.context.tell(self.contacted.contact, What::Refused).await;
        }
        let now = self.now();
        self.contacted.rung.encryption = link.encryption;
        self.carried = (link.bytes_in, link.bytes_out);
        self.named = self.named.or(link.named);
        self.learn_piece_count(now);
        if let (Closer::Peer, Some(open)) = (ending.closer(), self.session.watched_for(now)) {
            let silent = self.session.silent_for(now);
            self.context.tell(self.contacted.contact, What::HungUp { open, silent }).await;
        }
        self.session.handle_closed(now, ending.closer());
        // What the session held back; it has no way to end again.
        self.handle_events().await;
        if let Some(broker) = &mut self.broker {
            broker.end(&self.context.introductions);
        }
        self.log_contact(now, ending).await;
        // The row is written: how the connection closes is of no further interest.
        let closing = poll_fn(|cx| link.poll_close(cx));
        if timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            debug!(contact = self.contacted.contact, "the connection did not close in time");
        }
    }

    /// What obfuscates the stream: as the rung says, or, for one that came to us, as its first bytes say.
    fn link<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: S) -> Link<S> {
        let Contacted { direction, rung, .. } = self.contacted;
        match (direction, rung.encryption, &self.swarm) {
            (Direction::In, ..) if self.context.mse.is_some() => Link::detecting(stream),
            (Direction::Out, Encryption::Mse, Some(swarm)) => {
                let offer = match rung.offer {
                    Offer::Plaintext => Methods::PLAINTEXT,
                    Offer::Rc4 => Methods::RC4,
                };
                Link::initiating(stream, &mut self.session, wire::InfoHash(swarm.info_hash.0), offer)
            }
            _ => Link::plain(stream),
        }
    }

    async fn observe(&mut self, link: &mut Link<impl AsyncRead + AsyncWrite + Unpin>) -> Ending {
        let context = Arc::clone(&self.context);
        let no_swarms = SwarmKeys::default();
        let swarms = context.mse.as_ref().unwrap_or(&no_swarms);
        let mut cancelled = pin!(context.cancel.cancelled());
        let mut sleep = pin!(sleep_until(context.clock.instant()));
        let mut may_close = true;
        loop {
            self.contacted.rung.encryption = link.encryption;
            if let Some(ending) = self.handle_events().await {
                return ending;
            }
            let metadata_recheck = self.want_metadata();
            let introduction = self.want_introduction();
            let deadlines = [self.session.next_timeout(), metadata_recheck, introduction];
            let deadline = deadlines.into_iter().flatten().min();
            if let Some(deadline) = deadline {
                sleep.as_mut().reset(deadline.into());
            }
            tokio::select! {
                biased;
                () = &mut cancelled => return Ending::of_shutdown(self.has_handshake()),
                why = &mut self.close, if may_close => match why {
                    Ok(why) => return Ending::of_release(why, self.has_handshake()),
                    // Nobody will ask for the end any more.
                    Err(_) => may_close = false,
                },
                done = poll_fn(|cx| {
                    let swarm = self.swarm.as_deref();
                    link.poll_exchange(cx, &mut self.session, swarms, |session, bytes| {
                        let now = context.clock.instant().into_std();
                        learn_piece_count(session, swarm, now);
                        session.handle_bytes(now, bytes);
                    })
                }) => match done {
                    Ok(0) => return Ending::of_closed(self.has_handshake()),
                    Ok(_) => {}
                    Err(broken) => return Ending::of_link(&broken, self.has_handshake()),
                },
                () = &mut sleep, if deadline.is_some() => {
                    let now = self.now();
                    self.learn_piece_count(now);
                    self.session.handle_timeout(now);
                }
            }
        }
    }

    async fn handle_events(&mut self) -> Option<Ending> {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Claimed { pieces, piece_count } => {
                    self.context.tell(self.contacted.contact, What::Claimed { pieces, piece_count }).await;
                }
                Event::Ended(end) => return Some(end.into()),
                Event::Extended(extended) => self.handle_extended(&extended).await,
                Event::Handshake(handshake) => {
                    if let Some(ending) = self.handle_handshake(&handshake).await {
                        return Some(ending);
                    }
                }
                Event::Introduced(peer) => self.handle_introduction(peer).await,
                Event::Metadata(info) => self.handle_metadata(&info).await,
                Event::MetadataFailed(error) => {
                    self.metadata = None;
                    self.metadata_failed = true;
                    if error.is_lie() {
                        let error = Some(format!("metadata: {error}"));
                        return Some(Ending { outcome: ContactOutcome::ProtocolError, error });
                    }
                }
                Event::Observation(observation) => self.handle_observation(observation).await,
                Event::Pex(told) => self.handle_pex(told).await,
                Event::Settled => self.context.tell(self.contacted.contact, What::Settled).await,
            }
        }
        None
    }

    /// An incoming handshake is answered or turned away; one to our own is good news only.
    async fn handle_handshake(&mut self, handshake: &Handshake) -> Option<Ending> {
        let (contact, peer_id) = (self.contacted.contact, handshake.peer_id.0);
        if let Some((admit, close)) = self.admit.take() {
            let (swarm, attempt) = match admit.admit(self.contacted.address, handshake) {
                Admission::Accept { swarm, attempt } => (swarm, attempt),
                Admission::Refuse(outcome) => {
                    self.named = Some(schema::InfoHash(handshake.info_hash.0));
                    return Some(outcome.into());
                }
            };
            self.contacted.attempt = attempt;
            self.log_sighting(&swarm).await;
            let (ip, rung) = (self.contacted.address.ip().to_canonical(), self.contacted.rung);
            self.context.tell(contact, What::Incoming { swarm: swarm.id, ip, peer_id, rung, close }).await;
            let local = self.context.local(&swarm);
            self.swarm = Some(swarm);
            let now = self.now();
            self.session.accept(now, local);
        }
        let keep_alive = self.context.settings.keep_alive.min(self.context.keep_alives.of(&peer_id));
        self.session.set_keep_alive(keep_alive);
        if let (Direction::Out, Some(swarm)) = (self.contacted.direction, &self.swarm) {
            self.context.introductions.reached(swarm.id, self.contacted.address);
        }
        self.context.tell(contact, What::Handshake { peer_id }).await;
        None
    }

    async fn handle_extended(&mut self, extended: &Extended) {
        let peer_id = self.session.summary().peer_id.map(|id| id.0).unwrap_or_default();
        let incoming = self.contacted.direction == Direction::In;
        let port = extended.listen_port.filter(|_| incoming);
        let what = What::Extended {
            habit: Habit::of(&peer_id, extended.client.as_deref()),
            upload_only: extended.upload_only == Some(true),
            listens_at: port.map(|port| SocketAddr::new(self.contacted.address.ip().to_canonical(), port)),
        };
        self.context.tell(self.contacted.contact, what).await;
    }

    async fn handle_observation(&mut self, observation: Observation) {
        let seen = Seen {
            claimed: matches!(observation.kind, Kind::Bitfield | Kind::HaveAll)
                && observation.pieces != Some(0),
            complete: observation.kind == Kind::HaveAll
                || observation.pieces.is_some() && observation.pieces == observation.piece_count,
            opening: observation.opening,
            piece_count: observation.piece_count,
            pieces: observation.pieces,
            settled: observation.settled,
        };
        self.log_progress(observation).await;
        self.context.tell(self.contacted.contact, What::Seen(seen)).await;
    }

    async fn handle_pex(&mut self, told: Result<UtPex, bencode::Error>) {
        let now = self.now();
        let (Some(pex), Some(swarm)) = (&self.context.pex, &self.swarm) else { return };
        if swarm.is_private() {
            // We asked before its metadata said so.
            self.session.stop_pex(now);
            return;
        }
        let asked = self.session.summary().handshake_at.unwrap_or(now);
        let intake = self.intake.get_or_insert_with(|| Box::new(Intake::new(asked)));
        if let Some((row, answer)) = intake.take(now, swarm, self.contacted.address, told) {
            let outcome = row.outcome;
            if let Some(answer) = answer.as_ref().filter(|_| self.session.offers_introductions()) {
                let can_punch = |flags: u8| Flags(flags).has(Flags::HOLEPUNCH);
                let peers = answer.peers.iter().filter(|(_, flags)| flags.is_some_and(can_punch));
                let broker =
                    self.broker.get_or_insert_with(|| Box::new(self.contacted.broker(now, swarm.id)));
                broker.named(now, peers.map(|&(peer, _)| peer), &self.context.introductions);
            }
            self.context.log.append_at(self.context.clock.at(now.into()), row).await;
            pex.hand_on(outcome, answer).await;
        }
    }

    /// The peer introduced another, asked by us or by that one.
    async fn handle_introduction(&mut self, peer: SocketAddr) {
        let now = self.now();
        let Some(swarm) = self.swarm.as_ref().filter(|swarm| !swarm.is_private()) else { return };
        let broker = self.broker.get_or_insert_with(|| Box::new(self.contacted.broker(now, swarm.id)));
        if broker.may_introduce() {
            self.context.tell(self.contacted.contact, What::Introduced { peer }).await;
        }
    }

    /// Asks the peer for an introduction if one is due; tells when to look again.
    fn want_introduction(&mut self) -> Option<Instant> {
        let now = self.now();
        let broker = self.broker.as_mut()?;
        if let Some(peer) = broker.due(now, &self.context.introductions) {
            self.session.ask_introduction(now, peer);
        }
        broker.deadline()
    }

    /// Keeps an info dictionary that was checked against the info-hash.
    async fn handle_metadata(&mut self, info: &[u8]) {
        self.metadata = None;
        let Some(swarm) = &self.swarm else { return };
        match parse_info(info) {
            Ok(info) => {
                let metadata = metadata_of(info);
                let piece_count = metadata.piece_count;
                if swarm.learn(metadata) {
                    info!(name = swarm.name(), piece_count, "metadata learnt");
                    self.context.log.append(swarm.torrent_row(TorrentOrigin::Metadata)).await;
                }
                let now = self.now();
                self.learn_piece_count(now);
            }
            Err(error) => {
                self.metadata_failed = true;
                warn!(?swarm, %error, "the swarm's metadata is true, but cannot be used");
            }
        }
    }

    /// Asks the peer for metadata, if it is missing and not enough others are asked; else tells when to look again.
    fn want_metadata(&mut self) -> Option<Instant> {
        if self.metadata_failed || self.metadata.is_some() || self.session.knows_piece_count() {
            return None;
        }
        let swarm = self.swarm.as_ref()?;
        if swarm.metadata().is_some() || !self.session.offers_metadata() {
            return None;
        }
        let now = self.now();
        let places = self.context.metadata_fetches.get(swarm.id.index())?;
        match Arc::clone(places).try_acquire_owned() {
            Ok(place) => {
                self.metadata = Some(place);
                self.session.fetch_metadata(now);
                Some(now)
            }
            Err(_taken) => Some(now + METADATA_RECHECK),
        }
    }

    fn learn_piece_count(&mut self, now: Instant) {
        learn_piece_count(&mut self.session, self.swarm.as_deref(), now);
    }

    fn has_handshake(&self) -> bool {
        self.session.summary().handshake_at.is_some() && self.swarm.is_some()
    }

    fn now(&self) -> Instant {
        self.context.clock.instant().into_std()
    }
}

fn metadata_of(info: Info) -> Metadata {
    Metadata {
        info_hash_v2: info.info_hash_v2.map(|hash| InfoHashV2(hash.0)),
        name: info.name,
        piece_length: info.piece_length,
        piece_count: info.piece_count,
        size_bytes: info.size_bytes,
        private: info.private,
    }
}

fn learn_piece_count(session: &mut Session, swarm: Option<&Swarm>, now: Instant) {
    if !session.knows_piece_count()
        && let Some(piece_count) = swarm.and_then(Swarm::piece_count)
    {
        session.metadata_learnt(now, piece_count);
    }
}
