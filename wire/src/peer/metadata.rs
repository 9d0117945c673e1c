//! An info dictionary put together from the pieces that one peer sends (BEP 9).
//!
//! Pieces of 16 KiB go in, in any order; bytes that the info-hash vouches for come out, or nothing.

use crate::{InfoHash, InfoHashV2};

/// Bytes of every piece of metadata but the last.
pub const PIECE_LEN: usize = 16 * 1024;
/// The largest info dictionary taken. Real ones stay under 10 MB; a peer that claims more is lying.
pub const MAX_LEN: u32 = 16 * 1024 * 1024;
/// Requests under way at once; some clients drop what is asked beyond a few.
const MAX_ASKED: usize = 4;

/// A peer's claim or piece that cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Every piece arrived, and together they are not what the info-hash names.
    #[error("the metadata does not match the info-hash")]
    HashMismatch,
    /// Pieces are missing.
    #[error("the metadata has {0} pieces missing")]
    Incomplete(usize),
    /// A piece that was not asked for.
    #[error("piece {0} of the metadata was not asked for")]
    NotAsked(u32),
    /// A size of nothing, or of more than we take.
    #[error("metadata of {0} bytes")]
    Size(u32),
    /// A piece of another length than its place has.
    #[error("piece {piece} of the metadata is {length} bytes long, not {expected}")]
    WrongLength {
        /// The piece.
        piece: u32,
        /// Bytes it came with.
        length: usize,
        /// Bytes it must have.
        expected: usize,
    },
}

#[derive(Clone, Debug)]
enum Piece {
    Asked,
    Held(Box<[u8]>),
    Wanted,
}

/// Metadata on its way. Memory grows with what arrives, not with what the peer claims.
#[derive(Clone, Debug)]
pub struct Assembly {
    info_hash: InfoHash,
    size: usize,
    pieces: Vec<Piece>,
}

impl Assembly {
    /// Metadata of the size a peer's extended handshake claims (`metadata_size`).
    pub fn new(info_hash: InfoHash, size: u32) -> Result<Self, Error> {
        if size == 0 || size > MAX_LEN {
            return Err(Error::Size(size));
        }
        let size = size as usize;
        Ok(Self { info_hash, size, pieces: vec![Piece::Wanted; size.div_ceil(PIECE_LEN)] })
    }

    /// The next piece to ask for; `None` while enough are under way, and when there is none left to ask for.
    pub fn next_request(&mut self) -> Option<u32> {
        if self.pieces.iter().filter(|piece| matches!(piece, Piece::Asked)).count() >= MAX_ASKED {
            return None;
        }
        let (index, piece) =
            self.pieces.iter_mut().enumerate().find(|(_, piece)| matches!(piece, Piece::Wanted))?;
        *piece = Piece::Asked;
        u32::try_from(index).ok()
    }

    /// Takes in a piece that was asked for; whether it was the last one missing.
    pub fn add(&mut self, piece: u32, bytes: &[u8]) -> Result<bool, Error> {
        let expected = self.size.saturating_sub((piece as usize).saturating_mul(PIECE_LEN)).min(PIECE_LEN);
        let slot = self.pieces.get_mut(piece as usize).filter(|slot| matches!(slot, Piece::Asked));
        let slot = slot.ok_or(Error::NotAsked(piece))?;
        if bytes.len() != expected {
            return Err(Error::WrongLength { piece, length: bytes.len(), expected });
        }
        *slot = Piece::Held(bytes.into());
        Ok(self.missing() == 0)
    }

