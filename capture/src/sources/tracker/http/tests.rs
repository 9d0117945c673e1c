//! HTTP trackers that answer, hang, lie and redirect.

use std::{io::Write as _, net::SocketAddr};

use flate2::{Compression, write::GzEncoder};

use super::{
    super::fake::{HttpTracker, Reply, http, ok, soon},
    *,
};

fn client(exclude: &str, request_timeout: Duration) -> HttpTrackers {
    let policy = AddressPolicy::new(true, &[exclude.parse().unwrap()]);
    HttpTrackers { request_timeout, ..HttpTrackers::new(Arc::new(policy), &[]).unwrap() }
}

async fn get(url: &str) -> Result<Vec<u8>, Trouble> {
    let client = client("192.0.2.0/24", Duration::from_secs(10));
    soon(client.get(Url::parse(url).unwrap(), Family::Ipv4)).await
}

async fn reply(reply: impl Fn(SocketAddr, &str) -> Reply + Send + 'static) -> Result<Vec<u8>, Trouble> {
    let tracker = HttpTracker::start("127.0.0.1", reply).await;
    get(&tracker.url("/announce")).await
}

fn outcome(result: Result<Vec<u8>, Trouble>) -> (RequestOutcome, String) {
    let trouble = result.expect_err("it must fail");
    (trouble.outcome, trouble.error)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_body_comes_back() {
    assert_eq!(reply(|_, _| ok(b"de")).await, Ok(b"de".to_vec()));
}

#[tokio::test]
async fn gzip_is_unpacked() {
    let packed =
        |_, _: &str| Reply::Bytes(http("200 OK", "Content-Encoding: gzip\r\n", &gzip(b"d8:intervali9ee")));
    assert_eq!(reply(packed).await, Ok(b"d8:intervali9ee".to_vec()));
}

#[tokio::test]
async fn a_gzip_bomb_is_cut_off() {
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < BODY_BYTES_MAX);
    let packed = move |_, _: &str| Reply::Bytes(http("200 OK", "Content-Encoding: gzip\r\n", &bomb));
    assert_eq!(
        outcome(reply(packed).await),
        (RequestOutcome::Malformed, "the answer is larger than 1 MiB".into())
    );
}

#[tokio::test]
async fn broken_gzip_is_malformed() {
    let packed =
        |_, _: &str| Reply::Bytes(http("200 OK", "Content-Encoding: gzip\r\n", b"this is not gzip at all"));
    assert_eq!(outcome(reply(packed).await).0, RequestOutcome::Malformed);
}

#[tokio::test]
async fn an_oversize_body_is_cut_off() {
    let big = |_, _: &str| ok(&vec![b'x'; BODY_BYTES_MAX + 1]);
    assert_eq!(
        outcome(reply(big).await),
        (RequestOutcome::Malformed, "the answer is larger than 1 MiB".into())
    );
}

#[tokio::test]
async fn a_claimed_giant_length_is_not_believed() {
    let claim =
        |_, _: &str| Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nde".to_vec());
    assert_eq!(outcome(reply(claim).await).0, RequestOutcome::ConnectionFailed);
}

#[tokio::test]
async fn a_dripping_body_ends_in_time() {
    let tracker = HttpTracker::start("127.0.0.1", |_, _| {
        Reply::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nd".to_vec())
    })
    .await;
    let client = client("192.0.2.0/24", Duration::from_millis(200));
    let url = Url::parse(&tracker.url("/announce")).unwrap();
    let result = soon(client.get(url, Family::Ipv4)).await;
    assert_eq!(outcome(result), (RequestOutcome::TimedOut, "no answer within 200ms".into()));
}

#[tokio::test]
async fn garbage_is_malformed() {
    let (what, words) = outcome(reply(|_, _| Reply::Bytes(b"\x00\x01 hello\r\n\r\n".to_vec())).await);
    assert_eq!(what, RequestOutcome::Malformed, "{words}");
}

