//! Lists of torrents: entries, and errors that name file and line.

use std::fs::write;

use tempfile::TempDir;

use super::*;

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

/// A sound v1 file: one piece, 5 bytes.
fn torrent(name: &str, trackers: &[&str]) -> Vec<u8> {
    let mut bytes = b"d".to_vec();
    if !trackers.is_empty() {
        bytes.extend(b"13:announce-listl");
        for tracker in trackers {
            bytes.extend(format!("l{}:{tracker}e", tracker.len()).bytes());
        }
        bytes.extend(b"e");
    }
    bytes.extend(
        format!(
            "4:infod6:lengthi5e4:name{}:{name}12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
            name.len()
        )
        .bytes(),
    );
    bytes
}

fn read(folder: &TempDir, list: &[u8]) -> List {
    let path = folder.path().join("list.txt");
    write(&path, list).unwrap();
    List::read(&path).unwrap()
}

/// Remarks with the folder of the test left out.
fn told(folder: &TempDir, remarks: &[Remark]) -> String {
    let lines: Vec<String> = remarks.iter().map(ToString::to_string).collect();
    lines.join("\n").replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn every_kind_of_entry_is_found() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path().join("one.torrent"), torrent("one", &["http://a/announce"])).unwrap();
    std::fs::create_dir(folder.path().join("more")).unwrap();
    write(folder.path().join("more/b.torrent"), torrent("b", &[])).unwrap();
    write(folder.path().join("more/a.TORRENT"), torrent("a", &[])).unwrap();
    write(folder.path().join("more/notes.txt"), "not this").unwrap();
    let list = format!(
        "\u{feff}# what we watch\r\n\r\none.torrent\r\n  more  \r\nmagnet:?xt=urn:btih:{HASH}&dn=link&tr=udp%3A%2F%2Ft%3A1\r\n\
         {}\r\n",
        HASH.replace('0', "f").to_uppercase()
    );
    let list = read(&folder, list.as_bytes());
    assert_eq!(list.defects, []);
    assert_eq!(list.notes, []);
    let seen: Vec<_> = list
        .entries
        .iter()
        .map(|entry| {
            (entry.line, entry.text.as_str(), entry.description.name.as_deref(), entry.description.origin)
        })
        .collect();
    assert_eq!(seen[0], (3, "one.torrent", Some("one"), TorrentOrigin::File));
    assert_eq!(seen[1], (4, "more/a.TORRENT", Some("a"), TorrentOrigin::File));
    assert_eq!(seen[2], (4, "more/b.torrent", Some("b"), TorrentOrigin::File));
    assert_eq!((seen[3].0, seen[3].2, seen[3].3), (5, Some("link"), TorrentOrigin::Magnet));
    assert_eq!((seen[4].0, seen[4].2, seen[4].3), (6, None, TorrentOrigin::InfoHash));
    assert_eq!(list.entries[0].description.trackers, [["http://a/announce"]]);
    assert_eq!(list.entries[0].description.metadata.as_ref().unwrap().piece_count, 1);
    assert_eq!(list.entries[3].description.trackers, [["udp://t:1"]]);
}

#[test]
fn defects_are_told_by_line_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    write(folder.path().join("page.torrent"), "<html>").unwrap();
    write(folder.path().join("deep.torrent"), "l".repeat(100_000)).unwrap();
    write(folder.path().join("short.torrent"), "d4:infod4:name99999999999:").unwrap();
    write(folder.path().join("keys.torrent"), "d4:infod4:name1:aee").unwrap();
    let list = format!(
        "missing.torrent\nempty\npage.torrent\ndeep.torrent\nshort.torrent\nkeys.torrent\n{}\n{HASH}{}\n\
         https://example.org/a.torrent\nmagnet:?dn=nothing\nmagnet:?xt=urn:btih:xyz\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\
         esc\u{1b}[31m\n{HASH}\n",
        HASH.get(..39).unwrap(),
        HASH.get(..24).unwrap(),
    );
    let list = read(&folder, list.as_bytes());
    assert_eq!(list.entries.len(), 1);
    insta::assert_snapshot!(told(&folder, &list.defects));
}

#[test]
fn a_comment_may_stand_behind_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path().join("a #1.torrent"), torrent("a", &[])).unwrap();
    let list = format!("{HASH} # ours\na #1.torrent\na #1.torrent\t# again\n");
    let list = read(&folder, list.as_bytes());
    assert_eq!(list.defects, []);
    assert_eq!(list.entries.len(), 2);
    assert_eq!(list.entries[0].text, HASH);
}

#[test]
fn duplicates_are_merged_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path().join("a.torrent"), torrent("a", &["http://a/announce"])).unwrap();
    let hash = read(&folder, b"a.torrent").entries[0].description.info_hash;
    let hash = wire::InfoHash(hash.0);
    let list = format!(
        "{hash}\nmagnet:?xt=urn:btih:{hash}&dn=link&tr=http://a/announce&tr=http://b/announce\na.torrent\n"
    );
    let list = read(&folder, list.as_bytes());
    assert_eq!(list.entries.len(), 1);
    let description = &list.entries[0].description;
    assert_eq!(description.origin, TorrentOrigin::File);
    assert_eq!(description.name.as_deref(), Some("a"));
    assert!(description.metadata.is_some());
    assert_eq!(description.trackers, [["http://a/announce"], ["http://b/announce"]]);
    insta::assert_snapshot!(told(&folder, &list.notes), @r"
    list.txt:2: the same swarm as on line 1; merged with it
    list.txt:3: the same swarm as on line 1; merged with it
    ");
}

#[test]
fn peers_of_a_magnet_link_are_taken_and_those_that_are_none_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let link = format!(
        "magnet:?xt=urn:btih:{HASH}&x.pe=[2001:db8::1]:6881&x.pe=a.i2p:1&x.pe=peer.example:2&x.pe=5\n"
    );
    let list = read(&folder, link.as_bytes());
    let peers: Vec<String> = list.entries[0].description.peers.iter().map(ToString::to_string).collect();
    assert_eq!(peers, ["[2001:db8::1]:6881", "peer.example:2"]);
    insta::assert_snapshot!(
        told(&folder, &list.notes),
        @"list.txt:1: 2 x.pe are no ADDRESS:PORT or HOST:PORT; left out"
    );
}

#[test]
fn files_of_another_kind_are_no_list() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        write(&path, bytes).unwrap();
        let message = List::read(&path).unwrap_err().to_string();
        message.replace(&format!("{}/", folder.path().display()), "")
    };
    insta::assert_snapshot!(
        [of("a.torrent", &torrent("a", &[])), of("utf16.txt", b"\xff\xfea\0")].join("\n"), @r"
    a.torrent is no list: it is a .torrent file; write its path into a text file and give that
    utf16.txt is no list: it is UTF-16 text; save it as UTF-8
    ");
    let missing = List::read(&folder.path().join("none.txt")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read the list "), "{missing}");
}

#[test]
fn a_huge_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("huge.torrent")).unwrap();
    file.set_len(1 << 40).unwrap();
    let list = read(&folder, b"huge.torrent\n/dev/zero\n");
    insta::assert_snapshot!(told(&folder, &list.defects), @r"
    list.txt:1: huge.torrent: larger than 64 MiB; this is no .torrent file
    list.txt:2: /dev/zero: neither a file nor a folder
    ");
}

#[test]
fn any_bytes_are_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let list = read(&folder, &bytes);
    assert!(list.entries.is_empty());
    assert!(!list.defects.is_empty());
}
