//! Who a contact was with: (info-hash, IP, port), merged across ports and directions by peer ID and IP.
//!
//! Every contact gets a [`Who`]. A peer ID at one address is one peer, whatever the ports: it may have moved, or be
//! reached through several at once. It is named by the lowest port at which an outgoing contact met it; else by the
//! lowest it said it listens on; else by its peer ID, its alias: an incoming connection's remote port names nothing. What
//! shows no peer ID, a failed contact or a sighting, belongs to whom was met last at its endpoint. Contacts with ourselves
//! are marked `own`. [`Identity`] may name peers by less, or by something else.

use polars::prelude::{JoinArgs, JoinCoalesce, JoinType};

use super::{
    ourselves::Ourselves,
    rows::{Contact, PeerId},
    small_map::SmallMap,
    unit::Unit,
};

/// What makes two contacts, or two sightings, those of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Identity {
    /// Address and port; a peer ID at one address is one peer, whatever its ports
    #[default]
    #[value(name = "endpoint")]
    Endpoint,
    /// The address: everyone behind one counts as one peer
    #[value(name = "ip")]
    Ip,
    /// The peer ID, wherever it shows; clients that make up a new one for each connection are many peers
    #[value(name = "peer_id")]
    PeerId,
}

impl Identity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Ip => "ip",
            Self::PeerId => "peer_id",
        }
    }
}

/// The port of a peer whose listening port is not known.
pub const NO_PORT: i32 = -1;

/// The alias of incoming contacts whose `contacts` row was lost in a crash: nothing says who they were with.
pub const LOST: &[u8] = b"lost";

/// A left join that keeps the left side's key columns.
pub fn left_join() -> JoinArgs {
    JoinArgs::new(JoinType::Left)
}

/// A full join with one set of key columns.
pub fn full_join() -> JoinArgs {
    JoinArgs { coalesce: JoinCoalesce::CoalesceColumns, ..JoinArgs::new(JoinType::Full) }
}

/// What names a peer within its unit; the port is [`NO_PORT`] and there is an alias where the port is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    /// The address, by its place in the unit.
    pub ip: u32,
    /// The port it listens on.
    pub port: i32,
    /// Its peer ID, where that names it.
    pub alias: Option<PeerId>,
}

impl Who {
    /// Whoever is at an endpoint.
    pub const fn at(ip: u32, port: i32) -> Self {
        Self { ip, port, alias: None }
    }

    /// An incoming contact of which nothing else is known.
    pub fn lost(ip: u32) -> Self {
        Self { ip, port: NO_PORT, alias: Some(PeerId::new(LOST)) }
    }
}

/// Whom a contact was with.
#[derive(Clone, Copy, Debug)]
pub struct Resolved {
    /// The peer.
    pub who: Who,
    /// It was one of us.
    pub own: bool,
    /// Its handshake was received.
    pub handshake: bool,
}

impl Resolved {
    /// Whether a peer was met.
    pub fn met(&self) -> bool {
        self.handshake && !self.own
    }
}

/// The peers of a unit's contacts, and of endpoints.
#[derive(Debug, Default)]
pub struct Identities {
    /// In the order of the unit's contacts.
    pub of_contacts: Vec<Resolved>,
    identity: Identity,
    /// Who was met last at an endpoint, where it is not who the endpoint names.
    at_endpoints: SmallMap<(u32, i32), Who>,
    /// The ports of each peer ID at an address.
    ports: SmallMap<(u32, PeerId), Ports>,
}

impl Identities {
    /// Resolves a unit's contacts, which are in order of time; those of an earlier unit are forgotten.
    pub fn find(&mut self, unit: &Unit<'_>, ourselves: &Ourselves, identity: Identity) {
        self.identity = identity;
        by_endpoint(unit, ourselves, &mut self.ports, &mut self.of_contacts);
        let found = &mut self.of_contacts;
        self.at_endpoints.clear();
        match identity {
            Identity::Endpoint => {
                find_moved(unit, found, &mut self.at_endpoints);
                if self.at_endpoints.is_empty() {
                    return;
                }
                for (contact, of) in unit.contacts.iter().zip(found) {
                    if contact.out
                        && contact.peer_id.is_none()
                        && let Some(who) = self.at_endpoints.get(&(contact.ip, contact.port))
                    {
                        of.who = *who;
                    }
                }
            }
            Identity::Ip => {
                for of in found {
                    of.who = Who::at(of.who.ip, NO_PORT);
                }
            }
            Identity::PeerId => self.at_endpoints = by_peer_id(unit, found),
        }
    }

