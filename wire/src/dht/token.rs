//! Write tokens (BEP 5): proof that who announces an address has been asking from it lately.
//!
//! A token is bound to the asker's IP by a secret that the edge draws; it is good for one to two rotations.

use std::net::IpAddr;

use sha1::{Digest as _, Sha1};

/// Bytes of a token.
const LEN: usize = 8;

/// Makes tokens and knows them again.
#[derive(Clone)]
pub struct Tokens {
    secret: [u8; 16],
    previous: [u8; 16],
}

impl Tokens {
    /// Tokens of a first secret.
    pub fn new(secret: [u8; 16]) -> Self {
        Self { secret, previous: secret }
    }

    /// Takes a fresh secret; tokens of the one before stay good until the next time.
    pub fn rotate(&mut self, secret: [u8; 16]) {
        self.previous = std::mem::replace(&mut self.secret, secret);
    }

    /// The token for who asks from `ip`.
    pub fn token(&self, ip: IpAddr) -> [u8; LEN] {
        token(&self.secret, ip)
    }

    /// Whether `token` was given to `ip` lately.
    pub fn is_good(&self, token_given: &[u8], ip: IpAddr) -> bool {
        [&self.secret, &self.previous].into_iter().any(|secret| token(secret, ip) == token_given)
    }
}

fn token(secret: &[u8; 16], ip: IpAddr) -> [u8; LEN] {
    let hash = Sha1::new().chain_update(secret);
    let digest: [u8; 20] = match ip.to_canonical() {
        IpAddr::V4(ip) => hash.chain_update(ip.octets()).finalize().into(),
        IpAddr::V6(ip) => hash.chain_update(ip.octets()).finalize().into(),
    };
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_ip_until_the_second_rotation() {
        let (ip, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut tokens = Tokens::new([1; 16]);
        let token = tokens.token(ip);
        assert!(tokens.is_good(&token, ip) && !tokens.is_good(&token, other) && !tokens.is_good(b"", ip));
        tokens.rotate([2; 16]);
        assert!(tokens.is_good(&token, ip));
        assert_ne!(tokens.token(ip), token);
        tokens.rotate([3; 16]);
        assert!(!tokens.is_good(&token, ip));
    }
}
