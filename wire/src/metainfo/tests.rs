//! Metainfo of both versions: what is read, and each defect of a torrent file.

use data_encoding::HEXLOWER;
use proptest::prelude::*;
use sha1::{Digest as _, Sha1};

use super::*;

/// A string with its length in front.
fn string(bytes: &[u8]) -> Vec<u8> {
    [format!("{}:", bytes.len()).as_bytes(), bytes].concat()
}

/// A dictionary of these entries as they are given: sorted or not, sound or not.
fn dict(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let body: Vec<_> =
        entries.iter().map(|(key, value)| [&string(key.as_bytes())[..], value].concat()).collect();
    [b"d", &body.concat()[..], b"e"].concat()
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [b"l", &items.concat()[..], b"e"].concat()
}

fn hashes(count: usize) -> Vec<u8> {
    string(&vec![7; 20 * count])
}

fn single(length: &str, piece_length: &str, pieces: &[u8]) -> Vec<u8> {
    let (length, piece_length) = (format!("i{length}e"), format!("i{piece_length}e"));
    dict(&[
        ("length", length.as_bytes()),
        ("name", b"4:name"),
        ("piece length", piece_length.as_bytes()),
        ("pieces", pieces),
    ])
}

fn file(length: u64, name: &str, attr: Option<&str>) -> Vec<u8> {
    let (length, path) = (format!("i{length}e"), list(&[string(name.as_bytes())]));
    let attr = attr.map(|attr| string(attr.as_bytes()));
    let mut entries: Vec<(&str, &[u8])> = Vec::new();
    entries.extend(attr.as_deref().map(|attr| ("attr", attr)));
    entries.extend([("length", length.as_bytes()), ("path", &path)]);
    dict(&entries)
}

fn v2_file(length: u64) -> Vec<u8> {
    let (length, root) = (format!("i{length}e"), string(&[9; 32]));
    let attributes = dict(&[("length", length.as_bytes()), ("pieces root", &root)]);
    dict(&[("", &attributes)])
}

fn v2(tree: &[u8], piece_length: &str) -> Vec<u8> {
    let piece_length = format!("i{piece_length}e");
    dict(&[
        ("file tree", tree),
        ("meta version", b"i2e"),
        ("name", b"2:v2"),
        ("piece length", piece_length.as_bytes()),
    ])
}

fn error(info: &[u8]) -> String {
    parse_info(info).unwrap_err().to_string()
}

#[test]
fn a_single_file() {
    let info = single("100", "30", &hashes(4));
    let parsed = parse_info(&info).unwrap();
    assert_eq!((parsed.piece_length, parsed.piece_count, parsed.size_bytes), (30, 4, 100));
    assert_eq!((parsed.name.as_str(), parsed.private), ("name", false));
    assert_eq!(parsed.info_hash_v1, Some(parsed.info_hash));
    assert_eq!(parsed.info_hash_v2, None);
    let digest: [u8; 20] = Sha1::digest(&info).into();
    assert_eq!(parsed.info_hash.0, digest);
}

#[test]
fn the_hash_is_of_the_bytes_as_they_stand_whatever_the_order_of_keys() {
    let pieces = hashes(1);
    let unsorted = dict(&[
        ("pieces", &pieces),
        ("x-unknown", b"d1:zi0e1:ali1eee"),
        ("private", b"i1e"),
        ("name", b"1:n"),
        ("piece length", b"i16384e"),
        ("length", b"i5e"),
    ]);
    let torrent = dict(&[("url-list", b"0:"), ("info", &unsorted), ("announce", b"10:http://t/a")]);
    let parsed = parse(&torrent).unwrap();
    let digest: [u8; 20] = Sha1::digest(&unsorted).into();
    assert_eq!(parsed.info.info_hash.0, digest);
    assert!(parsed.info.private);
    assert_eq!(parsed.trackers, [["http://t/a"]]);
}

