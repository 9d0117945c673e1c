//! What a client sends to a UDP tracker.
//!
//! | offset | connect | announce | scrape |
//! | --- | --- | --- | --- |
//! | 0 | 8 protocol id `0x41727101980` | 8 connection id | 8 connection id |
//! | 8 | 4 action 0 | 4 action 1 | 4 action 2 |
//! | 12 | 4 transaction id | 4 transaction id | 4 transaction id |
//! | 16 | | 20 info-hash | 20 info-hash, up to 74 times |
//! | 36 | | 20 peer ID | |
//! | 56 | | 8 downloaded, 8 left, 8 uploaded | |
//! | 80 | | 4 event (0 none, 1 completed, 2 started, 3 stopped) | |
//! | 84 | | 4 IP address, 0 for the sender's | |
//! | 88 | | 4 key, 4 peers wanted (-1 for the tracker's choice) | |
//! | 96 | | 2 port | |
//! | 98 | | options (BEP 41): 0 ends, 1 fills, 2 length data is a part of the URL's path and query | |

use super::{ANNOUNCE, CONNECT, PROTOCOL_ID, Reader, SCRAPE};
use crate::{
    InfoHash, PeerId,
    tracker::{AnnounceEvent, AnnounceRequest},
};

/// How many swarms one scrape may ask about (BEP 15: about 74).
pub const MAX_SCRAPE: usize = 74;

const OPTION_END: u8 = 0;
const OPTION_FILL: u8 = 1;
const OPTION_URL_DATA: u8 = 2;

/// A datagram to a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Asks for a connection id, which proves that the sender's address is its own.
    Connect {
        /// Chosen at random; comes back in the answer.
        transaction_id: u32,
    },
    /// Asks for peers.
    Announce(Box<Announce>),
    /// Asks for counts.
    Scrape {
        /// From a connect answer at most a minute ago.
        connection_id: u64,
        /// Chosen at random; comes back in the answer.
        transaction_id: u32,
        /// At most [`MAX_SCRAPE`]; what is more is left out of the datagram.
        info_hashes: Vec<InfoHash>,
    },
}

/// An announce over UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// From a connect answer at most a minute ago.
    pub connection_id: u64,
    /// Chosen at random; comes back in the answer.
    pub transaction_id: u32,
    /// What is asked. `tracker_id` is not part of this protocol; `num_want` ends at 2³¹ − 1.
    pub request: AnnounceRequest,
    /// The tracker URL's path and query (BEP 41), empty for none. Trackers behind a passkey need it.
    pub url_data: Vec<u8>,
}

/// A datagram that is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// An action no client asks for.
    #[error("no request has action {action}")]
    Action {
        /// The action.
        action: u32,
    },
    /// An event other than 0 to 3.
    #[error("no announce has event {event}")]
    Event {
        /// The event.
        event: u32,
    },
    /// A connect request without the constant that tells the protocol.
    #[error("a connect request with protocol id {id:#x}")]
    Protocol {
        /// What stood in its place.
        id: u64,
    },
    /// Fewer bytes than the action needs.
    #[error("a request of {length} bytes is cut off")]
    Short {
        /// Bytes in the datagram.
        length: usize,
    },
}

