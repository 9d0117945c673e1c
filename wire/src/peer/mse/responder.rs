//! The side that was connected to.
//!
//! ```text
//! Key ─ theirs, ours ─▶ Sync ─ end of pad ─▶ Swarm ─ known ─▶ Offer ─ pad ─▶ Pad ─ our answer ─▶ established
//! ```

use super::{
    Error, Established, KEY_LEN, Method, Methods, SwarmKeys, VC,
    cipher::{Ciphers, Pair},
    find_end_of_pad,
    key::{Secret, Shared, xor},
    pad_len, take,
};
use crate::InfoHash;

/// Bytes of a SHA-1.
const HASH_LEN: usize = 20;
/// VC, `crypto_provide` and the length of `PadC`.
const OFFER_LEN: usize = 14;
/// The length of IA.
const INITIAL_LEN: usize = 2;

/// An incoming handshake.
pub struct Responder {
    secret: Secret,
    accepted: Methods,
    received: Vec<u8>,
    output: Vec<u8>,
    state: State,
}

enum State {
    Key,
    Sync { shared: Box<Shared>, from: usize },
    Swarm { shared: Box<Shared> },
    Offer { info_hash: InfoHash, pair: Box<Pair> },
    Pad { info_hash: InfoHash, pair: Box<Pair>, method: Method, len: usize },
    Over,
}

impl Responder {
    /// Waits for the initiator's key. Of the methods it offers, RC4 is selected before plaintext.
    pub fn new(secret: Secret, accepted: Methods) -> Self {
        Self { secret, accepted, received: Vec::new(), output: Vec::new(), state: State::Key }
    }

    /// Bytes to send, each once.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// What is to come from the peer next.
    pub fn awaits(&self) -> &'static str {
        if matches!(self.state, State::Key) { "the peer's key" } else { "the peer's request" }
    }

    /// Takes bytes in any split. After `Some` or an error there is nothing more to be had.
    pub fn handle_bytes(&mut self, bytes: &[u8], swarms: &SwarmKeys) -> Result<Option<Established>, Error> {
        self.received.extend_from_slice(bytes);
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Key => {
                    let Some(key) = take(&mut self.received, KEY_LEN) else {
                        self.state = State::Key;
                        return Ok(None);
                    };
                    self.output.extend(self.secret.opening());
                    self.state = State::Sync { shared: self.secret.shared(&key).into(), from: 0 };
                }
                State::Sync { shared, mut from } => {
                    let Some(place) = find_end_of_pad(&self.received, &shared.end_of_pad(), &mut from)?
                    else {
                        self.state = State::Sync { shared, from };
                        return Ok(None);
                    };
                    take(&mut self.received, place + HASH_LEN);
                    self.state = State::Swarm { shared };
                }
                State::Swarm { shared } => {
                    let Some(hash) = take(&mut self.received, HASH_LEN) else {
                        self.state = State::Swarm { shared };
                        return Ok(None);
                    };
                    let hash = hash.first_chunk().ok_or(Error::UnknownSwarm)?;
                    let info_hash = swarms.find(&xor(*hash, shared.mask())).ok_or(Error::UnknownSwarm)?;
                    self.state = State::Offer { info_hash, pair: Pair::new(&shared, &info_hash).into() };
                }
                State::Offer { info_hash, mut pair } => {
                    let Some(mut offer) = take(&mut self.received, OFFER_LEN) else {
                        self.state = State::Offer { info_hash, pair };
                        return Ok(None);
                    };
                    pair.from_initiator.apply(&mut offer);
                    let (method, len) = self.read_offer(&offer)?;
                    self.state = State::Pad { info_hash, pair, method, len };
                }
                State::Pad { info_hash, mut pair, method, len } => {
                    let Some(mut pad) = take(&mut self.received, len + INITIAL_LEN) else {
                        self.state = State::Pad { info_hash, pair, method, len };
                        return Ok(None);
                    };
                    pair.from_initiator.apply(&mut pad);
                    let initial = pad.last_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
                    return Ok(Some(self.answer(info_hash, *pair, method, initial)));
                }
                State::Over => return Ok(None),
            }
        }
    }

    /// The method to select and the length of the pad behind the offer.
    fn read_offer(&self, offer: &[u8]) -> Result<(Method, usize), Error> {
        let offer = offer.strip_prefix(&VC).ok_or(Error::Unverified)?;
        let (provided, len) = offer.split_first_chunk().ok_or(Error::Unverified)?;
        let provided = u32::from_be_bytes(*provided);
        let common = provided & self.accepted.0;
        let method = if common & Methods::RC4.0 != 0 {
            Method::Rc4
        } else if common & Methods::PLAINTEXT.0 != 0 {
            Method::Plaintext
        } else {
            return Err(Error::NoMethod(provided));
        };
        Ok((method, pad_len(len)?))
    }

    /// Answers; `initial` bytes of the initiator are under RC4 whatever is selected.
    fn answer(&mut self, info_hash: InfoHash, mut pair: Pair, method: Method, initial: u16) -> Established {
        let mut answer = VC.to_vec();
        answer.extend_from_slice(&method.bits().to_be_bytes());
        answer.extend_from_slice(&self.secret.later_pad().to_be_bytes());
        answer.resize(answer.len() + usize::from(self.secret.later_pad()), 0);
        pair.to_initiator.apply(&mut answer);
        self.output.extend_from_slice(&answer);
        let mut ciphers = Ciphers::new(method, pair.to_initiator, pair.from_initiator, initial);
        let mut payload = std::mem::take(&mut self.received);
        ciphers.decrypt(&mut payload);
        Established { info_hash, method, ciphers, payload }
    }
}
