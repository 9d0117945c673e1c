//! Trackers for tests: a socket on a loopback address and a port of the system's choice, and what it was asked.

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

/// Longest wait for something that must happen.
const SOON: Duration = Duration::from_secs(20);

/// What must come soon.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(SOON, what).await.expect("nothing happened in 20 s")
}

/// A server that answers each request target with raw bytes, then closes.
pub struct HttpTracker {
    pub address: SocketAddr,
    /// Request targets in order, such as `/announce?info_hash=…`.
    pub asked: mpsc::Receiver<String>,
    task: tokio::task::JoinHandle<()>,
}

/// What a server does with a request.
pub enum Reply {
    /// Sends the bytes and closes.
    Bytes(Vec<u8>),
    /// Sends the bytes and keeps the connection open without a word.
    Hang(Vec<u8>),
}

impl HttpTracker {
    /// Starts a server on `ip`; `reply` says what each request target gets.
    pub async fn start(ip: &str, reply: impl Fn(SocketAddr, &str) -> Reply + Send + 'static) -> Self {
        let address = SocketAddr::new(ip.parse().unwrap(), 0);
        Self::start_at(address, reply).await.expect("no port is free")
    }

    /// Starts a server at `address`, if that is free.
    pub async fn start_at(
        address: SocketAddr,
        reply: impl Fn(SocketAddr, &str) -> Reply + Send + 'static,
    ) -> Option<Self> {
        let listener = TcpListener::bind(address).await.ok()?;
        let address = listener.local_addr().unwrap();
        let (send, asked) = mpsc::channel(1000);
        let task = tokio::spawn(async move {
            let mut hanging = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(target) = read_target(&mut stream).await else { continue };
                let reply = reply(address, &target);
                if send.send(target).await.is_err() {
                    return;
                }
                match reply {
                    Reply::Bytes(bytes) => {
                        // The client may have hung up before the last byte.
                        stream.write_all(&bytes).await.ok();
                        stream.shutdown().await.ok();
                    }
                    Reply::Hang(bytes) => {
                        stream.write_all(&bytes).await.ok();
                        hanging.push(stream);
                    }
                }
            }
        });
        Some(Self { address, asked, task })
    }

    /// The URL of a path on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request target.
    pub async fn next(&mut self) -> String {
        soon(self.asked.recv()).await.expect("the server has ended")
    }
}

impl Drop for HttpTracker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()?.split(' ').nth(1).map(ToOwned::to_owned)
}

/// An answer with that status line, further header lines and body.
pub fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A plain answer of status 200.
pub fn ok(body: &[u8]) -> Reply {
    Reply::Bytes(http("200 OK", "", body))
}
