//! Rows that are judged together: those of one address in one torrent, or of a whole torrent where peers are named by
//! their peer IDs.

use super::{
    identity::Identity,
    load::{Loaded, Run},
    rows::{Address, Contact, Progress, Sighting},
    segments::Key,
};

/// The rows of one unit; `run` in them is the run's rank in the order of names.
#[derive(Debug, Default)]
pub struct Unit {
    /// The torrent.
    pub info_hash: Option<Address>,
    /// The addresses, in order.
    pub ips: Vec<Address>,
    /// By time, run and number.
    pub contacts: Vec<Contact>,
    /// In any order.
    pub progress: Vec<Progress>,
    /// In any order.
    pub sightings: Vec<Sighting>,
}

impl Unit {
    /// The text of an address.
    pub fn ip(&self, ip: u32) -> &str {
        self.ips.get(ip as usize).map_or("", Address::as_str)
    }

    /// The text of the torrent.
    pub fn info_hash(&self) -> &str {
        self.info_hash.as_ref().map_or("", Address::as_str)
    }

    fn clear(&mut self) {
        self.ips.clear();
        self.contacts.clear();
        self.progress.clear();
        self.sightings.clear();
    }
}

/// The rows of a range.
#[derive(Debug, Default)]
pub struct Rows {
    /// Rows of `contacts`.
    pub contacts: Loaded<Contact>,
    /// Rows of `progress`.
    pub progress: Loaded<Progress>,
    /// Rows of `sightings`.
    pub sightings: Loaded<Sighting>,
}

impl Rows {
    /// Calls `judge` with every unit, in the order of keys; `ranks` are the runs' ranks by their numbers.
    pub fn for_each_unit(&self, identity: Identity, ranks: &[u32], mut judge: impl FnMut(&Unit)) {
        let mut contacts = Side::of(&self.contacts);
        let mut progress = Side::of(&self.progress);
        let mut sightings = Side::of(&self.sightings);
        let mut unit = Unit::default();
        let rank = |run: u32| ranks.get(run as usize).copied().unwrap_or_default();
        loop {
            let keys = [contacts.key(), progress.key(), sightings.key()];
            let Some(key) = keys.into_iter().flatten().min() else { break };
            let goes_on = identity == Identity::PeerId && unit.info_hash == Some(key.info_hash);
            if !goes_on {
                if unit.info_hash.is_some() {
                    finish(&mut unit, &mut judge);
                }
                unit.clear();
                unit.info_hash = Some(key.info_hash);
            }
            let ip = u32::try_from(unit.ips.len()).unwrap_or(u32::MAX);
            unit.ips.push(key.ip);
            contacts.take(&key, |row| unit.contacts.push(Contact { ip, run: rank(row.run), ..*row }));
            progress.take(&key, |row| unit.progress.push(Progress { ip, run: rank(row.run), ..*row }));
            sightings.take(&key, |row| unit.sightings.push(Sighting { ip, run: rank(row.run), ..*row }));
        }
        if unit.info_hash.is_some() {
            finish(&mut unit, &mut judge);
        }
    }
}

fn finish(unit: &mut Unit, judge: &mut impl FnMut(&Unit)) {
    let order = |contact: &Contact| (contact.time, contact.run, contact.contact);
    if !unit.contacts.is_sorted_by_key(order) {
        unit.contacts.sort_by_key(order);
    }
    judge(unit);
}

/// One table's runs, standing at the next one.
struct Side<'a, T> {
    loaded: &'a Loaded<T>,
    rest: &'a [Run],
}

impl<'a, T> Side<'a, T> {
    fn of(loaded: &'a Loaded<T>) -> Self {
        Self { loaded, rest: &loaded.runs }
    }

    fn key(&self) -> Option<Key> {
        self.rest.first().map(|run| run.key)
    }

    /// Calls `row` with every row of the key.
    fn take(&mut self, key: &Key, mut row: impl FnMut(&T)) {
        while let Some((run, rest)) = self.rest.split_first().filter(|(run, _)| run.key == *key) {
            let rows = self.loaded.rows.get(run.first as usize..run.end as usize).unwrap_or_default();
            rows.iter().for_each(&mut row);
            self.rest = rest;
        }
    }
}
