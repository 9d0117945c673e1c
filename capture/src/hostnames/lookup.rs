//! One reverse lookup: an address → its name, by the system's resolvers or a given one, over UDP.
//!
//! Each question goes from a port and with an ID of its own, so that a stranger would have to guess both to answer it.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use schema::table::HostnameOutcome;
use tokio::{net::UdpSocket, time::timeout};
use wire::dns::{self, Answer, DnsError};

/// How long one server may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Servers that are asked, one after the other, until one answers.
const SERVERS_MAX: usize = 3;
/// The longest name the DNS knows, as text.
const LONGEST: usize = 253;
/// The longest answer over UDP without extensions is 512 bytes; some send more.
const PACKET_MAX: usize = 4096;
/// The resolvers' port.
const PORT: u16 = 53;
/// Where the system names its resolvers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Whom to ask.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    servers: Vec<SocketAddr>,
}

/// How one server's answer went.
enum Asked {
    Told(HostnameOutcome, Option<String>),
    Next(HostnameOutcome),
}

impl Resolver {
    /// Asks `server`, or whom the system asks.
    pub fn new(server: Option<SocketAddr>) -> io::Result<Self> {
        let servers = match server {
            Some(server) => vec![server],
            None => nameservers(&fs::read_to_string(RESOLV_CONF)?),
        };
        if servers.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{RESOLV_CONF} names no server")));
        }
        Ok(Self { servers })
    }

    /// The address's name; of several the first by the alphabet, so that it stays the same.
    pub async fn name_of(&self, ip: IpAddr) -> (HostnameOutcome, Option<String>) {
        let mut last = HostnameOutcome::Failed;
        for server in &self.servers {
            match ask(*server, ip).await {
                Asked::Told(outcome, name) => return (outcome, name),
                Asked::Next(outcome) => last = outcome,
            }
        }
        (last, None)
    }
}

async fn ask(server: SocketAddr, ip: IpAddr) -> Asked {
    let id = rand::random();
    match timeout(ANSWER_TIMEOUT, exchange(server, id, ip)).await {
        Err(_) => Asked::Next(HostnameOutcome::TimedOut),
        Ok(Err(_) | Ok(Answer::Refused(_))) => Asked::Next(HostnameOutcome::Failed),
        Ok(Ok(Answer::NoName)) => Asked::Told(HostnameOutcome::NoName, None),
        Ok(Ok(Answer::Names(names))) => match names.into_iter().filter(|name| name.len() <= LONGEST).min() {
            Some(name) => Asked::Told(HostnameOutcome::Ok, Some(name)),
            None => Asked::Told(HostnameOutcome::NoName, None),
        },
    }
}

/// Sends the question and waits for the answer to it; whatever else arrives is passed over.
async fn exchange(server: SocketAddr, id: u16, ip: IpAddr) -> io::Result<Answer> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&dns::question(id, ip)).await?;
    let mut packet = vec![0; PACKET_MAX];
    loop {
        let length = socket.recv(&mut packet).await?;
        match dns::answer(packet.get(..length).unwrap_or_default(), id, ip) {
            Ok(answer) => return Ok(answer),
            Err(DnsError::NotOurs) => {}
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}

/// The `nameserver` lines of a `resolv.conf`.
fn nameservers(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        // A zone after `%` would need an interface's number; such a line is rare and passed over.
        (words.next()? == "nameserver").then(|| words.next()?.parse::<IpAddr>().ok()).flatten()
    });
    addresses.map(|ip| SocketAddr::new(ip, PORT)).take(SERVERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_servers_are_read() {
        let text = "# made\nsearch example.net\nnameserver 192.0.2.53\n nameserver  2001:db8::53 # second\noptions edns0\n\
                    nameserver fe80::1%eth0\nnameserver x\nnameserver 192.0.2.54\nnameserver 192.0.2.55\n";
        let texts: Vec<String> = nameservers(text).iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["192.0.2.53:53", "[2001:db8::53]:53", "192.0.2.54:53"]);
        assert!(nameservers("").is_empty());
    }
}
