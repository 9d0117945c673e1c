//! What a peer tells of others over a real connection: rows and answers, and nothing of the kind in private torrents.

use std::sync::Arc;

use capture::sources::{self, Answer, RequestCounts, pex::Pex};
use schema::table::{RequestKind, RequestOutcome, Source};
use tokio::sync::mpsc;
use wire::peer::{
    extension::{ExtendedHandshake, HANDSHAKE_ID},
    pex::{Flags, UtPex},
};

use super::*;

/// A bench whose peers are asked for others.
fn asking(bench: &mut Bench) -> mpsc::Receiver<Answer> {
    let (answers, answered) = sources::channel();
    let pex = Pex { answers, counts: Arc::<RequestCounts>::default() };
    Arc::get_mut(&mut bench.context).unwrap().pex = Some(pex);
    answered
}

/// The next extended handshake the peer receives.
async fn asked_for(peer: &mut Peer, decoder: &mut Decoder, name: &str) -> Option<u8> {
    let mut byte = [0];
    loop {
        peer.0.read_exact(&mut byte).await.unwrap();
        if let Ok(Some(Message::Extended { id: HANDSHAKE_ID, payload })) = decoder.next(&mut &byte[..]) {
            return ExtendedHandshake::decode(&payload).unwrap().id_of(name);
        }
    }
}

fn named() -> UtPex {
    let added = [
        ("198.51.100.7:6881", Some(Flags::SEED.with(Flags::UTP))),
        ("[2001:db8::7]:6881", Some(Flags::ENCRYPTION)),
    ];
    let added = added.map(|(address, flags)| (address.parse().unwrap(), flags)).to_vec();
    UtPex { added, dropped: vec!["198.51.100.8:6881".parse().unwrap()], left_out: 0 }
}

#[tokio::test]
async fn peers_that_a_peer_names_are_answers_and_each_message_is_a_row() {
    let mut bench = Bench::new(swarm(SWARM, true));
    let mut answered = asking(&mut bench);
    let context = Arc::clone(&bench.context);
    contact_with(&mut bench, async |mut peer: Peer| {
        peer.hears_handshake().await;
        peer.sends(&greeting(FAST, SWARM, THEIRS)).await;
        let id = asked_for(&mut peer, &mut Decoder::default(), "ut_pex").await.unwrap();
        peer.says(&Message::Extended { id, payload: named().encode() }).await;
        peer.says(&Message::Extended { id, payload: b"le".to_vec() }).await;
        peer.hangs_up().await;
    })
    .await;
    let answer = answered.try_recv().unwrap();
    assert_eq!((answer.source, answer.swarm), (Source::Pex, context.swarms[0].id));
    let peers = named().added.into_iter().map(|(peer, flags)| (peer, flags.map(|flags| flags.0)));
    assert_eq!(answer.peers, peers.collect::<Vec<_>>());
    assert!(answered.try_recv().is_err());
    drop(context);
    let rows = bench.rows().await;
    assert_eq!(rows.contact().outcome, ContactOutcome::ClosedByRemote, "bad manners end no contact");
    let endpoint = format!("{}:{}", rows.contact().ip, rows.contact().port);
    assert_eq!(answer.endpoint.as_deref(), Some(endpoint.as_str()));
    let requests: Vec<_> =
        rows.requests.iter().map(|row| (row.source, row.kind, row.outcome, row.peers)).collect();
    let (source, kind) = (Source::Pex, RequestKind::Pex);
    assert_eq!(
        requests,
        [(source, kind, RequestOutcome::Ok, Some(2)), (source, kind, RequestOutcome::Malformed, None)]
    );
    assert!(rows.requests.iter().all(|row| row.endpoint == endpoint && row.info_hash.0 == SWARM));
    assert!(rows.requests[0].duration_us < 10_000_000);
}

#[tokio::test]
async fn peers_are_not_asked_for_others_without_need() {
    let mut bench = Bench::new(swarm(SWARM, true));
    contact_with(&mut bench, async |mut peer: Peer| {
        peer.hears_handshake().await;
        peer.sends(&greeting(FAST, SWARM, THEIRS)).await;
        assert_eq!(asked_for(&mut peer, &mut Decoder::default(), "ut_pex").await, None);
        peer.says(&Message::Extended { id: 2, payload: named().encode() }).await;
        peer.hangs_up().await;
    })
    .await;
    assert!(bench.rows().await.requests.is_empty());
}

#[tokio::test]
async fn a_magnet_that_turns_out_private_takes_no_peers_from_peers() {
    let info = [&info()[..info().len() - 1], b"7:privatei1ee"].concat();
    let info_hash = InfoHash::of_info(&info).0;
    let mut bench = Bench::new(swarm(info_hash, false));
    let mut answered = asking(&mut bench);
    let swarm = contact_with(&mut bench, async move |mut peer: Peer| {
        peer.hears_handshake().await;
        peer.sends(&greeting(FAST, info_hash, THEIRS)).await;
        let mut decoder = Decoder::default();
        let id = asked_for(&mut peer, &mut decoder, "ut_pex").await.expect("nothing is known to be private");
        let extended = ExtendedHandshake {
            m: [("ut_metadata".to_owned(), 5)].into(),
            metadata_size: u32::try_from(info.len()).ok(),
            ..ExtendedHandshake::default()
        };
        peer.says(&Message::Extended { id: HANDSHAKE_ID, payload: extended.encode() }).await;
        let data = UtMetadata::Data { piece: 0, total_size: None, bytes: info };
        peer.says(&Message::Extended { id: 1, payload: data.encode() }).await;
        peer.says(&Message::Extended { id, payload: named().encode() }).await;
        assert_eq!(asked_for(&mut peer, &mut decoder, "ut_pex").await, None, "an ID of 0 is a refusal");
        peer.hangs_up().await;
    })
    .await;
    assert!(swarm.is_private());
    assert!(answered.try_recv().is_err());
    assert!(bench.rows().await.requests.is_empty());
}
