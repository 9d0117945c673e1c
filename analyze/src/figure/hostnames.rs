//! `hostnames`: what kind of network peers are in by their reverse names, as bars.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::bars::{Group, grouped};
use super::frame::{counts, texts};
use crate::number::{counted, counted_of, percent};

const TITLE: &str = "Kinds of networks, by host name";

/// Draws the table `hostnames`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let groups = groups(rows)?;
    let all: f64 = groups.iter().map(|group| group.peers).sum();
    if all == 0.0 {
        return Ok(Figure::without_data(
            "hostnames",
            TITLE,
            "No host name was looked up: the capture ran with --no-rdns, or its peers have no public addresses.",
        ));
    }
    let unnamed: f64 = groups.iter().filter(|group| group.name == UNNAMED).map(|group| group.peers).sum();
    let subtitle = format!(
        "{} whose address was looked up, {} of them without a name ({}). The kind is guessed from the name by rules: \
         what no rule matches is unknown.",
        counted_of(all, "peer"),
        counted(unnamed),
        percent(unnamed / all)
    );
    Ok(grouped("hostnames", TITLE, subtitle, groups, "kind"))
}

const UNNAMED: &str = "no host name";

fn groups(rows: &DataFrame) -> PolarsResult<Vec<Group>> {
    let domains = texts(rows, "top_level_domain")?;
    let kinds = texts(rows, "kind")?;
    let peers = counts(rows, "peers")?;
    let confirmed = counts(rows, "confirmed_downloads")?;
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for ((domain, kind), (peers, confirmed)) in
        domains.into_iter().zip(kinds).zip(peers.into_iter().zip(confirmed))
    {
        let kind = match kind.as_deref() {
            _ if domain.is_none() => UNNAMED.to_owned(),
            Some("hosting") => "hosting, data centres".to_owned(),
            Some("isp") => "internet providers".to_owned(),
            Some("seedbox") => "seedboxes".to_owned(),
            Some("vpn") => "VPNs and proxies".to_owned(),
            _ => "unknown: no rule matches".to_owned(),
        };
        let sum = sums.entry(kind).or_default();
        *sum = (sum.0 + peers, sum.1 + confirmed);
    }
    Ok(sums.into_iter().map(|(name, (peers, confirmed))| Group { name, peers, confirmed }).collect())
}
