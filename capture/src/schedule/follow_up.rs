//! What an observation or the end of a contact means for the next contact.

use std::time::{Duration, Instant};

use schema::table::ContactOutcome;

use super::{
    COMPLETE_REVISIT, Habit, Program, SPACING, Schedule, Seen, Why,
    client::Clients,
    ladder::End,
    next_random,
    open::Open,
    plan::{Belief, Class, Flags, Plan, Stage, Tick, is_above},
    worth::Worth,
};

/// First delay after a failure; each further one doubles it.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// Longest delay after a failure.
const RETRY_MAX: Duration = Duration::from_mins(30);
/// A peer that was downloading when it was lost is looked for this often before it counts as any other failure.
const LOST_LEECHER_TRIES: u8 = 3;
/// Failures a peer that answers for another swarm starts with.
const WRONG_SWARM_FAILURES: u8 = 7;
/// First delay to a peer of unknown speed.
const UNKNOWN_SPEED: Duration = Duration::from_secs(10);
/// A peer that hangs up while it downloads is looked for again after this time at the latest.
const HUNG_UP_MAX: Duration = Duration::from_mins(1);
/// More pieces than these were kept quiet about, beyond what the time between two contacts explains.
const UNEXPLAINED_PIECES: f32 = 3.0;

impl Schedule {
    /// Takes a claim of an opening burst that is not over: in the last seconds before the threshold the next visit
    /// matters more than the rest of this one.
    pub fn claimed(&mut self, now: Instant, contact: u64, pieces: Option<u32>, piece_count: Option<u32>) {
        let tick = self.tick(now);
        let Some(open) = self.open.get_mut(&contact).filter(|open| open.outgoing) else { return };
        let Some(plan) = open.peer.and_then(|peer| self.plans.get(peer.index())) else { return };
        let Some((pieces, count)) =
            pieces.zip(piece_count).filter(|&(pieces, count)| !is_above(pieces, count))
        else {
            return;
        };
        let known = plan.belief == Belief::Believed && plan.flags.has(Flags::WAS_BELOW);
        let visited = !matches!(open.habit, Habit::Tells | Habit::Unknown) || plan.is_known_quiet();
        let mut seen = *plan;
        seen.see(tick, pieces);
        if known && visited && seen.is_at_the_brink(tick, Some(count)) {
            open.hurried = true;
            self.review_at(contact, now);
        }
    }

    /// Takes an observation.
    pub fn observed(&mut self, now: Instant, contact: u64, seen: Seen) {
        let tick = self.tick(now);
        let Some(open) = self.open.get_mut(&contact) else { return };
        if let (Some(count), Some(known)) = (seen.piece_count, self.piece_counts.get_mut(open.swarm.index()))
        {
            *known = Some(count);
        }
        let (told_before, told_at) = (open.told, open.told_at);
        open.observe(now, &seen);
        let plan = open.peer.and_then(|peer| self.plans.get_mut(peer.index()));
        if let Some(plan) = plan {
            // What a super-seeder reveals is no progress, and no habit of its program's.
            if open.told && plan.belief == Belief::Believed {
                match told_at.filter(|_| told_before) {
                    Some(told_at) => {
                        let pause = now.saturating_duration_since(told_at);
                        self.clients.told_after(open.client, pause, plan.rate * pause.as_secs_f32());
                    }
                    None => self.clients.told(open.client),
                }
            }
            if seen.opening && seen.settled {
                learn_from_opening(plan, open, &seen, tick, &mut self.clients, self.pacing.revisit);
            }
            plan.flags.set(Flags::TOLD, open.told);
            let above_before = plan.flags.has(Flags::ABOVE);
            let was_below = plan.flags.has(Flags::WAS_BELOW);
            note_pieces(plan, open, tick, &seen);
            let above = plan.flags.has(Flags::ABOVE);
            self.counts.complete += u64::from(above && !above_before);
            self.counts.complete -= u64::from(above_before && !above);
            self.counts.crossings += u64::from(above && was_below && !above_before);
            if above && was_below {
                // Counted once; a peer that starts over is counted again.
                plan.flags.set(Flags::WAS_BELOW, false);
                open.crossed = true;
            }
        }
        let belief = open.peer.and_then(|peer| self.plans.get(peer.index())).map(|plan| plan.belief);
        let doubted = open.needs_handshake(belief.unwrap_or_default());
        let foreseen = open.habit == Habit::Batches;
        if open.settled_at.is_some() && (open.complete || doubted || foreseen) {
            self.review_at(contact, now);
        }
    }

    /// The opening burst of a contact is over.
    pub fn settled(&mut self, now: Instant, contact: u64) {
        let Some(open) = self.open.get_mut(&contact) else { return };
        open.settled_at = Some(now);
        if open.outgoing {
            self.held.insert(contact);
            note_worth(open, &self.plans, &mut self.worth);
        }
        self.review_at(contact, now);
    }

