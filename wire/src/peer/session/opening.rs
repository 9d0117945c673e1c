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
        if !opening {
            self.tell_folded(now);
        }
        self.claims.bitfield(bytes, opening)?;
        self.tell_late_claim(now, Kind::Bitfield);
        Ok(())
    }

    pub(super) fn handle_have_all(&mut self, now: Instant) {
        self.tell_folded(now);
        self.claims.have_all();
        self.tell_late_claim(now, Kind::HaveAll);
    }

    pub(super) fn handle_have_none(&mut self, now: Instant) {
        self.tell_folded(now);
        self.claims.have_none();
        self.tell_late_claim(now, Kind::HaveNone);
    }

    pub(super) fn handle_have(&mut self, now: Instant, index: u32) -> Result<(), ClaimError> {
        let new = self.claims.have(index)?;
        if self.is_opening() || !(new || self.fold.is_off()) {
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
        let silent = self.claims.basis().is_none() && self.claims.is_empty();
        let started = self.summary.handshake_at.unwrap_or(now);
        if silent && now < started + self.settings.settle * SETTLE_TIMES_MAX {
            // A peer whose extended handshake has just come may well send its bitfield next: that is no silence yet.
            let quiet_at = self.last_received + self.settings.settle;
            if quiet_at > now {
                self.phase = Phase::Opening { settle_at: quiet_at };
                return;
            }
        }
        let fast = self.summary.reserved.is_some_and(Reserved::fast);
        let quiet = now.saturating_duration_since(self.last_received) >= self.settings.settle;
        if self.claims.basis().is_none() && !fast && (quiet || !silent) {
            self.claims.silence();
        }
        self.phase = Phase::Watching;
        self.tell_opening(now, true);
        self.events.push_back(Event::Settled);
    }

    /// Tells what was held back, as the session ends.
    pub(super) fn tell_rest(&mut self, now: Instant) {
        match self.phase {
            Phase::Opening { .. } => self.tell_opening(now, false),
            Phase::Watching => self.tell_folded(now),
            Phase::Handshaking { .. } | Phase::Deciding { .. } | Phase::Ended => {}
        }
    }

    pub(super) fn tell_folded(&mut self, now: Instant) {
        if let Some(waiting) = self.fold.flush(now) {
            self.tell_have(waiting);
        }
    }

    fn is_opening(&self) -> bool {
        matches!(self.phase, Phase::Opening { .. })
    }

    fn tell_opening(&mut self, now: Instant, settled: bool) {
        let basis = self.claims.basis();
        let kind = match basis {
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
        self.tell(now, kind, settled && basis.is_some(), None);
    }

    /// Tells a bitfield, `have_all` or `have_none` that came after the opening burst.
    fn tell_late_claim(&mut self, now: Instant, kind: Kind) {
        if !self.is_opening() {
            self.tell(now, kind, true, None);
        }
    }

    fn tell_have(&mut self, have: Waiting) {
        let settled = self.claims.basis().is_some();
        let pieces = Some(have.pieces);
        self.push_observation(have.at, Kind::Have, settled, pieces, have.piece);
    }

    fn tell(&mut self, at: Instant, kind: Kind, settled: bool, piece: Option<u32>) {
        self.push_observation(at, kind, settled, self.claims.count(), piece);
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
        self.events.push_back(Event::Observation(Observation {
            at,
            kind,
            settled,
            pieces,
            piece_count,
            piece,
            bitfield,
        }));
    }
}
