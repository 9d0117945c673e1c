//! Where the peers' addresses are: looked up, or for hidden ones what the capture looked up and kept.

use std::net::IpAddr;

use polars::prelude::{
    DataFrame, IntoColumn, IntoLazy, NamedFrom, PolarsResult, Series, SortMultipleOptions, col,
};
use schema::table::Table;

use crate::{
    geo::{Geo, Place},
    log::Log,
    replay::identity::left_join,
};

/// What a log that hides addresses keeps of one.
struct Kept<'a> {
    prefix: Option<&'a str>,
    place: Place,
}

/// The place of every address in the column `ip`, each once: `ip`, `country`, `city`, `latitude`, `longitude`, `asn`,
/// `organization`.
pub fn locate(addresses: &DataFrame, log: &Log, geo: &Geo) -> PolarsResult<DataFrame> {
    if addresses.column("ip").is_err() {
        return frame(&[], &[]);
    }
    let addresses = with_kept(addresses, log)?;
    let text = |name: &str| -> PolarsResult<Vec<Option<&str>>> {
        Ok(addresses.column(name)?.str()?.iter().collect())
    };
    let asns = addresses.column("asn")?.i64()?;
    let kept = text("prefix")?.into_iter().zip(text("country")?).zip(asns.iter()).zip(text("organization")?);
    let is_kept = addresses.column("is_kept")?.bool()?.iter();
    let (mut ips, mut places) = (Vec::new(), Vec::new());
    for ((ip, is_kept), (((prefix, country), asn), organization)) in
        text("ip")?.into_iter().zip(is_kept).zip(kept)
    {
        let Some(ip) = ip else { continue };
        let kept = is_kept.unwrap_or_default().then(|| Kept {
            prefix,
            place: Place {
                country: country.map(str::to_owned),
                asn: asn.and_then(|asn| u64::try_from(asn).ok()),
                organization: organization.map(str::to_owned),
                ..Place::default()
            },
        });
        ips.push(ip);
        places.push(place(ip, kept, geo));
    }
    frame(&ips, &places)
}

/// Adds what the log keeps of hidden addresses: the last row of each.
fn with_kept(addresses: &DataFrame, log: &Log) -> PolarsResult<DataFrame> {
    let columns = ["prefix", "country", "asn", "organization"];
    let kept = log
        .scan(Table::Addresses)?
        .sort(["time", "run"], SortMultipleOptions::default())
        .group_by([col("ip")])
        .agg(columns.map(|name| col(name).last()))
        .with_column(polars::prelude::lit(true).alias("is_kept"));
    addresses.clone().lazy().select([col("ip")]).join(kept, [col("ip")], [col("ip")], left_join()).collect()
}

fn place(ip: &str, kept: Option<Kept<'_>>, geo: &Geo) -> Place {
    let Some(Kept { prefix, place: kept }) = kept else {
        return ip.parse::<IpAddr>().map(|ip| geo.place(ip)).unwrap_or_default();
    };
    // A network is looked up again where the user gives a database: it may be newer than the capture's.
    let network = prefix.and_then(|prefix| prefix.split('/').next()?.parse::<IpAddr>().ok());
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

fn frame(ips: &[&str], places: &[Place]) -> PolarsResult<DataFrame> {
    let text = |name: &str, of: fn(&Place) -> Option<&str>| {
        Series::new(name.into(), places.iter().map(of).collect::<Vec<_>>()).into_column()
    };
    let degrees = |name: &str, of: fn(&Place) -> Option<f64>| {
        Series::new(name.into(), places.iter().map(of).collect::<Vec<_>>()).into_column()
    };
    DataFrame::new_infer_height(vec![
        Series::new("ip".into(), ips).into_column(),
        text("country", |place| place.country.as_deref()),
        text("city", |place| place.city.as_deref()),
        degrees("latitude", |place| place.latitude),
        degrees("longitude", |place| place.longitude),
        Series::new("asn".into(), places.iter().map(|place| place.asn).collect::<Vec<_>>()).into_column(),
        text("organization", |place| place.organization.as_deref()),
    ])
}
