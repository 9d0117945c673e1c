//! Raw rows as the replay holds them: small, without allocations, and with texts as numbers of [`Names`].

use std::{
    cmp::Ordering,
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    num::NonZeroU8,
};

use schema::table::{ContactOutcome, ProgressKind, Source};
use serde::{Deserialize, Serialize};

/// A text of up to 40 bytes in place: an address; a longer text is no address and is cut.
#[derive(Clone, Copy, Eq)]
pub struct Address([u8; Self::CAPACITY]);

impl Address {
    const CAPACITY: usize = 40;
    /// Before every text.
    pub const FIRST: Self = Self([0; Self::CAPACITY]);
    /// After every text.
    pub const LAST: Self = Self([0xff; Self::CAPACITY]);

    /// The address with this text.
    pub fn new(text: &[u8]) -> Self {
        let mut bytes = [0; Self::CAPACITY];
        let length = text.len().min(Self::CAPACITY);
        if let (Some(bytes), Some(text)) = (bytes.get_mut(..length), text.get(..length)) {
            bytes.copy_from_slice(text);
        }
        Self(bytes)
    }

    /// Its bytes as numbers in the same order: keys are compared again and again.
    fn words(&self) -> impl Iterator<Item = u64> {
        self.0.as_chunks().0.iter().map(|chunk| u64::from_be_bytes(*chunk))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(Self::CAPACITY);
        std::str::from_utf8(self.0.get(..length).unwrap_or_default()).unwrap_or_default()
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.words().eq(other.words())
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        self.words().cmp(other.words())
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A peer ID in place; one longer than a peer ID can be is cut.
///
/// Its 20 bytes are three numbers that order as they do, since it is copied and compared again and again; and without a
/// length of 0 an `Option` of one is no longer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PeerId {
    first: u64,
    second: u64,
    third: u32,
    /// The length plus 1.
    behind: NonZeroU8,
}

impl PeerId {
    /// The peer ID of these bytes.
    pub fn new(id: &[u8]) -> Self {
        const WHOLE: NonZeroU8 = NonZeroU8::MIN.saturating_add(20);
        match id.try_into() {
            Ok(id) => Self::of(id, WHOLE),
            Err(_) => Self::of_another_length(id),
        }
    }

    #[cold]
    fn of_another_length(id: &[u8]) -> Self {
        let mut bytes = [0; 20];
        let length = id.len().min(bytes.len());
        for (byte, of) in bytes.iter_mut().zip(id) {
            *byte = *of;
        }
        Self::of(&bytes, NonZeroU8::MIN.saturating_add(u8::try_from(length).unwrap_or_default()))
    }

    fn of(bytes: &[u8; 20], behind: NonZeroU8) -> Self {
        let (first, rest) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let (second, rest) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let third = rest.first_chunk().unwrap_or(&[0; 4]);
        Self {
            first: u64::from_be_bytes(*first),
            second: u64::from_be_bytes(*second),
            third: u32::from_be_bytes(*third),
            behind,
        }
    }

    /// What its bytes differ in from another one's; and from that and the other one, it again.
    #[must_use]
    pub fn xor(self, other: Self) -> Self {
        Self {
            first: self.first ^ other.first,
            second: self.second ^ other.second,
            third: self.third ^ other.third,
            ..self
        }
    }

    /// Its bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes =
            [&self.first.to_be_bytes()[..], &self.second.to_be_bytes(), &self.third.to_be_bytes()].concat();
        bytes.truncate(usize::from(self.behind.get() - 1));
        bytes
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_bytes().escape_ascii())
    }
}

/// What rows of every table have.
pub trait Row: Copy {
    /// The same row at another address of its unit.
    #[must_use]
    fn at(self, ip: u32) -> Self;

    /// The run.
    fn run_mut(&mut self) -> &mut u32;

    /// The word it has besides.
    fn word_mut(&mut self) -> Option<&mut u32>;
}

macro_rules! row {
    ($($name:ty, $($word:ident)?);*) => {
        $(impl Row for $name {
            fn at(self, ip: u32) -> Self {
                Self { ip, ..self }
            }

            fn run_mut(&mut self) -> &mut u32 {
                &mut self.run
            }

            fn word_mut(&mut self) -> Option<&mut u32> {
                [$(&mut self.$word)?].into_iter().next()
            }
        })*
    };
}

row!(Contact, client; Progress, ; Sighting, source);

