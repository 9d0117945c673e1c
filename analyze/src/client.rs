//! Which program a peer runs, by its peer ID: the conventions of BEP 20 and of older clients.

/// A program by its peer ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The part of the peer ID that is not random.
    pub prefix: String,
    /// The program's name; `None` where its code is in no list.
    pub software: Option<&'static str>,
    /// Its version as the peer ID tells it.
    pub version: String,
}

/// Azureus-style codes (BEP 20, and clients' own sources).
const AZUREUS: &[(&str, &str)] = &[
    ("7T", "aTorrent"),
    ("A2", "aria2"),
    ("AG", "Ares"),
    ("AN", "Ares"),
    ("AR", "Arctic"),
    ("AT", "Artemis"),
    ("AV", "Avicora"),
    ("AX", "BitPump"),
    ("AZ", "Vuze"),
    ("BB", "BitBuddy"),
    ("BC", "BitComet"),
    ("BE", "Baretorrent"),
    ("BF", "BitFlu"),
    ("BI", "BiglyBT"),
    ("BL", "BitLord"),
    ("BN", "Baidu Netdisk"),
    ("BP", "BitTorrent Pro"),
    ("BR", "BitRocket"),
    ("BT", "BitTorrent"),
    ("BW", "BitWombat"),
    ("BX", "BittorrentX"),
    ("CD", "Enhanced CTorrent"),
    ("CT", "CTorrent"),
    ("DE", "Deluge"),
    ("DP", "Propagate"),
    ("EB", "EBit"),
    ("ES", "electric sheep"),
    ("FC", "FileCroc"),
    ("FD", "Free Download Manager"),
    ("FG", "FlashGet"),
    ("FT", "FoxTorrent"),
    ("FW", "FrostWire"),
    ("FX", "Freebox"),
    ("GT", "GoTorrent"),
    ("HL", "Halite"),
    ("HN", "Hydranode"),
    ("JT", "JavaTorrent"),
    ("KG", "KGet"),
    ("KT", "KTorrent"),
    ("LC", "LeechCraft"),
    ("LH", "LH-ABC"),
    ("LP", "Lphant"),
    ("LT", "libtorrent (Rasterbar)"),
    ("LW", "LimeWire"),
    ("MO", "MonoTorrent"),
    ("MP", "MooPolice"),
    ("MR", "Miro"),
    ("MT", "MoonlightTorrent"),
    ("NX", "Net Transport"),
    ("OT", "OmegaTorrent"),
    ("PD", "Pando"),
    ("PI", "PicoTorrent"),
    ("PT", "Popcorn Time"),
    ("QD", "QQDownload"),
    ("QT", "Qt 4 Torrent example"),
    ("RS", "Rufus"),
    ("RT", "Retriever"),
    ("SB", "Swiftbit"),
    ("SD", "Thunder"),
    ("SM", "SoMud"),
    ("SP", "BitSpirit"),
    ("SS", "SwarmScope"),
    ("ST", "SymTorrent"),
    ("SZ", "Shareaza"),
    ("TB", "Torch"),
    ("TE", "terasaur"),
    ("TL", "Tribler"),
    ("TN", "TorrentDotNET"),
    ("TR", "Transmission"),
    ("TS", "Torrentstorm"),
    ("TT", "TuoTu"),
    ("TX", "Tixati"),
    ("UL", "uLeecher!"),
    ("UM", "µTorrent for Mac"),
    ("UT", "µTorrent"),
    ("UW", "µTorrent Web"),
    ("VG", "Vagaa"),
    ("WD", "WebTorrent Desktop"),
    ("WT", "BitLet"),
    ("WW", "WebTorrent"),
    ("WY", "FireTorrent"),
    ("XF", "Xfplay"),
    ("XL", "Xunlei"),
    ("XS", "XSwifter"),
    ("XT", "XanTorrent"),
    ("XX", "Xtorrent"),
    ("ZO", "Zona"),
    ("ZT", "ZipTorrent"),
    ("lt", "libTorrent (Rakshasa)"),
    ("pb", "pbTorrent"),
    ("qB", "qBittorrent"),
    ("rQ", "rqbit"),
    ("st", "sharktorrent"),
    ("tT", "tTorrent"),
];

/// Clients whose peer IDs begin with a word of their own.
const OTHER: &[(&str, &str)] =
    &[("A2-", "aria2"), ("M", "Mainline"), ("exbc", "BitComet"), ("XBT", "XBT Client"), ("OP", "Opera")];