#[test]
fn padding_counts_for_pieces_and_not_for_size() {
    let files = list(&[
        file(100, "a", None),
        file(16284, "16284", Some("p")),
        file(10, "b", Some("x")),
        file(16374, "_____padding_file_0_if you see this", None),
        file(1, "c", None),
    ]);
    let pieces = hashes(3);
    let info =
        dict(&[("files", &files), ("name", b"1:n"), ("piece length", b"i16384e"), ("pieces", &pieces)]);
    let parsed = parse_info(&info).unwrap();
    assert_eq!((parsed.piece_count, parsed.size_bytes), (3, 111));
}

#[test]
fn v2_pieces_are_counted_file_by_file() {
    let deep = dict(&[("c", &v2_file(1)), ("d", &v2_file(0))]);
    let tree = dict(&[("a", &v2_file(16385)), ("b", &deep)]);
    let info = v2(&tree, "16384");
    let parsed = parse_info(&info).unwrap();
    assert_eq!((parsed.piece_count, parsed.size_bytes), (3, 16386));
    assert_eq!(parsed.info_hash_v1, None);
    assert_eq!(parsed.info_hash_v2, Some(InfoHashV2::of_info(&info)));
    assert_eq!(parsed.info_hash, InfoHashV2::of_info(&info).truncated());
}

#[test]
fn a_hybrid_goes_by_its_v1_part() {
    let tree = dict(&[("a", &v2_file(16385)), ("b", &v2_file(1))]);
    let hybrid = |length| {
        let files = list(&[file(16385, "a", None), file(16383, "16383", Some("p")), file(length, "b", None)]);
        let pieces = hashes(3);
        dict(&[
            ("file tree", &tree),
            ("files", &files),
            ("meta version", b"i2e"),
            ("name", b"1:h"),
            ("piece length", b"i16384e"),
            ("pieces", &pieces),
        ])
    };
    let info = hybrid(1);
    let parsed = parse_info(&info).unwrap();
    assert_eq!((parsed.piece_count, parsed.size_bytes), (3, 16386));
    assert_eq!(parsed.info_hash, InfoHash::of_info(&info));
    assert_eq!(parsed.info_hash_v2, Some(InfoHashV2::of_info(&info)));
    assert_eq!(error(&hybrid(2)), "the torrent's v1 part is of 16387 bytes and its v2 part of 16386");
}

#[test]
fn names_prefer_utf8_and_replace_what_is_not() {
    let name = |entries: &[(&str, &[u8])]| {
        let pieces = hashes(1);
        let rest: [(&str, &[u8]); 3] = [("length", b"i1e"), ("piece length", b"i1e"), ("pieces", &pieces)];
        parse_info(&dict(&[entries, &rest].concat())).map(|info| info.name).map_err(|e| e.to_string())
    };
    assert_eq!(name(&[("name", b"3:a\xffb")]), Ok("a\u{fffd}b".into()));
    assert_eq!(name(&[("name", b"1:a"), ("name.utf-8", "2:ü".as_bytes())]), Ok("ü".into()));
    assert_eq!(name(&[("name", b"i1e")]), Err("the torrent's \"name\" is of the wrong type".into()));
    assert_eq!(name(&[]), Err("the torrent has no \"name\"".into()));
}

#[test]
fn announce_lists_of_odd_shapes() {
    let info = single("1", "1", &hashes(1));
    let trackers = |entries: &[(&str, &[u8])]| {
        parse(&dict(&[entries, &[("info", &info)]].concat())).map(|torrent| torrent.trackers).unwrap()
    };
    let none: Vec<Vec<String>> = Vec::new();
    assert_eq!(trackers(&[]), none);
    assert_eq!(trackers(&[("announce", b"0:")]), none);
    assert_eq!(trackers(&[("announce", b"i5e")]), none);
    assert_eq!(trackers(&[("announce", b"1:a"), ("announce-list", b"le")]), [["a"]]);
    assert_eq!(trackers(&[("announce", b"1:a"), ("announce-list", b"llee")]), [["a"]]);
    assert_eq!(trackers(&[("announce", b"1:a"), ("announce-list", b"4:list")]), [["a"]]);
    assert_eq!(trackers(&[("announce", b"1:a"), ("announce-list", b"ll1:bee")]), [["b"]]);
    assert_eq!(trackers(&[("announce-list", b"l1:b1:ce")]), [["b"], ["c"]], "flat");
    assert_eq!(
        trackers(&[("announce-list", b"ll1:b1:b3: c ei7el1:bel1:\xffel1:dee")]),
        [vec!["b", "c"], vec!["d"]],
        "repeats, numbers, bytes that are no text"
    );
}

