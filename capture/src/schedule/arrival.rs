//! Who a contact is with: peers that come to us, the peers behind them, and what handshakes tell of a peer.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{
    Action, Habit, Rung, Schedule,
    open::Open,
    plan::{self, Flags, Stage},
};
use crate::{
    registry::{PeerKey, Registry},
    swarm::SwarmId,
};

/// A peer whose address has an unidentified incoming connection open is looked at again after this time.
const TWIN_DEFERRAL: Duration = Duration::from_secs(10);

impl Schedule {
    /// Takes an incoming contact, as soon as its handshake told the swarm.
    pub fn incoming(&mut self, contact: u64, swarm: SwarmId, ip: IpAddr, peer_id: &[u8; 20], rung: Rung) {
        let id = hash_id(peer_id);
        self.incoming.entry((swarm, ip)).or_default().push((contact, id));
        self.open.insert(contact, Open::new(swarm, ip, None, rung, false));
    }

    /// Says which peer an incoming contact comes from; false if that peer is in contact with us already.
    pub fn attach(&mut self, contact: u64, peer: PeerKey) -> bool {
        self.grow(peer);
        let (Some(open), Some(plan)) = (self.open.get_mut(&contact), self.plans.get_mut(peer.index())) else {
            return false;
        };
        if open.peer.is_some() || plan.stage == Stage::Busy {
            return false;
        }
        open.peer = Some(peer);
        plan.ways.came_by(open.rung);
        if plan.stage != Stage::Blocked {
            self.leave_waiting(peer);
            if let Some(plan) = self.plans.get_mut(peer.index()) {
                plan.stage = Stage::Busy;
            }
        }
        true
    }

    /// Whether a peer was dialled, and never reached so far.
    pub fn is_unreached(&self, peer: PeerKey) -> bool {
        self.plans.get(peer.index()).is_some_and(|plan| {
            let is_free = matches!(plan.stage, Stage::Queued | Stage::Waiting);
            is_free && plan.attempts > 0 && !plan.flags.has(Flags::REACHED)
        })
    }

    /// The peer connects to us over uTP now, and can be reached by that alone: it is dialled at once, or not at all.
    pub fn introduced(&mut self, now: Instant, peer: PeerKey, registry: &Registry) -> Option<Action> {
        self.grow(peer);
        let place = registry.peer(peer)?;
        let stage = self.plans.get(peer.index())?.stage;
        let is_free = self.out < self.pacing.max_out && self.rate.is_ready(now);
        let may_be =
            self.pacing.rungs.has(Rung::PLAIN_UTP) && self.limits.allowed_at(now, place.ip).is_none();
        if matches!(stage, Stage::Busy | Stage::Blocked) || !is_free || !may_be {
            return None;
        }
        self.leave_waiting(peer);
        self.dial(now, peer, place.swarm, place.ip, Some(Rung::PLAIN_UTP))
    }

    /// The peer's handshake came.
    pub fn handshake(&mut self, contact: u64, peer_id: &[u8; 20]) {
        let Some(open) = self.open.get_mut(&contact) else { return };
        open.handshake = true;
        open.client = self.clients.id_of(peer_id);
        open.habit = self.clients.habit(open.client, Habit::of(peer_id, None));
        let id = hash_id(peer_id);
        if let Some((client, _)) = open.second_to.take_if(|(_, first)| *first == id) {
            self.clients.second_connection(client, true);
        }
        if let Some(plan) = open.peer.and_then(|peer| self.plans.get_mut(peer.index())) {
            plan.peer_id = id;
            plan.client = open.client;
            plan.ways.client(peer_id);
            if open.outgoing {
                plan.flags.set(Flags::REACHED, true);
            }
        }
    }

    /// The peer's extended handshake came.
    pub fn extended(&mut self, contact: u64, habit: Habit, upload_only: bool) {
        let Some(open) = self.open.get_mut(&contact) else { return };
        if habit != Habit::Unknown {
            open.habit = self.clients.habit(open.client, habit);
        }
        if let Some(plan) = open.peer.and_then(|peer| self.plans.get_mut(peer.index())) {
            plan.flags.set(Flags::UPLOAD_ONLY, upload_only);
        }
    }

    /// When a peer may be dialled that is, or may be, connected to us by itself.
    pub(super) fn deferred_for_twin(
        &mut self,
        now: Instant,
        peer: PeerKey,
        swarm: SwarmId,
        ip: IpAddr,
    ) -> Option<Instant> {
        let twins = self.incoming.get(&(swarm, ip))?;
        let plan = self.plans.get_mut(peer.index())?;
        // A client that came to us refuses our connection. It is this peer if the peer ID is the same; before the
        // first contact the ID is not known, and the peer waits a while for the other side to tell its port.
        let is_twin = twins.iter().any(|&(_, id)| id == plan.peer_id);
        let refuses = |contact: &u64| {
            let client = self.open.get(contact).map(|open| open.client).unwrap_or_default();
            !self.clients.accepts_second(client)
        };
        let may_be_twin = plan.peer_id == 0
            && plan.deferrals < plan::DEFERRALS_MAX
            && twins.iter().any(|(contact, _)| refuses(contact));
        if is_twin || may_be_twin {
            plan.deferrals = plan.deferrals.saturating_add(1);
            return Some(now + TWIN_DEFERRAL);
        }
        None
    }
}

/// A peer ID in four bytes; never 0.
fn hash_id(peer_id: &[u8; 20]) -> u32 {
    let fnv = peer_id
        .iter()
        .fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    fnv.max(1)
}
