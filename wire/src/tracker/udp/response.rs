//! What a UDP tracker answers.
//!
//! | offset | connect | announce | scrape | error |
//! | --- | --- | --- | --- | --- |
//! | 0 | 4 action 0 | 4 action 1 | 4 action 2 | 4 action 3 |
//! | 4 | 4 transaction id | 4 transaction id | 4 transaction id | 4 transaction id |
//! | 8 | 8 connection id | 4 interval, seconds | 12 for each swarm asked about, in order: 4 seeders, 4 completed, 4 leechers | words to the end |
//! | 12 | | 4 leechers, 4 seeders | | |
//! | 20 | | 6 (IPv4) or 18 (IPv6) for each peer | | |
//!
//! The datagram does not say which family its peers are of: it is the one the request went over.

use super::{ANNOUNCE, CONNECT, ERROR, Reader, SCRAPE};
use crate::{
    compact,
    tracker::{AnnounceResponse, Family},
};

/// A datagram from a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Grants a connection id.
    Connect {
        /// The request's.
        transaction_id: u32,
        /// Good for a minute (BEP 15).
        connection_id: u64,
    },
    /// Names peers.
    Announce {
        /// The request's.
        transaction_id: u32,
        /// Of its fields, this protocol has `peers`, `interval_s`, `seeders` and `leechers`, always.
        response: AnnounceResponse,
    },
    /// Gives counts.
    Scrape {
        /// The request's.
        transaction_id: u32,
        /// One for each swarm asked about, in that order.
        counts: Vec<Counts>,
    },
    /// Refuses.
    Error {
        /// The request's.
        transaction_id: u32,
        /// The tracker's words, bytes that are not UTF-8 replaced.
        message: String,
    },
}

/// One swarm's counts in a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Complete peers.
    pub seeders: u32,
    /// Downloads the tracker was told of.
    pub completed: u32,
    /// Incomplete peers.
    pub leechers: u32,
}

/// A datagram that is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// An action no tracker answers with.
    #[error("no response has action {action}")]
    Action {
        /// The action.
        action: u32,
    },
    /// Peers that are no whole number of entries.
    #[error(transparent)]
    Peers(#[from] compact::Error),
    /// Fewer bytes than the action needs.
    #[error("a response of {length} bytes is cut off")]
    Short {
        /// Bytes in the datagram.
        length: usize,
    },
}

impl Response {
    /// The transaction id of the datagram, sound or not; `None` where it is too short to have one.
    pub fn transaction_id_of(datagram: &[u8]) -> Option<u32> {
        let mut reader = Reader(datagram);
        reader.u32()?;
        reader.u32()
    }

    /// The datagram; of an announce, the peers of this family.
    pub fn encode(&self, family: Family) -> Vec<u8> {
        match self {
            Self::Connect { transaction_id, connection_id } => {
                let mut bytes = head(CONNECT, *transaction_id);
                bytes.extend(connection_id.to_be_bytes());
                bytes
            }
            Self::Announce { transaction_id, response } => {
                let mut bytes = head(ANNOUNCE, *transaction_id);
                let count =
                    |count: Option<u64>| u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX).to_be_bytes();
                bytes.extend(response.interval_s.unwrap_or(0).to_be_bytes());
                bytes.extend(count(response.leechers));
                bytes.extend(count(response.seeders));
                bytes.extend(match family {
                    Family::Ipv4 => compact::encode_v4(&response.peers),
                    Family::Ipv6 => compact::encode_v6(&response.peers),
                });
                bytes
            }
            Self::Scrape { transaction_id, counts } => {
                let mut bytes = head(SCRAPE, *transaction_id);
                for counts in counts {
                    bytes.extend(
                        [counts.seeders, counts.completed, counts.leechers]
                            .map(u32::to_be_bytes)
                            .as_flattened(),
                    );
                }
                bytes
            }
            Self::Error { transaction_id, message } => {
                let mut bytes = head(ERROR, *transaction_id);
                bytes.extend_from_slice(message.as_bytes());
                bytes
            }
        }
    }

    /// Reads a datagram as a client does, with the family the request went over.
    pub fn decode(datagram: &[u8], family: Family) -> Result<Self, ResponseError> {
        let short = ResponseError::Short { length: datagram.len() };
        let mut reader = Reader(datagram);
        let action = reader.u32().ok_or(short)?;
        let transaction_id = reader.u32().ok_or(short)?;
        match action {
            CONNECT => {
                let connection_id = reader.u64().ok_or(short)?;
                Ok(Self::Connect { transaction_id, connection_id })
            }
            ANNOUNCE => {
                let [interval, leechers, seeders]: [[u8; 4]; 3] = [
                    reader.array().ok_or(short)?,
                    reader.array().ok_or(short)?,
                    reader.array().ok_or(short)?,
                ];
                let peers = match family {
                    Family::Ipv4 => compact::decode_v4(reader.0)?,
                    Family::Ipv6 => compact::decode_v6(reader.0)?,
                };
                let response = AnnounceResponse {
                    peers,
                    interval_s: Some(u32::from_be_bytes(interval)),
                    seeders: Some(u32::from_be_bytes(seeders).into()),
                    leechers: Some(u32::from_be_bytes(leechers).into()),
                    ..AnnounceResponse::default()
                };
                Ok(Self::Announce { transaction_id, response })
            }
            SCRAPE => Ok(Self::Scrape { transaction_id, counts: counts(reader.0).ok_or(short)? }),
            ERROR => {
                let message = String::from_utf8_lossy(reader.0).into_owned();
                Ok(Self::Error { transaction_id, message })
            }
            action => Err(ResponseError::Action { action }),
        }
    }
}

fn head(action: u32, transaction_id: u32) -> Vec<u8> {
    [action.to_be_bytes(), transaction_id.to_be_bytes()].concat()
}

fn counts(bytes: &[u8]) -> Option<Vec<Counts>> {
    let (entries, []) = bytes.as_chunks::<12>() else { return None };
    let read = |entry: &[u8; 12]| {
        let mut reader = Reader(entry);
        Some(Counts { seeders: reader.u32()?, completed: reader.u32()?, leechers: reader.u32()? })
    };
    entries.iter().map(read).collect()
}
