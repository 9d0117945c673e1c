//! What a log that hides addresses writes, byte by byte: rows of every table with addresses of both families wherever
//! one could stand, in write-ahead files and segments.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use capture::{
    clock::Clock,
    log::{Log, LogOptions},
};
use schema::{
    InfoHash, PeerId, RunId,
    conceal::{Addresses, Concealer, Key},
    disk::Reader,
    frame::Scan,
    place::Places,
    segment,
    table::{
        Contact, ContactOutcome, Direction, Encryption, Hostname, HostnameOutcome, Progress, ProgressKind,
        Request, RequestKind, RequestOutcome, Row, Run, RunEvent, Sighting, Source, Table, Torrent,
        TorrentOrigin, Transport,
    },
};

const PORT: u16 = 51_413;

/// Addresses of a peer and of whoever names it, of each family.
fn addresses() -> Vec<IpAddr> {
    ["198.51.100.7", "203.0.113.99", "2001:db8:4a5b:6c7d:8e9f:a0b1:c2d3:e4f5", "2001:db8:f1::9c04"]
        .map(|ip| ip.parse().unwrap())
        .to_vec()
}

/// The name by which a host name is asked for.
fn reverse_name(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            let labels: Vec<_> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}

/// Every way in which an address may stand in a text.
fn texts(ip: IpAddr) -> Vec<String> {
    let mapped = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let long = mapped.segments().map(|segment| format!("{segment:04x}")).join(":");
    vec![
        ip.to_string(),
        SocketAddr::new(ip, PORT).to_string(),
        mapped.to_string(),
        mapped.to_string().to_uppercase(),
        long,
        reverse_name(ip),
    ]
}

/// A contact with a peer, in whose words others are named.
fn contact(peer: IpAddr, words: &str) -> Contact {
    Contact {
        contact: 1,
        info_hash: InfoHash([7; 20]),
        ip: peer,
        port: PORT,
        direction: Direction::Out,
        transport: Transport::Utp,
        encryption: Encryption::Plain,
        attempt: 1,
        outcome: ContactOutcome::ConnectFailed,
        error: Some(format!("cannot connect: {words}")),
        connect_us: Some(1),
        handshake_us: None,
        open_us: None,
        peer_id: Some(PeerId(*b"-XX0001-abcdefghijkl")),
        reserved: None,
        client: Some(format!("Client of {}", texts(peer).join(" "))),
        listen_port: Some(PORT),
        upload_only: None,
        metadata_size: None,
        pieces_first: None,
        pieces_last: None,
        messages: 0,
        max_gap_us: None,
        bytes_in: 0,
        bytes_out: 0,
    }
}

/// A row of every table but `gauges`, which counts, with addresses in every column that could hold one.
fn rows(peer: IpAddr, other: IpAddr) -> Vec<Row> {
    let (info_hash, endpoint) = (InfoHash([7; 20]), SocketAddr::new(other, PORT).to_string());
    let words = [texts(peer), texts(other)].concat().join(", ");
    let progress = Progress {
        contact: 1,
        info_hash,
        ip: peer,
        port: PORT,
        direction: Direction::In,
        kind: ProgressKind::Bitfield,
        settled: true,
        pieces: Some(1),
        piece_count: Some(2),
        piece: None,
        bitfield: Some(vec![0x80]),
    };
    let request = |source, kind| Request {
        info_hash,
        source,
        endpoint: endpoint.clone(),
        family: None,
        kind,
        duration_us: 1,
        outcome: RequestOutcome::Failure,
        error: Some(format!("{words} left out")),
        peers: Some(1),
        interval_s: None,
        seeders: None,
        leechers: None,
        downloaded: None,
    };
    let tracker = Request {
        endpoint: "http://tracker.example/announce".to_owned(),
        ..request(Source::TrackerHttp, RequestKind::Announce)
    };
    let run = Run {
        event: RunEvent::Stopped,
        vantage: "vantage".to_owned(),
        version: "0.1.0".to_owned(),
        config: serde_json::json!({ "listen": [endpoint], "bind": [peer], "dns-server": endpoint })
            .to_string(),
        reason: Some(words.clone()),
    };
    let torrent = Torrent {
        info_hash,
        info_hash_v2: None,
        name: Some("name".to_owned()),
        piece_length: None,
        piece_count: Some(2),
        size_bytes: None,
        private: None,
        origin: TorrentOrigin::Magnet,
        trackers: vec!["http://tracker.example/announce".to_owned()],
    };
    let hostname = Hostname { ip: peer, hostname: Some(reverse_name(peer)), outcome: HostnameOutcome::Ok };
    let named = |source| {
        let endpoint = match source {
            Source::Incoming | Source::Magnet => None,
            Source::TrackerHttp | Source::TrackerUdp => Some("udp://tracker.example:80/announce".to_owned()),
            Source::Dht | Source::Lsd | Source::Pex => Some(endpoint.clone()),
        };
        Row::from(Sighting { info_hash, source, endpoint, ip: peer, port: PORT, flags: None })
    };
    let mut rows: Vec<Row> = Source::ALL.iter().copied().map(named).collect();
    rows.extend([
        request(Source::Dht, RequestKind::GetPeers).into(),
        request(Source::Lsd, RequestKind::Lsd).into(),
        request(Source::Pex, RequestKind::Pex).into(),
        tracker.into(),
        contact(peer, &words).into(),
        progress.into(),
        run.into(),
        torrent.into(),
        hostname.into(),
    ]);
    rows
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    files
}

