//! Extension messages (BEP 10) of a session: the info dictionary (BEP 9), others' addresses (BEP 11), introductions
//! (BEP 55).

use std::{net::SocketAddr, time::Instant};

use super::{Event, Fetch, FetchError, Session};
use crate::peer::{
    extension::{ExtendedHandshake, HANDSHAKE_ID, UT_HOLEPUNCH, UT_METADATA, UT_PEX, UtMetadata},
    holepunch::{Refusal, UtHolepunch},
    message::Message,
    pex::UtPex,
};

/// The ID we give `ut_metadata` in our extended handshake; peers use it when they talk to us (BEP 10).
pub(super) const OUR_UT_METADATA: u8 = 1;
/// The ID we give `ut_pex`, where we take it.
pub(super) const OUR_UT_PEX: u8 = 2;
/// The ID we give `ut_holepunch`, where we take introductions.
pub(super) const OUR_UT_HOLEPUNCH: u8 = 3;

impl Session {
    /// Whether the peer can be asked for the info dictionary.
    pub fn offers_metadata(&self) -> bool {
        self.their_ut_metadata.is_some() && self.summary.metadata_size.is_some() && self.fetch.is_none()
    }

    /// Asks the peer for the info dictionary; the result is an event.
    pub fn fetch_metadata(&mut self, now: Instant) {
        let (Some(local), Some(size)) = (self.local, self.summary.metadata_size) else { return };
        match Fetch::new(now, local.info_hash, size) {
            Ok(fetch) => {
                self.fetch = Some(Box::new(fetch));
                self.request_metadata(now);
            }
            Err(error) => self.events.push_back(Event::MetadataFailed(error)),
        }
    }

    /// Whether the peer introduces others.
    pub fn offers_introductions(&self) -> bool {
        self.their_ut_holepunch.is_some() && self.local.is_some_and(|local| local.introductions)
    }

    /// Asks the peer to introduce us to another; its word comes as an event.
    pub fn ask_introduction(&mut self, now: Instant, peer: SocketAddr) {
        if let Some(id) = self.their_ut_holepunch {
            self.send(now, &Message::Extended { id, payload: UtHolepunch::Rendezvous(peer).encode() });
        }
    }

    /// Takes no addresses of other peers any more, and says so to the peer (BEP 10: an ID of 0 turns a name off).
    pub fn stop_pex(&mut self, now: Instant) {
        let Some(local) = self.local.as_mut().filter(|local| local.pex) else { return };
        local.pex = false;
        let m = [(UT_PEX.to_owned(), 0)].into();
        self.send_extended(now, &ExtendedHandshake { m, ..ExtendedHandshake::default() });
    }

    pub(super) fn handle_extended(&mut self, now: Instant, id: u8, payload: &[u8]) {
        match id {
            HANDSHAKE_ID => match ExtendedHandshake::decode(payload) {
                Ok(extended) => self.handle_extended_handshake(&extended),
                Err(error) => self.protocol_error(now, format!("extended handshake: {error}")),
            },
            OUR_UT_METADATA => match UtMetadata::decode(payload) {
                Ok(UtMetadata::Request { piece }) => self.reject_metadata(now, piece),
                Ok(answer) => self.handle_metadata(now, answer),
                Err(error) => self.protocol_error(now, format!("ut_metadata: {error}")),
            },
            OUR_UT_PEX if self.local.is_some_and(|local| local.pex) => {
                // Its pieces are worth more than its manners: what cannot be read does not end the session.
                self.events.push_back(Event::Pex(UtPex::decode(payload)));
            }
            OUR_UT_HOLEPUNCH if self.local.is_some_and(|local| local.introductions) => {
                match UtHolepunch::decode(payload) {
                    // We hold our contacts for ourselves: to the peer we are connected to nobody.
                    Ok(UtHolepunch::Rendezvous(peer)) => {
                        let answer = UtHolepunch::Error(peer, Refusal::NOT_CONNECTED).encode();
                        if let Some(id) = self.their_ut_holepunch {
                            self.send(now, &Message::Extended { id, payload: answer });
                        }
                    }
                    Ok(UtHolepunch::Connect(peer)) => self.events.push_back(Event::Introduced(peer)),
                    // A refusal changes nothing, and what cannot be read does no harm.
                    Ok(UtHolepunch::Error(..)) | Err(_) => {}
                }
            }
            _ => {}
        }
    }

    /// Takes an extended handshake; a later one amends the first (BEP 10).
    fn handle_extended_handshake(&mut self, extended: &ExtendedHandshake) {
        if extended.m.contains_key(UT_METADATA) {
            self.their_ut_metadata = extended.id_of(UT_METADATA);
        }
        if extended.m.contains_key(UT_HOLEPUNCH) {
            self.their_ut_holepunch = extended.id_of(UT_HOLEPUNCH);
        }
        self.events.push_back(Event::Extended(self.summary.amend(extended)));
    }

    fn handle_metadata(&mut self, now: Instant, answer: UtMetadata) {
        // An answer to nothing we asked is of no use, and no harm.
        let Some(mut fetch) = self.fetch.take() else { return };
        let done = match answer {
            UtMetadata::Data { piece, bytes, .. } => fetch.add(now, piece, &bytes),
            UtMetadata::Reject { .. } => Err(FetchError::Rejected),
            UtMetadata::Request { .. } | UtMetadata::Unknown { .. } => Ok(false),
        };
        let event = match done {
            Ok(false) => {
                self.fetch = Some(fetch);
                return self.request_metadata(now);
            }
            Ok(true) => fetch.finish().map_or_else(Event::MetadataFailed, Event::Metadata),
            Err(error) => Event::MetadataFailed(error),
        };
        self.events.push_back(event);
    }

    fn request_metadata(&mut self, now: Instant) {
        let Some(id) = self.their_ut_metadata else { return };
        while let Some(request) = self.fetch.as_mut().and_then(|fetch| fetch.next_request()) {
            self.send(now, &Message::Extended { id, payload: request.encode() });
        }
    }

    fn reject_metadata(&mut self, now: Instant, piece: u32) {
        if let Some(id) = self.their_ut_metadata {
            self.send(now, &Message::Extended { id, payload: UtMetadata::Reject { piece }.encode() });
        }
    }

    /// Tells `v`, `p` and what we take; never `upload_only`, which makes peers hang up.
    pub(super) fn send_extended_handshake(&mut self, now: Instant) {
        let Some(local) = self.local else { return };
        let taken = [
            (UT_HOLEPUNCH, OUR_UT_HOLEPUNCH, local.introductions),
            (UT_METADATA, OUR_UT_METADATA, true),
            (UT_PEX, OUR_UT_PEX, local.pex),
        ];
        let taken = taken.into_iter().filter(|&(.., taken)| taken);
        let extended = ExtendedHandshake {
            m: taken.map(|(name, id, _)| (name.to_owned(), id)).collect(),
            v: Some(local.client.to_owned()),
            p: local.listen_port,
            ..ExtendedHandshake::default()
        };
        self.send_extended(now, &extended);
    }

    fn send_extended(&mut self, now: Instant, extended: &ExtendedHandshake) {
        self.send(now, &Message::Extended { id: HANDSHAKE_ID, payload: extended.encode() });
    }
}
