//! Who was at an endpoint when: peers that follow one another there, told apart by peer ID and progress.
//!
//! An endpoint is one peer for as long as its peer ID stays or its progress continues. A contact **starts over** when
//! it shows a peer ID not seen there before, though another was, and its settled first count is below the last settled
//! count known before its handshake. With it a new **generation** begins: contacts opened from then on are with the
//! new peer, and what older contacts still tell once it has spoken is left out.
//! Where every contact shows another peer ID, peer IDs tell nothing and there is one generation.

use std::collections::{HashMap, HashSet};

use super::{Observation, SETTLE_US};

/// Contacts with a peer ID from which on "another one in each" is a habit: libtorrent 2.1 makes one up for every
/// connection.
const HABIT_CONTACTS: usize = 3;

/// An observation, as a member of its peer's history.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    /// What was observed.
    pub row: Observation<'a>,
    /// When its contact's handshake was complete; a lost contact's is guessed from its first observation.
    pub opened_at: i64,
    /// What the same contact told before; `None` for its first observation.
    pub told_before: Option<u32>,
    /// Whether its peer ID was that of an earlier peer at the endpoint: peer IDs take turns.
    pub returns: bool,
}

/// The observations of an endpoint by the peer they are of.
#[derive(Debug)]
pub(super) struct Generations<'a> {
    members: Vec<Member<'a>>,
    /// Where each generation ends in `members`.
    ends: Vec<usize>,
}

/// A contact, as far as its observations tell.
struct Contact<'a> {
    key: (u32, i64),
    opened_at: i64,
    peer_id: Option<&'a [u8]>,
    /// Its first observation.
    first: usize,
    generation: usize,
}

impl<'a> Generations<'a> {
    /// Sorts observations, which are in order of time, by generation.
    pub fn of(rows: &[Observation<'a>]) -> Self {
        let (mut contacts, contact_of) = contacts(rows);
        number(&mut contacts, rows);
        let mut told: Vec<Option<u32>> = vec![None; contacts.len()];
        let mut first_generation: HashMap<&[u8], usize> = HashMap::new();
        let mut members: Vec<(usize, Member<'a>)> = Vec::with_capacity(rows.len());
        let mut current = 0;
        for (row, &contact) in rows.iter().zip(&contact_of) {
            let (Some(of), Some(told)) = (contacts.get(contact), told.get_mut(contact)) else { continue };
            current = current.max(of.generation);
            if of.generation < current {
                continue;
            }
            let returns =
                row.peer_id.is_some_and(|id| *first_generation.entry(id).or_insert(current) < current);
            let told_before = told.replace(row.pieces);
            members.push((current, Member { row: *row, opened_at: of.opened_at, told_before, returns }));
        }
        // In order already, as a generation's rows are left out once the next one has spoken.
        let mut ends = vec![0; current + 1];
        for (at, (generation, _)) in members.iter().enumerate() {
            if let Some(end) = ends.get_mut(*generation) {
                *end = at + 1;
            }
        }
        Self { members: members.into_iter().map(|(_, member)| member).collect(), ends }
    }

    /// Number of generations, at least 1.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The observations of one, in order.
    pub fn members(&self, generation: usize) -> &[Member<'a>] {
        let begin = generation.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(generation).copied().unwrap_or(begin);
        self.members.get(begin..end).unwrap_or_default()
    }
}

/// The contacts in order of their first observations, and the place of each observation's among them.
fn contacts<'a>(rows: &[Observation<'a>]) -> (Vec<Contact<'a>>, Vec<usize>) {
    let mut contacts: Vec<Contact<'a>> = Vec::new();
    let mut places: HashMap<(u32, i64), usize> = HashMap::new();
    let mut contact_of = Vec::with_capacity(rows.len());
    let mut last = None;
    for (first, row) in rows.iter().enumerate() {
        // Mostly the contact of the row before.
        let place = match last {
            Some((key, place)) if key == row.contact => place,
            _ => *places.entry(row.contact).or_insert_with(|| {
                let opened_at = row.handshake_at.unwrap_or(row.time - SETTLE_US);
                contacts.push(Contact {
                    key: row.contact,
                    opened_at,
                    peer_id: row.peer_id,
                    first,
                    generation: 0,
                });
                contacts.len() - 1
            }),
        };
        last = Some((row.contact, place));
        contact_of.push(place);
    }
    (contacts, contact_of)
}

/// Gives each contact its generation: how many contacts had started over when it was opened.
fn number(contacts: &mut [Contact<'_>], rows: &[Observation<'_>]) {
    let order = |contact: &Contact<'_>| (contact.opened_at, contact.key);
    let mut starts: Vec<_> = starting_over(contacts, rows).into_iter().map(order).collect();
    starts.sort_unstable();
    for contact in contacts {
        contact.generation = starts.partition_point(|start| *start <= order(contact));
    }
}

fn starting_over<'b, 'a>(contacts: &'b [Contact<'a>], rows: &[Observation<'_>]) -> Vec<&'b Contact<'a>> {
    let named = contacts.iter().filter(|contact| contact.peer_id.is_some()).count();
    let ids: HashSet<&[u8]> = contacts.iter().filter_map(|contact| contact.peer_id).collect();
    let another_in_each = named >= HABIT_CONTACTS && ids.len() == named;
    if ids.len() < 2 || another_in_each {
        return Vec::new();
    }
    let settled = last_settled(rows);
    let known_before = |at: i64| {
        let earlier = rows.partition_point(|row| row.time < at);
        settled.get(earlier.checked_sub(1)?).copied().flatten()
    };
    let mut seen: HashSet<&[u8]> = HashSet::new();
    let mut found = Vec::new();
    for contact in contacts {
        let (Some(id), Some(first)) = (contact.peer_id, rows.get(contact.first)) else { continue };
        let is_another = !seen.is_empty() && !seen.contains(id);
        seen.insert(id);
        let known = known_before(contact.opened_at);
        if is_another && first.settled && known.is_some_and(|known| first.pieces < known) {
            found.push(contact);
        }
    }
    found
}

/// The last settled count up to each observation.
fn last_settled(rows: &[Observation<'_>]) -> Vec<Option<u32>> {
    rows.iter()
        .scan(None, |last, row| {
            if row.settled {
                *last = Some(row.pieces);
            }
            Some(*last)
        })
        .collect()
}
