//! Outgoing contacts: address policy, TCP connect, then the session.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use schema::table::{ContactOutcome, Direction, Transport};
use tokio::{
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
use crate::{schedule::Why, swarm::Swarm};

/// How long a connect may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A contact to be made.
pub struct Dial {
    /// The contact's number.
    pub contact: u64,
    /// How often the peer was contacted, this time included.
    pub attempt: u32,
    /// The swarm.
    pub swarm: Arc<Swarm>,
    /// The peer.
    pub address: SocketAddr,
    /// Ends the contact.
    pub close: oneshot::Receiver<Why>,
}

/// Makes a contact, observes the peer until the end, and writes the rows.
pub async fn dial(context: Arc<Context>, dial: Dial) {
    let Dial { contact, attempt, swarm, address, close } = dial;
    let began = context.clock.instant();
    let connected = tokio::select! {
        connected = connect(&context, address) => connected,
        () = context.cancel.cancelled() => Err(ContactOutcome::ShutdownEarly.into()),
    };
    let connect = context.clock.instant().saturating_duration_since(began);
    let contacted = Contacted {
        contact,
        address,
        direction: Direction::Out,
        transport: Transport::Tcp,
        attempt,
        connect: Some(connect),
    };
    match connected {
        Ok(stream) => {
            let now = context.clock.instant().into_std();
            let session = Session::outgoing(now, context.local(&swarm), context.settings);
            Driver::new(context, contacted, session, close, Some(swarm)).run(stream).await;
        }
        Err(ending) => contacted.log_unconnected(&context, &swarm, ending).await,
    }
}

async fn connect(context: &Context, address: SocketAddr) -> Result<TcpStream, Ending> {
    if let Err(why) = context.policy.check_endpoint(address) {
        return Err(Ending { outcome: ContactOutcome::ConnectFailed, error: Some(why.to_string()) });
    }
    let connecting = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(bind) = context.bind.iter().find(|bind| bind.is_ipv4() == address.is_ipv4()) {
            socket.bind(SocketAddr::new(*bind, 0))?;
        }
        socket.connect(address).await
    };
    match timeout(context.connect_timeout, connecting).await {
        Ok(connected) => connected.map_err(|error: io::Error| Ending::of_connect(&error)),
        Err(_elapsed) => Err(ContactOutcome::ConnectTimedOut.into()),
    }
}