/// The rows of a file, unpacked: as text, and as their encoding in a write-ahead file.
fn unpacked(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut events = Vec::new();
    if path.extension().is_some_and(|extension| extension == "wal") {
        let mut scan = Scan::new(Reader::new(bytes.to_vec()).unwrap(), None).unwrap();
        while let Some(frame) = scan.next_frame().unwrap() {
            events.extend(frame.events().unwrap());
        }
    } else if path.extension().is_some_and(|extension| extension == "parquet") {
        let table: Table =
            path.ancestors().nth(2).unwrap().file_name().unwrap().to_str().unwrap().parse().unwrap();
        let rows = segment::read(table, Reader::new(bytes.to_vec()).unwrap()).unwrap();
        events.extend(rows.into_iter().map(|(_, event)| event));
    }
    let mut unpacked = Vec::new();
    for event in &events {
        unpacked.extend(format!("{event:?}\n").into_bytes());
        let mut encoded = Vec::new();
        schema::frame::encode(event, &mut encoded).unwrap();
        unpacked.extend(encoded);
    }
    unpacked
}

/// Every way in which an address may stand in a file: as text, as its bytes, as a compact peer, as bincode writes it.
fn forms(ip: IpAddr) -> Vec<Vec<u8>> {
    let mut forms: Vec<_> = texts(ip).into_iter().map(String::into_bytes).collect();
    match ip {
        IpAddr::V4(ip) => {
            let octets = ip.octets().to_vec();
            forms.push(ip.to_ipv6_mapped().octets().to_vec());
            forms.push([octets.as_slice(), &PORT.to_be_bytes()].concat());
            forms.push([octets.as_slice(), &PORT.to_le_bytes()].concat());
            forms.push([&[0; 4], octets.as_slice()].concat());
        }
        IpAddr::V6(ip) => forms.push(ip.octets().to_vec()),
    }
    forms
}

/// Which files hold an address, and how.
fn leaks(written: &[(PathBuf, Vec<u8>)]) -> Vec<String> {
    let mut leaks = Vec::new();
    for (path, bytes) in written {
        for (ip, form) in
            addresses().into_iter().flat_map(|ip| forms(ip).into_iter().map(move |form| (ip, form)))
        {
            if bytes.windows(form.len()).any(|window| window == form) {
                leaks.push(format!("{ip} as {:?} in {}", String::from_utf8_lossy(&form), path.display()));
            }
        }
    }
    leaks
}

/// Writes the rows in a mode and gives everything that was ever in the folder, raw and unpacked.
async fn written(addresses_mode: Addresses) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions {
        folder: folder.path().to_owned(),
        run: RunId("20260101T000000Z-0000000a".to_owned()),
        rotate_every: Duration::from_hours(1),
        rotate_size: u64::MAX,
        sync_every: Duration::from_millis(1),
    };
    let log = Log::open(options, Clock::start()).unwrap();
    let log = log.concealed(Concealer::new(addresses_mode, Key::new([3; 32]), Places::default()));
    let ips = addresses();
    for (peer, other) in ips.iter().zip(ips.iter().cycle().skip(1)) {
        for row in rows(*peer, *other) {
            log.append(row).await;
        }
    }
    log.wait_until(|stats| stats.rows_not_durable == 0).await;
    let mut written = files(folder.path());
    assert!(
        written
            .iter()
            .any(|(path, bytes)| path.ends_with("20260101T000000Z-0000000a-000000.wal") && bytes.len() > 500)
    );
    log.close().await.unwrap();
    written.extend(files(folder.path()));
    let unpacked: Vec<_> =
        written.iter().map(|(path, bytes)| (path.clone(), unpacked(path, bytes))).collect();
    [written, unpacked].concat()
}

#[tokio::test]
async fn no_row_of_any_table_leaves_an_address_in_any_form() {
    let seen = leaks(&written(Addresses::Full).await);
    for table in ["contacts", "hostnames", "progress", "requests", "runs", "sightings", ".wal"] {
        assert!(seen.iter().any(|leak| leak.contains(table)), "the search finds what is there: {table}");
    }
    for ip in addresses() {
        for text in texts(ip) {
            assert!(seen.iter().any(|leak| leak.contains(&format!("{ip} as {text:?}"))), "{text}");
        }
    }
    for mode in [Addresses::Prefix, Addresses::Pseudonym] {
        let written = written(mode).await;
        assert_eq!(leaks(&written), Vec::<String>::new(), "{mode}");
        let is_there = |word: &str| {
            written.iter().any(|(_, bytes)| bytes.windows(word.len()).any(|window| window == word.as_bytes()))
        };
        assert!(is_there("fd04:") && is_there("fd06:"), "pseudonyms stand in their place");
        for network in ["198.51.100.0/24", "2001:db8:4a5b::/48"] {
            assert_eq!(is_there(network), mode == Addresses::Prefix, "{network}");
        }
    }
}