#[tokio::test]
async fn a_connection_closed_without_a_word_failed() {
    let (what, words) = outcome(reply(|_, _| Reply::Bytes(vec![])).await);
    assert_eq!(what, RequestOutcome::ConnectionFailed, "{words}");
}

#[tokio::test]
async fn a_refused_connection_failed() {
    // Bound and not listening: nobody else gets the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (what, words) = outcome(get(&format!("http://{}/announce", socket.local_addr().unwrap())).await);
    assert_eq!(what, RequestOutcome::ConnectionFailed);
    assert!(words.contains("refused"), "{words}");
}

#[tokio::test]
async fn a_status_comes_with_the_trackers_words() {
    let plain = reply(|_, _| Reply::Bytes(http("404 Not Found", "", b"<html>"))).await;
    assert_eq!(outcome(plain), (RequestOutcome::HttpStatus, "404 Not Found".into()));
    let reason = b"d14:failure reason9:forbiddene";
    let said = reply(|_, _| Reply::Bytes(http("403 Forbidden", "", reason))).await;
    assert_eq!(outcome(said), (RequestOutcome::HttpStatus, "403 Forbidden: forbidden".into()));
}

#[tokio::test]
async fn redirects_are_followed() {
    let hops = |_, target: &str| match target {
        "/announce" => Reply::Bytes(http("302 Found", "Location: /two?x=1\r\n", b"")),
        "/two?x=1" => Reply::Bytes(http("307 Temporary Redirect", "Location: three\r\n", b"")),
        _ => ok(target.as_bytes()),
    };
    assert_eq!(reply(hops).await, Ok(b"/three".to_vec()));
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let again = |_, target: &str| {
        Reply::Bytes(http("301 Moved Permanently", &format!("Location: {target}x\r\n"), b""))
    };
    assert_eq!(outcome(reply(again).await), (RequestOutcome::HttpStatus, "more than 5 redirects".into()));
}

#[tokio::test]
async fn a_redirect_must_lead_somewhere() {
    for header in
        ["", "Location: udp://t.example:1\r\n", "Location: http://\r\n", "Location: file:///etc/passwd\r\n"]
    {
        let nowhere = move |_, _: &str| Reply::Bytes(http("302 Found", header, b""));
        assert_eq!(outcome(reply(nowhere).await).0, RequestOutcome::HttpStatus, "{header}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_refused_address_is_not_followed() {
    let client = client("127.0.0.1/32", Duration::from_secs(10));
    for host in ["127.0.0.1", "localhost", "2130706433"] {
        let mut refused = HttpTracker::start("127.0.0.1", |_, _| ok(b"reached")).await;
        let location = format!("Location: http://{host}:{}/\r\n", refused.address.port());
        let tracker =
            HttpTracker::start("127.0.0.2", move |_, _| Reply::Bytes(http("302 Found", &location, b"")))
                .await;
        let url = Url::parse(&tracker.url("/announce")).unwrap();
        let (what, words) = outcome(soon(client.get(url, Family::Ipv4)).await);
        assert_eq!(what, RequestOutcome::NotAllowed, "{host}: {words}");
        assert!(words.contains("excluded"), "{words}");
        assert!(refused.asked.try_recv().is_err(), "{host} was asked");
    }
}

#[tokio::test]
async fn a_redirect_to_another_family_is_not_followed() {
    let (what, words) =
        outcome(reply(|_, _| Reply::Bytes(http("302 Found", "Location: http://[::1]:9/\r\n", b""))).await);
    assert_eq!(what, RequestOutcome::ConnectionFailed);
    assert_eq!(words, "redirected to ::1 while asking over ipv4");
}

#[tokio::test]
async fn a_name_without_an_address_is_unresolved() {
    let (what, words) = outcome(get("http://no-such-host.invalid/announce").await);
    assert_eq!(what, RequestOutcome::Unresolved, "{words}");
}