    /// The peer hung up on a connection that had been open and idle this long, and we had been silent this long.
    ///
    /// Returns how often its program is to hear from us from then on, if that has changed.
    pub fn hung_up(
        &mut self,
        contact: u64,
        open_for: Duration,
        silent: Duration,
    ) -> Option<(Program, Duration)> {
        let open = self.open.get(&contact)?;
        let plan = open.peer.and_then(|peer| self.plans.get(peer.index()))?;
        // Who completes may have left, which is no habit.
        let leaves = open.complete || plan.flags.has(Flags::ABOVE) || plan.flags.has(Flags::UPLOAD_ONLY);
        if leaves { None } else { self.clients.hung_up(open.client, open_for, silent) }
    }

    /// The peer obfuscates, and would not have what we offered to carry the payload.
    pub fn refused(&mut self, contact: u64) {
        if let Some(open) = self.open.get_mut(&contact) {
            open.refused = true;
        }
    }

    /// A contact ended.
    pub fn ended(&mut self, now: Instant, contact: u64, outcome: ContactOutcome) {
        let Some(mut open) = self.open.remove(&contact) else { return };
        self.held.remove(contact);
        if open.outgoing {
            note_worth(&mut open, &self.plans, &mut self.worth);
            if let Some((client, _)) = open.second_to.filter(|_| outcome == ContactOutcome::HandshakeReset) {
                self.clients.second_connection(client, false);
            }
        }
        self.spacing.note(now, open.swarm, open.ip);
        if open.outgoing {
            self.out -= 1;
            self.limits.end(open.ip);
            self.closing -= usize::from(open.closing.is_some());
        } else if let Some(here) = self.incoming.get_mut(&(open.swarm, open.ip)) {
            here.retain(|&(other, _)| other != contact);
            if here.is_empty() {
                self.incoming.remove(&(open.swarm, open.ip));
            }
        }
        let tick = self.tick(now);
        let has_spare = self.has_spare(now);
        let Some(peer) = open.peer else { return };
        let Some(plan) = self.plans.get_mut(peer.index()) else { return };
        if open.outgoing {
            let count = match (plan.attempts, outcome.has_handshake()) {
                (1, true) => &mut self.counts.first_ok,
                (1, false) => &mut self.counts.first_failed,
                (_, true) => &mut self.counts.later_ok,
                (_, false) => &mut self.counts.later_failed,
            };
            *count += 1;
        }
        if plan.stage == Stage::Blocked {
            return;
        }
        if outcome == ContactOutcome::SelfConnection {
            plan.stage = Stage::Blocked;
            return;
        }
        let end = End { outcome, refused: open.refused };
        if open.outgoing
            && let Some(climb) = self.ladder.ended(&mut plan.ways, plan.hints, open.rung, end, plan.failures)
        {
            // Somebody is there: the next rung is likelier to succeed than any new address.
            let class = if climb.alive { Class::Urgent } else { plan.class };
            self.wait(peer, class, now + SPACING);
            return;
        }
        let (class, delay) = follow_up(plan, &open, outcome, tick, now, &self.pacing, has_spare);
        let delay = jittered(delay, &mut self.random);
        self.wait(peer, class, now + delay);
    }
}

/// What a fresh handshake tells about a client's habits and whether its HAVEs can be believed.
fn learn_from_opening(
    plan: &mut Plan,
    open: &Open,
    seen: &Seen,
    tick: Tick,
    clients: &mut Clients,
    revisit: Duration,
) {
    let earlier = plan.pieces;
    if plan.flags.has(Flags::TOLD) {
        let explained = 2.0 * plan.rate * tick.since(plan.seen).as_secs_f32() + UNEXPLAINED_PIECES;
        let gained = seen.pieces.unwrap_or_default().saturating_sub(earlier);
        if f64::from(gained) > f64::from(explained) {
            clients.kept_quiet(open.client, true);
        }
    }
    if seen.claimed {
        plan.belief = Belief::Believed;
    } else if plan.flags.has(Flags::SEEN) && earlier > 0 && plan.belief != Belief::Believed {
        let percent = seen.piece_count.map_or(0, |count| u64::from(earlier) * 100 / u64::from(count.max(1)));
        plan.belief = match percent {
            98.. => Belief::TestedAfter,
            90.. => Belief::TestedNear,
            _ => Belief::TestedEarly,
        }
        .max(plan.belief);
    }
    if plan.flags.has(Flags::ON_TRIAL) {
        plan.flags.set(Flags::ON_TRIAL, false);
        let gained = seen.pieces.is_some_and(|pieces| pieces > earlier.saturating_add(1));
        plan.judge_patience(open.habit, gained, revisit);
        if gained {
            clients.kept_quiet(open.client, false);
        }
    }
}

