//! Where the peers' addresses are: looked up, or for hidden ones what the capture looked up and kept.

use std::{collections::HashMap, net::IpAddr};

use polars::prelude::{PolarsResult, SortMultipleOptions, col};
use schema::table::Table;

use crate::{
    geo::{Geo, Place},
    log::Log,
    replay::rows::Address,
};

/// What a log that hides addresses keeps of one.
#[derive(Clone, Debug)]
struct Kept {
    prefix: Option<String>,
    place: Place,
}

/// The places of a log's addresses.
#[derive(Debug)]
pub struct Book<'a> {
    geo: &'a Geo,
    kept: HashMap<Address, Kept>,
}

impl<'a> Book<'a> {
    /// Reads what the log keeps of hidden addresses: the last row of each.
    pub fn of(log: &Log, geo: &'a Geo) -> PolarsResult<Self> {
        let mut book = Self { geo, kept: HashMap::new() };
        if log.rows(Table::Addresses) == 0 {
            return Ok(book);
        }
        let rows = log
            .scan(Table::Addresses)?
            .select(["ip", "time", "run", "prefix", "country", "asn", "organization"].map(col))
            .sort(["time", "run"], SortMultipleOptions::default())
            .collect()?;
        let text = |name: &str| Ok::<_, polars::prelude::PolarsError>(rows.column(name)?.str()?.iter());
        let texts = text("ip")?.zip(text("prefix")?.zip(text("country")?)).zip(text("organization")?);
        for (((ip, (prefix, country)), organization), asn) in texts.zip(rows.column("asn")?.i64()?.iter()) {
            let Some(ip) = ip else { continue };
            let place = Place {
                country: country.map(str::to_owned),
                asn: asn.and_then(|asn| u64::try_from(asn).ok()),
                organization: organization.map(str::to_owned),
                ..Place::default()
            };
            let kept = Kept { prefix: prefix.map(str::to_owned), place };
            book.kept.insert(Address::new(ip.as_bytes()), kept);
        }
        Ok(book)
    }

    /// Where an address is.
    pub fn locate(&self, ip: &str) -> Place {
        let kept = if self.kept.is_empty() { None } else { self.kept.get(&Address::new(ip.as_bytes())) };
        place(ip, kept.cloned(), self.geo)
    }
}

fn place(ip: &str, kept: Option<Kept>, geo: &Geo) -> Place {
    let Some(Kept { prefix, place: kept }) = kept else {
        return ip.parse::<IpAddr>().map(|ip| geo.place(ip)).unwrap_or_default();
    };
    // A network is looked up again where the user gives a database: it may be newer than the capture's.
    let network = prefix.as_deref().and_then(|prefix| prefix.split('/').next()?.parse::<IpAddr>().ok());
    let of_network = network.map(|network| geo.place(network)).unwrap_or_default();
    let mut place = if network.is_some() && geo.has_cities() {
        of_network.clone()
    } else {
        Place { country: kept.country.or_else(|| of_network.country.clone()), ..Place::default() }
    };
    (place.asn, place.organization) = if network.is_some() && geo.has_networks() {
        (of_network.asn, of_network.organization)
    } else {
        (kept.asn, kept.organization)
    };
    place
}
