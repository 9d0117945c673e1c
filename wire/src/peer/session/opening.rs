//! Claims become observations: the opening burst as one, later HAVEs folded, everything held back at the end.

use std::time::Instant;

use super::{
    Basis, ClaimError, Event, Phase, SETTLE_TIMES_MAX, Session,
    fold::Waiting,
    report::{Kind, Observation},
};
use crate::peer::handshake::Reserved;

impl Session {
    pub(super) fn handle_bitfield(&mut self, now: Instant, bytes: Vec<u8>) -> Result<(), ClaimError> {
        let opening = self.is_opening();
        self.begin_claim(now);
        self.claims.bitfield(bytes, opening)?;
        self.foretell();
        self.tell_late_claim(now, Kind::Bitfield);
        Ok(())
    }

    pub(super) fn handle_have_all(&mut self, now: Instant) {
        self.begin_claim(now);
        self.claims.have_all();
        self.foretell();
        self.tell_late_claim(now, Kind::HaveAll);
    }

    pub(super) fn handle_have_none(&mut self, now: Instant) {
        self.begin_claim(now);
        self.claims.have_none();
        self.tell_late_claim(now, Kind::HaveNone);
    }

    pub(super) fn handle_have(&mut self, now: Instant, index: u32) -> Result<(), ClaimError> {
        let new = self.claims.have(index)?;
        if self.is_opening() {
            self.claimed_at = Some(now);
            return Ok(());
        }
        // A peer that tells of its first pieces now had none when it was silent.
        self.tell_silence();
        if !new && !self.fold.is_off() {
            return Ok(());
        }
        let Some(pieces) = self.claims.count() else { return Ok(()) };
        for told in self.fold.have(now, index, pieces, self.claims.piece_count()).into_iter().flatten() {
            self.tell_have(told);
        }
        Ok(())
    }

    /// Ends the opening burst at the settle time, unless the peer is still speaking of other things.
    pub(super) fn settle(&mut self, now: Instant) {
        let claimed = self.claims.basis().is_some() || !self.claims.is_empty();
        let started = self.summary.handshake_at.unwrap_or(now);
        // Who has not said a word yet may be slow or about to hang up: both are silent whatever they have.
        let mute = self.summary.messages == 0;
        let quiet_at = if mute {
            started + self.settings.settle * SETTLE_TIMES_MAX
        } else {
            self.last_received + self.settings.settle
        };
        if !claimed && quiet_at > now && now < started + self.settings.settle * SETTLE_TIMES_MAX {
            // A peer whose extended handshake has just come may well send its bitfield next: that is no silence yet.
            self.phase = Phase::Opening { settle_at: quiet_at };
            return;
        }
        self.phase = Phase::Watching;
        let fast = self.summary.reserved.is_some_and(Reserved::fast);
        if claimed {
            if !fast {
                self.claims.nothing_else();
            }
            self.tell_opening(now, true);
        } else if !fast && quiet_at <= now {
            // Held back, as a bitfield that is late after all proves it wrong.
            self.silent_at = Some(now);
        }
        self.events.push_back(Event::Settled);
    }

    fn begin_claim(&mut self, now: Instant) {
        self.silent_at = None;
        self.claimed_at = Some(now);
        match &mut self.phase {
            // The HAVEs that a lazy bitfield held back follow it, not the handshake.
            Phase::Opening { settle_at } => *settle_at = (*settle_at).max(now + self.settings.settle),
            _ => self.tell_folded(now),
        }
    }

    /// Tells that the peer was silent during the settle time, if it was and nothing has proved it wrong.
    fn tell_silence(&mut self) {
        let Some(at) = self.silent_at.take() else { return };
        self.claims.nothing_else();
        self.summary.pieces_first = Some(0);
        self.push_observation(at, Kind::Silence, true, Some(0), None);
    }

    /// Forgets a silence that the peer itself ended soon after the settle time: a peer that is about to hang up, or too
    /// busy to speak, is silent whatever it has.
    pub(super) fn doubt_silence(&mut self, now: Instant) {
        let began = self.summary.handshake_at.unwrap_or(now);
        if now < began + self.settings.settle * SETTLE_TIMES_MAX {
            self.silent_at = None;
        }
    }

    /// Tells what was held back, as the session ends.
    pub(super) fn tell_rest(&mut self, now: Instant) {
        match self.phase {
            Phase::Opening { .. } => self.tell_opening(now, false),
            Phase::Watching => {
                self.tell_silence();
                self.tell_folded(now);
            }
            Phase::Handshaking { .. } | Phase::Deciding { .. } | Phase::Ended => {}
        }
    }

    pub(super) fn tell_folded(&mut self, now: Instant) {
        if let Some(waiting) = self.fold.flush(now) {
            self.tell_have(waiting);
        }
    }

    /// Tells what was claimed before the opening burst is over, for whoever has no time to wait for that.
    fn foretell(&mut self) {
        if self.is_opening() {
            let (pieces, piece_count) = (self.claims.count(), self.claims.piece_count());
            self.events.push_back(Event::Claimed { pieces, piece_count });
        }
    }

    fn is_opening(&self) -> bool {
        matches!(self.phase, Phase::Opening { .. })
    }

    fn tell_opening(&mut self, now: Instant, settled: bool) {
        let basis = self.claims.basis();
        let kind = match basis {
            // The handshake claimed no piece, which is what tells a super-seeder: not to be taken for a bitfield of these.
            Some(Basis::Bitfield) if self.claims.only_haves_behind_a_bitfield() => Kind::HaveNone,
            Some(Basis::Bitfield) => Kind::Bitfield,
            Some(Basis::HaveAll) => Kind::HaveAll,
            Some(Basis::HaveNone) => Kind::HaveNone,
            Some(Basis::Silence) | None if !self.claims.is_empty() => Kind::Have,
            Some(Basis::Silence) => Kind::Silence,
            None => return,
        };
        if basis.is_some() {
            self.summary.pieces_first = self.claims.count();
        }
        // Dated by the last claim: that is when the peer had so many pieces.
        let at = self.claimed_at.unwrap_or(now);
        self.push_observation(at, kind, settled && basis.is_some(), self.claims.count(), None);
    }

    /// Tells a bitfield, `have_all` or `have_none` that came after the opening burst.
    fn tell_late_claim(&mut self, now: Instant, kind: Kind) {
        if !self.is_opening() {
            if !self.opening_told {
                self.summary.pieces_first = self.claims.count();
            }
            self.push_observation(now, kind, true, self.claims.count(), None);
        }
    }

    fn tell_have(&mut self, have: Waiting) {
        let settled = self.claims.basis().is_some();
        let pieces = Some(have.pieces);
        self.push_observation(have.at, Kind::Have, settled, pieces, have.piece);
    }

    fn push_observation(
        &mut self,
        at: Instant,
        kind: Kind,
        settled: bool,
        pieces: Option<u32>,
        piece: Option<u32>,
    ) {
        if self.claims.basis().is_some() {
            self.summary.pieces_last = pieces;
        }
        let bitfield =
            if self.settings.record_bitfields && piece.is_none() { self.claims.bytes() } else { None };
        let piece_count = self.claims.piece_count();
        let opening = !std::mem::replace(&mut self.opening_told, true);
        self.events.push_back(Event::Observation(Observation {
            at,
            kind,
            opening,
            settled,
            pieces,
            piece_count,
            piece,
            bitfield,
        }));
    }
}
