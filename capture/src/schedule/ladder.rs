//! The rungs by which a peer can be reached, and which is tried next: a transport and what obfuscates it.
//!
//! ```text
//! round ─▶ first rung ─ handshake ─▶ that rung worked; it is tried first from then on
//!              └ failed ─▶ a rung worth it? ─ yes ─▶ next rung, seconds later ─ …
//!                                           └ no ──▶ the round failed: back-off
//! ```
//! What PEX, the peer's client, the way it came to us and earlier attempts tell of a peer is two bytes ([`Ways`]);
//! what all peers tell together is the [`Prior`].

mod prior;
#[cfg(test)]
mod tests;

use schema::table::{ContactOutcome, Encryption, Transport};
use wire::peer::pex::Flags as Hints;

use self::prior::Prior;
use super::next_random;

/// One way to reach a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rung {
    /// What carries the connection.
    pub transport: Transport,
    /// What obfuscates it.
    pub encryption: Encryption,
    /// What is offered to carry the payload behind an obfuscating handshake.
    pub offer: Offer,
}

/// What an obfuscating handshake offers to carry the payload: one at a time, as clients fail where both are offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Offer {
    /// The payload as it is; to peers alone that refused the other.
    Plaintext,
    /// RC4, which nearly all take.
    #[default]
    Rc4,
}

impl Rung {
    /// What every client accepts unless it was told not to.
    pub const PLAIN_TCP: Self = Self::of(Transport::Tcp, Encryption::Plain);
    /// What a client that was told to obfuscate accepts.
    pub const MSE_TCP: Self = Self::of(Transport::Tcp, Encryption::Mse);
    /// For clients that listen on UDP alone.
    pub const PLAIN_UTP: Self = Self::of(Transport::Utp, Encryption::Plain);
    /// For those of them that obfuscate.
    pub const MSE_UTP: Self = Self::of(Transport::Utp, Encryption::Mse);
    /// Every rung, the likelier ones first.
    pub const ALL: [Self; 4] = [Self::PLAIN_TCP, Self::MSE_TCP, Self::PLAIN_UTP, Self::MSE_UTP];

    const fn of(transport: Transport, encryption: Encryption) -> Self {
        Self { transport, encryption, offer: Offer::Rc4 }
    }

    /// The same, with another offer.
    #[must_use]
    pub fn offering(self, offer: Offer) -> Self {
        Self { offer, ..self }
    }

    fn index(self) -> usize {
        usize::from(self.transport == Transport::Utp) * 2 + usize::from(self.encryption == Encryption::Mse)
    }

    fn bit(self) -> u16 {
        1 << self.index()
    }
}

/// The rungs of a run: those that were not switched off. Plain TCP is always one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rungs(u16);

impl Rungs {
    /// Those with these transports and encryptions.
    pub fn new(mse: bool, utp: bool) -> Self {
        let has = |rung: &Rung| {
            (mse || rung.encryption == Encryption::Plain) && (utp || rung.transport == Transport::Tcp)
        };
        Self(Rung::ALL.iter().filter(|rung| has(rung)).fold(0, |rungs, rung| rungs | rung.bit()))
    }

    pub(super) fn has(self, rung: Rung) -> bool {
        self.0 & rung.bit() != 0
    }
}

/// How a rung failed, as far as it tells about the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// What came was no handshake.
    Garbled,
    /// It was accepted, and closed at what we said.
    HungUp,
    /// Nothing came back.
    NoAnswer,
    /// Nobody listens.
    Refused,
    /// It was accepted, and left waiting.
    Silent,
}

impl Failure {
    /// `None` for what another rung would not mend.
    fn of(outcome: ContactOutcome) -> Option<Self> {
        match outcome {
            ContactOutcome::ConnectTimedOut => Some(Self::NoAnswer),
            ContactOutcome::HandshakeClosed | ContactOutcome::HandshakeReset => Some(Self::HungUp),
            ContactOutcome::HandshakeMalformed => Some(Self::Garbled),
            ContactOutcome::HandshakeTimedOut => Some(Self::Silent),
            ContactOutcome::Refused => Some(Self::Refused),
            _ => None,
        }
    }