/// Made with libtorrent 2.1.1 of a folder of 40,000, 16,384, 1 and 0 bytes; the values are its own.
#[test]
fn torrents_of_libtorrent_are_read_as_libtorrent_reads_them() {
    let trackers = [["http://tracker.example/announce"], ["udp://tracker.example:80/announce"]];
    let check = |torrent: &[u8], v1: Option<&str>, v2: Option<&str>, piece_count, private| {
        let torrent = parse(torrent).unwrap();
        let info = torrent.info;
        assert_eq!(info.info_hash_v1, v1.map(|hash| hash.parse().unwrap()));
        assert_eq!(info.info_hash_v2, v2.map(|hash| hash.parse().unwrap()));
        assert_eq!((info.piece_length, info.piece_count, info.size_bytes), (16384, piece_count, 56385));
        assert_eq!((info.name.as_str(), info.private), ("dir", private));
        assert_eq!(torrent.trackers, trackers);
        info.info_hash.to_string()
    };
    let v1 = "c31587fddcc594044e0fdc8c71dd13ba23efe317";
    let torrent = include_bytes!("../../fuzz/corpus/metainfo/libtorrent_v1");
    assert_eq!(check(torrent, Some(v1), None, 4, true), v1);
    let v2 = "732a62c4d92875ed619a0cc91247b9c57495f4cb4b71f39d9c8fb81e0b94074f";
    let torrent = include_bytes!("../../fuzz/corpus/metainfo/libtorrent_v2");
    assert_eq!(check(torrent, None, Some(v2), 5, false), "732a62c4d92875ed619a0cc91247b9c57495f4cb");
    let v1 = "6d6ac45a7e10a189937bbf2020a5a09d881bad0f";
    let v2 = "49c367e4102109e27c3629eb2ed254a782979e731bd86d581984f6a722df2eed";
    let torrent = include_bytes!("../../fuzz/corpus/metainfo/libtorrent_hybrid");
    assert_eq!(check(torrent, Some(v1), Some(v2), 5, false), v1);
}

#[test]
fn each_defect_of_v1_has_its_error() {
    assert_eq!(error(b"le"), "the torrent's \"info\" is of the wrong type");
    assert_eq!(
        error(&single("5", "0", &hashes(1))),
        "the torrent's \"piece length\" is not a number above 0"
    );
    assert_eq!(
        error(&single("5", "-1", &hashes(1))),
        "the torrent's \"piece length\" is not a number above 0"
    );
    let negative = "a file's \"length\" is negative, too large or no number";
    assert_eq!(error(&single("-5", "5", &hashes(1))), negative);
    assert_eq!(error(&single("9223372036854775808", "5", &hashes(1))), negative);
    assert_eq!(
        error(&single("5", "5", &string(&[0; 19]))),
        "the torrent's \"pieces\" is 19 bytes long, not a multiple of 20"
    );
    assert_eq!(
        error(&single("9223372036854775807", "1", &hashes(1))),
        "the torrent's \"pieces\" has 1 hashes where 9223372036854775807 bytes need 9223372036854775807"
    );
    assert_eq!(error(&single("0", "5", &hashes(0))), "the torrent holds no bytes to download");
    assert_eq!(error(&single("5", "5", b"i1e")), "the torrent's \"pieces\" is of the wrong type");
    let huge = list(&vec![file(u64::MAX / 2, "a", None); 3]);
    let info = dict(&[("files", &huge), ("piece length", b"i1e"), ("pieces", b"0:")]);
    assert_eq!(error(&info), "the torrent is too large: its pieces cannot be numbered with 32 bits");
}

