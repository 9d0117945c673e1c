//! The command line of `capture discover`.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

use crate::{
    cli::{LogFormat, parse_router},
    sources::dht,
    units::parse_duration_above_zero,
};

const EXAMPLES: &str = "\
Examples:
  List a thousand info-hashes that DHT nodes hold:
      capture discover > list.txt
  List those of ten minutes with their sizes, as JSON:
      capture discover --for 10m --limit 100000 --scrape --format json
  Watch what was found; the list is one of --torrents as it is:
      capture discover --limit 50 --scrape > list.txt
      capture --torrents list.txt --out data/
  Ask a DHT of one's own:
      capture discover --allow-private --dht-bootstrap 127.0.0.1:6881

Each node is asked for a sample of the swarms it holds (BEP 51), and again only after
the interval it names. A size is an estimate from filters that the nodes nearest to a
swarm hold (BEP 33); peers behind one address count as one. Nothing is announced, and
no peer is contacted.";

/// Lists swarms that DHT nodes hold, one info-hash a line
#[derive(Clone, Debug, Parser)]
#[command(name = "capture discover", version, term_width = 100, disable_help_subcommand = true)]
#[command(override_usage = "capture discover [OPTIONS]", before_help = EXAMPLES)]
pub struct Options {
    /// End after so many swarms
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub limit: u32,

    /// End after this long [default: when there are enough]
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration_above_zero)]
    pub for_: Option<Duration>,

    /// Look for each swarm's size too
    #[arg(long)]
    pub scrape: bool,

    /// How swarms are written: lines of a --torrents list, or a JSON object per line
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// Begin in the DHT from this node; may be given several times [default: well-known routers, but
    /// none with --allow-private]
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_router)]
    pub dht_bootstrap: Vec<String>,

    /// Ask DHT nodes this many questions per second, at most
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
    pub dht_queries_per_second: u32,

    /// Send from this address; once per family
    #[arg(long, value_name = "ADDR")]
    pub bind: Vec<IpAddr>,

    /// File of networks never contacted, a CIDR or an address a line
    #[arg(long, value_name = "FILE")]
    pub exclude: Option<PathBuf>,

    /// Ask nodes at private, loopback and documentation addresses too, as a lab needs
    #[arg(long)]
    pub allow_private: bool,

    /// How messages on stderr are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// How swarms are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words are the meaning")]
pub enum Format {
    Json,
    Text,
}

impl Options {
    /// Where to begin; a lab does not get to the routers of the world by itself.
    pub fn dht_routers(&self) -> Vec<String> {
        dht::routers_of(&self.dht_bootstrap, self.allow_private)
    }
}