fn note_pieces(plan: &mut Plan, open: &mut Open, tick: Tick, seen: &Seen) {
    // A lazy bitfield that was cut short tells less than is known.
    let tells = seen.settled
        || !plan.flags.has(Flags::SEEN)
        || seen.pieces.is_some_and(|pieces| pieces >= plan.pieces);
    if let Some(pieces) = seen.pieces.filter(|_| tells) {
        open.gained |= !plan.flags.has(Flags::SEEN) || pieces > plan.pieces;
        plan.see(tick, pieces);
    }
    let above = seen.complete
        || matches!((seen.pieces, seen.piece_count), (Some(pieces), Some(count)) if is_above(pieces, count));
    plan.flags.set(Flags::ABOVE, above);
    plan.flags.set(Flags::COMPLETE, seen.complete);
    if !above && seen.settled && seen.pieces.is_some() {
        plan.flags.set(Flags::WAS_BELOW, true);
    }
}

fn follow_up(
    plan: &mut Plan,
    open: &Open,
    outcome: ContactOutcome,
    tick: Tick,
    now: Instant,
    pacing: &super::Pacing,
    has_spare: bool,
) -> (Class, Duration) {
    if outcome == ContactOutcome::WrongInfoHash {
        plan.failures = plan.failures.max(WRONG_SWARM_FAILURES);
    }
    if !outcome.has_handshake() || !open.known {
        return retry(plan, pacing);
    }
    plan.failures = 0;
    if open.needs_handshake(plan.belief) {
        return (Class::Urgent, SPACING);
    }
    if open.complete || plan.flags.has(Flags::UPLOAD_ONLY) {
        return (Class::Complete, COMPLETE_REVISIT.max(pacing.revisit));
    }
    if open.gained {
        plan.stale = 0;
    } else if plan.is_stalled() {
        plan.stale = plan.stale.saturating_add(1);
    }
    let eta = plan.eta(tick, open.piece_count);
    let class = Class::Revisit;
    let held_out = open.settled_at.is_some_and(|at| now.saturating_duration_since(at) >= pacing.hold);
    if plan.flags.has(Flags::ON_TRIAL) || held_out {
        return (class, SPACING);
    }
    let by_speed = eta.map_or(UNKNOWN_SPEED, |eta| eta / 2).clamp(SPACING, pacing.revisit.max(SPACING));
    let doubled = |base: Duration| base.saturating_mul(1 << plan.stale.min(10));
    let visited = open.habit == Habit::Silent || plan.is_known_quiet();
    let delay = match (outcome, open.closing) {
        (ContactOutcome::OurLimit, _) | (_, Some(Why::Limit)) => doubled(by_speed.max(UNKNOWN_SPEED)),
        (ContactOutcome::VisitDone, _) => match plan.soonest(tick, open.piece_count) {
            // Where it costs nobody his visit, a pause is followed to its end.
            Some(soonest) if has_spare => by_speed.min((soonest / 2).max(SPACING)),
            _ => doubled(by_speed),
        },
        // It hung up on us while it was downloading, maybe because it is done.
        _ if visited => doubled(by_speed),
        _ => doubled(SPACING).min(HUNG_UP_MAX),
    };
    (class, delay.min(pacing.revisit.max(SPACING)))
}

/// Notes what a visit was worth, once.
fn note_worth(open: &mut Open, plans: &[Plan], worth: &mut Worth) {
    let Some(plan) = open.peer.and_then(|peer| plans.get(peer.index())) else { return };
    if !std::mem::replace(&mut open.noted, true) {
        let below = plan.flags.has(Flags::WAS_BELOW) && !plan.flags.has(Flags::UPLOAD_ONLY);
        worth.note(plan.class, below, open.crossed);
    }
}

fn retry(plan: &mut Plan, pacing: &super::Pacing) -> (Class, Duration) {
    plan.failures = plan.failures.saturating_add(1);
    let was_downloading = plan.flags.has(Flags::SEEN) && !plan.flags.has(Flags::ABOVE);
    let doubled = |first: Duration| first * (1 << (plan.failures - 1).min(12));
    if was_downloading && plan.failures <= LOST_LEECHER_TRIES {
        return (Class::Urgent, doubled(SPACING));
    }
    let max =
        if plan.flags.has(Flags::SEEN) { RETRY_MAX.min(pacing.revisit.saturating_mul(3)) } else { RETRY_MAX };
    (Class::Retry, doubled(RETRY_FIRST).min(max))
}

/// Up to an eighth longer, so that what failed together is not tried again together.
fn jittered(delay: Duration, random: &mut u64) -> Duration {
    let part = u32::try_from(next_random(random) % 1024).unwrap_or_default();
    delay + (delay / 8) * part / 1024
}
