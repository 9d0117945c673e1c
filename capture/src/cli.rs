//! The command line: every option, its default and its help.
//!
//! Arguments and the file of `--config` → [`Options`], the options in force. One definition serves both.

use std::{
    ffi::OsString,
    net::{AddrParseError, IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgAction, Args, Parser, ValueEnum, builder::BoolishValueParser};
use schema::conceal::{Addresses, key_file::DEFAULT_PLACE};
use serde::{Serialize, Serializer};

use crate::{
    config::{self, ConfigError},
    sources::dht,
    torrents::Shard,
    units::{format_duration, parse_duration, parse_duration_above_zero, parse_size},
};

const EXAMPLES: &str = "\
Examples:
  Say what each entry of a list is, and contact nobody:
      capture --torrents list.txt --dry-run
  Watch the swarms of a list until Ctrl-C, into the folder data/:
      capture --torrents list.txt
  Watch for a day from a server called ams-1, reachable on port 51413:
      capture --torrents list.txt --out /srv/capture --vantage ams-1 --listen 51413 --for 24h
  Share a list between sixteen servers, this one being the third:
      capture --torrents list.txt --shard 3/16 --vantage ams-3
  Keep no addresses, but who is who:
      capture --torrents list.txt --addresses pseudonym
  Upload what is seen to a bucket, with the credentials of the environment:
      AWS_REGION=eu-central-1 capture --torrents list.txt --out s3://bucket/ams-1
  Watch a lab on this machine:
      capture --torrents lab.txt --allow-private --for 60s --announce-every 5s --revisit 5s
  Find swarms to watch in the DHT (see capture discover --help):
      capture discover --limit 50 > list.txt
  Keep the options in a file (the command line wins over it):
      capture --config capture.toml

A list has one entry a line: a .torrent file, a folder of them, a magnet link,
or an info-hash of 40 hex digits; `#` begins a comment.
Ctrl-C ends the run in good order, a second one at once.";

/// Why the options could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments are wrong, or ask for help or the version.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The file of `--config` is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Watches BitTorrent swarms and logs every observation; it never uploads or downloads content
#[derive(Clone, Debug, Parser, Serialize)]
#[command(name = "capture", version, term_width = 100, disable_help_subcommand = true)]
#[command(override_usage = "capture --torrents LIST [--out DIR] [OPTIONS]", before_help = EXAMPLES)]
#[serde(rename_all = "kebab-case")]
pub struct Options {
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "its fields tell")]
    pub input: Input,
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "its fields tell")]
    pub run: Run,
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "its fields tell")]
    pub network: Network,
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "its fields tell")]
    pub pacing: Pacing,
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "its fields tell")]
    pub log: Log,
}

/// What is watched, and what is never contacted.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Input")]
#[serde(rename_all = "kebab-case")]
pub struct Input {
    /// List of what to watch, one entry a line
    #[arg(long, value_name = "LIST", required = true)]
    pub torrents: PathBuf,

    /// Folder of the log, made if it is missing; or s3://BUCKET/PREFIX (also gs://, az://), which closed
    /// segments are uploaded to
    #[expect(clippy::doc_markdown, reason = "it is the text of the help")]
    #[arg(long, value_name = "DIR|URL", default_value = "data", value_parser = parse_out)]
    pub out: Out,

    /// Folder of the log until it is uploaded, with --out s3://BUCKET/PREFIX
    /// [default: staging/BUCKET/PREFIX]
    #[arg(long, value_name = "DIR")]
    #[expect(clippy::doc_markdown, reason = "it is the text of the help")]
    pub staging: Option<PathBuf>,

    /// Watch only this part of the list, such as 3/16: the third of sixteen servers, with no word between them
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,

    /// Say what each entry is and exit: 0, or 1 if one is unusable
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    #[serde(skip)]
    pub dry_run: bool,

    /// How --dry-run writes: a table to read, or a JSON object per line
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    #[serde(skip)]
    pub format: Format,

    /// File of networks never contacted, a CIDR or an address a line
    #[arg(long, value_name = "FILE")]
    pub exclude: Option<PathBuf>,

    /// Contact private, loopback and documentation addresses too, as a lab needs
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub allow_private: bool,
}

/// How long, where, and what is told on the way.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Run")]
#[serde(rename_all = "kebab-case")]
pub struct Run {
    /// End the run after this long [default: run until Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration_above_zero)]
    #[serde(rename = "for", serialize_with = "some_duration")]
    pub for_: Option<Duration>,

    /// Name of the place, told apart in the log from other captures' [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub vantage: Option<String>,

    /// TOML file of options, named as here without the dashes; the command line wins
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// How messages on stderr are written; text is a live line where stderr is a terminal
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    #[serde(skip)]
    pub log_format: LogFormat,
}