    /// Who is at an endpoint of which nothing else is known.
    pub fn at(&self, ip: u32, port: i32) -> Who {
        match self.identity {
            Identity::Ip => Who::at(ip, NO_PORT),
            Identity::Endpoint | Identity::PeerId => {
                self.at_endpoints.get(&(ip, port)).copied().unwrap_or(Who::at(ip, port))
            }
        }
    }

    /// What the identity asked for makes of a peer of whom nothing else is known.
    pub fn as_asked(&self, who: Who) -> Who {
        if self.identity == Identity::Ip { Who::at(who.ip, NO_PORT) } else { who }
    }
}

/// The ports that name a peer ID at an address.
#[derive(Clone, Copy, Debug, Default)]
struct Ports {
    reached: Option<i32>,
    said: Option<i32>,
}

fn by_endpoint(
    unit: &Unit<'_>,
    ourselves: &Ourselves,
    ids: &mut SmallMap<(u32, PeerId), Ports>,
    found: &mut Vec<Resolved>,
) {
    ids.clear();
    found.clear();
    for contact in unit.contacts {
        let handshake = contact.handshake();
        let own = contact.shows_us || ourselves.is_own(unit, contact);
        if let Some(id) = contact.peer_id.filter(|_| handshake && !own) {
            let ports = ids.entry((contact.ip, id));
            let lower = |now: Option<i32>, other: i32| Some(now.map_or(other, |now| now.min(other)));
            if contact.out {
                ports.reached = lower(ports.reached, contact.port);
            }
            if let Some(said) = contact.listen_port {
                ports.said = lower(ports.said, said.into());
            }
        }
        found.push(Resolved { who: Who::at(contact.ip, contact.port), own, handshake });
    }
    for (contact, of) in unit.contacts.iter().zip(found) {
        let ports = contact.peer_id.and_then(|id| ids.get(&(contact.ip, id)).copied()).unwrap_or_default();
        let shown = if contact.out { Some(contact.port) } else { contact.listen_port.map(i32::from) };
        of.who = match ports.reached.or(ports.said).or(shown) {
            Some(port) => Who::at(contact.ip, port),
            None => Who {
                ip: contact.ip,
                port: NO_PORT,
                alias: Some(contact.peer_id.unwrap_or_else(|| PeerId::new(LOST))),
            },
        };
    }
}

/// Finds the endpoints whose last met peer is named by another port.
fn find_moved(unit: &Unit<'_>, resolved: &[Resolved], last: &mut SmallMap<(u32, i32), Who>) {
    let met = || {
        let met = unit.contacts.iter().zip(resolved).filter(|(contact, of)| contact.out && of.met());
        met.filter(|(contact, _)| contact.peer_id.is_some())
    };
    if met().all(|(contact, of)| contact.port == of.who.port) {
        return;
    }
    for (contact, of) in met() {
        last.insert((contact.ip, contact.port), of.who);
    }
}

/// Names peers by their peer IDs, at the endpoint where each was met last; a contact that showed none belongs to whom was
/// met at its endpoint last, or to the endpoint. Gives who was met last at each endpoint.
fn by_peer_id(unit: &Unit<'_>, resolved: &mut [Resolved]) -> SmallMap<(u32, i32), Who> {
    let shown = |contact: &Contact, of: &Resolved| contact.peer_id.filter(|_| of.met());
    // Incoming contacts first: where a peer was met going out counts before where it came from.
    let mut met: SmallMap<PeerId, (u32, i32)> = SmallMap::default();
    for out in [false, true] {
        for (contact, of) in
            unit.contacts.iter().zip(resolved.iter()).filter(|(contact, _)| contact.out == out)
        {
            if let Some(id) = shown(contact, of) {
                met.insert(id, (of.who.ip, of.who.port));
            }
        }
    }
    let mut endpoints: SmallMap<(u32, i32), Who> = SmallMap::default();
    for (contact, of) in unit.contacts.iter().zip(resolved.iter_mut()) {
        let port = if contact.out { contact.port } else { of.who.port };
        if let Some(id) = shown(contact, of)
            && let Some((ip, port)) = met.get(&id)
        {
            of.who = Who { ip: *ip, port: *port, alias: Some(id) };
        }
        if of.met() && port != NO_PORT {
            endpoints.insert((contact.ip, port), of.who);
        }
    }
    for (contact, of) in unit.contacts.iter().zip(resolved.iter_mut()) {
        let port = if contact.out { contact.port } else { of.who.port };
        if shown(contact, of).is_none()
            && let Some(who) = endpoints.get(&(contact.ip, port))
        {
            of.who = *who;
        }
    }
    endpoints
}