#[test]
fn each_missing_key_has_its_error() {
    let pieces = hashes(1);
    let error = |entries: &[(&str, &[u8])]| error(&dict(entries));
    assert_eq!(error(&[]), "the torrent has no \"piece length\"");
    assert_eq!(error(&[("piece length", b"i1e")]), "the torrent has no \"pieces\"");
    let hashed: [(&str, &[u8]); 2] = [("piece length", b"i1e"), ("pieces", &pieces)];
    let with = |more: &[(&str, &[u8])]| error(&[more, &hashed].concat());
    assert_eq!(with(&[]), "the torrent must have either \"length\" or \"files\", and has neither");
    assert_eq!(
        with(&[("length", b"i1e"), ("files", b"le")]),
        "the torrent must have either \"length\" or \"files\", and has both"
    );
    assert_eq!(with(&[("files", b"l0:e")]), "the torrent's \"files\" is of the wrong type");
    assert_eq!(with(&[("files", b"ldee")]), "the torrent has no \"length\"");
    assert_eq!(with(&[("files", b"ld6:lengthi1eee")]), "the torrent has no \"path\"");
    assert_eq!(with(&[("files", b"ld6:lengthi1e4:pathleee")]), "the torrent's \"path\" is of the wrong type");
    let torrent = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
    assert_eq!(torrent(b"de"), "the torrent has no \"info\"");
    assert_eq!(torrent(b"i1e"), "not a torrent file: it is no dictionary");
    assert_eq!(
        torrent(b"<!DOCTYPE html>"),
        "not a torrent file: bencode: the byte 0x3c at 0 begins no value"
    );
    assert_eq!(
        torrent(b"d4:infode1:a0:4:infodee"),
        "not a torrent file: bencode: the key \"info\" stands twice in the dictionary at byte 0"
    );
}

#[test]
fn each_defect_of_v2_has_its_error() {
    let tree = dict(&[("a", &v2_file(1))]);
    let length = |text| error(&v2(&tree, text));
    assert_eq!(
        length("8192"),
        "the v2 torrent's \"piece length\" 8192 is not a power of two of at least 16384"
    );
    assert_eq!(
        length("16385"),
        "the v2 torrent's \"piece length\" 16385 is not a power of two of at least 16384"
    );
    let tree = |tree: &[u8]| error(&v2(tree, "16384"));
    let malformed = |what: &str| format!("the torrent's \"file tree\" is malformed: {what}");
    assert_eq!(tree(b"de"), "the torrent holds no bytes to download");
    assert_eq!(tree(b"le"), "the torrent's \"file tree\" is of the wrong type");
    assert_eq!(tree(b"d1:ai1ee"), malformed("an entry is no dictionary"));
    assert_eq!(tree(b"d0:dee"), malformed("a file's entry stands in a folder"));
    assert_eq!(tree(b"d1:ad0:dee1:bde1:adee"), malformed("a file has no \"length\""));
    assert_eq!(tree(b"d1:bde1:ade1:bdee"), malformed("two entries have the same name"));
    assert_eq!(tree(b"d1:ad0:de1:bdeee"), malformed("an entry is both a file and a folder"));
    assert_eq!(tree(b"d1:ad0:d6:lengthi1eeee"), malformed("a file has no \"pieces root\" of 32 bytes"));
    assert_eq!(tree(b"d1:ad0:d6:lengthi-1eeee"), "a file's \"length\" is negative, too large or no number");
    let huge = dict(&[("a", &v2_file(i64::MAX as u64)), ("b", &v2_file(1))]);
    assert_eq!(tree(&huge), "the torrent is too large: its pieces cannot be numbered with 32 bits");
    let version = dict(&[("meta version", b"i3e"), ("piece length", b"i16384e")]);
    assert_eq!(error(&version), "the torrent has no \"pieces\", and its \"meta version\" 3 is not 2");
}