    /// Whether there was a connection, so that somebody is there.
    fn is_alive(self) -> bool {
        matches!(self, Self::Garbled | Self::HungUp | Self::Silent)
    }
}

/// What is known of the ways to one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways(u16);

impl Ways {
    /// Rungs tried in this round, a bit each.
    const TRIED: u16 = 0x0f;
    /// Index of the rung to be tried next or first, where one is known.
    const RUNG: u16 = 0x30;
    /// The index is that of a rung that worked, or that the peer came by.
    const WORKED: u16 = 1 << 6;
    /// The index is that of the next rung of the round.
    const NEXT: u16 = 1 << 7;
    /// The other transport was tried in vain.
    const VAIN: u16 = 1 << 8;
    /// Its client does not speak MSE.
    const PLAIN_ONLY: u16 = 1 << 9;
    /// How the last rung of the round failed.
    const FAILURE: u16 = 0x7 << 10;
    /// RC4 was refused: the payload is offered as it is.
    const PLAINTEXT: u16 = 1 << 13;
    /// The other transport is tried again after so many failed rounds.
    const VAIN_ROUNDS: u8 = 4;

    /// Takes the peer's client: rqbit and ctorrent do not speak MSE.
    pub(super) fn client(&mut self, peer_id: &[u8; 20]) {
        let plain_only = peer_id.starts_with(b"-rQ") || peer_id.starts_with(b"-CD");
        self.set(Self::PLAIN_ONLY, plain_only);
    }

    /// The peer came to us by this rung; it will take us by it as well, if it can be reached at all.
    pub(super) fn came_by(&mut self, rung: Rung) {
        if !self.has(Self::WORKED | Self::NEXT) {
            self.point_at(rung, Self::WORKED);
        }
    }

    fn has(self, any_of: u16) -> bool {
        self.0 & any_of != 0
    }

    fn set(&mut self, flag: u16, on: bool) {
        if on { self.0 |= flag } else { self.0 &= !flag }
    }

    /// A rung of this round failed.
    fn note(&mut self, rung: Rung, failure: Failure) {
        self.0 &= !Self::FAILURE;
        self.0 |= rung.bit() | ((failure as u16) << Self::FAILURE.trailing_zeros());
    }

    /// What a failed round leaves behind.
    fn end_round(&mut self, failed_rounds: u8) {
        let both = self.tried(Transport::Tcp) && self.tried(Transport::Utp);
        let again = failed_rounds % Self::VAIN_ROUNDS == Self::VAIN_ROUNDS - 1;
        self.set(Self::VAIN, !again && (both || self.has(Self::VAIN)));
        self.set(Self::WORKED, self.has(Self::WORKED) && failed_rounds < FORGOTTEN_AFTER);
        self.set(Self::PLAINTEXT, self.has(Self::PLAINTEXT) && self.has(Self::WORKED));
        self.0 &= !(Self::TRIED | Self::FAILURE | Self::NEXT);
    }

    /// Whether a rung of this transport was tried in this round.
    fn tried(self, transport: Transport) -> bool {
        Rung::ALL.iter().any(|rung| rung.transport == transport && self.has(rung.bit()))
    }

    fn failure(self) -> usize {
        usize::from((self.0 & Self::FAILURE) >> Self::FAILURE.trailing_zeros())
    }

    fn point_at(&mut self, rung: Rung, what: u16) {
        self.0 &= !(Self::RUNG | Self::WORKED | Self::NEXT);
        self.0 |= what | (u16::try_from(rung.index()).unwrap_or_default() << Self::RUNG.trailing_zeros());
    }

    fn pointed_at(self) -> Rung {
        let index = usize::from((self.0 & Self::RUNG) >> Self::RUNG.trailing_zeros());
        let rung = Rung::ALL.get(index).copied().unwrap_or(Rung::PLAIN_TCP);
        let plaintext = rung.encryption == Encryption::Mse && self.has(Self::PLAINTEXT);
        rung.offering(if plaintext { Offer::Plaintext } else { Offer::Rc4 })
    }
}

/// A peer that was reached is tried by the same rung alone until so many rounds failed in a row.
const FORGOTTEN_AFTER: u8 = 2;
/// A rung likely to work with less than this chance is not worth a contact.
const WORTH: f32 = 0.02;
/// One in so many decisions goes against what was learnt, so that it can be learnt anew.
const EXPLORED: u64 = 32;

