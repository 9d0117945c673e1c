//! RC4 of both directions, and the swarms by what an initiator calls them.

use std::{collections::HashMap, fmt};

use rc4::{KeyInit as _, Rc4, StreamCipher as _};

use super::{
    Method,
    key::{Shared, swarm_hash},
};
use crate::InfoHash;

/// The first bytes of RC4's output tell of its key, and are thrown away.
const DISCARDED: usize = 1024;

/// RC4 of one direction.
pub(super) struct Cipher(Rc4);

impl Cipher {
    #[expect(clippy::expect_used, reason = "the length of the key is not the peer's to choose")]
    fn new(key: [u8; 20]) -> Self {
        let mut rc4 = Rc4::new_from_slice(&key).expect("RC4 takes keys of 1 to 256 bytes");
        rc4.apply_keystream(&mut [0; DISCARDED]);
        Self(rc4)
    }

    /// Encrypts or decrypts.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply_keystream(bytes);
    }
}

/// The two directions of a connection: from the initiator and to it.
pub(super) struct Pair {
    pub(super) from_initiator: Cipher,
    pub(super) to_initiator: Cipher,
}

impl Pair {
    pub(super) fn new(shared: &Shared, info_hash: &InfoHash) -> Self {
        Self {
            from_initiator: Cipher::new(shared.cipher_key(*b"keyA", info_hash)),
            to_initiator: Cipher::new(shared.cipher_key(*b"keyB", info_hash)),
        }
    }
}

/// What an established connection's bytes go through; 520 bytes, or nothing for a plaintext payload.
pub struct Ciphers {
    encrypt: Option<Cipher>,
    decrypt: Option<Cipher>,
    /// Bytes that are still encrypted where the payload is not: the initiator's first.
    encrypted_left: Option<u16>,
}

impl Ciphers {
    /// `initial`: how much of what comes is under RC4 even in plaintext.
    pub(super) fn new(method: Method, encrypt: Cipher, decrypt: Cipher, initial: u16) -> Self {
        match method {
            Method::Plaintext => Self {
                encrypt: None,
                decrypt: (initial > 0).then_some(decrypt),
                encrypted_left: Some(initial),
            },
            Method::Rc4 => Self { encrypt: Some(encrypt), decrypt: Some(decrypt), encrypted_left: None },
        }
    }

    /// Makes the next bytes ready to be sent.
    pub fn encrypt(&mut self, bytes: &mut [u8]) {
        if let Some(cipher) = &mut self.encrypt {
            cipher.apply(bytes);
        }
    }

    /// Makes the next received bytes readable.
    pub fn decrypt(&mut self, bytes: &mut [u8]) {
        let Some(cipher) = &mut self.decrypt else { return };
        let Some(left) = &mut self.encrypted_left else { return cipher.apply(bytes) };
        let encrypted = bytes.len().min(usize::from(*left));
        if let Some(bytes) = bytes.get_mut(..encrypted) {
            cipher.apply(bytes);
        }
        *left -= u16::try_from(encrypted).unwrap_or(*left);
        if *left == 0 {
            self.decrypt = None;
        }
    }
}

impl fmt::Debug for Ciphers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = if self.encrypt.is_some() { Method::Rc4 } else { Method::Plaintext };
        write!(f, "Ciphers({method:?})")
    }
}

/// The swarms an initiator may mean, by the hash it tells; looking one up costs the same however many there are.
#[derive(Clone, Debug, Default)]
pub struct SwarmKeys(HashMap<[u8; 20], InfoHash>);

impl FromIterator<InfoHash> for SwarmKeys {
    fn from_iter<I: IntoIterator<Item = InfoHash>>(swarms: I) -> Self {
        Self(swarms.into_iter().map(|info_hash| (swarm_hash(&info_hash), info_hash)).collect())
    }
}

impl SwarmKeys {
    pub(super) fn find(&self, hash: &[u8; 20]) -> Option<InfoHash> {
        self.0.get(hash).copied()
    }
}
