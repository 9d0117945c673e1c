//! A report's confirmed downloads against a lab's truth: recall, precision, the misses and the false ones.
//!
//! `truth.csv` + `requests.csv` (when the capture ran) + `confirmed_downloads.csv` → [`Score`] → text.

mod print;

use std::{collections::HashMap, net::IpAddr, path::Path, time::Duration};

use anyhow::Result;
use schema::Timestamp;
use serde::Deserialize;

use crate::{
    clock::plus,
    profile::{Role, Tells},
    truth::{self, Request, Truth},
};

/// How a crossing is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How far a confirmed download's interval may lie from the crossing.
    pub tolerance: Duration,
    /// Time a peer must be up, known and watched before it crosses to count as one that could be seen.
    pub lead: Duration,
    /// Time it must be up and watched after that, unless its client tells of each piece at once.
    pub tail: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { tolerance: Duration::from_secs(3), lead: Duration::from_secs(5), tail: Duration::from_secs(5) }
    }
}

/// The columns of `confirmed_downloads.csv` that are judged.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Confirmed {
    /// The swarm.
    pub info_hash: String,
    /// The peer's address.
    pub ip: IpAddr,
    /// Its port.
    pub port: Option<u16>,
    /// Last seen below the threshold.
    #[serde(deserialize_with = "truth::time_from_text")]
    pub below_at: Timestamp,
    /// First seen at or above it.
    #[serde(deserialize_with = "truth::time_from_text")]
    pub confirmed_at: Timestamp,
    /// Its mean speed.
    #[serde(default)]
    pub mean_speed_bytes_per_s: Option<f64>,
}

/// Why a confirmed download is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FalseCause {
    /// No peer of the lab had this address in this swarm.
    NoSuchPeer,
    /// The peer never crossed the threshold.
    NeverCrossed,
    /// Confirmed before the peer crossed.
    TooEarly,
    /// The peer's download is confirmed in another row already.
    Twice,
}

/// A confirmed download that is none.
#[derive(Clone, Debug, PartialEq)]
pub struct False {
    /// The report's row.
    pub row: Confirmed,
    /// The peer it is about, if it is about one.
    pub truth: Option<Truth>,
    /// What is wrong with it.
    pub cause: FalseCause,
}

/// A true crossing, and what the report made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossing {
    /// The peer.
    pub truth: Truth,
    /// When it crossed.
    pub crossed_at: Timestamp,
    /// The capture ran when it crossed.
    pub watched: bool,
    /// It could be seen: watched, and up and known long enough before and after (see [`Rules`]).
    pub visible: bool,
    /// The report's row for it.
    pub row: Option<Confirmed>,
    /// The row's interval ends with the crossing outside of it, though it does not precede it.
    pub off_interval: bool,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The rules it was reached by.
    pub rules: Rules,
    /// Every true crossing.
    pub crossings: Vec<Crossing>,
    /// Every confirmed download that is none.
    pub false_ones: Vec<False>,
}

impl Score {
    /// Of the report's rows, those that are true; 1 for an empty report.
    pub fn precision(&self) -> f64 {
        let found = self.crossings.iter().filter(|crossing| crossing.row.is_some()).count();
        ratio(found, found + self.false_ones.len())
    }

    /// Of the crossings that could be seen, those in the report; 1 if there are none.
    pub fn recall(&self) -> f64 {
        self.recall_of(|crossing| crossing.visible)
    }

    /// Of the crossings chosen, those in the report; 1 if there are none.
    pub fn recall_of(&self, chosen: impl Fn(&Crossing) -> bool) -> f64 {
        let chosen: Vec<_> = self.crossings.iter().filter(|crossing| chosen(crossing)).collect();
        ratio(chosen.iter().filter(|crossing| crossing.row.is_some()).count(), chosen.len())
    }