    /// The info dictionary's bytes, if they are what the info-hash names: by SHA-1, or by SHA-256 truncated.
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        match self.missing() {
            0 => {}
            missing => return Err(Error::Incomplete(missing)),
        }
        let mut info = Vec::with_capacity(self.size);
        for piece in &self.pieces {
            if let Piece::Held(bytes) = piece {
                info.extend_from_slice(bytes);
            }
        }
        let named = [InfoHash::of_info(&info), InfoHashV2::of_info(&info).truncated()];
        if named.contains(&self.info_hash) { Ok(info) } else { Err(Error::HashMismatch) }
    }

    fn missing(&self) -> usize {
        self.pieces.iter().filter(|piece| !matches!(piece, Piece::Held(_))).count()
    }
}

/// A piece of an info dictionary, as a peer that has it answers; `None` where there is no such piece.
pub fn piece_of(info: &[u8], piece: u32) -> Option<&[u8]> {
    info.chunks(PIECE_LEN).nth(piece as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn info(length: usize) -> Vec<u8> {
        (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect()
    }

    fn assembly(info: &[u8]) -> Assembly {
        Assembly::new(InfoHash::of_info(info), u32::try_from(info.len()).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_make_the_whole(length in 1..100_000_usize, v2: bool, order: Vec<prop::sample::Index>) {
            let info = info(length);
            let mut assembly = assembly(&info);
            if v2 {
                assembly.info_hash = InfoHashV2::of_info(&info).truncated();
            }
            let mut asked = Vec::new();
            let mut order = order.into_iter();
            loop {
                asked.extend(std::iter::from_fn(|| assembly.next_request()));
                prop_assert!(asked.len() <= MAX_ASKED);
                let at = order.next().map_or(0, |index| index.index(asked.len()));
                let piece = asked.swap_remove(at);
                if assembly.add(piece, piece_of(&info, piece).unwrap()).unwrap() {
                    break;
                }
            }
            prop_assert_eq!(assembly.finish(), Ok(info));
        }

        #[test]
        fn any_pieces_never_panic(size: u32, pieces: Vec<(u32, Vec<u8>)>) {
            if let Ok(mut assembly) = Assembly::new(InfoHash([0; 20]), size) {
                assembly.next_request();
                for (piece, bytes) in pieces {
                    prop_assert!(assembly.add(piece % 3, &bytes) != Ok(false) || bytes.len() == PIECE_LEN);
                    prop_assert!(assembly.add(piece, &bytes).is_err());
                }
                prop_assert!(assembly.finish().is_err());
            }
        }
    }

    #[test]
    fn each_defect_has_its_error() {
        let hash = InfoHash([0; 20]);
        let new = |size| Assembly::new(hash, size).map(|_| ()).unwrap_err();
        assert_eq!(new(0), Error::Size(0));
        assert_eq!(new(MAX_LEN + 1), Error::Size(MAX_LEN + 1));
        assert_eq!(new(u32::MAX), Error::Size(u32::MAX));

        let mut assembly = Assembly::new(hash, 20_000).unwrap();
        assert_eq!(assembly.add(0, &[0; PIECE_LEN]), Err(Error::NotAsked(0)));
        assert_eq!(
            (assembly.next_request(), assembly.next_request(), assembly.next_request()),
            (Some(0), Some(1), None)
        );
        assert_eq!(assembly.add(2, &[]), Err(Error::NotAsked(2)));
        assert_eq!(assembly.add(u32::MAX, &[]), Err(Error::NotAsked(u32::MAX)));
        let wrong = Error::WrongLength { piece: 1, length: PIECE_LEN, expected: 20_000 - PIECE_LEN };
        assert_eq!(assembly.add(1, &[0; PIECE_LEN]), Err(wrong));
        assert_eq!(assembly.add(0, &[0; PIECE_LEN]), Ok(false));
        assert_eq!(assembly.add(0, &[0; PIECE_LEN]), Err(Error::NotAsked(0)), "once is enough");
        assert_eq!(assembly.clone().finish(), Err(Error::Incomplete(1)));
        assert_eq!(assembly.add(1, &[0; 20_000 - PIECE_LEN]), Ok(true));
        assert_eq!(assembly.finish(), Err(Error::HashMismatch));
    }
}