impl Request {
    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Connect { transaction_id } => head(PROTOCOL_ID, CONNECT, *transaction_id),
            Self::Announce(announce) => announce.encode(),
            Self::Scrape { connection_id, transaction_id, info_hashes } => {
                let mut bytes = head(*connection_id, SCRAPE, *transaction_id);
                info_hashes.iter().take(MAX_SCRAPE).for_each(|hash| bytes.extend(hash.0));
                bytes
            }
        }
    }

    /// Reads a datagram as a tracker does. Bytes behind a connect are ignored, as is a torn last info-hash.
    pub fn decode(datagram: &[u8]) -> Result<Self, RequestError> {
        let short = RequestError::Short { length: datagram.len() };
        let mut reader = Reader(datagram);
        let id = reader.u64().ok_or(short)?;
        let action = reader.u32().ok_or(short)?;
        let transaction_id = reader.u32().ok_or(short)?;
        match action {
            CONNECT if id != PROTOCOL_ID => Err(RequestError::Protocol { id }),
            CONNECT => Ok(Self::Connect { transaction_id }),
            ANNOUNCE => {
                let (request, event) = announce_fields(&mut reader).ok_or(short)?;
                let event = event_of(event)?;
                let request = AnnounceRequest { event, ..request };
                let url_data = url_data(&mut reader).ok_or(short)?;
                Ok(Self::Announce(Box::new(Announce {
                    connection_id: id,
                    transaction_id,
                    request,
                    url_data,
                })))
            }
            SCRAPE => {
                let (hashes, _) = reader.0.as_chunks();
                let info_hashes = hashes.iter().copied().map(InfoHash).collect();
                Ok(Self::Scrape { connection_id: id, transaction_id, info_hashes })
            }
            action => Err(RequestError::Action { action }),
        }
    }
}

impl Announce {
    fn encode(&self) -> Vec<u8> {
        let request = &self.request;
        let mut bytes = head(self.connection_id, ANNOUNCE, self.transaction_id);
        bytes.extend(request.info_hash.0);
        bytes.extend(request.peer_id.0);
        bytes.extend(request.downloaded.to_be_bytes());
        bytes.extend(request.left.to_be_bytes());
        bytes.extend(request.uploaded.to_be_bytes());
        bytes.extend(event_code(request.event).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(request.key.to_be_bytes());
        let num_want = request.num_want.map_or(-1, |wanted| i32::try_from(wanted).unwrap_or(i32::MAX));
        bytes.extend(num_want.to_be_bytes());
        bytes.extend(request.port.to_be_bytes());
        for part in self.url_data.chunks(usize::from(u8::MAX)) {
            bytes.extend([OPTION_URL_DATA, u8::try_from(part.len()).unwrap_or(u8::MAX)]);
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

fn head(id: u64, action: u32, transaction_id: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(98);
    bytes.extend(id.to_be_bytes());
    bytes.extend(action.to_be_bytes());
    bytes.extend(transaction_id.to_be_bytes());
    bytes
}

/// An announce's fields behind the head; the event is still a number.
fn announce_fields(reader: &mut Reader<'_>) -> Option<(AnnounceRequest, u32)> {
    let info_hash = InfoHash(reader.array()?);
    let peer_id = PeerId(reader.array()?);
    let downloaded = reader.u64()?;
    let left = reader.u64()?;
    let uploaded = reader.u64()?;
    let event = reader.u32()?;
    let _ip: [u8; 4] = reader.array()?;
    let key = reader.u32()?;
    let num_want = i32::from_be_bytes(reader.array()?);
    let request = AnnounceRequest {
        info_hash,
        peer_id,
        port: reader.u16()?,
        uploaded,
        downloaded,
        left,
        event: AnnounceEvent::None,
        num_want: u32::try_from(num_want).ok(),
        key,
        tracker_id: None,
    };
    Some((request, event))
}

/// Puts the parts of the URL together (BEP 41). An option without its data makes the datagram short;
/// options of another kind carry a length and are passed over.
fn url_data(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    while let Some([option]) = reader.array() {
        match option {
            OPTION_END => break,
            OPTION_FILL => {}
            option => {
                let [length] = reader.array()?;
                let part = reader.bytes(usize::from(length))?;
                if option == OPTION_URL_DATA {
                    data.extend_from_slice(part);
                }
            }
        }
    }
    Some(data)
}

fn event_code(event: AnnounceEvent) -> u32 {
    match event {
        AnnounceEvent::None => 0,
        AnnounceEvent::Completed => 1,
        AnnounceEvent::Started => 2,
        AnnounceEvent::Stopped => 3,
    }
}

fn event_of(code: u32) -> Result<AnnounceEvent, RequestError> {
    match code {
        0 => Ok(AnnounceEvent::None),
        1 => Ok(AnnounceEvent::Completed),
        2 => Ok(AnnounceEvent::Started),
        3 => Ok(AnnounceEvent::Stopped),
        event => Err(RequestError::Event { event }),
    }
}
