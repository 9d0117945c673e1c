//! What must hold for any bytes on each of wire's input surfaces, beyond not panicking.
//!
//! `tests/corpus.rs` calls these functions on the committed corpus and mutations of it, the fuzz targets on
//! what the fuzzer finds: `cargo +nightly fuzz run peer_stream`. A function panics where it does not hold.

use std::time::{Duration, Instant};

use wire::{
    InfoHash, PeerId, bencode, compact,
    dht::krpc,
    dns,
    lsd::{self, Announcement},
    magnet::Magnet,
    metainfo,
    peer::{
        bitfield::Bitfield,
        extension::{ExtendedHandshake, UtMetadata},
        handshake::Handshake,
        holepunch::UtHolepunch,
        message::{self, Decoder, Limits, Message},
        metadata::Assembly,
        mse::{self, Established, Initiator, Methods, Responder, Secret, SwarmKeys},
        pex::UtPex,
    },
    tracker::{
        AnnounceEvent, AnnounceRequest, Family, http,
        udp::{
            self, Exchange,
            exchange::{Query, Timing},
        },
    },
    utp::{
        WINDOW_BYTES,
        endpoint::{self, Endpoint, Event},
        packet::Packet,
    },
};

/// A surface's name, which is its corpus folder's and its fuzz target's, and its invariant.
pub type Surface = (&'static str, fn(&[u8]));

/// Every input surface.
pub const SURFACES: &[Surface] = &[
    ("bencode", bencode),
    ("compact", compact),
    ("dns_answer", dns_answer),
    ("extension", extension),
    ("handshake", handshake),
    ("http_query", http_query),
    ("http_response", http_response),
    ("krpc", krpc),
    ("lsd", lsd),
    ("magnet", magnet),
    ("metadata", metadata),
    ("metainfo", metainfo),
    ("mse", mse),
    ("peer_stream", peer_stream),
    ("pex", pex),
    ("udp_exchange", udp_exchange),
    ("udp_request", udp_request),
    ("udp_response", udp_response),
    ("utp", utp),
];

/// An announce of nothing in particular.
const ANNOUNCE: AnnounceRequest = AnnounceRequest {
    info_hash: InfoHash([7; 20]),
    peer_id: PeerId([8; 20]),
    port: 9,
    uploaded: 0,
    downloaded: 0,
    left: 0,
    event: AnnounceEvent::None,
    num_want: None,
    key: 0,
    tracker_id: None,
};

/// A view reaches every byte of a sound value, and what is sound stays so in a list.
pub fn bencode(bytes: &[u8]) {
    if let Ok((value, rest)) = bencode::parse_prefix(bytes) {
        assert_eq!([value.raw(), rest].concat(), bytes);
        assert_eq!(bencode::check(bytes).is_ok(), rest.is_empty());
        assert_eq!(written(value), value.raw(), "a view loses bytes");
    }
}

fn written(value: bencode::Value<'_>) -> Vec<u8> {
    let string = |bytes: &[u8]| [format!("{}:", bytes.len()).as_bytes(), bytes].concat();
    if let Some(bytes) = value.as_bytes() {
        return string(bytes);
    }
    if let Some(list) = value.as_list() {
        return [b"l", &list.into_iter().flat_map(written).collect::<Vec<_>>()[..], b"e"].concat();
    }
    if let Some(dict) = value.as_dict() {
        let entries = dict.into_iter().flat_map(|(key, value)| [string(key), written(value)].concat());
        return [b"d", &entries.collect::<Vec<_>>()[..], b"e"].concat();
    }
    if let Some(number) = value.as_i64() {
        return format!("i{number}e").into_bytes();
    }
    value.raw().to_vec()
}

/// Addresses that are read are written back alike.
pub fn compact(bytes: &[u8]) {
    if let Ok(peers) = compact::decode_v4(bytes) {
        assert_eq!(compact::encode_v4(&peers), bytes);
    }
    if let Ok(peers) = compact::decode_v6(bytes) {
        assert_eq!(compact::encode_v6(&peers), bytes);
    }
}

/// What is read is written so that it reads the same.
pub fn extension(bytes: &[u8]) {
    if let Ok(handshake) = ExtendedHandshake::decode(bytes) {
        assert_eq!(ExtendedHandshake::decode(&handshake.encode()), Ok(handshake));
    }
    if let Ok(message) = UtMetadata::decode(bytes) {
        assert_eq!(UtMetadata::decode(&message.encode()), Ok(message));
    }
    if let Ok(message) = UtHolepunch::decode(bytes) {
        assert_eq!(UtHolepunch::decode(&message.encode()), Ok(message));
    }
}

/// A handshake is its first 68 bytes, and a prefix of one is never refused.
pub fn handshake(bytes: &[u8]) {
    let decoded = Handshake::decode(bytes);
    if let Ok(Some(handshake)) = decoded {
        assert_eq!(Some(&handshake.encode()[..]), bytes.get(..message_offset()));
    }
    if decoded.is_ok() {
        assert!((0..bytes.len()).all(|end| Handshake::decode(bytes.get(..end).unwrap_or_default()).is_ok()));
    }
}

fn message_offset() -> usize {
    wire::peer::handshake::LEN
}

/// A query that is read asks the same when it is written into a URL and read again.
pub fn http_query(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(query) = http::decode_announce_query(text) {
        let url =
            http::announce_url("http://tracker.example/announce", &query.request).expect("a sound base");
        let again = http::decode_announce_query(url.query().unwrap_or_default()).expect("our own query");
        assert_eq!(again.request, query.request);
        assert!(http::announce_url(text, &query.request).map_or(true, |url| url.query().is_some()));
    }
    if let Ok(swarms) = http::decode_scrape_query(text) {
        let url = http::scrape_url("http://tracker.example/announce", &swarms).expect("a sound base");
        assert_eq!(http::decode_scrape_query(url.query().unwrap_or_default()), Ok(swarms.clone()));
        if let Some(url) = http::scrape_url(text, &swarms) {
            let announce =
                http::announce_url(text, &ANNOUNCE).expect("what can be scraped can be announced to");
            assert!(url.path().contains("/scrape") && url.origin() == announce.origin());
        }
    }
}

/// An answer that is read is written so that it reads the same.
pub fn http_response(bytes: &[u8]) {
    if let Ok(mut response) = http::decode_announce(bytes) {
        response.left_out = 0;
        assert_eq!(http::decode_announce(&http::encode_announce(&response, false)), Ok(response));
    }
    if let Ok(mut entries) = http::decode_scrape(bytes) {
        entries.sort_by_key(|entry| entry.info_hash);
        entries.dedup_by_key(|entry| entry.info_hash);
        assert_eq!(http::decode_scrape(&http::encode_scrape(&entries)), Ok(entries));
    }
}

/// A DHT message that is read is written so that it reads the same.
pub fn krpc(bytes: &[u8]) {
    if let Ok(message) = krpc::Message::decode(bytes) {
        assert_eq!(krpc::Message::decode(&message.encode()), Ok(message));
    }
}

/// An announcement that is read is written so that it reads the same.
pub fn lsd(bytes: &[u8]) {
    if let Ok(announcement) = Announcement::decode(bytes) {
        let mut sent = announcement;
        sent.info_hashes.truncate(lsd::SWARMS_MAX);
        let datagram = sent.encode(std::net::SocketAddr::V6(lsd::GROUP_V6));
        assert_eq!(Announcement::decode(&datagram), Ok(sent));
    }
}

/// A link's parts are sound.
pub fn magnet(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(magnet) = text.parse::<Magnet>() {
        let short = magnet.info_hash_v2.map(|hash| hash.truncated());
        assert!(short == Some(magnet.info_hash) || text.to_ascii_lowercase().contains("btih"));
        assert!(magnet.trackers.iter().all(|tracker| !tracker.trim().is_empty()));
    }
}

/// Only the bytes that the info-hash names come out; the first four bytes are the claimed size.
pub fn metadata(bytes: &[u8]) {
    let Some((size, rest)) = bytes.split_first_chunk() else { return };
    let Ok(mut assembly) = Assembly::new(InfoHash::of_info(rest), u32::from_be_bytes(*size) % 100_000) else {
        return;
    };
    let mut complete = false;
    while let Some(piece) = assembly.next_request() {
        let bytes = wire::peer::metadata::piece_of(rest, piece).unwrap_or_default();
        match assembly.add(piece, bytes) {
            Ok(last) => complete = last,
            Err(_) => break,
        }
    }
    match assembly.finish() {
        Ok(info) => assert!(complete && info == rest),
        Err(_) => assert!(!complete || rest.len() != u32::from_be_bytes(*size) as usize % 100_000),
    }
}

/// A torrent that is taken has pieces, and the hash of its own info dictionary.
pub fn metainfo(bytes: &[u8]) {
    if let Ok(torrent) = metainfo::parse(bytes) {
        let raw = bencode::raw_value(bytes, b"info").expect("a parsed torrent has an info dictionary");
        let info = metainfo::parse_info(raw).expect("a parsed torrent's info dictionary is sound");
        assert_eq!(info, torrent.info);
        assert!(info.piece_count > 0 && info.piece_length > 0);
        assert!(
            info.info_hash_v1.is_none_or(|hash| hash == InfoHash::of_info(raw) && hash == info.info_hash)
        );
        assert!(
            info.info_hash_v1.is_some()
                || info.info_hash_v2.map(|hash| hash.truncated()) == Some(info.info_hash)
        );
        assert!(info.size_bytes <= u64::from(info.piece_count).saturating_mul(info.piece_length));
    }
}

/// The bytes in place of the other side's, and laid over what an honest one says after the key exchange, which no
/// fuzzer would find: however they are split each side comes to the same end, and to one within the limits.
pub fn mse(bytes: &[u8]) {
    const SWARM: InfoHash = InfoHash([7; 20]);
    let initiator = || Initiator::new(Secret::new([1; 20], vec![9; 30], 40), SWARM, Methods::ANY, [0; 68]);
    let responder = || Responder::new(Secret::new([2; 20], vec![8; 20], 30), Methods::ANY);
    let swarms: SwarmKeys = [SWARM].into_iter().collect();
    let end_of_initiator = |bytes: &[u8], step| {
        let mut side = initiator();
        mse_end(bytes, step, |chunk| side.handle_bytes(chunk))
    };
    let end_of_responder = |bytes: &[u8], step| {
        let mut side = responder();
        mse_end(bytes, step, |chunk| side.handle_bytes(chunk, &swarms))
    };
    let (mut a, mut b) = (initiator(), responder());
    let key_of_a = a.take_output();
    b.handle_bytes(&key_of_a, &swarms).expect("an honest key");
    let key_of_b = b.take_output();
    a.handle_bytes(&key_of_b).expect("an honest key");
    let request = a.take_output();
    b.handle_bytes(&request, &swarms).expect("an honest request");
    let (hashes, offer) = request.split_at(40);
    let offer = [&key_of_a[..], hashes, &laid_over(offer, bytes)].concat();
    let answer = [&key_of_b[..], &laid_over(&b.take_output(), bytes)].concat();
    for bytes in [bytes, &offer] {
        assert_eq!(end_of_responder(bytes, 7), end_of_responder(bytes, usize::MAX));
    }
    for bytes in [bytes, &answer] {
        assert_eq!(end_of_initiator(bytes, 7), end_of_initiator(bytes, usize::MAX));
    }
}

/// Under RC4 a flipped bit is a flipped bit of what is hidden.
fn laid_over(honest: &[u8], bytes: &[u8]) -> Vec<u8> {
    honest.iter().zip(bytes.iter().chain(std::iter::repeat(&0))).map(|(one, other)| one ^ other).collect()
}

/// The swarm, the method and the decrypted rest, or the error; `None` while more bytes are needed.
type MseEnd = Option<Result<(InfoHash, mse::Method, Vec<u8>), mse::Error>>;

fn mse_end(
    bytes: &[u8],
    step: usize,
    mut side: impl FnMut(&[u8]) -> Result<Option<Established>, mse::Error>,
) -> MseEnd {
    let mut done: Option<Established> = None;
    for chunk in bytes.chunks(step) {
        match (&mut done, chunk) {
            (Some(done), chunk) => {
                let mut chunk = chunk.to_vec();
                done.ciphers.decrypt(&mut chunk);
                done.payload.extend(chunk);
            }
            (None, chunk) => match side(chunk) {
                Ok(established) => done = established,
                Err(error) => return Some(Err(error)),
            },
        }
    }
    // A key, a pad, hashes, an offer and a pad.
    assert!(done.is_some() || bytes.len() <= 96 + 512 + 40 + 14 + 512 + 2, "it waits for ever");
    done.map(|done| Ok((done.info_hash, done.method, done.payload)))
}

/// However a stream is split it decodes alike, within the limits, and messages read as they were written.
pub fn peer_stream(bytes: &[u8]) {
    let whole = decoded(bytes, usize::MAX);
    for step in [1, 2, 7] {
        assert_eq!(decoded(bytes, step), whole, "steps of {step}");
    }
    for message in whole.0 {
        if let Message::Bitfield(bits) = &message
            && let Ok(field) = Bitfield::from_bytes(bits, u32::try_from(bits.len() * 8).unwrap_or(0))
        {
            assert_eq!(&field.to_bytes(), bits);
        }
        let mut stream = Vec::new();
        message::encode(&message, &mut stream);
        assert_eq!(decoded(&stream, usize::MAX), (vec![message], None));
    }
}

fn decoded(stream: &[u8], step: usize) -> (Vec<Message>, Option<message::Error>) {
    let limits = Limits { bitfield_bytes: 1000, extended_bytes: 1000 };
    let mut decoder = Decoder::new(limits);
    let mut messages = Vec::new();
    for mut input in stream.chunks(step) {
        loop {
            match decoder.next(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
            assert_eq!(decoder.held_bytes(), 0, "memory is held between messages");
        }
        assert!(input.is_empty(), "input is left over");
        assert!(decoder.held_bytes() <= 2 * 1000, "a limit is passed");
    }
    (messages, None)
}

/// What is read is bounded, and written so that it reads the same.
pub fn pex(bytes: &[u8]) {
    if let Ok(message) = UtPex::decode(bytes) {
        assert!(message.added.len().max(message.dropped.len()) <= 2 * wire::peer::pex::ADDRESSES_MAX);
        let kept = UtPex { left_out: 0, ..message };
        assert_eq!(UtPex::decode(&kept.encode()), Ok(kept));
    }
}

/// An exchange ends whatever it is fed. Each input is a length, a delay in seconds, and a datagram.
pub fn udp_exchange(bytes: &[u8]) {
    // Where the clock stands does not matter, and this is no build of the project.
    #[allow(clippy::disallowed_methods, reason = "only differences are used")]
    let mut now = Instant::now();
    let query = Query::Scrape(vec![InfoHash([7; 20])]);
    let mut exchange = Exchange::new(query, Family::Ipv4, 0, Timing::default(), None);
    let mut rest = bytes;
    while let [length, delay, tail @ ..] = rest {
        let datagram;
        (datagram, rest) = tail.split_at(usize::from(*length).min(tail.len()));
        let _ = exchange.poll_transmit(now);
        assert_eq!(exchange.poll_timeout().is_none(), exchange.outcome().is_some());
        now += Duration::from_secs((*delay).into());
        exchange.handle_input(datagram, now);
        exchange.handle_timeout(now);
    }
    for _ in 0..20 {
        let _ = exchange.poll_transmit(now);
        now = exchange.poll_timeout().unwrap_or(now);
        exchange.handle_timeout(now);
    }
    assert!(exchange.outcome().is_some(), "an exchange does not end");
}

/// A request that is read is written so that it reads the same, as far as one datagram goes.
pub fn udp_request(bytes: &[u8]) {
    if let Ok(mut request) = udp::Request::decode(bytes) {
        if let udp::Request::Scrape { info_hashes, .. } = &mut request {
            info_hashes.truncate(udp::MAX_SCRAPE);
        }
        assert_eq!(udp::Request::decode(&request.encode()), Ok(request));
    }
}

/// Names in an answer are printable and no longer than their bytes escaped.
pub fn dns_answer(bytes: &[u8]) {
    // The packet is taken for the answer to the question it claims to answer, whichever that is.
    let id = u16::from_be_bytes([bytes.first().copied().unwrap_or(0), bytes.get(1).copied().unwrap_or(0)]);
    if let Ok(dns::Answer::Names(names)) = dns::answer(bytes, id, std::net::Ipv4Addr::new(1, 2, 3, 4).into())
    {
        assert!(names.iter().all(|name| !name.is_empty() && name.len() <= 4 * 255));
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_graphic())));
    }
}

