//! A multicast group: one socket that is joined on every interface, and sends from each of them.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{net::UdpSocket, time::sleep};

use crate::address::AddressPolicy;

/// After an error of the socket itself, so that a lasting one does not keep the processor busy.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// A network we stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// Our address in it.
    pub ip: IpAddr,
    /// Its number; 0 where the system tells none.
    pub index: u32,
}

/// The interfaces of the group's family whose address may be contacted; of `chosen`, if there are any.
pub(super) fn interfaces(group: SocketAddr, policy: &AddressPolicy, chosen: &[IpAddr]) -> Vec<Interface> {
    let all = match if_addrs::get_if_addrs() {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!("cannot list the network interfaces: {error}");
            return Vec::new();
        }
    };
    let all = all.into_iter().map(|one| Interface { ip: one.ip(), index: one.index.unwrap_or_default() });
    let usable = all.filter(|one| {
        one.ip.is_ipv4() == group.is_ipv4()
            && is_reachable(one.ip)
            && policy.check(one.ip).is_ok()
            && (chosen.is_empty() || chosen.contains(&one.ip))
    });
    let mut interfaces: Vec<Interface> = Vec::new();
    for one in usable {
        if one.index == 0 || interfaces.iter().all(|other| other.index != one.index) {
            interfaces.push(one);
        }
    }
    interfaces
}

/// Whether an address is enough to connect: one valid on a link only needs to be told which.
pub(super) fn is_reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    }
}

/// A group's socket.
pub(super) struct Group {
    pub address: SocketAddr,
    pub interfaces: Vec<Interface>,
    socket: UdpSocket,
}

impl Group {
    /// Joins a group on interfaces; `None` if it could be joined on none.
    pub fn open(address: SocketAddr, interfaces: &[Interface]) -> io::Result<Option<Self>> {
        if interfaces.is_empty() {
            return Ok(None);
        }
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        // Other clients of this machine listen on the same port.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Bound to the group, the socket hears nothing that is sent to us alone, from anywhere.
        socket.bind(&address.into())?;
        let mut joined = Vec::new();
        for interface in interfaces {
            let join = match (address.ip(), interface.ip) {
                (IpAddr::V4(group), IpAddr::V4(ip)) => socket.join_multicast_v4(&group, &ip),
                (IpAddr::V6(group), _) => socket.join_multicast_v6(&group, interface.index),
                _ => continue,
            };
            match join {
                Ok(()) => joined.push(*interface),
                Err(error) => tracing::debug!("cannot join {address} from {}: {error}", interface.ip),
            }
        }
        if joined.is_empty() {
            return Ok(None);
        }
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Some(Self { address, interfaces: joined, socket }))
    }

    /// Sends from an interface, to its own network only.
    pub async fn send(&self, interface: Interface, datagram: &[u8]) -> io::Result<()> {
        let socket = SockRef::from(&self.socket);
        match interface.ip {
            IpAddr::V4(ip) => socket.set_multicast_if_v4(&ip)?,
            IpAddr::V6(_) => socket.set_multicast_if_v6(interface.index)?,
        }
        self.socket.send_to(datagram, self.address).await.map(drop)
    }

    /// The next datagram's length, and who sent it.
    pub async fn receive(&self, buffer: &mut [u8]) -> (usize, SocketAddr) {
        loop {
            match self.socket.recv_from(buffer).await {
                Ok((length, from)) if from.ip() != IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
                    return (length, from);
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!("cannot receive from {}: {error}", self.address);
                    sleep(ERROR_PAUSE).await;
                }
            }
        }
    }
}
