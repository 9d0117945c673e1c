//! What each actor of a lab must leave behind: its raw rows in the log, and its rows in the report.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

use lab::{
    clock::plus,
    profile::{Hostile, NamedBy, Obfuscation, Profile, Role, Transport as LabTransport},
    truth::Truth,
};
use schema::table::{
    Contact, ContactOutcome, Direction, Encryption, Progress, ProgressKind, Row, Source, Table, Transport,
};

use crate::log::Log;

/// Where captures run in a lab.
pub const CAPTURES: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The log and the report of a lab, by who was in it.
pub struct Actors<'a> {
    truths: &'a [Truth],
    progress: HashMap<(String, IpAddr), Vec<Progress>>,
    contacts: HashMap<(String, IpAddr), Vec<Contact>>,
    /// By which source each address was named, with which port.
    sighted: HashMap<IpAddr, BTreeSet<(u16, &'static str)>>,
    confirmed: Vec<HashMap<String, String>>,
    flagged: Vec<HashMap<String, String>>,
    report: &'a Path,
}

impl<'a> Actors<'a> {
    pub fn read(truths: &'a [Truth], log: &Path, report: &'a Path) -> Self {
        let log = Log::at(log);
        let (mut progress, mut contacts) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        let mut sighted = HashMap::<_, BTreeSet<_>>::new();
        for table in [Table::Progress, Table::Contacts, Table::Sightings] {
            for (_, event) in log.rows(table) {
                match event.row {
                    Row::Progress(row) => {
                        progress.entry((hex(row.info_hash), row.ip)).or_default().push(row);
                    }
                    Row::Contact(row) => {
                        contacts.entry((hex(row.info_hash), row.ip)).or_default().push(*row);
                    }
                    Row::Sighting(row) => {
                        sighted.entry(row.ip).or_default().insert((row.port, row.source.as_str()));
                    }
                    row => panic!("{row:?}"),
                }
            }
        }
        let table = |name: &str| {
            let rows = csv::Reader::from_path(report.join(name)).unwrap().into_deserialize();
            rows.collect::<Result<Vec<HashMap<String, String>>, _>>().unwrap()
        };
        let (confirmed, flagged) = (table("confirmed_downloads.csv"), table("flagged.csv"));
        Self { truths, progress, contacts, sighted, confirmed, flagged, report }
    }

    /// Holds every actor to what it must leave.
    pub fn check(&self) {
        self.super_seeders_reveal_and_are_not_confirmed();
        self.partial_seeds_stay_below();
        self.who_goes_backwards_is_flagged();
        self.who_leaps_is_flagged_for_its_speed();
        self.lying_bitfields_are_protocol_errors();
        self.lazy_bitfields_are_whole_observations();
        self.neighbours_are_told_apart();
        self.who_moves_is_confirmed_once();
        self.who_rejoins_is_confirmed_once();
        self.who_no_tracker_names_is_told_of_by_neighbours();
        self.who_has_no_tcp_is_reached_over_utp();
        self.who_wants_its_payload_as_it_is_is_reached();
        self.captures_are_no_peers();
    }

    fn of(&self, role: Role) -> Vec<&Truth> {
        let of: Vec<_> = self.truths.iter().filter(|truth| truth.profile.role == role).collect();
        assert!(!of.is_empty(), "no {} in the lab", role.name());
        of
    }

    /// Whether nobody of another kind is at its address, so that all that is seen there is its own.
    fn is_alone(&self, truth: &Truth) -> bool {
        self.truths.iter().all(|other| other.ip != truth.ip || other.profile == truth.profile)
    }

    /// Its contacts with a handshake; of an address that others share, those that went out to its port.
    fn met(&self, truth: &Truth) -> Vec<&Contact> {
        let at_address = self.contacts.get(&(truth.info_hash.clone(), truth.ip)).into_iter().flatten();
        let is_alone = self.is_alone(truth);
        let is_its = |contact: &&Contact| {
            is_alone || (contact.direction == Direction::Out && contact.port == truth.port)
        };
        at_address.filter(|contact| contact.outcome.has_handshake()).filter(is_its).collect()
    }

