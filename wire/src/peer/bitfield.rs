//! Which pieces of a torrent a peer has (BEP 3): piece 0 is the highest bit of the first byte.
//!
//! A peer that has all or nothing, as most do, takes no memory for its bits.

/// The pieces a peer has, of a torrent whose number of pieces is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitfield {
    /// Absent where `count` is 0 or `len`, which say everything.
    bits: Option<Box<[u8]>>,
    count: u32,
    len: u32,
}

/// A claim that cannot be true of this torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A piece the torrent does not have.
    #[error("piece {piece} of a torrent of {len} pieces")]
    NoSuchPiece {
        /// The index claimed.
        piece: u32,
        /// Pieces in the torrent.
        len: u32,
    },
    /// Bits behind the last piece that are set. BEP 3: "Spare bits at the end are set to zero."
    #[error("a bitfield sets bits behind the last of {len} pieces")]
    SpareBits {
        /// Pieces in the torrent.
        len: u32,
    },
    /// A bitfield for another number of pieces.
    #[error("a bitfield of {bytes} bytes for {len} pieces")]
    WrongLength {
        /// Bytes in the bitfield.
        bytes: usize,
        /// Pieces in the torrent.
        len: u32,
    },
}

impl Bitfield {
    /// Reads a BITFIELD message's payload.
    pub fn from_bytes(bytes: &[u8], piece_count: u32) -> Result<Self, Error> {
        let len = piece_count;
        if bytes.len() != byte_count(len) {
            return Err(Error::WrongLength { bytes: bytes.len(), len });
        }
        if bytes.last().is_some_and(|last| last & spare_bits(len) != 0) {
            return Err(Error::SpareBits { len });
        }
        let count = bytes.iter().map(|byte| byte.count_ones()).sum();
        Ok(Self { bits: Some(bytes.into()), count, len }.compact())
    }

    /// No piece.
    pub fn empty(piece_count: u32) -> Self {
        Self { bits: None, count: 0, len: piece_count }
    }

    /// Every piece.
    pub fn full(piece_count: u32) -> Self {
        Self { bits: None, count: piece_count, len: piece_count }
    }

    /// Adds a piece; whether the peer did not have it before.
    pub fn set(&mut self, piece: u32) -> Result<bool, Error> {
        if self.get(piece)? {
            return Ok(false);
        }
        let mut bits = self.bits.take().unwrap_or_else(|| vec![0; byte_count(self.len)].into_boxed_slice());
        if let Some(byte) = bits.get_mut((piece / 8) as usize) {
            *byte |= mask(piece);
        }
        *self = Self { bits: Some(bits), count: self.count + 1, len: self.len }.compact();
        Ok(true)
    }

    /// Whether the peer has this piece.
    pub fn get(&self, piece: u32) -> Result<bool, Error> {
        if piece >= self.len {
            return Err(Error::NoSuchPiece { piece, len: self.len });
        }
        match &self.bits {
            Some(bits) => Ok(bits.get((piece / 8) as usize).is_some_and(|byte| byte & mask(piece) != 0)),
            None => Ok(self.count == self.len),
        }
    }

    /// How many pieces the peer has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many pieces the torrent has.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether the peer has no piece.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the peer has every piece.
    pub fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// A BITFIELD message's payload.
    pub fn to_bytes(&self) -> Vec<u8> {
        if let Some(bits) = &self.bits {
            return bits.to_vec();
        }
        let mut bytes = vec![if self.is_full() { 0xff } else { 0 }; byte_count(self.len)];
        if let Some(last) = bytes.last_mut() {
            *last &= !spare_bits(self.len);
        }
        bytes
    }

    /// Drops bits that the count makes redundant.
    fn compact(mut self) -> Self {
        if self.count == 0 || self.count == self.len {
            self.bits = None;
        }
        self
    }
}

/// Bytes a bitfield of `len` pieces takes.
pub fn byte_count(len: u32) -> usize {
    len.div_ceil(8) as usize
}

/// The bits of the last byte that stand for no piece.
fn spare_bits(len: u32) -> u8 {
    match len % 8 {
        0 => 0,
        used => 0xff >> used,
    }
}

fn mask(piece: u32) -> u8 {
    0x80 >> (piece % 8)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set_of_pieces((len, pieces) in (0..200_u32).prop_flat_map(|len| {
            (Just(len), proptest::collection::vec(0..len.max(1) + 3, 0..300))
        })) {
            let mut field = Bitfield::empty(len);
            let mut model = BTreeSet::new();
            for piece in pieces {
                match field.set(piece) {
                    Ok(new) => prop_assert_eq!(new, model.insert(piece)),
                    Err(error) => prop_assert_eq!((error, piece >= len), (Error::NoSuchPiece { piece, len }, true)),
                }
                prop_assert_eq!(field.count() as usize, model.len());
                prop_assert_eq!(field.is_full(), model.len() == len as usize);
            }
            for piece in 0..len {
                prop_assert_eq!(field.get(piece), Ok(model.contains(&piece)));
            }
            let bytes = field.to_bytes();
            prop_assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), field.count());
            prop_assert_eq!(Bitfield::from_bytes(&bytes, len), Ok(field));
        }

        #[test]
        fn any_bytes_are_a_bitfield_or_an_error(bytes: Vec<u8>, len in 0..1000_u32) {
            if let Ok(field) = Bitfield::from_bytes(&bytes, len) {
                prop_assert!(field.count() <= len);
                prop_assert_eq!(field.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn each_defect_has_its_error() {
        assert_eq!(Bitfield::from_bytes(&[0xff], 9), Err(Error::WrongLength { bytes: 1, len: 9 }));
        assert_eq!(Bitfield::from_bytes(&[0xff, 0, 0], 9), Err(Error::WrongLength { bytes: 3, len: 9 }));
        assert_eq!(Bitfield::from_bytes(&[0xff, 0x40], 9), Err(Error::SpareBits { len: 9 }));
        assert_eq!(Bitfield::empty(9).set(9), Err(Error::NoSuchPiece { piece: 9, len: 9 }));
        assert_eq!(Bitfield::empty(9).get(u32::MAX), Err(Error::NoSuchPiece { piece: u32::MAX, len: 9 }));
    }

    #[test]
    fn piece_zero_is_the_highest_bit() {
        let mut field = Bitfield::empty(10);
        field.set(0).unwrap();
        field.set(9).unwrap();
        assert_eq!(field.to_bytes(), [0x80, 0x40]);
    }

    #[test]
    fn all_is_all_however_it_was_told() {
        assert_eq!(Bitfield::from_bytes(&[0xff, 0x80], 9), Ok(Bitfield::full(9)));
        assert_eq!(Bitfield::full(9).to_bytes(), [0xff, 0x80]);
        assert_eq!(Bitfield::full(16).to_bytes(), [0xff, 0xff]);
        assert_eq!(Bitfield::full(9).bits, None);
        let mut all = Bitfield::empty(9);
        (0..9).for_each(|piece| assert_eq!(all.set(piece), Ok(true)));
        assert_eq!(all, Bitfield::full(9));
    }
}
