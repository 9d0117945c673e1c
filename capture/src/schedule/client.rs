//! What each client program was seen to do, over all peers that run it: whether it tells its progress on a held
//! connection, how long it lets one idle, whether it takes a second one.
//!
//! The table of [`Habit`]s is where we begin; a program that behaves otherwise, or that no table knows, is believed by
//! what it does. A program is the client part of a peer ID (BEP 20), its version left out.

use std::{collections::HashMap, time::Duration};

use super::Habit;

/// Programs told apart; all further ones count as one that is not known.
const PROGRAMS_MAX: u8 = u8::MAX;
/// Evidence that outweighs the table.
const EVIDENCE_MIN: u32 = 3;
/// HAVEs further apart than this are not sent at once, if pieces came meanwhile.
const AT_ONCE: Duration = Duration::from_secs(3);
/// So many pieces kept back for longer show that they are told in batches; so many told within it, that they are not.
const LATE_PIECES: f32 = 2.5;
const SOON_PIECES: f32 = 0.5;
/// Idle connections are ended by a timer if two of them lasted alike, within this share.
const ALIKE: f64 = 0.15;
/// A shorter idle limit than this is a peer's whim.
const IDLE_LIMIT_MIN: Duration = Duration::from_secs(4);
/// Without a shorter limit, we say something this often.
pub const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// A client program, as far as its peer IDs tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Program([u8; 3]);

impl Program {
    /// The program behind a peer ID: the two letters of `-XX1234-`, else the first three bytes.
    pub fn of(peer_id: &[u8; 20]) -> Self {
        let [first, second, third, ..] = *peer_id;
        if first == b'-' { Self([b'-', second, third]) } else { Self([first, second, third]) }
    }

    /// How long it is known to wait for a byte before it hangs up, where keep-alives help against that.
    fn idle_limit(self) -> Option<Duration> {
        (self.0 == *b"-rQ").then_some(Duration::from_secs(10))
    }

    /// Whether it is known to take a second connection from an address.
    fn accepts_second(self) -> bool {
        matches!(&self.0, b"-WW" | b"-rQ" | b"A2-")
    }
}

/// A program's place among those seen; 0 is no program in particular.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientId(u8);

/// Counts of what one program did.
#[derive(Clone, Copy, Debug, Default)]
struct Observed {
    /// Held connections on which it told of pieces.
    told: u32,
    /// Held connections without a word, after which a fresh handshake showed that pieces had come.
    quiet: u32,
    /// Of those on which it told, such after which a handshake showed that it had not told all.
    partly: u32,
    /// HAVEs within [`AT_ONCE`] of the ones before, and such that came later though pieces had come meanwhile.
    soon: u32,
    late: u32,
    /// How long the last idle connections were open when it hung up, and how long we had been silent then.
    hung_up: Option<(Duration, Duration)>,
    idle_limit: Option<Duration>,
    /// It hangs up whatever we send.
    keep_alives_are_useless: bool,
    accepted_second: u32,
    refused_second: u32,
}

/// All programs seen.
#[derive(Debug)]
pub(super) struct Clients {
    places: HashMap<Program, ClientId>,
    observed: Vec<(Option<Program>, Observed)>,
}

impl Default for Clients {
    fn default() -> Self {
        Self { places: HashMap::new(), observed: vec![(None, Observed::default())] }
    }
}

impl Clients {
    /// The place of a peer's program.
    pub(super) fn id_of(&mut self, peer_id: &[u8; 20]) -> ClientId {
        let program = Program::of(peer_id);
        if let Some(id) = self.places.get(&program) {
            return *id;
        }
        match u8::try_from(self.observed.len()) {
            Ok(place) if place < PROGRAMS_MAX => {
                self.observed.push((Some(program), Observed::default()));
                self.places.insert(program, ClientId(place));
                ClientId(place)
            }
            _ => ClientId::default(),
        }
    }

    fn get(&self, id: ClientId) -> Option<&(Option<Program>, Observed)> {
        self.observed.get(usize::from(id.0)).filter(|_| id != ClientId::default())
    }

    fn get_mut(&mut self, id: ClientId) -> Option<&mut Observed> {
        if id == ClientId::default() {
            return None;
        }
        self.observed.get_mut(usize::from(id.0)).map(|(_, observed)| observed)
    }

    /// How the program behaves: as it was seen to, or as the table says until then.
    pub(super) fn habit(&self, id: ClientId, table: Habit) -> Habit {
        self.get(id).and_then(|(_, observed)| observed.habit()).unwrap_or(table)
    }

