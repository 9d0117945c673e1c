//! Reverse lookups: their pace, what is kept, what is written.

use std::sync::{Mutex, PoisonError};

use tokio::{net::UdpSocket, task::JoinHandle, time::timeout};

use super::*;

/// What the tests' server answers to the reverse name of an address.
#[derive(Clone, Copy)]
enum Answer {
    Name(&'static str),
    NxDomain,
    Refused,
    Silence,
}

/// A server of the DNS on loopback that keeps the names it was asked for.
struct Server {
    address: SocketAddr,
    questions: Arc<Mutex<Vec<String>>>,
    _task: JoinHandle<()>,
}

/// The question's name, dotted.
fn name(packet: &[u8]) -> String {
    let (mut name, mut at) = (String::new(), 12);
    while packet[at] != 0 {
        let length = usize::from(packet[at]);
        name += str::from_utf8(&packet[at + 1..=at + length]).unwrap();
        name.push('.');
        at += length + 1;
    }
    name
}

/// The question as a response with a code and, where there is one, a name.
fn reply(question: &[u8], code: u8, host: Option<&str>) -> Vec<u8> {
    let mut packet = question.to_vec();
    (packet[2], packet[3]) = (0x81, 0x80 | code);
    let Some(host) = host else { return packet };
    packet[7] = 1;
    let labels: Vec<u8> = host
        .split('.')
        .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat())
        .collect();
    packet.extend([0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, u8::try_from(labels.len() + 1).unwrap()]);
    packet.extend(labels);
    packet.push(0);
    packet
}

impl Server {
    async fn start(answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let questions = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&questions);
        let task = tokio::spawn(async move {
            let mut packet = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let name = name(&packet);
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
                let question = &packet[..length];
                let reply = match answer(&name) {
                    Answer::Silence => continue,
                    Answer::NxDomain => reply(question, 3, None),
                    Answer::Refused => reply(question, 5, None),
                    Answer::Name(host) => reply(question, 0, Some(host)),
                };
                // What comes first is to another question, as a forger would send it.
                let mut forged = reply.clone();
                forged[0] ^= 0x55;
                socket.send_to(&forged, from).await.unwrap();
                socket.send_to(&reply, from).await.unwrap();
            }
        });
        Self { address, questions, _task: task }
    }

    fn questions(&self) -> Vec<String> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Lookups under way, and their rows.
