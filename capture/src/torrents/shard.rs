//! `--shard I/N`: which part of a list a server watches, with no word between the servers.
//!
//! The info-hash alone decides: BLAKE3 of its 20 bytes, then jump consistent hashing (Lamping and Veach, "A Fast,
//! Minimal Memory, Consistent Hash Algorithm", 2014). Every swarm is in exactly one shard, shards are even whatever the
//! list holds, and from N to N + 1 servers only what the new one takes over moves.

use std::{fmt, str::FromStr};

use schema::InfoHash;
use serde::{Serialize, Serializer};

/// The most servers that can share a list.
const SHARDS_MAX: u32 = 65_536;

/// One of several equal parts of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 1.
    number: u32,
    /// Of how many.
    of: u32,
}

impl Shard {
    /// Whether the swarm is in it.
    pub fn holds(self, info_hash: InfoHash) -> bool {
        bucket(key(info_hash), self.of) + 1 == self.number
    }
}

fn key(info_hash: InfoHash) -> u64 {
    let hash = blake3::hash(&info_hash.0);
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The bucket of a key, from 0: the last of the jumps that stays below `buckets`.
fn bucket(mut key: u64, buckets: u32) -> u32 {
    let mut bucket = 0;
    let mut next = 0;
    while next < u64::from(buckets) {
        bucket = u32::try_from(next).unwrap_or(bucket);
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let draw = (key >> 33) + 1;
        // The paper's (bucket + 1) * (2^31 / draw), in whole numbers so that every machine agrees.
        next = ((u64::from(bucket) + 1) << 31) / draw;
    }
    bucket
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) && of <= SHARDS_MAX => Ok(Self { number, of }),
            _ => Err(format!(
                "write which part of how many, from 1/N to N/N with N up to {SHARDS_MAX}, such as 3/16"
            )),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Serialize for Shard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn home(info_hash: [u8; 20], of: u32) -> Vec<u32> {
        (1..=of).filter(|&number| Shard { number, of }.holds(InfoHash(info_hash))).collect()
    }

    proptest! {
        #[test]
        fn every_swarm_is_in_exactly_one_shard(info_hash in any::<[u8; 20]>(), of in 1_u32..300) {
            prop_assert_eq!(home(info_hash, of).len(), 1);
        }

        #[test]
        fn one_more_server_takes_swarms_and_moves_no_others(info_hash in any::<[u8; 20]>(), of in 1_u32..100) {
            let (before, after) = (home(info_hash, of), home(info_hash, of + 1));
            prop_assert!(before == after || after == [of + 1]);
        }

        #[test]
        fn a_shard_is_read_back(of in 1_u32..=SHARDS_MAX, number in 1_u32..=SHARDS_MAX) {
            let shard = Shard { number: number.min(of), of };
            prop_assert_eq!(shard.to_string().parse(), Ok(shard));
        }
    }

    #[test]
    fn shards_are_even_even_for_a_list_that_is_not() {
        let of = 16;
        let mut counts = vec![0_u32; 16];
        for number in 0..16_000_u32 {
            // Info-hashes of one vendor's taste: all but four bytes the same.
            let mut info_hash = [0xab; 20];
            info_hash[..4].copy_from_slice(&number.to_be_bytes());
            counts[bucket(key(InfoHash(info_hash)), of) as usize] += 1;
        }
        // Five standard deviations around 1,000.
        assert!(counts.iter().all(|count| (845..1_155).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_swarm_s_shard_is_a_promise_to_servers_of_every_version() {
        let shards = |of| (0..12_u8).map(|byte| home([byte; 20], of)[0]).collect::<Vec<_>>();
        insta::assert_snapshot!(format!("of 2: {:?}\nof 16: {:?}", shards(2), shards(16)));
    }

    #[test]
    fn mistakes_are_told() {
        for text in ["", "3", "0/16", "17/16", "a/b", "1/0", "1/65537", "-1/2", "1/2/3"] {
            assert!(text.parse::<Shard>().unwrap_err().contains("such as 3/16"), "{text}");
        }
    }
}
