//! Trackers over HTTP/1.1, a connection a request (BEP 3, 23, 48).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use wire::tracker::http;

use crate::tracker::Tracker;

/// The longest request head taken, bytes.
const MAX_HEAD: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until the lab ends.
pub async fn serve(tracker: Tracker, listener: TcpListener, end: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.cancelled() => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                let tracker = tracker.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(&tracker, stream, remote).await {
                        tracing::debug!(tracker = tracker.url, %remote, %error, "request failed");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(tracker = tracker.url, %error, "cannot accept; trying again");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn answer(tracker: &Tracker, mut stream: TcpStream, remote: SocketAddr) -> io::Result<()> {
    let head = timeout(PATIENCE, read_head(&mut stream)).await??;
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (status, body) = respond(tracker, remote.ip(), path, query);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return Err(io::Error::other("the request's head is too long"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Status and body for a request.
pub fn respond(tracker: &Tracker, ip: IpAddr, path: &str, query: &str) -> (&'static str, Vec<u8>) {
    match path {
        "/announce" => match http::decode_announce_query(query) {
            Ok(announce) => match tracker.announce(ip, &announce.request) {
                Some(response) => ("200 OK", http::encode_announce(&response, tracker.compact)),
                None => ("200 OK", http::encode_failure("unregistered torrent")),
            },
            Err(error) => ("200 OK", http::encode_failure(&error.to_string())),
        },
        "/scrape" => match http::decode_scrape_query(query) {
            Ok(info_hashes) => ("200 OK", http::encode_scrape(&tracker.scrape(ip, &info_hashes))),
            Err(error) => ("200 OK", http::encode_failure(&error.to_string())),
        },
        _ => ("404 Not Found", b"no such page".to_vec()),
    }
}