/// A further rung in a round of contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Climb {
    /// Whether there was a connection, so that the next rung is likely to work.
    pub(super) alive: bool,
}

/// How a contact ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Its outcome.
    pub(super) outcome: ContactOutcome,
    /// The peer obfuscates, and would not have what was offered.
    pub(super) refused: bool,
}

/// What decides about rungs.
#[derive(Debug)]
pub(super) struct Ladder {
    rungs: Rungs,
    prior: Prior,
    random: u64,
}

impl Ladder {
    pub(super) fn new(rungs: Rungs, seed: u64) -> Self {
        Self { rungs, prior: Prior::default(), random: seed }
    }

    /// The rung to try now.
    pub(super) fn rung(&mut self, ways: Ways, hints: Hints) -> Rung {
        let pointed_at = ways.pointed_at();
        if ways.has(Ways::WORKED | Ways::NEXT) && self.rungs.has(pointed_at) {
            return pointed_at;
        }
        let mse = self.rungs.has(Rung::MSE_TCP) && !ways.has(Ways::PLAIN_ONLY);
        let likelier = self.prior.is_mse_likelier(hints);
        if mse && (likelier != self.explores()) { Rung::MSE_TCP } else { Rung::PLAIN_TCP }
    }

    /// Takes how a contact by `rung` ended, after `failed_rounds` without success; tells whether another rung follows.
    pub(super) fn ended(
        &mut self,
        ways: &mut Ways,
        hints: Hints,
        rung: Rung,
        end: End,
        failed_rounds: u8,
    ) -> Option<Climb> {
        let End { outcome, refused } = end;
        let first_offer = rung.offer == Offer::Rc4;
        if !first_offer {
            self.prior.note_plaintext(outcome.has_handshake());
        }
        if outcome.has_handshake() {
            if first_offer {
                self.prior.note(*ways, hints, rung, None);
            }
            ways.0 &= !(Ways::TRIED | Ways::FAILURE | Ways::VAIN);
            ways.set(Ways::PLAINTEXT, !first_offer);
            ways.point_at(rung, Ways::WORKED);
            return None;
        }
        let Some(failure) = Failure::of(outcome) else {
            ways.end_round(failed_rounds);
            return None;
        };
        if first_offer {
            self.prior.note(*ways, hints, rung, Some(failure));
        }
        let alone = ways.has(Ways::WORKED) && failed_rounds < FORGOTTEN_AFTER;
        ways.note(rung, failure);
        if refused && first_offer && !alone && self.offers_plaintext() {
            ways.set(Ways::PLAINTEXT, true);
            ways.point_at(rung, Ways::NEXT);
            return Some(Climb { alive: true });
        }
        let Some(next) = (!alone).then(|| self.next(*ways, hints, rung, failure)).flatten() else {
            ways.end_round(failed_rounds);
            return None;
        };
        ways.set(Ways::PLAINTEXT, false);
        ways.point_at(next, Ways::NEXT);
        Some(Climb { alive: failure.is_alive() })
    }

    /// The likeliest of the rungs that were not tried in this round, if it is worth it.
    fn next(&mut self, ways: Ways, hints: Hints, rung: Rung, failure: Failure) -> Option<Rung> {
        let may_help = |next: &Rung| {
            let untried = self.rungs.has(*next) && !ways.has(next.bit());
            let spoken = next.encryption == Encryption::Plain || !ways.has(Ways::PLAIN_ONLY);
            let promising = if next.transport == rung.transport {
                failure.is_alive()
            } else {
                !ways.tried(next.transport) && !ways.has(Ways::VAIN)
            };
            untried && spoken && promising
        };
        let chance = |next: &Rung| self.prior.chance(ways, hints, *next);
        let next = Rung::ALL.into_iter().filter(may_help).max_by(|a, b| chance(a).total_cmp(&chance(b)))?;
        (chance(&next) >= WORTH || self.explores()).then_some(next)
    }

    fn offers_plaintext(&mut self) -> bool {
        self.prior.plaintext_chance() >= WORTH || self.explores()
    }

    fn explores(&mut self) -> bool {
        next_random(&mut self.random).is_multiple_of(EXPLORED)
    }
}