/// Where we listen and whom we ask.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Network")]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Network {
    /// Accept peers' connections here; PORT alone is every address of both families; may be given twice
    #[arg(long, value_name = "ADDR:PORT", default_value = "6881", value_parser = parse_listen)]
    pub listen: Vec<Listen>,

    /// Accept no connections: peers behind a NAT stay unseen
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub no_listen: bool,

    /// Connect from this address; once per family
    #[arg(long, value_name = "ADDR")]
    pub bind: Vec<IpAddr>,

    /// Announce this often, but not below a tracker's minimum [default: each tracker's own interval]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration_above_zero)]
    #[serde(serialize_with = "some_duration")]
    pub announce_every: Option<Duration>,

    /// Begin in the DHT from this node; may be given several times [default: well-known routers, but
    /// none with --allow-private]
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_router)]
    pub dht_bootstrap: Vec<String>,

    /// Ask DHT nodes this many questions per second, at most
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub dht_queries_per_second: u32,

    /// Answer other DHT nodes too, and learn from what they ask [default: only ask]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub dht_serve: bool,

    /// Do not obfuscate connections (MSE), and take none that are
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub no_mse: bool,

    /// Leave the DHT alone
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub no_dht: bool,

    /// Announce to peers of this address's own network, and hear them; may be given several times
    /// [default: every network that may be contacted, but none with --allow-private]
    #[arg(long, value_name = "ADDR")]
    pub lsd_interface: Vec<IpAddr>,

    /// Look for no peers in our own networks
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub no_lsd: bool,

    /// Take no addresses that peers name to each other
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub no_pex: bool,

    /// Speak TCP alone: peers that accept only uTP stay unseen
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub no_utp: bool,

    /// Ask no trackers
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub no_trackers: bool,

    /// Look up no host names
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub no_rdns: bool,

    /// Look up the host names of this many peers per second, at most
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rdns_per_second: u32,

    /// Ask this DNS server for host names, not the system's
    #[arg(long, value_name = "ADDR:PORT", hide = true)]
    pub dns_server: Option<SocketAddr>,
}

/// How many peers are contacted, how often and for how long.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Pacing")]
#[serde(rename_all = "kebab-case")]
pub struct Pacing {
    /// Contacts open at once, connecting and incoming ones included
    #[arg(long, value_name = "N", default_value = "4000", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_open: u32,

    /// Contacts begun per second, at most
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(1..))]
    pub contacts_per_second: u32,

    /// Contacts open at once with one address, over all swarms
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_per_ip: u32,

    /// ... and with one network, a /24 or an IPv6 /48 (loopback is none)
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_per_network: u32,

    /// Contacts begun per minute with one address, at most: no source can make us flood a host
    #[arg(long, value_name = "N", default_value = "120", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_per_ip: u32,

    /// ... and with one network
    #[arg(long, value_name = "N", default_value = "960", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_per_network: u32,

    /// Keep a connection open this long where a peer tells its progress on it
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = parse_duration_above_zero)]
    #[serde(serialize_with = "duration")]
    pub hold: Duration,

    /// Contact a peer again after this long; sooner when it nears completion
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration_above_zero)]
    #[serde(serialize_with = "duration")]
    pub revisit: Duration,

    /// What a peer claims within this time of the handshake is one observation
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = parse_duration_above_zero)]
    #[serde(serialize_with = "duration")]
    pub settle: Duration,
}

/// What is written, how often it is made durable.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Log")]
#[serde(rename_all = "kebab-case")]
pub struct Log {
    /// Begin Parquet segments after this long
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = parse_duration_above_zero)]
    #[serde(serialize_with = "duration")]
    pub rotate_every: Duration,

    /// ... or after this much in the write-ahead log
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = parse_size)]
    pub rotate_size: u64,

    /// Make rows durable this often: what a crash may lose
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration_above_zero)]
    #[serde(serialize_with = "duration")]
    pub sync_every: Duration,

    /// Log the capture's own state this often
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration_above_zero)]
    #[serde(serialize_with = "duration")]
    pub gauge_every: Duration,

    /// Fold the pieces a peer tells of one by one to a row this often; 0 is a row each
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    #[serde(serialize_with = "duration")]
    pub have_resolution: Duration,

    /// Keep whole bitfields, not their piece counts alone
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub record_bitfields: bool,

    /// Keep peers' addresses: full, as pseudonyms with the /24 or /48 (prefix), or as pseudonyms alone
    /// (pseudonym); of hidden ones country and network are looked up at once
    #[arg(long, value_name = "MODE", default_value = "full", value_parser = parse_addresses)]
    #[serde(serialize_with = "display")]
    pub addresses: Addresses,

    /// File of the key that makes pseudonyms, made at first use; destroy it and they are final
    /// [default: state/address-key in the log's folder]
    #[arg(long, value_name = "FILE")]
    pub address_key: Option<PathBuf>,

    /// MMDB for the countries of hidden addresses [default: an embedded table of the registries]
    #[arg(long, value_name = "FILE")]
    pub geoip_city: Option<PathBuf>,

    /// MMDB for the networks (ASN) of hidden addresses
    #[arg(long, value_name = "FILE")]
    pub geoip_asn: Option<PathBuf>,
}

