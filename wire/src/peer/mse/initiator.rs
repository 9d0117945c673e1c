//! The side that connected.
//!
//! ```text
//! our key ─▶ Key ─ theirs, our request ─▶ Sync ─ the encrypted VC ─▶ Select ─ method ─▶ Pad ─▶ established
//! ```

use super::{
    Error, Established, KEY_LEN, Method, Methods, VC,
    cipher::{Ciphers, Pair},
    find_end_of_pad,
    key::{Secret, swarm_hash, xor},
    pad_len, take,
};
use crate::{InfoHash, peer::handshake};

/// `crypto_select` and the length of `PadD`.
const SELECT_LEN: usize = 6;
/// Length of IA.
const INITIAL_LEN: u16 = 68;
const _: () = assert!(INITIAL_LEN as usize == handshake::LEN);

/// An outgoing handshake.
pub struct Initiator {
    secret: Secret,
    info_hash: InfoHash,
    offer: Methods,
    initial: [u8; handshake::LEN],
    received: Vec<u8>,
    output: Vec<u8>,
    state: State,
}

enum State {
    Key,
    Sync { pair: Pair, verification: [u8; VC.len()], from: usize },
    Select { pair: Pair },
    Pad { pair: Pair, method: Method, len: usize },
    Over,
}

impl Initiator {
    /// Begins with our key. `initial` is our handshake, which goes with the request and saves a round trip.
    pub fn new(secret: Secret, info_hash: InfoHash, offer: Methods, initial: [u8; handshake::LEN]) -> Self {
        let output = secret.opening();
        Self { secret, info_hash, offer, initial, received: Vec::new(), output, state: State::Key }
    }

    /// Bytes to send, each once.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// What is to come from the peer next.
    pub fn awaits(&self) -> &'static str {
        if matches!(self.state, State::Key) { "the peer's key" } else { "the peer's answer" }
    }

    /// Whether the peer's key has come, and so our offer gone out.
    pub fn has_offered(&self) -> bool {
        !matches!(self.state, State::Key)
    }

    /// Takes bytes in any split. After `Some` or an error there is nothing more to be had.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<Option<Established>, Error> {
        self.received.extend_from_slice(bytes);
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Key => {
                    let Some(key) = take(&mut self.received, KEY_LEN) else {
                        self.state = State::Key;
                        return Ok(None);
                    };
                    self.state = self.request(&key);
                }
                State::Sync { pair, verification, mut from } => {
                    let Some(place) = find_end_of_pad(&self.received, &verification, &mut from)? else {
                        self.state = State::Sync { pair, verification, from };
                        return Ok(None);
                    };
                    take(&mut self.received, place + VC.len());
                    self.state = State::Select { pair };
                }
                State::Select { mut pair } => {
                    let Some(mut select) = take(&mut self.received, SELECT_LEN) else {
                        self.state = State::Select { pair };
                        return Ok(None);
                    };
                    pair.to_initiator.apply(&mut select);
                    let (method, len) = self.read_select(&select)?;
                    self.state = State::Pad { pair, method, len };
                }
                State::Pad { mut pair, method, len } => {
                    let Some(mut pad) = take(&mut self.received, len) else {
                        self.state = State::Pad { pair, method, len };
                        return Ok(None);
                    };
                    pair.to_initiator.apply(&mut pad);
                    let mut ciphers = Ciphers::new(method, pair.from_initiator, pair.to_initiator, 0);
                    let mut payload = std::mem::take(&mut self.received);
                    ciphers.decrypt(&mut payload);
                    return Ok(Some(Established { info_hash: self.info_hash, method, ciphers, payload }));
                }
                State::Over => return Ok(None),
            }
        }
    }

    /// Says who we are, which swarm we mean and what we offer; tells what to look for in the answer.
    fn request(&mut self, their_key: &[u8]) -> State {
        let shared = self.secret.shared(their_key);
        let mut pair = Pair::new(&shared, &self.info_hash);
        let mut hidden = VC.to_vec();
        hidden.extend_from_slice(&self.offer.0.to_be_bytes());
        hidden.extend_from_slice(&self.secret.later_pad().to_be_bytes());
        hidden.resize(hidden.len() + usize::from(self.secret.later_pad()), 0);
        hidden.extend_from_slice(&INITIAL_LEN.to_be_bytes());
        hidden.extend_from_slice(&self.initial);
        pair.from_initiator.apply(&mut hidden);
        self.output.extend_from_slice(&shared.end_of_pad());
        self.output.extend_from_slice(&xor(swarm_hash(&self.info_hash), shared.mask()));
        self.output.extend_from_slice(&hidden);
        let mut verification = VC;
        pair.to_initiator.apply(&mut verification);
        State::Sync { pair, verification, from: 0 }
    }

    /// The method and the length of the pad behind it.
    fn read_select(&self, select: &[u8]) -> Result<(Method, usize), Error> {
        let (method, len) = select.split_first_chunk().ok_or(Error::Unverified)?;
        let method = u32::from_be_bytes(*method);
        let method = self.offer.method(method).ok_or(Error::NoMethod(method))?;
        Ok((method, pad_len(len)?))
    }
}