    /// Who named it.
    fn named_by(&self, truth: &Truth) -> BTreeSet<&'static str> {
        let is_alone = self.is_alone(truth);
        let at_address = self.sighted.get(&truth.ip).into_iter().flatten();
        at_address.filter(|(port, _)| is_alone || *port == truth.port).map(|(_, source)| *source).collect()
    }

    fn is_confirmed(&self, truth: &Truth) -> bool {
        let ports = self.ports_confirmed(truth);
        ports.contains(&Some(truth.port)) || (self.is_alone(truth) && !ports.is_empty())
    }

    /// Of the peers like this that had time to be seen, nearly all are confirmed.
    fn nearly_all_are_confirmed(&self, is_like: impl Fn(&Profile) -> bool) {
        let had_time: Vec<_> =
            self.truths.iter().filter(|truth| is_like(&truth.profile) && had_time(truth)).collect();
        let confirmed = had_time.iter().filter(|truth| self.is_confirmed(truth)).count();
        assert!(
            confirmed > 0 && confirmed * 10 >= had_time.len() * 8,
            "{confirmed} of {had_time:?} confirmed"
        );
    }

    fn progress(&self, truth: &Truth) -> Vec<&Progress> {
        let rows = self.progress.get(&(truth.info_hash.clone(), truth.ip));
        rows.into_iter().flatten().collect()
    }

    /// The ports of those confirmed at the address; `None` is who only connected to us and told no port.
    fn ports_confirmed(&self, truth: &Truth) -> Vec<Option<u16>> {
        let port = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        rows(&self.confirmed, truth).iter().map(|row| port(&row["port"])).collect()
    }

    fn never_confirmed(&self, role: Role) {
        for truth in self.of(role) {
            assert_eq!(self.ports_confirmed(truth), Vec::<Option<u16>>::new(), "{truth:?}");
        }
    }

    fn super_seeders_reveal_and_are_not_confirmed(&self) {
        self.never_confirmed(Role::SuperSeeder);
        let mut revealed = 0;
        for truth in self.of(Role::SuperSeeder) {
            for row in self.progress(truth) {
                let claims = matches!(row.kind, ProgressKind::Bitfield | ProgressKind::HaveAll);
                assert!(!claims || row.pieces == Some(0), "{row:?}");
                revealed += u32::from(row.kind == ProgressKind::Have);
            }
        }
        assert!(revealed > 0, "no HAVE of a super-seeder");
    }

    fn partial_seeds_stay_below(&self) {
        self.never_confirmed(Role::PartialSeed);
        let mut seen = 0;
        for truth in
            self.of(Role::PartialSeed).into_iter().filter(|truth| !truth.profile.client.lazy_bitfield)
        {
            assert!(rows(&self.flagged, truth).is_empty(), "{truth:?}");
            let counts: BTreeSet<_> =
                self.progress(truth).iter().filter(|row| row.settled).map(|row| row.pieces).collect();
            assert!(counts.len() <= 1, "{counts:?} of {truth:?}");
            seen += counts.len();
        }
        assert!(seen > 0);
    }

    fn who_goes_backwards_is_flagged(&self) {
        self.never_confirmed(Role::Hostile(Hostile::Backwards));
        for truth in self.of(Role::Hostile(Hostile::Backwards)) {
            let counts: Vec<_> = self.progress(truth).iter().map(|row| row.pieces).collect();
            if counts.is_sorted() {
                continue;
            }
            let flagged = rows(&self.flagged, truth);
            assert_eq!(
                flagged.iter().map(|row| &*row["backwards"]).collect::<Vec<_>>(),
                ["true"],
                "{counts:?}"
            );
        }
    }

    fn who_leaps_is_flagged_for_its_speed(&self) {
        self.never_confirmed(Role::Hostile(Hostile::Leaps));
        let mut leapt = 0;
        for truth in self.of(Role::Hostile(Hostile::Leaps)) {
            let counts: BTreeSet<_> = self.progress(truth).iter().map(|row| row.pieces).collect();
            let flagged = rows(&self.flagged, truth);
            if counts.len() < 2 {
                assert!(flagged.is_empty(), "{truth:?}");
                continue;
            }
            leapt += 1;
            assert_eq!(flagged.len(), 1, "{truth:?}");
            assert_eq!([&*flagged[0]["crossed"], &*flagged[0]["implausible_speed"]], ["true", "true"]);
        }
        assert!(leapt > 0, "nobody was seen to leap");
    }

    fn lying_bitfields_are_protocol_errors(&self) {
        for truth in self.of(Role::Hostile(Hostile::LyingBitfield)) {
            assert!(self.progress(truth).is_empty(), "{truth:?}");
            assert!(rows(&self.confirmed, truth).is_empty() && rows(&self.flagged, truth).is_empty());
            for contact in &self.contacts[&(truth.info_hash.clone(), truth.ip)] {
                let told = contact.outcome == ContactOutcome::ProtocolError && contact.error.is_some();
                assert!(told || !contact.outcome.has_handshake(), "{contact:?}");
            }
        }
    }

    fn lazy_bitfields_are_whole_observations(&self) {
        let seeders = self.of(Role::Seeder).into_iter().filter(|truth| truth.profile.client.lazy_bitfield);
        let (mut whole, mut cut) = (0, 0);
        for truth in seeders {
            for row in self.progress(truth).iter().filter(|row| row.settled) {
                // What was held back belongs to the claim, unless a busy machine holds it up for a settle time.
                *if row.pieces == row.piece_count { &mut whole } else { &mut cut } += 1;
            }
            assert!(rows(&self.confirmed, truth).is_empty(), "{truth:?}");
        }
        assert!(whole > 0 && whole >= 9 * cut, "{whole} whole bitfields, {cut} cut short");
    }

    fn neighbours_are_told_apart(&self) {
        let mut confirmed = 0;
        for truth in self.of(Role::Neighbours) {
            let ports = self.ports_confirmed(truth);
            let told: Vec<u16> = ports.iter().copied().flatten().collect();
            let unique: BTreeSet<_> = told.iter().collect();
            assert_eq!(unique.len(), told.len(), "{ports:?}: a row each");
            confirmed += usize::from(told.contains(&truth.port));
        }
        assert!(confirmed * 10 >= self.of(Role::Neighbours).len() * 8, "{confirmed} neighbours confirmed");
    }

    /// By the lowest of its ports that was reached.
    fn who_moves_is_confirmed_once(&self) {
        let mut confirmed = 0;
        for truth in self.of(Role::Moves).into_iter().filter(|truth| truth.crossed_at.is_some()) {
            let ports = self.ports_confirmed(truth);
            assert!(ports.len() <= 1, "{ports:?} of {truth:?}");
            confirmed += ports.len();
        }
        assert!(confirmed > 0, "nobody who moved was confirmed");
    }

    fn who_rejoins_is_confirmed_once(&self) {
        let mut confirmed = 0;
        for truth in self.of(Role::Rejoins) {
            let here = self.ports_confirmed(truth).contains(&Some(truth.port));
            if truth.crossed_at.is_none() {
                assert!(!here, "complete when it came: {truth:?}");
                let rows = self.progress(truth);
                let first = rows.iter().find(|row| row.port == truth.port);
                assert!(first.is_none_or(|row| row.pieces == row.piece_count), "{first:?}");
            }
            confirmed += usize::from(here);
        }
        assert!(confirmed > 0, "nobody who rejoined was confirmed");
    }

    fn who_no_tracker_names_is_told_of_by_neighbours(&self) {
        let is_like = |profile: &Profile| profile.named_by == NamedBy::Neighbours;
        for truth in self.truths.iter().filter(|truth| is_like(&truth.profile)) {
            let named_by = self.named_by(truth);
            assert!(named_by.is_subset(&[Source::Pex.as_str()].into()), "{named_by:?} named {truth:?}");
        }
        self.nearly_all_are_confirmed(is_like);
    }

    fn who_has_no_tcp_is_reached_over_utp(&self) {
        let is_like = |profile: &Profile| profile.transport == LabTransport::Utp;
        for truth in self.truths.iter().filter(|truth| is_like(&truth.profile)) {
            for contact in self.met(truth) {
                assert_eq!(contact.transport, Transport::Utp, "{contact:?} of {truth:?}");
            }
        }
        self.nearly_all_are_confirmed(is_like);
    }

    fn who_wants_its_payload_as_it_is_is_reached(&self) {
        let is_like = |profile: &Profile| profile.obfuscation == Obfuscation::MsePlaintextOnly;
        for truth in self.truths.iter().filter(|truth| is_like(&truth.profile)) {
            for contact in self.met(truth) {
                assert_eq!(contact.encryption, Encryption::Mse, "{contact:?} of {truth:?}");
            }
        }
        self.nearly_all_are_confirmed(is_like);
    }

    /// Trackers name both captures, this one to itself as well; neither is a peer of the report.
    fn captures_are_no_peers(&self) {
        assert!(self.sighted.contains_key(&CAPTURES), "no tracker named a capture");
        let met =
            self.contacts.iter().filter(|((_, ip), _)| *ip == CAPTURES).flat_map(|(_, contacts)| contacts);
        let mut other = 0;
        for contact in met.filter(|contact| contact.outcome.has_handshake()) {
            let ours = contact.peer_id.is_some_and(|id| id.0.starts_with(b"-SW"));
            assert!(ours, "{contact:?}");
            other += u32::from(contact.outcome != ContactOutcome::SelfConnection);
        }
        assert!(other > 0, "the other vantage was not met");
        for entry in fs::read_dir(self.report).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "csv") {
                let text = fs::read_to_string(&path).unwrap();
                assert!(!text.contains(&format!(",{CAPTURES},")), "a capture is in {}", path.display());
            }
        }
    }
}

/// Whether it crossed with time before for every rung of the ladder, and for a visit behind it.
fn had_time(truth: &Truth) -> bool {
    let (before, after) = (Duration::from_secs(10), Duration::from_secs(5));
    truth.crossed_at.zip(truth.known_at).is_some_and(|(crossed_at, known_at)| {
        plus(known_at.max(truth.joined), before) <= crossed_at && plus(crossed_at, after) <= truth.left
    })
}

/// Rows of a table of the report about this address.
fn rows<'a>(table: &'a [HashMap<String, String>], truth: &Truth) -> Vec<&'a HashMap<String, String>> {
    let is_it = |row: &&HashMap<String, String>| {
        row["info_hash"] == truth.info_hash && row["ip"] == truth.ip.to_string()
    };
    table.iter().filter(is_it).collect()
}

fn hex(info_hash: schema::InfoHash) -> String {
    wire::InfoHash(info_hash.0).to_string()
}
