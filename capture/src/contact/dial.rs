//! Outgoing contacts: address policy, a byte stream over the rung's transport, then the session.

use std::{future::ready, io, net::SocketAddr, sync::Arc, time::Duration};

use schema::table::{ContactOutcome, Direction, Transport};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
    sync::oneshot,
    time::timeout,
};
use wire::peer::session::Session;

use super::{
    Context,
    outcome::Ending,
    session::{Contacted, Driver},
};
use crate::{
    schedule::{Rung, Why},
    swarm::Swarm,
};

/// How long a connect may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A contact to be made.
pub struct Dial {
    /// The contact's number.
    pub contact: u64,
    /// How often the peer was contacted, this time included.
    pub attempt: u32,
    /// The way to the peer.
    pub rung: Rung,
    /// The swarm.
    pub swarm: Arc<Swarm>,
    /// The peer.
    pub address: SocketAddr,
    /// Ends the contact.
    pub close: oneshot::Receiver<Why>,
}

/// Makes a contact, observes the peer until the end, and writes the rows.
pub async fn dial(context: Arc<Context>, dial: Dial) {
    if let Err(why) = context.policy.check_endpoint(dial.address) {
        let failed = Ending { outcome: ContactOutcome::ConnectFailed, error: Some(why.to_string()) };
        return observe::<TcpStream>(&context, dial, ready(Err(failed))).await;
    }
    match dial.rung.transport {
        Transport::Tcp => {
            let connecting = connect_tcp(&context, dial.address);
            observe(&context, dial, connecting).await;
        }
        Transport::Utp => {
            let address = dial.address;
            let connecting =
                async { context.utp.connect(address).await.map_err(|error| Ending::of_connect(&error)) };
            observe(&context, dial, connecting).await;
        }
    }
}

/// Goes on with whatever byte stream `connecting` makes.
async fn observe<S: AsyncRead + AsyncWrite + Unpin>(
    context: &Arc<Context>,
    dial: Dial,
    connecting: impl Future<Output = Result<S, Ending>>,
) {
    let Dial { contact, attempt, rung, swarm, address, close } = dial;
    let began = context.clock.instant();
    let connected = tokio::select! {
        connected = timeout(context.connect_timeout, connecting) =>
            connected.unwrap_or_else(|_elapsed| Err(ContactOutcome::ConnectTimedOut.into())),
        () = context.cancel.cancelled() => Err(ContactOutcome::ShutdownEarly.into()),
    };
    let connect = context.clock.instant().saturating_duration_since(began);
    let contacted =
        Contacted { contact, address, direction: Direction::Out, rung, attempt, connect: Some(connect) };
    match connected {
        Ok(stream) => {
            let now = context.clock.instant().into_std();
            let session = Session::outgoing(now, context.local(&swarm), context.settings);
            Driver::new(Arc::clone(context), contacted, session, close, Some(swarm)).run(stream).await;
        }
        Err(ending) => {
            use ContactOutcome::{ConnectTimedOut, Refused, Unreachable};
            if matches!(ending.outcome, ConnectTimedOut | Refused | Unreachable) {
                context.introductions.failed(swarm.id, address);
            }
            contacted.log_unconnected(context, &swarm, ending).await;
        }
    }
}

async fn connect_tcp(context: &Context, address: SocketAddr) -> Result<TcpStream, Ending> {
    let connecting = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(bind) = context.bind.iter().find(|bind| bind.is_ipv4() == address.is_ipv4()) {
            socket.bind(SocketAddr::new(*bind, 0))?;
        }
        socket.connect(address).await
    };
    connecting.await.map_err(|error: io::Error| Ending::of_connect(&error))
}