/// Tells the program by the 20 bytes of a peer ID; `None` where they follow no convention.
pub fn by_peer_id(peer_id: &[u8]) -> Option<Client> {
    azureus(peer_id).or_else(|| dashed(peer_id))
}

/// `-XX1234-`: a code of two letters and a version of four.
fn azureus(peer_id: &[u8]) -> Option<Client> {
    let prefix = peer_id.get(..8)?;
    let [b'-', a, b, version @ .., b'-'] = prefix else { return None };
    if !a.is_ascii_alphanumeric()
        || !b.is_ascii_alphanumeric()
        || !version.iter().all(u8::is_ascii_alphanumeric)
    {
        return None;
    }
    let code = String::from_utf8(vec![*a, *b]).ok()?;
    let software = AZUREUS.iter().find(|(known, _)| *known == code).map(|(_, name)| *name);
    let version = String::from_utf8(version.to_vec()).ok()?;
    Some(Client { prefix: format!("-{code}{version}-"), software, version })
}

/// `M7-10-5--`, `A2-1-36-0-`: a word, then numbers between dashes.
fn dashed(peer_id: &[u8]) -> Option<Client> {
    let (word, software) = OTHER.iter().find(|(word, _)| peer_id.starts_with(word.as_bytes()))?;
    let rest = peer_id.get(word.len()..)?;
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
    let numbers = std::str::from_utf8(rest.get(..length)?).ok()?;
    let version = numbers.trim_matches('-').replace('-', ".");
    if version.is_empty() {
        return None;
    }
    Some(Client { prefix: format!("{word}{numbers}"), software: Some(software), version })
}

/// The program's name in an extended handshake's `v`, which is "name version" by convention (BEP 10).
pub fn software_of_v(v: &str) -> Option<&str> {
    let version = v.split([' ', '/']).position(starts_a_version)?;
    let end = v.match_indices([' ', '/']).nth(version.checked_sub(1)?).map(|(at, _)| at)?;
    v.get(..end).filter(|name| !name.is_empty())
}

fn starts_a_version(word: &str) -> bool {
    let word = word.strip_prefix('v').unwrap_or(word);
    word.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(peer_id: &[u8]) -> Option<(String, Option<&'static str>, String)> {
        by_peer_id(peer_id).map(|client| (client.prefix, client.software, client.version))
    }

    #[test]
    fn azureus_style_ids_are_told_by_their_code() {
        let id = b"-qB4520-abcdefghijkl";
        assert_eq!(told(id), Some(("-qB4520-".into(), Some("qBittorrent"), "4520".into())));
        assert_eq!(told(b"-??1234-abcdefghijkl"), None);
        assert_eq!(told(b"-Zz1234-abcdefghijkl"), Some(("-Zz1234-".into(), None, "1234".into())));
    }

    #[test]
    fn ids_with_dashes_are_told_by_their_word() {
        assert_eq!(
            told(b"M7-10-5--abcdefghijk"),
            Some(("M7-10-5--".into(), Some("Mainline"), "7.10.5".into()))
        );
        assert_eq!(
            told(b"A2-1-36-0-abcdefghij"),
            Some(("A2-1-36-0-".into(), Some("aria2"), "1.36.0".into()))
        );
        assert_eq!(told(b"Mabcdefghijklmnopqrs"), None);
    }

    #[test]
    fn a_v_names_the_program_before_its_version() {
        assert_eq!(software_of_v("qBittorrent/4.5.2"), Some("qBittorrent"));
        assert_eq!(software_of_v("Deluge 2.0.3"), Some("Deluge"));
        assert_eq!(software_of_v("µTorrent for Mac 1.8"), Some("µTorrent for Mac"));
        assert_eq!(software_of_v("something"), None);
        assert_eq!(software_of_v("3.00"), None);
        assert_eq!(software_of_v(""), None);
    }

    #[test]
    fn the_list_of_codes_is_sorted_and_has_each_once() {
        assert!(AZUREUS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    proptest! {
        #[test]
        fn no_peer_id_panics(peer_id in proptest::collection::vec(any::<u8>(), 0..24), v in ".*") {
            let _: Option<Client> = by_peer_id(&peer_id);
            let _: Option<&str> = software_of_v(&v);
        }
    }
}
