//! `contacts`: how contacts ended, first and later attempts, as bars.

use std::collections::BTreeMap;

use std::str::FromStr as _;

use polars::prelude::{DataFrame, DataType, PolarsResult};
use schema::table::ContactOutcome;

use super::bars::{Bar, Part, horizontal};
use super::frame::{counts, texts};
use super::{Figure, axes::Key};
use crate::number::{counted, counted_of, percent};

const TITLE: &str = "How contacts ended";

/// Draws the table `contacts`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let outcomes = outcomes(rows)?;
    let total = |success: Option<bool>| -> f64 {
        outcomes
            .iter()
            .filter(|outcome| success.is_none_or(|success| outcome.success == success))
            .map(Outcome::all)
            .sum()
    };
    let all = total(None);
    if all == 0.0 {
        return Ok(Figure::without_data("contacts", TITLE, "No contact with a peer was tried."));
    }
    let bars: Vec<_> = outcomes.iter().map(|outcome| bar(outcome, all)).collect();
    let subtitle = format!(
        "{}, {} of them with a handshake ({}). Green outcomes come after a handshake, orange ones before; the \
         paler part are later attempts at the same peer.",
        counted_of(all, "contact"),
        counted(total(Some(true))),
        percent(total(Some(true)) / all)
    );
    let keys = [
        Key::new("c3", "with handshake, first contact"),
        Key::new("c3 faint", "later contact"),
        Key::new("c2", "no handshake, first contact"),
        Key::new("c2 faint", "later contact"),
    ];
    Ok(Figure::new("contacts", TITLE, subtitle, |width| horizontal(&bars, &keys, "contacts", width)))
}

struct Outcome {
    name: String,
    success: bool,
    first: f64,
    later: f64,
}

impl Outcome {
    fn all(&self) -> f64 {
        self.first + self.later
    }
}

/// Contacts by outcome over directions and transports: those with a handshake first, each group by size.
fn outcomes(rows: &DataFrame) -> PolarsResult<Vec<Outcome>> {
    let names = texts(rows, "outcome")?;
    let attempts = texts(rows, "attempt")?;
    let success = rows.column("success")?.cast(&DataType::Boolean)?;
    let contacts = counts(rows, "contacts")?;
    let mut sums: BTreeMap<(bool, String), (f64, f64)> = BTreeMap::new();
    for (((name, attempt), success), contacts) in
        names.into_iter().zip(attempts).zip(success.bool()?.iter()).zip(contacts)
    {
        let sum = sums.entry((success.unwrap_or(false), name.unwrap_or_default())).or_default();
        if attempt.as_deref() == Some("first") {
            sum.0 += contacts;
        } else {
            sum.1 += contacts;
        }
    }
    let mut outcomes: Vec<_> = sums
        .into_iter()
        .map(|((success, name), (first, later))| Outcome { name, success, first, later })
        .filter(|outcome| outcome.all() > 0.0)
        .collect();
    outcomes.sort_by(|a, b| b.success.cmp(&a.success).then(b.all().total_cmp(&a.all())));
    Ok(outcomes)
}

/// What an outcome means, for people who meet its name for the first time; empty for one that is not known here.
pub(super) fn meaning(outcome: &str) -> &'static str {
    match ContactOutcome::from_str(outcome) {
        Ok(ContactOutcome::ClosedByRemote) => "the peer hung up",
        Ok(ContactOutcome::ConnectFailed) => "no connection, for a cause the log tells",
        Ok(ContactOutcome::ConnectTimedOut) => "no connection in time",
        Ok(ContactOutcome::HandshakeClosed) => "the peer hung up before it said who it is",
        Ok(ContactOutcome::HandshakeMalformed) => "what answered does not speak BitTorrent",
        Ok(ContactOutcome::HandshakeReset) => "the connection broke before the peer said who it is",
        Ok(ContactOutcome::HandshakeTimedOut) => "connected, but the peer did not say who it is",
        Ok(ContactOutcome::IdleTimedOut) => "the peer said nothing for too long",
        Ok(ContactOutcome::OurLimit) => "we made room for other peers",
        Ok(ContactOutcome::ProtocolError) => "the peer broke the protocol",
        Ok(ContactOutcome::Refused) => "nobody listens there",
        Ok(ContactOutcome::Reset) => "the connection broke",
        Ok(ContactOutcome::SelfConnection) => "the peer was ourselves",
        Ok(ContactOutcome::Shutdown) => "the capture ended meanwhile",
        Ok(ContactOutcome::ShutdownEarly) => "the capture ended before the peer said who it is",
        Ok(ContactOutcome::Unreachable) => "there is no way to the address",
        Ok(ContactOutcome::VisitDone) => "we had what we came for, and left",
        Ok(ContactOutcome::WrongInfoHash) => "the peer is there for another torrent",
        Err(_) => "",
    }
}

fn bar(outcome: &Outcome, all: f64) -> Bar {
    let name = outcome.name.replace('_', " ");
    let meaning = match meaning(&outcome.name) {
        "" => String::new(),
        meaning => format!(" ({meaning})"),
    };
    let classes = if outcome.success { ["c3", "c3 faint"] } else { ["c2", "c2 faint"] };
    let part = |class, value: f64, what: &str| Part {
        class,
        value,
        tooltip: format!("{name}{meaning}: {}", counted_of(value, what)),
    };
    let [first_class, later_class] = classes;
    Bar {
        parts: vec![
            part(first_class, outcome.first, "first contact"),
            part(later_class, outcome.later, "later contact"),
        ],
        note: format!("{} ({})", counted(outcome.all()), percent(outcome.all() / all)),
        name,
    }
}
