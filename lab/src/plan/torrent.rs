//! A torrent without content: its pieces' hashes are random bytes (BEP 3).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha1::{Digest, Sha1};
use wire::InfoHash;

/// What the lab's swarms are about; the list goes round for more swarms than it has.
const SHAPES: &[(u32, u64)] = &[
    (1_031, 64 << 10),
    (211, 256 << 10),
    (2_999, 32 << 10),
    (53, 512 << 10),
    (640, 128 << 10),
    (17, 1 << 20),
];

/// A torrent of 128 GiB: nobody downloads most of it while a lab lasts.
const VAST: (u32, u64) = (8_192, 16 << 20);

/// One swarm's torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torrent {
    /// Name, also of the file.
    pub name: String,
    /// Bytes of a piece.
    pub piece_length: u64,
    /// Number of pieces.
    pub piece_count: u32,
    /// Bytes of the content; the last piece is a short one.
    pub size_bytes: u64,
    /// The info dictionary as it stands in the file and is served to peers (BEP 9).
    pub info: Vec<u8>,
    /// SHA-1 of it.
    pub info_hash: [u8; 20],
}

impl Torrent {
    /// Draws the n-th torrent of a seed.
    pub fn draw(seed: u64, number: u32) -> Self {
        let index = usize::try_from(number).unwrap_or(0) % SHAPES.len();
        Self::draw_shape(seed, number, SHAPES.get(index).copied().unwrap_or((64, 1 << 16)))
    }

    /// As [`Self::draw`], but too large to be downloaded while a lab lasts.
    pub fn vast(seed: u64, number: u32) -> Self {
        Self::draw_shape(seed, number, VAST)
    }

    /// Whether it is one that nobody downloads while a lab lasts.
    pub fn is_vast(&self) -> bool {
        (self.piece_count, self.piece_length) == VAST
    }

    fn draw_shape(seed: u64, number: u32, (piece_count, piece_length): (u32, u64)) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::MAX - u64::from(number));
        let size_bytes = u64::from(piece_count - 1) * piece_length + rng.random_range(1..=piece_length);
        let name = format!("lab-{seed}-{}", number + 1);
        let mut info = Vec::new();
        info.extend_from_slice(format!("d6:lengthi{size_bytes}e4:name{}:{name}", name.len()).as_bytes());
        info.extend_from_slice(
            format!("12:piece lengthi{piece_length}e6:pieces{}:", piece_count * 20).as_bytes(),
        );
        for _ in 0..piece_count {
            info.extend_from_slice(&rng.random::<[u8; 20]>());
        }
        info.push(b'e');
        let info_hash = Sha1::digest(&info).into();
        Self { name, piece_length, piece_count, size_bytes, info, info_hash }
    }

    /// The `.torrent` file, each tracker in a tier of its own (BEP 12).
    pub fn file(&self, trackers: &[String]) -> Vec<u8> {
        let text = |text: &str| format!("{}:{text}", text.len());
        let tiers: Vec<_> = trackers.iter().map(|tracker| format!("l{}e", text(tracker))).collect();
        let tiers = tiers.concat();
        let announce = trackers.first().map_or(String::new(), |first| format!("8:announce{}", text(first)));
        let mut file = format!("d{announce}13:announce-listl{tiers}e4:info").into_bytes();
        file.extend_from_slice(&self.info);
        file.push(b'e');
        file
    }

    /// The magnet link (BEP 9).
    pub fn magnet(&self, trackers: &[String]) -> String {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let trackers: Vec<_> = trackers.iter().map(|tracker| format!("&tr={}", encode(tracker))).collect();
        format!(
            "magnet:?xt=urn:btih:{}&dn={}{}",
            self.info_hash_text(),
            encode(&self.name),
            trackers.concat()
        )
    }

    /// The info-hash as the log and the reports write it.
    pub fn info_hash_text(&self) -> String {
        InfoHash(self.info_hash).to_string()
    }
}