    /// Relative errors of the mean speeds, smallest first.
    pub fn speed_errors(&self) -> Vec<f64> {
        let error = |crossing: &Crossing| {
            let told = crossing.row.as_ref()?.mean_speed_bytes_per_s?;
            let truth = crossing.truth.mean_speed_bytes_per_s?;
            Some((told - truth).abs() / truth)
        };
        let mut errors: Vec<f64> = self.crossings.iter().filter_map(error).collect();
        errors.sort_by(f64::total_cmp);
        errors
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// When a swarm was watched, by its trackers' account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watch {
    from: Timestamp,
    until: Timestamp,
}

const ALWAYS: Watch = Watch { from: Timestamp(i64::MIN), until: Timestamp(i64::MAX) };

/// From a swarm's first announce to its last `stopped`; without one, for ever.
fn watches(requests: &[Request]) -> HashMap<&str, Watch> {
    let mut watches: HashMap<&str, Watch> = HashMap::new();
    for request in requests.iter().filter(|request| request.kind == truth::RequestKind::Announce) {
        let watch = watches
            .entry(&request.info_hash)
            .or_insert(Watch { from: request.time, until: Timestamp(i64::MAX) });
        watch.from = watch.from.min(request.time);
        watch.until = if request.event == "stopped" { request.time } else { Timestamp(i64::MAX) };
    }
    watches
}

/// Reads and judges; `requests.csv` is looked for beside the truth, and without it the capture always ran.
pub fn score_files(truth: &Path, confirmed: &Path, rules: Rules) -> Result<Score> {
    let requests = truth.with_file_name("requests.csv");
    let requests = if requests.exists() { Some(truth::read::<Request>(&requests)?) } else { None };
    let confirmed = if confirmed.is_dir() { &confirmed.join("confirmed_downloads.csv") } else { confirmed };
    Ok(score(&truth::read(truth)?, requests.as_deref(), truth::read(confirmed)?, rules))
}

/// Judges the confirmed downloads of a report.
pub fn score(
    truths: &[Truth],
    requests: Option<&[Request]>,
    confirmed: Vec<Confirmed>,
    rules: Rules,
) -> Score {
    let watches = requests.map(watches);
    let watch_of = |truth: &Truth| match &watches {
        Some(watches) => watches.get(truth.info_hash.as_str()).copied(),
        None => Some(ALWAYS),
    };
    let mut peers: HashMap<(&str, IpAddr), Vec<&Truth>> = HashMap::new();
    for truth in truths {
        peers.entry((truth.info_hash.as_str(), truth.ip)).or_default().push(truth);
    }
    let mut rows: HashMap<(String, IpAddr, u16), Confirmed> = HashMap::new();
    let mut false_ones = Vec::new();
    for row in confirmed {
        let here = peers.get(&(row.info_hash.as_str(), row.ip)).map(Vec::as_slice).unwrap_or_default();
        // Where several were at an address, the port says who; elsewhere it says nothing.
        let truth = match here {
            [one] => Some(*one),
            several => several.iter().find(|truth| Some(truth.port) == row.port).or(several.first()).copied(),
        };
        // Who moved on the way is one peer with one peer ID: its download may be told of either endpoint, once.
        let truth = truth.map(|truth| match truth.profile.role {
            Role::Moves => here.iter().find(|truth| truth.crossed_at.is_some()).copied().unwrap_or(truth),
            _ => truth,
        });
        let port = truth.map_or(0, |truth| truth.port);
        let key = (row.info_hash.clone(), row.ip, port);
        let cause = match truth.map(|truth| truth.crossed_at) {
            None => FalseCause::NoSuchPeer,
            Some(None) => FalseCause::NeverCrossed,
            Some(Some(crossed_at)) if plus(row.confirmed_at, rules.tolerance) < crossed_at => {
                FalseCause::TooEarly
            }
            Some(Some(_)) if rows.contains_key(&key) => FalseCause::Twice,
            Some(Some(_)) => {
                rows.insert(key, row);
                continue;
            }
        };
        false_ones.push(False { row, truth: truth.cloned(), cause });
    }
    let mut crossings: Vec<Crossing> = truths
        .iter()
        .filter_map(|truth| {
            let row = rows.remove(&(truth.info_hash.clone(), truth.ip, truth.port));
            judge(truth, watch_of(truth), row, rules)
        })
        .collect();
    crossings.sort_by_key(|crossing| crossing.crossed_at);
    Score { rules, crossings, false_ones }
}

fn judge(truth: &Truth, watch: Option<Watch>, row: Option<Confirmed>, rules: Rules) -> Option<Crossing> {
    let crossed_at = truth.crossed_at?;
    let tells = truth.profile.client.tells;
    let watched = watch.is_some_and(|watch| watch.from <= crossed_at && crossed_at <= watch.until);
    let batch = match tells {
        Tells::InBatches(batch) => batch,
        Tells::AtOnce | Tells::OnHandshake => Duration::ZERO,
    };
    let tail = match tells {
        Tells::AtOnce => Duration::ZERO,
        Tells::InBatches(_) if truth.profile.nat => rules.tail.max(batch + Duration::from_secs(1)),
        Tells::InBatches(_) | Tells::OnHandshake => rules.tail,
    };
    let visible = watch.zip(truth.known_at).is_some_and(|(watch, known_at)| {
        let since = truth.joined.max(known_at).max(watch.from);
        let until = truth.left.min(watch.until);
        watched && plus(since, rules.lead) <= crossed_at && plus(crossed_at, tail) <= until
    });
    let off_interval =
        row.as_ref().is_some_and(|row| plus(crossed_at, rules.tolerance + batch) < row.below_at);
    Some(Crossing { truth: truth.clone(), crossed_at, watched, visible, row, off_interval })
}

#[cfg(test)]
mod tests;