/// A response that is read is written so that it reads the same.
pub fn udp_response(bytes: &[u8]) {
    for family in [Family::Ipv4, Family::Ipv6] {
        if let Ok(response) = udp::Response::decode(bytes, family) {
            assert_eq!(udp::Response::decode(&response.encode(family), family), Ok(response));
        }
    }
}

/// Any datagrams leave an endpoint within its bounds. Each input is a length, a delay in seconds, and a datagram.
pub fn utp(bytes: &[u8]) {
    // Where the clock stands does not matter, and this is no build of the project.
    #[allow(clippy::disallowed_methods, reason = "only differences are used")]
    let mut now = Instant::now();
    let config = endpoint::Config { accepts: true, connections_max: 4, seed: [7; 32] };
    let mut endpoint = Endpoint::new(config, now);
    let peer = ([127, 0, 0, 1], 9).into();
    let mut handles = vec![endpoint.connect(now, peer).expect("the first of four")];
    let mut rest = bytes;
    while let [length, delay, tail @ ..] = rest {
        let datagram;
        (datagram, rest) = tail.split_at(usize::from(*length).min(tail.len()));
        if let Some(packet) = Packet::decode(datagram) {
            assert_eq!(Packet::decode(&packet.encode()), Some(packet));
        }
        endpoint.handle_datagram(now, peer, datagram);
        while let Some(event) = endpoint.poll_event() {
            if let Event::Incoming(handle, _) = event {
                handles.push(handle);
            }
        }
        while let Some((_, sent)) = endpoint.poll_transmit(now) {
            assert!(Packet::decode(&sent).is_some());
        }
        assert!(endpoint.len() <= 4 && endpoint.held() <= endpoint.len() * 2 * WINDOW_BYTES);
        now += Duration::from_secs((*delay).into());
        endpoint.handle_timeout(now);
    }
    for handle in handles {
        endpoint.release(now, handle);
    }
    while endpoint.poll_transmit(now).is_some() {}
    now += Duration::from_mins(1);
    endpoint.handle_timeout(now);
    assert!(endpoint.is_empty() && endpoint.held() == 0, "a connection stays behind");
}
