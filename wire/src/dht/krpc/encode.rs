//! Message → datagram. Keys are written in sorted order by hand: what each message has is fixed.

use std::net::SocketAddr;

use super::{Body, Message, Query, Response, Want};
use crate::{compact, dht::NodeInfo};

/// A dictionary being written; its keys come in sorted order.
struct Writer(Vec<u8>);

impl Message {
    /// The datagram. At most some 1,400 bytes if lists are kept to what one packet holds; nothing is cut here.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer(Vec::with_capacity(128));
        out.open();
        match &self.body {
            Body::Error { code, text } => {
                out.key("e");
                out.0.push(b'l');
                out.number(i128::from(*code));
                out.string(text.as_bytes());
                out.close();
            }
            Body::Query { id, query, .. } => {
                out.key("a");
                out.open();
                out.bytes("id", &id.0);
                arguments(&mut out, query);
                out.close();
            }
            Body::Response { external, response } => {
                if let Some(external) = external {
                    out.bytes("ip", &packed(*external));
                }
                out.key("r");
                values(&mut out, response);
            }
        }
        if let Body::Query { query, read_only, .. } = &self.body {
            out.bytes("q", method(query));
            out.flag("ro", *read_only);
        }
        out.bytes("t", &self.transaction);
        if let Some(version) = &self.version {
            out.bytes("v", version);
        }
        out.bytes(
            "y",
            match &self.body {
                Body::Error { .. } => b"e",
                Body::Query { .. } => b"q",
                Body::Response { .. } => b"r",
            },
        );
        out.close();
        out.0
    }
}

fn method(query: &Query) -> &[u8] {
    match query {
        Query::AnnouncePeer { .. } => b"announce_peer",
        Query::FindNode { .. } => b"find_node",
        Query::GetPeers { .. } => b"get_peers",
        Query::Ping => b"ping",
        Query::SampleInfohashes { .. } => b"sample_infohashes",
        Query::Unknown { method, .. } => method,
    }
}

/// What stands behind `id`.
fn arguments(out: &mut Writer, query: &Query) {
    match query {
        Query::AnnouncePeer { info_hash, implied_port, port, seed, token } => {
            out.flag("implied_port", *implied_port);
            out.bytes("info_hash", &info_hash.0);
            out.entry("port", i128::from(*port));
            out.flag("seed", *seed);
            out.bytes("token", token);
        }
        Query::FindNode { target, want } | Query::SampleInfohashes { target, want } => {
            out.bytes("target", &target.0);
            out.want(*want);
        }
        Query::GetPeers { info_hash, scrape, want } => {
            out.bytes("info_hash", &info_hash.0);
            out.flag("scrape", *scrape);
            out.want(*want);
        }
        Query::Ping => {}
        Query::Unknown { target, .. } => {
            if let Some(target) = target {
                out.bytes("target", &target.0);
            }
        }
    }
}

fn values(out: &mut Writer, response: &Response) {
    out.open();
    if let Some(scrape) = &response.scrape {
        out.bytes("BFpe", scrape.peers.as_bytes());
        out.bytes("BFsd", scrape.seeds.as_bytes());
    }
    out.bytes("id", &response.id.0);
    if let Some(interval_s) = response.samples.as_ref().and_then(|samples| samples.interval_s) {
        out.entry("interval", i128::from(interval_s));
    }
    for (key, is_ipv4) in [("nodes", true), ("nodes6", false)] {
        let nodes: Vec<u8> = response
            .nodes
            .iter()
            .filter(|node| node.address.is_ipv4() == is_ipv4)
            .flat_map(|NodeInfo { id, address }| id.0.into_iter().chain(packed(*address)))
            .collect();
        if !nodes.is_empty() {
            out.bytes(key, &nodes);
        }
    }
    if let Some(num) = response.samples.as_ref().and_then(|samples| samples.num) {
        out.entry("num", i128::from(num));
    }
    if let Some(samples) = &response.samples {
        let hashes: Vec<u8> = samples.info_hashes.iter().flat_map(|hash| hash.0).collect();
        out.bytes("samples", &hashes);
    }
    if let Some(token) = &response.token {
        out.bytes("token", token);
    }
    if !response.values.is_empty() {
        out.key("values");
        out.0.push(b'l');
        for peer in &response.values {
            out.string(&packed(*peer));
        }
        out.close();
    }
    out.close();
}

fn packed(address: SocketAddr) -> Vec<u8> {
    let mut packed = compact::encode_v4(&[address]);
    packed.extend(compact::encode_v6(&[address]));
    packed
}

impl Writer {
    fn open(&mut self) {
        self.0.push(b'd');
    }

    fn close(&mut self) {
        self.0.push(b'e');
    }

    fn string(&mut self, bytes: &[u8]) {
        self.0.extend(bytes.len().to_string().into_bytes());
        self.0.push(b':');
        self.0.extend(bytes);
    }

    fn key(&mut self, key: &str) {
        self.string(key.as_bytes());
    }

    fn number(&mut self, number: i128) {
        self.0.extend(format!("i{number}e").into_bytes());
    }

    fn bytes(&mut self, key: &str, bytes: &[u8]) {
        self.key(key);
        self.string(bytes);
    }

    fn entry(&mut self, key: &str, number: i128) {
        self.key(key);
        self.number(number);
    }

    fn flag(&mut self, key: &str, set: bool) {
        if set {
            self.entry(key, 1);
        }
    }

    fn want(&mut self, want: Option<Want>) {
        let Some(want) = want else { return };
        self.key("want");
        self.0.push(b'l');
        for (_, word) in [(want.ipv4, b"n4"), (want.ipv6, b"n6")].into_iter().filter(|(wanted, _)| *wanted) {
            self.string(word);
        }
        self.close();
    }
}
