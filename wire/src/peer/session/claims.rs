//! What a peer has claimed to have in one session, and whether the claim is whole.
//!
//! Claims arrive as bitfield, HAVE (BEP 3), `have_all`, `have_none` (BEP 6); a magnet's come before the piece count is
//! known and are checked when it is learnt.

use crate::peer::bitfield::{self, Bitfield};

/// Pieces a HAVE may name while the piece count is unknown: 128 KiB of bits. The largest torrents have a tenth of it.
pub(super) const MAX_PIECES_UNKNOWN: u32 = 1 << 20;

/// A claim that cannot be true.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// A bitfield of another length than the torrent's, or with spare bits set (BEP 3).
    #[error("{0}")]
    Bitfield(#[from] bitfield::Error),
    /// A HAVE of a piece the torrent does not have.
    #[error("HAVE of piece {index}, but the torrent has {piece_count} pieces")]
    HaveOutOfRange {
        /// The piece named.
        index: u32,
        /// The torrent's pieces.
        piece_count: u32,
    },
    /// A HAVE beyond what is followed while the metadata is unknown.
    #[error(
        "HAVE of piece {index} before the metadata is known; at most {MAX_PIECES_UNKNOWN} pieces are followed"
    )]
    HaveTooFar {
        /// The piece named.
        index: u32,
    },
}

/// The statement a session's count rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A bitfield.
    Bitfield,
    /// All pieces.
    HaveAll,
    /// No pieces, said by the peer.
    HaveNone,
    /// No pieces, by silence.
    Silence,
}

#[derive(Debug)]
enum Held {
    All,
    /// The piece count is known.
    Bits(Bitfield),
    Nothing,
    /// The piece count is unknown: bits in the order of a bitfield, as many bytes as were claimed so far.
    Raw {
        bits: Vec<u8>,
        count: u32,
    },
}

/// The pieces a peer claims.
#[derive(Debug)]
pub(super) struct Claims {
    piece_count: Option<u32>,
    basis: Option<Basis>,
    held: Held,
    /// The bitfield the count rests on claimed nothing.
    empty_bitfield: bool,
}

impl Claims {
    pub(super) fn new(piece_count: Option<u32>) -> Self {
        Self { piece_count, basis: None, held: Held::Nothing, empty_bitfield: false }
    }

    pub(super) fn piece_count(&self) -> Option<u32> {
        self.piece_count
    }

    /// What the count rests on; `None` where only HAVEs were seen, so that the count is a lower bound.
    pub(super) fn basis(&self) -> Option<Basis> {
        self.basis
    }

    /// Pieces claimed; `None` for all of an unknown number.
    pub(super) fn count(&self) -> Option<u32> {
        match &self.held {
            Held::All => self.piece_count,
            Held::Bits(bits) => Some(bits.count()),
            Held::Nothing => Some(0),
            Held::Raw { count, .. } => Some(*count),
        }
    }

    /// Whether the peer's bitfield claimed nothing and all that is counted came by HAVEs, as a super-seeder's does.
    pub(super) fn only_haves_behind_a_bitfield(&self) -> bool {
        self.basis == Some(Basis::Bitfield) && self.empty_bitfield && !self.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count() == Some(0)
    }

    /// The claim as a bitfield; `None` where it is all or nothing.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        match &self.held {
            Held::All | Held::Nothing => None,
            Held::Bits(bits) => Some(bits.to_bytes()),
            Held::Raw { bits, .. } => Some(bits.clone()),
        }
    }

    /// Takes a bitfield: added to earlier HAVEs within the opening burst, in place of all earlier claims after it.
    pub(super) fn bitfield(&mut self, bytes: Vec<u8>, opening: bool) -> Result<(), ClaimError> {
        let earlier = std::mem::replace(&mut self.held, Held::Nothing);
        // A bitfield that is refused below leaves nothing claimed.
        self.basis = None;
        self.empty_bitfield = bytes.iter().all(|&byte| byte == 0);
        self.held = if let Some(piece_count) = self.piece_count {
            let mut bits = Bitfield::from_bytes(&bytes, piece_count)?;
            if let (true, Held::Bits(earlier)) = (opening, &earlier) {
                for index in 0..piece_count {
                    if earlier.get(index)? {
                        bits.set(index)?;
                    }
                }
            }
            Held::Bits(bits)
        } else {
            let mut bits = bytes;
            if let (true, Held::Raw { bits: earlier, .. }) = (opening, &earlier) {
                if bits.len() < earlier.len() {
                    bits.resize(earlier.len(), 0);
                }
                for (bit, earlier) in bits.iter_mut().zip(earlier) {
                    *bit |= earlier;
                }
            }
            bits.shrink_to_fit();
            let count = bits.iter().map(|byte| byte.count_ones()).sum();
            Held::Raw { bits, count }
        };
        self.basis = Some(Basis::Bitfield);
        Ok(())
    }

    pub(super) fn have_all(&mut self) {
        self.basis = Some(Basis::HaveAll);
        self.held = Held::All;
    }

    pub(super) fn have_none(&mut self) {
        self.basis = Some(Basis::HaveNone);
        self.held = Held::Nothing;
    }

    /// Says that a peer that would have told of earlier pieces had none.
    pub(super) fn nothing_else(&mut self) {
        self.basis = self.basis.or(Some(Basis::Silence));
    }

    /// Takes a HAVE; tells whether the piece is a new one.
    pub(super) fn have(&mut self, index: u32) -> Result<bool, ClaimError> {
        match self.piece_count {
            Some(piece_count) if index >= piece_count => {
                Err(ClaimError::HaveOutOfRange { index, piece_count })
            }
            Some(piece_count) => {
                if matches!(self.held, Held::Nothing) {
                    self.held = Held::Bits(Bitfield::empty(piece_count));
                }
                match &mut self.held {
                    Held::Bits(bits) => Ok(bits.set(index)?),
                    Held::All | Held::Nothing | Held::Raw { .. } => Ok(false),
                }
            }
            None => self.have_of_unknown(index),
        }
    }

    fn have_of_unknown(&mut self, index: u32) -> Result<bool, ClaimError> {
        if matches!(self.held, Held::Nothing) {
            self.held = Held::Raw { bits: Vec::new(), count: 0 };
        }
        let Held::Raw { bits, count } = &mut self.held else { return Ok(false) };
        let byte = (index / 8) as usize;
        if byte >= bits.len() {
            if index >= MAX_PIECES_UNKNOWN {
                return Err(ClaimError::HaveTooFar { index });
            }
            bits.resize(byte + 1, 0);
        }
        let mask = 0x80 >> (index % 8);
        let Some(bits) = bits.get_mut(byte) else { return Ok(false) };
        let new = *bits & mask == 0;
        *bits |= mask;
        *count += u32::from(new);
        Ok(new)
    }

    /// Takes the torrent's piece count and checks the claims made before it was known; false ones are forgotten.
    pub(super) fn learn(&mut self, piece_count: u32) -> Result<(), ClaimError> {
        self.piece_count = Some(piece_count);
        let Held::Raw { bits, .. } = &mut self.held else { return Ok(()) };
        let mut bits = std::mem::take(bits);
        self.held = Held::Nothing;
        let basis = self.basis.take();
        if basis != Some(Basis::Bitfield) {
            // Only HAVEs: as long as the last one reached. Too long, and the check below refuses it.
            bits.resize(bits.len().max(piece_count.div_ceil(8) as usize), 0);
        }
        self.held = Held::Bits(Bitfield::from_bytes(&bits, piece_count)?);
        self.basis = basis;
        Ok(())
    }
}