    /// Whether the program takes a connection of ours while one of its own is open.
    pub(super) fn accepts_second(&self, id: ClientId) -> bool {
        self.get(id).is_some_and(|(program, observed)| {
            match observed.accepted_second + observed.refused_second {
                0..EVIDENCE_MIN => program.is_some_and(Program::accepts_second),
                _ => observed.accepted_second > observed.refused_second,
            }
        })
    }

    /// It told of pieces on a held connection, for the first time on it.
    pub(super) fn told(&mut self, id: ClientId) {
        count(self.get_mut(id).map(|observed| &mut observed.told));
    }

    /// HAVEs came this long after the ones before, in which about so many pieces came in.
    pub(super) fn told_after(&mut self, id: ClientId, pause: Duration, pieces: f32) {
        let Some(observed) = self.get_mut(id) else { return };
        if pause >= AT_ONCE && pieces >= LATE_PIECES {
            count(Some(&mut observed.late));
        } else if pause < AT_ONCE && pieces >= SOON_PIECES {
            count(Some(&mut observed.soon));
        }
    }

    /// A fresh handshake showed pieces that the held connection before it had kept quiet about.
    pub(super) fn kept_quiet(&mut self, id: ClientId, had_told: bool) {
        count(
            self.get_mut(id)
                .map(|observed| if had_told { &mut observed.partly } else { &mut observed.quiet }),
        );
    }

    /// A connection of ours was answered, or not, while one of the peer's own was open.
    pub(super) fn second_connection(&mut self, id: ClientId, accepted: bool) {
        if let Some(observed) = self.get_mut(id) {
            let counter = if accepted { &mut observed.accepted_second } else { &mut observed.refused_second };
            *counter = counter.saturating_add(1);
        }
    }

    /// It hung up on an idle connection that had been open for `open`, and heard nothing from us for `silent`.
    ///
    /// Returns how often we are to say something to it from then on, if that changed.
    pub(super) fn hung_up(
        &mut self,
        id: ClientId,
        open: Duration,
        silent: Duration,
    ) -> Option<(Program, Duration)> {
        let program = self.get(id)?.0?;
        let before = self.keep_alive(id);
        let observed = self.get_mut(id)?;
        if let Some((open_before, silent_before)) = observed.hung_up.replace((open, silent)) {
            let limit = observed.idle_limit.or(program.idle_limit());
            if let Some(limit) = limit.filter(|limit| silent < limit.mul_f64(1.0 - ALIKE)) {
                // We had said something in time: if it hangs up at the age it always did, that is of no use.
                observed.keep_alives_are_useless |= alike(open, open_before) && alike(open, limit);
            } else if silent >= IDLE_LIMIT_MIN && alike(silent, silent_before) {
                observed.idle_limit = Some(silent.min(silent_before));
            }
        }
        let after = self.keep_alive(id);
        (after != before).then_some((program, after))
    }

    /// How often we say something to it.
    pub(super) fn keep_alive(&self, id: ClientId) -> Duration {
        let Some((program, observed)) = self.get(id) else { return KEEP_ALIVE };
        if observed.keep_alives_are_useless {
            return KEEP_ALIVE;
        }
        keep_alive_under(observed.idle_limit.or(program.and_then(Program::idle_limit)))
    }
}

/// How often to say something to a peer by what is known of its program from the start.
pub fn keep_alive_by_table(peer_id: &[u8; 20]) -> Duration {
    keep_alive_under(Program::of(peer_id).idle_limit())
}

fn keep_alive_under(idle_limit: Option<Duration>) -> Duration {
    idle_limit.map_or(KEEP_ALIVE, |limit| limit.mul_f64(0.8).min(KEEP_ALIVE))
}

fn alike(one: Duration, other: Duration) -> bool {
    let (one, other) = (one.as_secs_f64(), other.as_secs_f64());
    (one - other).abs() <= one.max(other) * ALIKE
}

fn count(counter: Option<&mut u32>) {
    if let Some(counter) = counter {
        *counter = counter.saturating_add(1);
    }
}

