//! What the peers of a run told together about rungs: how often each was taken, and how often a further one helped.
//!
//! Shares of successes with pseudo-counts for what was not tried yet; old experience weighs less with time.

use schema::table::Encryption;
use wire::peer::pex::Flags as Hints;

use super::{Failure, Rung, Ways};

/// An encryption must be likelier than plaintext by this much to be tried first.
const MARGIN: f32 = 0.05;
/// At so many tries both counts are halved, so that a change is noticed.
const REMEMBERED: u16 = 4096;

/// Successes among tries, those that are imagined beforehand included.
#[derive(Clone, Copy, Debug)]
struct Tally {
    tried: u16,
    worked: u16,
}

impl Tally {
    const fn new(worked: u16, tried: u16) -> Self {
        Self { tried, worked }
    }

    fn note(&mut self, worked: bool) {
        if self.tried >= REMEMBERED {
            self.tried /= 2;
            self.worked /= 2;
        }
        self.tried += 1;
        self.worked += u16::from(worked);
    }

    fn share(self) -> f32 {
        f32::from(self.worked) / f32::from(self.tried)
    }
}

/// Chances, as far as the run has told.
#[derive(Debug)]
pub(super) struct Prior {
    /// Of peers that accepted the connection, those that shook hands: by whether they prefer encryption, and the
    /// encryption tried first.
    accepted: [[Tally; 2]; 2],
    /// Further rungs that helped: by whether the peer speaks uTP, how the rung before failed, and the step taken.
    helped: [[[Tally; 3]; 5]; 2],
    /// Peers that refused RC4 and took the payload as it is.
    plaintext: Tally,
}

impl Default for Prior {
    fn default() -> Self {
        // By step: other encryption, other transport in plain, other transport obfuscated.
        let alive = [Tally::new(8, 20), Tally::new(2, 40), Tally::new(1, 40)];
        let dead = |utp| [Tally::new(0, 40), Tally::new(utp, 40), Tally::new(utp / 2, 40)];
        // In the order of `Failure`: garbled, hung up, no answer, refused, silent.
        let helped = |utp| [alive, alive, dead(utp), dead(utp), alive];
        Self {
            accepted: [[Tally::new(45, 50), Tally::new(38, 50)], [Tally::new(30, 50), Tally::new(45, 50)]],
            helped: [helped(4), helped(12)],
            plaintext: Tally::new(2, 20),
        }
    }
}

impl Prior {
    /// Whether a peer that is there rather takes an obfuscated connection than a plain one.
    pub(super) fn is_mse_likelier(&self, hints: Hints) -> bool {
        let [either, preferring] = &self.accepted;
        let [plain, mse] = if hints.has(Hints::ENCRYPTION) { preferring } else { either };
        mse.share() > plain.share() + MARGIN
    }

    /// The chance that `next` helps a peer with these ways, a rung of which has failed.
    pub(super) fn chance(&self, ways: Ways, hints: Hints, next: Rung) -> f32 {
        let [others, speakers] = &self.helped;
        let steps = if hints.has(Hints::UTP) { speakers } else { others }.get(ways.failure());
        steps.and_then(|steps| steps.get(step(ways, next))).map_or(0.0, |tally| tally.share())
    }

    /// The chance that a peer that refused RC4 takes the payload as it is; most of those have just left the swarm.
    pub(super) fn plaintext_chance(&self) -> f32 {
        self.plaintext.share()
    }

    /// Takes what became of that offer.
    pub(super) fn note_plaintext(&mut self, worked: bool) {
        self.plaintext.note(worked);
    }

    /// Takes what became of a rung; `ways` are those before it. Of strangers alone: that a rung that worked works
    /// again says nothing about others.
    pub(super) fn note(&mut self, ways: Ways, hints: Hints, rung: Rung, failure: Option<Failure>) {
        if ways.has(Ways::WORKED) {
            return;
        }
        if ways.has(Ways::TRIED) {
            let [others, speakers] = &mut self.helped;
            let steps = if hints.has(Hints::UTP) { speakers } else { others }.get_mut(ways.failure());
            if let Some(tally) = steps.and_then(|steps| steps.get_mut(step(ways, rung))) {
                tally.note(failure.is_none());
            }
        } else if failure.is_none_or(Failure::is_alive) {
            let [either, preferring] = &mut self.accepted;
            let [plain, mse] = if hints.has(Hints::ENCRYPTION) { preferring } else { either };
            let tally = if rung.encryption == Encryption::Mse { mse } else { plain };
            tally.note(failure.is_none());
        }
    }
}

/// The step to `next` from what was tried before.
fn step(ways: Ways, next: Rung) -> usize {
    match next.encryption {
        _ if ways.tried(next.transport) => 0,
        Encryption::Plain => 1,
        Encryption::Mse => 2,
    }
}
