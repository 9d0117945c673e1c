//! Who was at an endpoint when: peers that follow one another there, told apart by peer ID and progress.
//!
//! An endpoint is one peer for as long as its peer ID stays or its progress continues. A contact **starts over** when
//! it shows a peer ID not seen there before, though another was, and its settled first count is below the last settled
//! count known before its handshake. With it a new **generation** begins: contacts opened from then on are with the
//! new peer, and what older contacts still tell once it has spoken is left out.
//! Where every contact shows another peer ID, peer IDs tell nothing and there is one generation.

use std::collections::HashSet;

use super::{Observation, Opening, SETTLE_US};
use crate::replay::{rows::PeerId, small_map::SmallMap};

/// Contacts with a peer ID from which on "another one in each" is a habit: libtorrent 2.1 makes one up for every
/// connection.
const HABIT_CONTACTS: usize = 3;

/// An observation, as a member of its peer's history.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// What was observed.
    pub row: Observation,
    /// When its contact's handshake was complete; a lost contact's is guessed from its first observation.
    pub opened_at: i64,
    /// What the same contact told before; `None` for its first observation.
    pub told_before: Option<u32>,
    /// Whether its contact has a peer ID.
    pub is_named: bool,
    /// Whether that was an earlier peer's at the endpoint: peer IDs take turns.
    pub returns: bool,
}

/// The observations of an endpoint by the peer they are of.
#[derive(Clone, Debug, Default)]
pub(super) struct Generations {
    contacts: Contacts,
    members: Vec<Member>,
    /// Where each generation ends in `members`.
    ends: Vec<usize>,
}

/// A contact, as far as its observations tell.
#[derive(Clone, Copy, Debug, Default)]
struct Contact {
    number: u32,
    opened_at: i64,
    peer_id: Option<PeerId>,
    /// Its first observation.
    first: usize,
    generation: usize,
    told: Option<u32>,
}

/// Contacts in the order of their first observations, found by their numbers.
#[derive(Clone, Debug, Default)]
struct Contacts {
    list: Vec<Contact>,
    /// The place of each number in the list, plus 1; 0 for one that is not there. Numbers are small: those of a unit's
    /// contacts in their order.
    places: Vec<u32>,
}

impl Contacts {
    fn clear(&mut self) {
        for contact in self.list.drain(..) {
            if let Some(place) = self.places.get_mut(contact.number as usize) {
                *place = 0;
            }
        }
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Contact> {
        let place = self.places.get(number as usize)?.checked_sub(1)?;
        self.list.get_mut(place as usize)
    }

    fn push(&mut self, contact: Contact) {
        self.list.push(contact);
        let number = contact.number as usize;
        if number >= self.places.len() {
            self.places.resize(number + 1, 0);
        }
        if let Some(place) = self.places.get_mut(number) {
            *place = u32::try_from(self.list.len()).unwrap_or(0);
        }
    }
}

impl Generations {
    /// Sorts observations, which are in order of time, by generation; those that were sorted before are forgotten.
    pub fn sort(&mut self, rows: &[Observation], opening: impl Fn(u32) -> Opening) {
        let Self { contacts, members, ends } = self;
        let ids_differ = find_contacts(rows, opening, contacts);
        let last = if ids_differ { number(contacts, rows) } else { 0 };
        let mut first_generation: SmallMap<PeerId, usize> = SmallMap::default();
        members.clear();
        ends.clear();
        ends.resize(last + 1, 0);
        let mut current = 0;
        for row in rows {
            let Some(of) = contacts.get_mut(row.contact) else { continue };
            current = current.max(of.generation);
            if of.generation < current {
                continue;
            }
            // Where one peer was there, nobody returns.
            let returns = last > 0
                && of.peer_id.is_some_and(|id| *first_seen(&mut first_generation, id, current) < current);
            members.push(Member {
                row: *row,
                opened_at: of.opened_at,
                told_before: of.told.replace(row.pieces),
                is_named: of.peer_id.is_some(),
                returns,
            });
            // In order already, as a generation's rows are left out once the next one has spoken.
            if let Some(end) = ends.get_mut(current) {
                *end = members.len();
            }
        }
        ends.truncate(current + 1);
    }

    /// Number of generations, at least 1.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The observations of one, in order.
    pub fn members(&self, generation: usize) -> &[Member] {
        let begin = generation.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(generation).copied().unwrap_or(begin);
        self.members.get(begin..end).unwrap_or_default()
    }
}

fn first_seen(seen: &mut SmallMap<PeerId, usize>, id: PeerId, current: usize) -> &usize {
    if seen.get(&id).is_none() {
        seen.insert(id, current);
    }
    seen.entry(id)
}

/// Finds the contacts, in order of their first observations; gives whether they show different peer IDs.
fn find_contacts(rows: &[Observation], opening: impl Fn(u32) -> Opening, contacts: &mut Contacts) -> bool {
    contacts.clear();
    let mut last = None;
    let (mut one_id, mut ids_differ) = (None, false);
    for (first, row) in rows.iter().enumerate() {
        // Mostly the contact of the row before.
        if last == Some(row.contact) {
            continue;
        }
        last = Some(row.contact);
        if contacts.get_mut(row.contact).is_none() {
            let Opening { handshake_at, peer_id } = opening(row.contact);
            ids_differ |= peer_id.is_some_and(|id| *one_id.get_or_insert(id) != id);
            let opened_at = handshake_at.unwrap_or(row.time - SETTLE_US);
            let number = row.contact;
            contacts.push(Contact { number, opened_at, peer_id, first, ..Contact::default() });
        }
    }
    ids_differ
}

/// Gives each contact its generation, how many contacts had started over when it was opened; and the last generation.
fn number(contacts: &mut Contacts, rows: &[Observation]) -> usize {
    let mut starts = starting_over(contacts, rows);
    if starts.is_empty() {
        return 0;
    }
    starts.sort_unstable();
    let mut last = 0;
    for contact in &mut contacts.list {
        let order = (contact.opened_at, contact.number);
        contact.generation = starts.partition_point(|start| *start <= order);
        last = last.max(contact.generation);
    }
    last
}

/// When each contact was opened that starts over, and which it is.
fn starting_over(contacts: &Contacts, rows: &[Observation]) -> Vec<(i64, u32)> {
    let ids = || contacts.list.iter().filter_map(|contact| contact.peer_id);
    let named = ids().count();
    let different: HashSet<PeerId> = ids().collect();
    if named >= HABIT_CONTACTS && different.len() == named {
        return Vec::new();
    }
    let settled = last_settled(rows);
    let known_before = |at: i64| {
        let earlier = rows.partition_point(|row| row.time < at);
        settled.get(earlier.checked_sub(1)?).copied().flatten()
    };
    let mut seen: HashSet<PeerId> = HashSet::new();
    let mut found = Vec::new();
    for contact in &contacts.list {
        let (Some(id), Some(first)) = (contact.peer_id, rows.get(contact.first)) else { continue };
        let is_another = !seen.is_empty() && !seen.contains(&id);
        seen.insert(id);
        let known = known_before(contact.opened_at);
        if is_another && first.settled && known.is_some_and(|known| first.pieces < known) {
            found.push((contact.opened_at, contact.number));
        }
    }
    found
}

/// The last settled count up to each observation.
fn last_settled(rows: &[Observation]) -> Vec<Option<u32>> {
    rows.iter()
        .scan(None, |last, row| {
            if row.settled {
                *last = Some(row.pieces);
            }
            Some(*last)
        })
        .collect()
}