/// A row of `contacts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// When it ended, µs.
    pub time: i64,
    /// Its number within the run.
    pub contact: i64,
    /// When its handshake was complete, µs.
    pub handshake_at: Option<i64>,
    /// The run.
    pub run: u32,
    /// The address, by its place in the unit.
    #[serde(skip)]
    pub ip: u32,
    /// The remote port; -1 where the row has none.
    pub port: i32,
    /// The port the peer says it listens on; `None` also for 0, which some clients say when they do not.
    pub listen_port: Option<u16>,
    /// The peer ID of its handshake.
    pub peer_id: Option<PeerId>,
    /// The extended handshake's `v`; 0 where there is none.
    pub client: u32,
    /// We connected to the peer.
    pub out: bool,
    /// How it ended; `None` for an outcome of a later version.
    pub outcome: Option<ContactOutcome>,
    /// It shows by itself that it was with one of us.
    pub shows_us: bool,
}

impl Contact {
    /// Whether the peer's handshake was received.
    pub fn handshake(&self) -> bool {
        self.outcome.is_some_and(ContactOutcome::has_handshake)
    }
}

/// A row of `progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// When, µs.
    pub time: i64,
    /// The contact's number within the run.
    pub contact: i64,
    /// The count after it; `None` where it is not known, or is none.
    pub pieces: Option<u32>,
    /// The run.
    pub run: u32,
    /// The address, by its place in the unit.
    #[serde(skip)]
    pub ip: u32,
    /// The remote port; -1 where the row has none.
    pub port: i32,
    /// What was said; one of a later version counts as HAVE.
    pub kind: ProgressKind,
    /// We connected to the peer.
    pub out: bool,
    /// The opening burst was over.
    pub settled: bool,
}

/// A row of `sightings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When, µs.
    pub time: i64,
    /// The run.
    pub run: u32,
    /// The address, by its place in the unit.
    #[serde(skip)]
    pub ip: u32,
    /// The port; -1 where the row has none.
    pub port: i32,
    /// The source's name.
    pub source: u32,
    /// The source; `None` for one of a later version.
    pub code: Option<Source>,
}

/// The texts that rows are told with as numbers.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// Runs.
    pub runs: Names,
    /// Clients and sources.
    pub words: Names,
}

/// Texts that occur again and again, as numbers from 1 on.
#[derive(Clone, Debug, Default)]
pub struct Names {
    numbers: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Names {
    /// The number of a text.
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        self.texts.push(text.into());
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.numbers.insert(text.into(), number);
        number
    }

    /// The text of a number; `None` for 0.
    pub fn text(&self, number: u32) -> Option<&str> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        Some(self.texts.get(place)?)
    }

    /// All texts, in the order of their numbers.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(AsRef::as_ref)
    }

    /// Each number's place in the order of the texts, by number; `None` where numbers are in that order.
    pub fn ranks(&self) -> Option<Vec<u32>> {
        if self.texts.is_sorted() {
            return None;
        }
        let mut order: Vec<u32> = (0..).take(self.texts.len() + 1).collect();
        order.sort_by_key(|number| self.text(*number));
        let mut ranks = vec![0; order.len()];
        for (rank, number) in (0..).zip(order) {
            if let Some(place) = ranks.get_mut(number as usize) {
                *place = rank;
            }
        }
        Some(ranks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_peer_ids_are_ordered_as_their_bytes() {
        let texts = ["1.2.3.4", "1.2.3.40", "10.0.0.1", "2001:db8::1", "9.9.9.9"];
        let addresses = texts.map(|text| Address::new(text.as_bytes()));
        assert!(addresses.is_sorted());
        assert_eq!(addresses.map(|address| address.as_str().to_owned()), texts);
        assert!(PeerId::new(b"") < PeerId::new(b"\0") && PeerId::new(b"-A") < PeerId::new(b"-B"));
        for length in 0..30 {
            assert_eq!(PeerId::new(&vec![7; length]).to_bytes(), vec![7; length.min(20)]);
        }
        assert_eq!(size_of::<Option<PeerId>>(), size_of::<PeerId>());
    }

    #[test]
    fn names_have_numbers_and_ranks() {
        let mut names = Names::default();
        let numbers = ["b", "a", "b", "c"].map(|text| names.number(text));
        assert_eq!(numbers, [1, 2, 1, 3]);
        assert_eq!((names.text(2), names.text(0)), (Some("a"), None));
        assert_eq!(names.ranks(), Some(vec![0, 2, 1, 3]));
        names = Names::default();
        assert_eq!(["a", "b"].map(|text| names.number(text)), [1, 2]);
        assert_eq!(names.ranks(), None);
    }
}
