//! Rows that are judged together: those of one address in one torrent, or of a whole torrent where peers are named by
//! their peer IDs.

use super::{
    identity::Identity,
    load::{Loaded, Run},
    pieces::Key,
    rows::{Address, Contact, Names, Progress, Row, Sighting},
};

/// The rows of one unit; `run` in them is the run's place in the order of runs.
#[derive(Debug)]
pub struct Unit<'a> {
    /// The torrent.
    pub info_hash: Address,
    /// The addresses, in order.
    pub ips: &'a [Address],
    /// By time, run and number.
    pub contacts: &'a [Contact],
    /// In any order.
    pub progress: &'a [Progress],
    /// In any order.
    pub sightings: &'a [Sighting],
}

impl Unit<'_> {
    /// The text of an address.
    pub fn ip(&self, ip: u32) -> &str {
        self.ips.get(ip as usize).map_or("", Address::as_str)
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
    /// Calls `judge` with every unit, in the order of keys.
    pub fn for_each_unit(&mut self, identity: Identity, runs: &Names, mut judge: impl FnMut(&Unit<'_>)) {
        if let Some(ranks) = runs.ranks() {
            rank(&mut self.contacts, &ranks);
            rank(&mut self.progress, &ranks);
            rank(&mut self.sightings, &ranks);
        }
        let mut contacts = Side::of(&self.contacts);
        let mut progress = Side::of(&self.progress);
        let mut sightings = Side::of(&self.sightings);
        let mut ips = Vec::new();
        let mut in_order = Vec::new();
        while let Some(Key { info_hash, .. }) = next_key(&contacts, &progress, &sightings) {
            ips.clear();
            contacts.begin();
            progress.begin();
            sightings.begin();
            let of_torrent = |key: &Key| key.info_hash == info_hash;
            while let Some(key) = next_key(&contacts, &progress, &sightings).filter(of_torrent) {
                let ip = u32::try_from(ips.len()).unwrap_or(u32::MAX);
                ips.push(key.ip);
                contacts.take(&key, ip);
                progress.take(&key, ip);
                sightings.take(&key, ip);
                if identity != Identity::PeerId {
                    break;
                }
            }
            let order = |contact: &Contact| (contact.time, contact.run, contact.contact);
            let mut of_unit = contacts.taken();
            if !of_unit.is_sorted_by_key(order) {
                in_order.clear();
                in_order.extend_from_slice(of_unit);
                in_order.sort_by_key(order);
                of_unit = &in_order;
            }
            judge(&Unit {
                info_hash,
                ips: &ips,
                contacts: of_unit,
                progress: progress.taken(),
                sightings: sightings.taken(),
            });
        }
    }
}

/// The first key that is not taken.
fn next_key(
    contacts: &Side<'_, Contact>,
    progress: &Side<'_, Progress>,
    sightings: &Side<'_, Sighting>,
) -> Option<Key> {
    [contacts.key(), progress.key(), sightings.key()].into_iter().flatten().min()
}

/// Replaces the runs' numbers by their ranks.
fn rank<T: Row>(loaded: &mut Loaded<T>, ranks: &[u32]) {
    for row in &mut loaded.rows {
        let run = row.run_mut();
        *run = ranks.get(*run as usize).copied().unwrap_or_default();
    }
}

/// One table's runs, standing at the next one.
struct Side<'a, T> {
    loaded: &'a Loaded<T>,
    rest: &'a [Run],
    /// The rows taken, where they lie next to each other; else they are in `copied`.
    whole: &'a [T],
    copied: Vec<T>,
}

impl<'a, T: Row> Side<'a, T> {
    fn of(loaded: &'a Loaded<T>) -> Self {
        Self { loaded, rest: &loaded.runs, whole: &[], copied: Vec::new() }
    }

    fn key(&self) -> Option<Key> {
        self.rest.first().map(|run| run.key)
    }

    /// Forgets what was taken.
    fn begin(&mut self) {
        self.whole = &[];
        self.copied.clear();
    }

    /// Takes every row of a key, which is the address `ip` of its unit.
    fn take(&mut self, key: &Key, ip: u32) {
        while let Some((run, rest)) = self.rest.split_first().filter(|(run, _)| run.key == *key) {
            let rows = self.loaded.rows.get(run.first as usize..run.end as usize).unwrap_or_default();
            if ip == 0 && self.whole.is_empty() && self.copied.is_empty() {
                self.whole = rows;
            } else {
                self.copied.extend_from_slice(std::mem::take(&mut self.whole));
                self.copied.extend(rows.iter().map(|row| row.at(ip)));
            }
            self.rest = rest;
        }
    }

    fn taken(&self) -> &[T] {
        if self.whole.is_empty() { &self.copied } else { self.whole }
    }
}
