//! Unguessable bytes from a seed that the edge hands in: SHA-256 in counter mode.

use sha2::{Digest as _, Sha256};

/// A stream of bytes that nobody without the seed can foretell.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    seed: [u8; 32],
    drawn: u64,
}

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next bytes, 32 at most.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.drawn += 1;
        let digest = Sha256::new().chain_update(self.seed).chain_update(self.drawn.to_be_bytes()).finalize();
        let mut bytes = [0; N];
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        bytes
    }
}