impl Observed {
    fn habit(&self) -> Option<Habit> {
        if self.told + self.quiet < EVIDENCE_MIN {
            return None;
        }
        if self.quiet > self.told {
            return Some(Habit::Silent);
        }
        if self.partly * 2 > self.told {
            return Some(Habit::Unreliable);
        }
        if self.soon + self.late < EVIDENCE_MIN {
            return None;
        }
        // A batch is told as two rows a second apart, so that it counts as late once and as soon once.
        Some(if self.late * 3 > self.soon { Habit::Batches } else { Habit::Tells })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: [u8; 20] = *b"-ZZ0001-abcdefghijkl";

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_program_is_told_by_its_letters_whatever_its_version() {
        assert_eq!(Program::of(b"-TR3000-abcdefghijkl"), Program::of(b"-TR4060-bbbbbbbbbbbb"));
        assert_ne!(Program::of(b"-TR3000-abcdefghijkl"), Program::of(b"-qB4520-abcdefghijkl"));
        assert_eq!(Program::of(b"A2-1-36-abcdefghijkl"), Program::of(b"A2-1-37-abcdefghijkl"));
    }

    #[test]
    fn what_is_seen_outweighs_the_table() {
        let mut clients = Clients::default();
        let id = clients.id_of(b"-rQ9100-abcdefghijkl");
        assert_eq!(clients.habit(id, Habit::Silent), Habit::Silent);
        // A version that tells after all.
        for _ in 0..4 {
            clients.told(id);
            clients.told_after(id, secs(1), 1.0);
        }
        assert_eq!(clients.habit(id, Habit::Silent), Habit::Tells);
        let id = clients.id_of(&NEW);
        assert_eq!(clients.habit(id, Habit::Unknown), Habit::Unknown);
        for _ in 0..3 {
            clients.kept_quiet(id, false);
        }
        assert_eq!(clients.habit(id, Habit::Unknown), Habit::Silent);
    }

    #[test]
    fn batches_and_half_told_progress_are_recognised() {
        let mut clients = Clients::default();
        let id = clients.id_of(&NEW);
        clients.told(id);
        clients.told(id);
        clients.told(id);
        for _ in 0..5 {
            clients.told_after(id, secs(9), 9.0);
            clients.told_after(id, secs(1), 1.0);
        }
        assert_eq!(clients.habit(id, Habit::Unknown), Habit::Batches);
        for _ in 0..2 {
            clients.kept_quiet(id, true);
        }
        assert_eq!(clients.habit(id, Habit::Unknown), Habit::Unreliable);
    }

    #[test]
    fn an_idle_limit_is_learnt_from_two_hang_ups_and_kept_under() {
        let mut clients = Clients::default();
        let id = clients.id_of(&NEW);
        assert_eq!(clients.keep_alive(id), KEEP_ALIVE);
        assert_eq!(clients.hung_up(id, secs(12), secs(12)), None);
        assert_eq!(clients.hung_up(id, secs(50), secs(50)), None, "unlike the one before");
        let (program, keep_alive) = clients.hung_up(id, secs(48), secs(48)).expect("a limit");
        assert_eq!((program, keep_alive), (Program::of(&NEW), Duration::from_millis(38_400)));
    }

    #[test]
    fn where_keep_alives_do_not_help_none_are_wasted() {
        let mut clients = Clients::default();
        let id = clients.id_of(b"A2-1-36-abcdefghijkl");
        clients.hung_up(id, secs(30), secs(30));
        assert_eq!(clients.hung_up(id, secs(30), secs(30)).map(|(_, pace)| pace), Some(secs(24)));
        assert_eq!(clients.hung_up(id, secs(30), secs(6)).map(|(_, pace)| pace), Some(KEEP_ALIVE));
    }

    #[test]
    fn rqbit_hears_from_us_every_eight_seconds() {
        assert_eq!(keep_alive_by_table(b"-rQ9100-abcdefghijkl"), secs(8));
        assert_eq!(keep_alive_by_table(&NEW), KEEP_ALIVE);
    }

    #[test]
    fn a_second_connection_is_tried_where_it_was_taken() {
        let mut clients = Clients::default();
        let id = clients.id_of(&NEW);
        assert!(!clients.accepts_second(id));
        for _ in 0..3 {
            clients.second_connection(id, true);
        }
        assert!(clients.accepts_second(id));
        let rqbit = clients.id_of(b"-rQ9100-abcdefghijkl");
        assert!(clients.accepts_second(rqbit));
        for _ in 0..3 {
            clients.second_connection(rqbit, false);
        }
        assert!(!clients.accepts_second(rqbit));
    }

    #[test]
    fn programs_without_end_find_a_bounded_place() {
        let mut clients = Clients::default();
        for first in 0..=255 {
            for second in 0..=255 {
                let mut id = NEW;
                (id[1], id[2]) = (first, second);
                clients.id_of(&id);
            }
        }
        assert!(clients.observed.len() <= 255);
        assert_eq!(clients.id_of(b"-QQ0001-abcdefghijkl").0, 0);
    }
}