struct Lookups {
    offers: Offers,
    rows: mpsc::Receiver<Hostname>,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

fn start(server: Option<SocketAddr>, policy: AddressPolicy) -> Lookups {
    let (offers, offered) = channel();
    let (sender, rows) = mpsc::channel(64);
    let ending = CancellationToken::new();
    let setup = Setup {
        policy: Arc::new(policy),
        clock: Clock::start(),
        per_second: 1_000,
        server,
        ending: ending.clone(),
    };
    let rows_to = move |event: Event| {
        let sender = sender.clone();
        async move {
            if let Row::Hostname(row) = event.row {
                sender.send(row).await.ok();
            }
        }
    };
    let task = tokio::spawn(run(setup, offers.clone(), offered, rows_to));
    Lookups { offers, rows, ending, task }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Lookups {
    async fn row(&mut self) -> (String, HostnameOutcome, Option<String>) {
        let row = timeout(Duration::from_secs(20), self.rows.recv()).await.unwrap().unwrap();
        (row.ip.to_string(), row.outcome, row.hostname)
    }
}

#[tokio::test]
async fn names_failures_and_absences_are_told_apart() {
    let server = Server::start(|name| match name {
        "8.8.8.8.in-addr.arpa." => Answer::Name("DNS.Google"),
        "1.1.1.1.in-addr.arpa." => Answer::NxDomain,
        name if name.ends_with("ip6.arpa.") => Answer::Name("six.example.net"),
        _ => Answer::Refused,
    })
    .await;
    let mut lookups = start(Some(server.address), AddressPolicy::default());
    let mut rows = Vec::new();
    for text in ["8.8.8.8", "1.1.1.1", "2001:4860:4860::8888", "9.9.9.9"] {
        lookups.offers.offer(ip(text));
        rows.push(lookups.row().await);
    }
    let row = |ip: &str, outcome, name: Option<&str>| (ip.to_owned(), outcome, name.map(str::to_owned));
    assert_eq!(
        rows,
        [
            row("8.8.8.8", HostnameOutcome::Ok, Some("dns.google")),
            row("1.1.1.1", HostnameOutcome::NoName, None),
            row("2001:4860:4860::8888", HostnameOutcome::Ok, Some("six.example.net")),
            row("9.9.9.9", HostnameOutcome::Failed, None),
        ]
    );
}

#[tokio::test]
async fn an_address_is_asked_once_and_a_private_one_never() {
    let server = Server::start(|_| Answer::Name("host.example.net")).await;
    // A lab's policy allows private addresses; the names of such are nobody's business still.
    let excluded = "198.41.0.0/24".parse().unwrap();
    let mut lookups = start(Some(server.address), AddressPolicy::new(true, &[excluded]));
    for text in
        ["127.0.0.1", "10.0.0.1", "::1", "fe80::1", "198.41.0.4", "8.8.8.8", "::ffff:8.8.8.8", "8.8.8.8"]
    {
        lookups.offers.offer(ip(text));
    }
    lookups.offers.offer(ip("8.8.4.4"));
    assert_eq!(lookups.row().await.0, "8.8.8.8");
    assert_eq!(lookups.row().await.0, "8.8.4.4");
    let mut questions = server.questions();
    questions.sort();
    assert_eq!(questions, ["4.4.8.8.in-addr.arpa.", "8.8.8.8.in-addr.arpa."]);
    assert!(lookups.rows.try_recv().is_err());
}

#[tokio::test]
async fn the_end_of_the_run_does_not_wait_for_the_resolver() {
    let server = Server::start(|_| Answer::Silence).await;
    let lookups = start(Some(server.address), AddressPolicy::default());
    lookups.offers.offer(ip("8.8.8.8"));
    while server.questions().is_empty() {
        tokio::task::yield_now().await;
    }
    lookups.ending.cancel();
    timeout(Duration::from_secs(2), lookups.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failure() {
    // A port that was just free: nobody listens there.
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut lookups = start(Some(closed), AddressPolicy::default());
    lookups.offers.offer(ip("8.8.8.8"));
    let (_, outcome, name) = lookups.row().await;
    assert!(matches!(outcome, HostnameOutcome::Failed | HostnameOutcome::TimedOut), "{outcome:?}");
    assert_eq!(name, None);
}

#[test]
fn an_address_is_asked_again_after_a_day() {
    let now = Clock::start().instant();
    let mut queue = Queue::new(Arc::default());
    let address = ip("8.8.8.8");
    queue.offer(address, now);
    queue.offer(address, now + ASK_AGAIN / 2);
    assert_eq!(queue.waiting.len(), 1);
    queue.offer(address, now + ASK_AGAIN);
    assert_eq!(queue.waiting.len(), 2);
}

#[test]
fn millions_of_addresses_find_a_bounded_place() {
    let now = Clock::start().instant();
    let mut queue = Queue::new(Arc::default());
    for number in 0..300_000_u32 {
        queue.offer(IpAddr::from((0x0800_0000 + number).to_be_bytes()), now);
    }
    assert_eq!(queue.waiting.len(), WAITING_MAX);
    assert_eq!(queue.dropped, 300_000 - WAITING_MAX as u64);
    assert!(queue.asked.len() <= ASKED_MAX && queue.oldest.len() <= ASKED_MAX);
}

#[test]
fn a_silent_resolver_rests_ever_longer() {
    let now = Clock::start().instant();
    let mut rest = Rest::default();
    let mut pauses = Vec::new();
    for _ in 0..10 * SILENT_MAX {
        if let Some(pause) = rest.heard(HostnameOutcome::TimedOut, now) {
            pauses.push(pause.as_secs());
            rest.until = None;
        }
    }
    assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    assert_eq!(rest.heard(HostnameOutcome::NoName, now), None);
    assert_eq!((rest.silent, rest.rests), (0, 0));
}
