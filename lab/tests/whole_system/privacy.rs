//! Captures that hide addresses: nothing they write, anywhere, holds a peer's address in any form.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use lab::truth::{self, Truth};
use schema::table::{Row, Table};
use tempfile::tempdir;

use crate::{
    log::{Log, files_below},
    programs::{Lab, Program, wait_until},
};

/// A capture, its log, and what it tells.
struct Watching {
    log: Log,
    told: PathBuf,
    program: Program,
    /// Every file as it was while the capture ran, its write-ahead files above all.
    midway: Vec<(PathBuf, Vec<u8>)>,
}

impl Watching {
    fn start(lab: &Lab, folder: &Path, addresses: &str) -> Self {
        let log = Log::at(&folder.join(addresses));
        let told = folder.join(format!("{addresses}.stderr"));
        let options = ["--addresses", addresses, "--no-dht", "--vantage", addresses];
        let program = lab.capture_telling_everything(log.folder(), &options, &told);
        Self { log, told, program, midway: Vec::new() }
    }

    /// Every byte it has written: its files of then and now, and its messages.
    fn written(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut written = self.midway.clone();
        written.extend(contents(self.log.folder()));
        written.push((self.told.clone(), fs::read(&self.told).unwrap()));
        written
    }

    /// Every row of every table as text.
    fn rows_as_text(&self) -> String {
        let rows = Table::ALL.iter().flat_map(|table| self.log.rows(*table));
        rows.map(|(_, event)| format!("{event:?}")).collect::<Vec<_>>().join("\n")
    }
}

fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files_below(folder, "").into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// How an address may stand in a file: as text, as bincode writes it, and as compact peers with either byte order.
fn forms(ip: Ipv4Addr, port: u16) -> Vec<Vec<u8>> {
    let octets = ip.octets();
    let mapped = ip.to_ipv6_mapped();
    vec![
        ip.to_string().into_bytes(),
        mapped.segments().map(|segment| format!("{segment:x}")).join(":").into_bytes(),
        format!("{:x}:{:x}", mapped.segments()[6], mapped.segments()[7]).into_bytes(),
        [&[0; 4], octets.as_slice()].concat(),
        [octets.as_slice(), &port.to_be_bytes()].concat(),
        [octets.as_slice(), &port.to_le_bytes()].concat(),
    ]
}

fn holds(bytes: &[u8], form: &[u8]) -> bool {
    bytes.windows(form.len()).any(|window| window == form)
}

/// Where any of the peers' addresses stands.
fn leaks(watching: &Watching, peers: &BTreeSet<(Ipv4Addr, u16)>) -> Vec<String> {
    let (rows, written) = (watching.rows_as_text(), watching.written());
    let mut leaks = Vec::new();
    for (ip, port) in peers {
        if rows.contains(&ip.to_string()) {
            leaks.push(format!("{ip} in a row"));
        }
        for form in forms(*ip, *port) {
            for (path, bytes) in &written {
                if holds(bytes, &form) || holds(path.as_os_str().as_encoded_bytes(), &form) {
                    leaks.push(format!("{ip} as {form:?} in {}", path.display()));
                }
            }
        }
    }
    leaks
}

#[test]
fn a_mode_that_hides_addresses_writes_none_anywhere() {
    let folder = tempdir().unwrap();
    let mut lab = Lab::start(&folder.path().join("lab"), &["--peers", "80", "--swarms", "2", "--for", "40s"]);
    let mut captures =
        ["full", "prefix", "pseudonym"].map(|addresses| Watching::start(&lab, folder.path(), addresses));
    for watching in &mut captures {
        wait_until("rows are durable", || watching.log.wal_rows() > 300);
        watching.midway = contents(watching.log.folder());
    }
    lab.ends_well();
    for watching in &mut captures {
        watching.program.terminate();
        watching.program.ends_well_within(Duration::from_secs(20));
    }

    let truth: Vec<Truth> = truth::read(&lab.file("truth.csv")).unwrap();
    let peers: BTreeSet<_> = truth
        .iter()
        .filter_map(|peer| match peer.ip {
            IpAddr::V4(ip) => Some((ip, peer.port)),
            IpAddr::V6(_) => None,
        })
        .collect();
    assert!(peers.len() >= 80);
    let [full, prefix, pseudonym] = &captures;
    let seen = leaks(full, &peers);
    assert!(seen.iter().any(|leak| leak.contains("/wal/")), "the search finds what is there: {seen:?}");
    assert!(seen.iter().any(|leak| leak.ends_with("in a row")), "the search finds what is there: {seen:?}");
    assert_eq!(leaks(prefix, &peers), Vec::<String>::new());
    assert_eq!(leaks(pseudonym, &peers), Vec::<String>::new());
    for watching in [prefix, pseudonym] {
        assert!(watching.log.rows(Table::Progress).len() > 200, "it is a log all the same");
        let kept = watching.log.rows(Table::Addresses).into_iter().filter_map(|(_, event)| match event.row {
            Row::Address(address) => address.prefix,
            _ => None,
        });
        let kept: BTreeSet<String> = kept.collect();
        let of_lab = kept.iter().filter(|prefix| prefix.starts_with("127.64.1.")).count();
        assert_eq!(of_lab, usize::from(std::ptr::eq(watching, prefix)), "{kept:?}");
    }
}