/// How a dry run writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words are the meaning")]
pub enum Format {
    Json,
    Table,
}

/// How messages on stderr are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words are the meaning")]
pub enum LogFormat {
    Json,
    Text,
}

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A prefix of a bucket, as a URL.
    Store(String),
}

impl Serialize for Out {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Folder(folder) => folder.serialize(serializer),
            Self::Store(url) => url.serialize(serializer),
        }
    }
}

/// A place to accept connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Listen {
    /// One address.
    Address(SocketAddr),
    /// A port on every address of both families.
    Port(u16),
}

impl Options {
    /// The options in force: `arguments` (the program's name first), over the file of `--config` if they name one.
    pub fn from_arguments(
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Self, CliError> {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let arguments = config::splice(arguments)?;
        Ok(Self::try_parse_from(arguments)?)
    }

    /// Places to accept connections; none with `--no-listen`.
    pub fn listen(&self) -> &[Listen] {
        if self.network.no_listen { &[] } else { &self.network.listen }
    }

    /// Takes the ports that the system chose where any would do: the log tells where a run listened, so that what a
    /// source names there is known to be the run itself.
    pub fn bound_to(&mut self, addresses: &[SocketAddr]) {
        let is_any = |listen: &Listen| match listen {
            Listen::Address(address) => address.port() == 0,
            Listen::Port(port) => *port == 0,
        };
        if self.listen().iter().any(is_any) {
            self.network.listen = addresses.iter().copied().map(Listen::Address).collect();
        }
    }

    /// Where to begin in the DHT; a lab does not get to the routers of the world by itself.
    pub fn dht_routers(&self) -> Vec<String> {
        dht::routers_of(&self.network.dht_bootstrap, self.input.allow_private)
    }

    /// The interfaces local peers are looked for on, none named for all; `None` for nowhere. A lab does not speak to the
    /// network of its machine by itself.
    pub fn lsd_interfaces(&self) -> Option<&[IpAddr]> {
        let Network { no_lsd, lsd_interface, .. } = &self.network;
        let is_left_alone = *no_lsd || self.input.allow_private && lsd_interface.is_empty();
        (!is_left_alone).then_some(lsd_interface)
    }

    /// The `--bind` address of the family of `remote`, if one was given.
    pub fn bind_for(&self, remote: IpAddr) -> Option<IpAddr> {
        self.network.bind.iter().copied().find(|ip| ip.is_ipv4() == remote.is_ipv4())
    }

    /// The folder of this machine that the log is written in; of one that is uploaded, what is not uploaded yet.
    pub fn folder(&self) -> PathBuf {
        match &self.input.out {
            Out::Folder(folder) => folder.clone(),
            Out::Store(url) => self.input.staging.clone().unwrap_or_else(|| {
                // The URL was checked when it was read.
                Path::new("staging").join(store::check(url).unwrap_or_default())
            }),
        }
    }

    /// Where the key of the log's pseudonyms is.
    pub fn address_key(&self) -> PathBuf {
        self.log.address_key.clone().unwrap_or_else(|| self.folder().join(DEFAULT_PLACE))
    }

    /// The options in force as JSON, for the log's `runs` table.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| format!("{{\"error\":{:?}}}", error.to_string()))
    }
}

fn parse_out(text: &str) -> Result<Out, String> {
    if store::is_url(text) {
        return store::check(text)
            .map(|_place| Out::Store(text.to_owned()))
            .map_err(|error| error.to_string());
    }
    if text.is_empty() { Err("give a folder".to_owned()) } else { Ok(Out::Folder(PathBuf::from(text))) }
}

fn parse_addresses(text: &str) -> Result<Addresses, String> {
    text.parse().map_err(|_unknown| "write full, prefix or pseudonym".to_owned())
}

pub(crate) fn parse_router(text: &str) -> Result<String, String> {
    let is_router = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    if is_router {
        Ok(text.to_owned())
    } else {
        Err("write a host and a port such as dht.example.org:6881".to_owned())
    }
}

fn parse_listen(text: &str) -> Result<Listen, String> {
    if let Ok(port) = text.parse() {
        return Ok(Listen::Port(port));
    }
    text.parse().map(Listen::Address).map_err(|error: AddrParseError| {
        format!("{error}; write a port, or an address and a port such as 192.0.2.1:6881 or [::]:6881")
    })
}

fn display<S: Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn duration<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*duration))
}

#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
fn some_duration<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(format_duration).serialize(serializer)
}
