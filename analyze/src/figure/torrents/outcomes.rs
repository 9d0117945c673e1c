//! How contacts and requests of single torrents ended, what each source named of them, and whom of their peers nobody
//! believes: tables → lists that name each word once.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::{DataFrame, DataType, PolarsResult};
use serde::Serialize;

use super::{place, whole_count};
use crate::figure::contacts::meaning;
use crate::figure::flagged::{Doubted, REASONS};
use crate::figure::frame::{counts, runs, texts};
use crate::figure::requests::asked_for;
use crate::figure::sources_hourly;
use crate::figure::text::visible;
use crate::table::Tables;

/// Texts, each with a number by which lists refer to it.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct Words {
    words: Vec<String>,
    #[serde(skip)]
    places: HashMap<String, usize>,
}

impl Words {
    fn number(&mut self, word: &str) -> usize {
        if let Some(place) = self.places.get(word) {
            return *place;
        }
        self.words.push(visible(word));
        self.places.insert(word.to_owned(), self.words.len() - 1);
        self.words.len() - 1
    }
}

/// Contacts by outcome.
#[derive(Debug, Default, Serialize)]
pub struct Contacts {
    /// Name, whether a handshake was received, and what it means.
    outcomes: Vec<(String, bool, &'static str)>,
    /// Outcome, first contacts and later ones.
    torrents: BTreeMap<usize, Vec<(usize, u64, u64)>>,
}

impl Contacts {
    /// Reads what the table `contacts` knows of single torrents.
    pub fn of(rows: &DataFrame, places: &HashMap<&str, usize>) -> PolarsResult<Self> {
        let success = rows.column("success")?.cast(&DataType::Boolean)?;
        let attempts = counts(rows, "contacts")?.into_iter().zip(counts(rows, "later")?);
        let outcomes = texts(rows, "outcome")?.into_iter().zip(success.bool()?.iter());
        let mut words = Words::default();
        let mut found = Self::default();
        for (hash, ((outcome, success), (contacts, later))) in
            texts(rows, "info_hash")?.into_iter().zip(outcomes.zip(attempts))
        {
            let (Some(torrent), Some(outcome)) = (place(places, hash.as_deref()), outcome) else { continue };
            let number = words.number(&outcome);
            if number == found.outcomes.len() {
                let name = outcome.replace('_', " ");
                found.outcomes.push((visible(&name), success.unwrap_or_default(), meaning(&outcome)));
            }
            let counted = (number, whole_count(contacts - later), whole_count(later));
            found.torrents.entry(torrent).or_default().push(counted);
        }
        Ok(found)
    }
}

/// Requests by whom they asked.
#[derive(Debug, Default, Serialize)]
pub struct Requests {
    asked: Words,
    causes: Words,
    /// Whom and for what, answers, and failures by cause.
    torrents: BTreeMap<usize, Vec<Asked>>,
}

type Asked = (usize, u64, Vec<(usize, u64)>);

/// Answers, and failures by cause.
type Answers = (u64, BTreeMap<usize, u64>);

impl Requests {
    /// Reads what the table `requests` knows of single torrents.
    pub fn of(rows: &DataFrame, places: &HashMap<&str, usize>) -> PolarsResult<Self> {
        let whom = texts(rows, "source")?.into_iter().zip(texts(rows, "endpoint")?);
        let what = texts(rows, "kind")?.into_iter().zip(texts(rows, "outcome")?);
        let columns = whom.zip(what).zip(counts(rows, "requests")?);
        let mut found = Self::default();
        let mut sums: BTreeMap<usize, BTreeMap<usize, Answers>> = BTreeMap::new();
        for (hash, (((source, endpoint), (kind, outcome)), requests)) in
            texts(rows, "info_hash")?.into_iter().zip(columns)
        {
            let Some(torrent) = place(places, hash.as_deref()) else { continue };
            let asked = found.asked.number(&asked_for(source, endpoint, kind));
            let (answered, failed) = sums.entry(torrent).or_default().entry(asked).or_default();
            match outcome.as_deref() {
                Some("ok") => *answered += whole_count(requests),
                other => {
                    let cause = found.causes.number(&other.unwrap_or("unknown").replace('_', " "));
                    *failed.entry(cause).or_default() += whole_count(requests);
                }
            }
        }
        let list = |asked: BTreeMap<usize, Answers>| {
            let one = |(asked, (answered, failed)): (usize, Answers)| {
                (asked, answered, failed.into_iter().collect())
            };
            asked.into_iter().map(one).collect()
        };
        found.torrents = sums.into_iter().map(|(torrent, asked)| (torrent, list(asked))).collect();
        Ok(found)
    }
}

/// What sources named.
#[derive(Debug, Default, Serialize)]
pub struct Sources {
    names: Words,
    /// Source, peers, those that no other source named, those tried, and of these those that answered.
    torrents: BTreeMap<usize, Vec<Named>>,
}

type Named = (usize, u64, u64, u64, u64);

impl Sources {
    /// Reads what the table `sources` knows of single torrents.
    pub fn of(rows: &DataFrame, places: &HashMap<&str, usize>) -> PolarsResult<Self> {
        let peers = counts(rows, "unique_peers")?.into_iter().zip(counts(rows, "only_here")?);
        let tried = counts(rows, "dialled_peers")?.into_iter().zip(counts(rows, "answered_peers")?);
        let columns = texts(rows, "source")?.into_iter().zip(peers.zip(tried));
        let mut found = Self::default();
        for (hash, (source, ((peers, only_here), (dialled, answered)))) in
            texts(rows, "info_hash")?.into_iter().zip(columns)
        {
            let (Some(torrent), Some(source)) = (place(places, hash.as_deref()), source) else { continue };
            let name = found.names.number(&sources_hourly::name(&source));
            let [peers, only_here, dialled, answered] =
                [peers, only_here, dialled, answered].map(whole_count);
            let named = (name, peers, only_here, dialled, answered);
            found.torrents.entry(torrent).or_default().push(named);
        }
        Ok(found)
    }
}

/// Peers that are not believed.
#[derive(Debug, Serialize)]
pub struct Flagged {
    reasons: [&'static str; REASONS.len()],
    torrents: BTreeMap<usize, Reasons>,
}

/// Peers, those that crossed the threshold, and by reason those that crossed it and the others.
type Reasons = (u64, u64, [(u64, u64); REASONS.len()]);

impl Flagged {
    /// Reads the table `flagged`.
    pub fn of(tables: &Tables, places: &HashMap<&str, usize>) -> PolarsResult<Self> {
        let columns: Vec<&str> = ["info_hash"].into_iter().chain(Doubted::columns()).collect();
        let read = |rows: &DataFrame| {
            let mut found = Vec::new();
            for (hash, run) in runs(rows.column("info_hash")?.str()?) {
                let rows = rows.slice(i64::try_from(run.start).unwrap_or_default(), run.len());
                found.extend(place(places, hash).map(|torrent| Ok((torrent, Doubted::of(&rows)?))));
            }
            found.into_iter().collect::<PolarsResult<Vec<_>>>()
        };
        let mut doubted: BTreeMap<usize, Doubted> = BTreeMap::new();
        tables.read("flagged", &columns, read, |part| {
            for (torrent, more) in part {
                doubted.entry(torrent).or_default().add(&more);
            }
        })?;
        let told = |(torrent, doubted): (usize, Doubted)| {
            (torrent, (doubted.peers, doubted.crossed, doubted.reasons))
        };
        let torrents = doubted.into_iter().map(told).collect();
        Ok(Self { reasons: REASONS.map(|(_, reason)| reason), torrents })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::fixture;

    #[test]
    fn torrents_sum_up_to_all_of_them() {
        let tables = fixture::many(19, 34);
        let hashes: Vec<String> = (0..19).map(fixture::hash).collect();
        let places: HashMap<&str, usize> =
            hashes.iter().enumerate().map(|(place, hash)| (hash.as_str(), place)).collect();
        let rows = |name: &str| tables.of_torrents(name).unwrap();
        let sum = |name: &str, column: &str| -> u64 {
            counts(rows(name), column).unwrap().into_iter().map(whole_count).sum()
        };
        let contacts = Contacts::of(rows("contacts"), &places).unwrap();
        let all = contacts.torrents.values().flatten().map(|(_, first, later)| first + later);
        assert_eq!(all.sum::<u64>(), sum("contacts", "contacts"));
        assert!(
            contacts.outcomes.iter().all(|(name, _, meaning)| !name.contains('_') && !meaning.is_empty())
        );

        let requests = Requests::of(rows("requests"), &places).unwrap();
        let all =
            requests.torrents.values().flatten().map(|(_, answered, failed)| {
                answered + failed.iter().map(|(_, requests)| requests).sum::<u64>()
            });
        assert_eq!(all.sum::<u64>(), sum("requests", "requests"));

        let sources = Sources::of(rows("sources"), &places).unwrap();
        let all = sources.torrents.values().flatten().map(|(_, peers, ..)| peers);
        assert_eq!(all.sum::<u64>(), sum("sources", "unique_peers"));
        let answered = sources.torrents.values().flatten().map(|(.., answered)| answered);
        assert_eq!(answered.sum::<u64>(), sum("sources", "answered_peers"));

        let flagged = Flagged::of(&tables, &places).unwrap();
        let peers = flagged.torrents.values().map(|(peers, ..)| peers).sum::<u64>();
        assert_eq!(peers, tables.get("flagged").unwrap().height() as u64);
    }
}
