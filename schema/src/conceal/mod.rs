//! Hiding addresses: rows → rows in which a pseudonym stands for every peer's and node's address.
//!
//! A pseudonym is an address nobody has: `fd04:…` for an IPv4 address, `fd06:…` for an IPv6 one, and behind that 112
//! bits of BLAKE3 under a secret key. It stands wherever the address stood, so that identity stays exact and every
//! reader of the log works as it does; what else may be kept of the address is a row of [`addresses`](Address).

pub mod key_file;
mod text;

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

pub use text::{Replacement, replace_addresses};

use crate::{
    place::{Place, Places},
    table::{Address, Event, Row, Source},
    value::UnknownText,
};

/// The first byte of every pseudonym: unique local addresses (RFC 4193), which no route leads to.
const PSEUDONYM: u8 = 0xfd;
/// The option of a run that says what it keeps of addresses, as it stands in the JSON of its options.
const ADDRESSES_OPTION: &str = "\"addresses\":";
/// Addresses remembered as told; more begin anew, and their rows are repeated.
const TOLD_MAX: usize = 1 << 20;

/// What a log keeps of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// The addresses.
    #[default]
    Full,
    /// Pseudonyms, and the /24 or /48 each is in.
    Prefix,
    /// Pseudonyms alone.
    Pseudonym,
}

impl Addresses {
    /// The word of the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Prefix => "prefix",
            Self::Pseudonym => "pseudonym",
        }
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Addresses {
    type Err = UnknownText;

    fn from_str(text: &str) -> Result<Self, UnknownText> {
        let all = [Self::Full, Self::Prefix, Self::Pseudonym];
        let found = all.into_iter().find(|addresses| addresses.as_str() == text);
        found.ok_or_else(|| UnknownText { what: "way to keep addresses", text: text.to_owned() })
    }
}

/// The secret that makes pseudonyms; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// A key of the given bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What stands for an address; the unspecified ones name nobody and stay.
    pub fn pseudonym(&self, ip: IpAddr) -> IpAddr {
        let ip = ip.to_canonical();
        if ip.is_unspecified() {
            return ip;
        }
        let (family, hash) = match ip {
            IpAddr::V4(ip) => (0x04, blake3::keyed_hash(&self.0, &ip.octets())),
            IpAddr::V6(ip) => (0x06, blake3::keyed_hash(&self.0, &ip.octets())),
        };
        let mut octets = [0; 16];
        let [first, second, rest @ ..] = &mut octets;
        (*first, *second) = (PSEUDONYM, family);
        for (to, byte) in rest.iter_mut().zip(hash.as_bytes()) {
            *to = *byte;
        }
        IpAddr::V6(Ipv6Addr::from(octets))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The /24 or /48 an address is in, as text.
pub fn prefix(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

/// Hides the addresses of a log's rows.
#[derive(Debug)]
pub struct Concealer {
    keeps_prefix: bool,
    key: Key,
    places: Places,
    /// Pseudonyms whose `addresses` row has been given out.
    told: HashSet<IpAddr>,
}

impl Concealer {
    /// One that keeps what is told; `None` where full addresses are kept and there is nothing to hide.
    pub fn new(addresses: Addresses, key: Key, places: Places) -> Option<Self> {
        let keeps_prefix = match addresses {
            Addresses::Full => return None,
            Addresses::Prefix => true,
            Addresses::Pseudonym => false,
        };
        Some(Self { keeps_prefix, key, places, told: HashSet::new() })
    }

    /// Forgets which addresses it has told of, so that what follows stands for itself.
    pub fn begin(&mut self) {
        self.told.clear();
    }

    /// Gives to `write` what may be kept of a row: a row about its address where that is needed, then the row itself.
    ///
    /// Host names name the address and are left out.
    pub fn conceal(&mut self, mut event: Event, mut write: impl FnMut(Event)) {
        let ip = match &mut event.row {
            Row::Contact(contact) => {
                let ip = contact.ip.to_canonical();
                // Versions look like addresses too: of a peer's own words only what names it is hidden.
                hide(&mut contact.client, |text| {
                    replace_addresses(text, |found| {
                        (found.to_canonical() == ip).then(|| self.key.pseudonym(ip))
                    })
                });
                hide(&mut contact.error, |text| self.text(text));
                Some(&mut contact.ip)
            }
            Row::Progress(progress) => Some(&mut progress.ip),
            Row::Sighting(sighting) => {
                if !is_tracker(sighting.source) {
                    hide(&mut sighting.endpoint, |text| self.text(text));
                }
                Some(&mut sighting.ip)
            }
            Row::Request(request) => {
                if !is_tracker(request.source) {
                    request.endpoint = self.text(&request.endpoint).into_owned();
                }
                hide(&mut request.error, |text| self.text(text));
                None
            }
            Row::Run(run) => {
                run.config = self.options(&run.config);
                hide(&mut run.reason, |text| self.text(text));
                None
            }
            Row::Hostname(_) => return,
            // Addresses are pseudonyms by then; the rest is of the list's and of our own making.
            Row::Address(_) | Row::Gauge(_) | Row::Torrent(_) => None,
        };
        if let Some(ip) = ip {
            let known = *ip;
            *ip = self.key.pseudonym(known);
            let pseudonym = *ip;
            if let Some(row) = self.tell(known, pseudonym) {
                write(Event { time: event.time, row: row.into() });
            }
        }
        write(event);
    }

    /// A text with pseudonyms for the addresses in it.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        replace_addresses(text, |ip| (!ip.is_unspecified()).then(|| self.key.pseudonym(ip)))
    }

    /// A run's options, which say that its addresses are hidden, also where they were not when it ran.
    fn options(&self, config: &str) -> String {
        let config = self.text(config);
        let hides = format!(
            "{ADDRESSES_OPTION}\"{}\"",
            if self.keeps_prefix { Addresses::Prefix } else { Addresses::Pseudonym }
        );
        let kept = format!("{ADDRESSES_OPTION}\"{}\"", Addresses::Full);
        match config.strip_suffix('}') {
            // A version that knew no such option.
            Some(options) if !config.contains(ADDRESSES_OPTION) => {
                let comma = if options.ends_with('{') { "" } else { "," };
                format!("{options}{comma}{hides}}}")
            }
            _ => config.replace(&kept, &hides),
        }
    }

    /// The row about an address, unless it has been given out.
    fn tell(&mut self, ip: IpAddr, pseudonym: IpAddr) -> Option<Address> {
        if self.told.contains(&pseudonym) {
            return None;
        }
        if self.told.len() >= TOLD_MAX {
            self.told.clear();
        }
        self.told.insert(pseudonym);
        let Place { country, asn, organization, .. } = self.places.place(ip);
        let prefix = self.keeps_prefix.then(|| prefix(ip));
        Some(Address { ip: pseudonym, prefix, country, asn, organization })
    }
}

/// Whether an endpoint is a tracker's URL, which the list names, and not a peer's or node's address.
fn is_tracker(source: Source) -> bool {
    matches!(source, Source::TrackerHttp | Source::TrackerUdp)
}

fn hide(text: &mut Option<String>, hidden: impl for<'a> FnOnce(&'a str) -> Cow<'a, str>) {
    if let Some(Cow::Owned(hidden)) = text.as_deref().map(hidden) {
        *text = Some(hidden);
    }
}

#[cfg(test)]
mod tests;
