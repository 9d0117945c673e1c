//! The task that reads a socket: many datagrams at once, each to whom it is for; and the time for uTP.

use std::{io::ErrorKind, net::SocketAddr, ops::Range, sync::Arc, time::Duration};

use tokio::{
    net::UdpSocket,
    sync::mpsc,
    time::{sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use wire::utp::packet;

use super::{Dropped, krpc::Datagram, utp::UtpSocket};
use crate::address::AddressPolicy;

/// Room for one datagram of any length, so that none is cut: uTP would take what is left of it for all of it.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Room for those that are read before the first is looked at; its acknowledgement stands for all then.
const BATCH_BYTES: usize = 4 * DATAGRAM_BYTES_MAX;
const BATCH_DATAGRAMS_MAX: usize = 64;
/// After an error of a socket itself, so that a lasting one does not keep the processor busy.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// What reads a socket.
pub(super) struct Reader {
    socket: Arc<UdpSocket>,
    policy: Arc<AddressPolicy>,
    krpc: Option<mpsc::Sender<Datagram>>,
    utp: Option<Arc<UtpSocket>>,
    dropped: Arc<Dropped>,
    buffer: Vec<u8>,
    batch: Vec<(SocketAddr, Range<usize>)>,
}

impl Reader {
    pub fn new(
        socket: Arc<UdpSocket>,
        policy: Arc<AddressPolicy>,
        krpc: Option<mpsc::Sender<Datagram>>,
        utp: Option<Arc<UtpSocket>>,
        dropped: Arc<Dropped>,
    ) -> Self {
        let batch = Vec::with_capacity(BATCH_DATAGRAMS_MAX);
        Self { socket, policy, krpc, utp, dropped, buffer: vec![0; BATCH_BYTES], batch }
    }

    pub async fn run(mut self, ending: CancellationToken) {
        let utp = self.utp.clone();
        loop {
            let wake = utp.as_ref().and_then(|utp| utp.arm());
            let rearmed = async {
                match &utp {
                    Some(utp) => utp.rearmed().await,
                    None => std::future::pending().await,
                }
            };
            let due = async {
                match wake {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = ending.cancelled() => return,
                readable = self.socket.readable() => match readable {
                    Ok(()) => self.read().await,
                    Err(error) => self.pause(&error).await,
                },
                () = due => {}
                () = rearmed => {}
            }
            if let Some(utp) = &utp {
                let datagrams = self
                    .batch
                    .iter()
                    .filter_map(|(from, place)| Some((*from, self.buffer.get(place.clone())?)));
                utp.handle(datagrams);
                self.batch.clear();
            }
        }
    }

    /// Takes what has arrived, as far as there is room.
    async fn read(&mut self) {
        let mut filled = 0;
        while self.batch.len() < BATCH_DATAGRAMS_MAX && filled + DATAGRAM_BYTES_MAX <= BATCH_BYTES {
            let Some(room) = self.buffer.get_mut(filled..) else { return };
            let (length, from) = match self.socket.try_recv_from(room) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.pause(&error).await,
            };
            let datagram = room.get(..length).unwrap_or_default();
            if datagram.first() == Some(&b'd') {
                let taken =
                    self.krpc.as_ref().is_some_and(|krpc| krpc.try_send((from, datagram.into())).is_ok());
                if !taken {
                    self.dropped.count();
                }
            } else if self.utp.is_some()
                && packet::is_utp(datagram)
                && self.policy.check_endpoint(from).is_ok()
            {
                self.batch.push((from, filled..filled + length));
                filled += length;
            } else {
                self.dropped.count();
            }
        }
    }

    async fn pause(&self, error: &std::io::Error) {
        tracing::debug!("cannot receive over UDP: {error}");
        sleep(ERROR_PAUSE).await;
    }
}