#[test]
fn a_tree_of_a_hundred_thousand_folders_is_an_error() {
    let deep = [b"d9:file tree".to_vec(), b"d1:a".repeat(100_000)].concat();
    assert!(matches!(parse_info(&deep), Err(Error::Bencode(bencode::Error::TooDeep { .. }))));
}

prop_compose! {
    /// Files with their lengths, and the length of a piece.
    fn content()(lengths in proptest::collection::vec((0..200_000_u64, any::<bool>()), 1..20), exponent in 14..18_u32)
        -> (Vec<(u64, bool)>, u64) {
        (lengths, 1 << exponent)
    }
}

proptest! {
    #[test]
    fn sizes_and_counts_follow_from_the_files((lengths, piece_length) in content()) {
        let run: u64 = lengths.iter().map(|(length, _)| length).sum();
        let size: u64 = lengths.iter().filter(|(_, padding)| !padding).map(|(length, _)| length).sum();
        let count = run.div_ceil(piece_length);
        let files: Vec<_> = lengths.iter().map(|(length, padding)| file(*length, "f", padding.then_some("hp"))).collect();
        let (files, pieces) = (list(&files), hashes(usize::try_from(count).unwrap()));
        let length = format!("i{piece_length}e");
        let info = dict(&[("files", &files), ("name", b"1:n"), ("piece length", length.as_bytes()), ("pieces", &pieces)]);
        match parse_info(&info) {
            Ok(parsed) => {
                prop_assert_eq!((u64::from(parsed.piece_count), parsed.size_bytes), (count, size));
                prop_assert_eq!(HEXLOWER.encode(&parsed.info_hash.0), HEXLOWER.encode(&Sha1::digest(&info)));
            }
            Err(error) => prop_assert_eq!((error, run), (Error::Empty, 0)),
        }

        let names: Vec<String> = (0..lengths.len()).map(|index| format!("{index:03}")).collect();
        let files: Vec<_> = lengths.iter().map(|(length, _)| v2_file(*length)).collect();
        let tree: Vec<(&str, &[u8])> = names.iter().zip(&files).map(|(name, file)| (name.as_str(), file.as_slice())).collect();
        let count: u64 = lengths.iter().map(|(length, _)| length.div_ceil(piece_length)).sum();
        match parse_info(&v2(&dict(&tree), &piece_length.to_string())) {
            Ok(parsed) => prop_assert_eq!((u64::from(parsed.piece_count), parsed.size_bytes), (count, run)),
            Err(error) => prop_assert_eq!((error, run), (Error::Empty, 0)),
        }
    }

    #[test]
    fn no_truncation_and_no_flipped_byte_panics(
        (lengths, piece_length) in content(), at: prop::sample::Index, byte: u8,
    ) {
        let files: Vec<_> = lengths.iter().map(|(length, _)| file(*length, "f", None)).collect();
        let (files, pieces) = (list(&files), hashes(3));
        let length = format!("i{piece_length}e");
        let info = dict(&[("files", &files), ("name", b"1:n"), ("piece length", length.as_bytes()), ("pieces", &pieces)]);
        let mut torrent = dict(&[("announce-list", b"ll1:aee"), ("info", &info)]);
        let at = at.index(torrent.len());
        prop_assert!(parse(&torrent[..at]).is_err());
        torrent[at] = byte;
        if let Ok(parsed) = parse(&torrent) {
            prop_assert!(parsed.info.piece_count > 0 && parsed.info.piece_length > 0);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes: Vec<u8>) {
        prop_assert!(parse(&bytes).is_err());
        prop_assert!(parse_info(&bytes).is_err());
    }
}
