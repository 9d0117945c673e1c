//! How much one host or one network gets of us, whatever sources say: contacts open at once, and begun per minute.
//!
//! A source can name a victim's address with every port, in every swarm. Each turned-away peer is given the next free
//! moment of its address, so that a million of them cost as little as one. Loopback addresses are no network that could
//! be flooded, so only the limits of an address hold there.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// Contacts that may begin at once before the pace holds, as a share of a minute's.
const BURST: f64 = 1.0 / 6.0;
/// An address at its limit of open contacts is looked at again after this time.
const RECHECK: Duration = Duration::from_secs(2);
/// Addresses in use are swept of those that are idle this often.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Limits of one address or one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Contacts of ours open at once.
    pub open: u32,
    /// Contacts begun per minute.
    pub per_minute: u32,
}

impl Limit {
    /// What one address gets by default: a few peers of a seedbox, each looked at as often as one near its end is.
    pub const IP: Self = Self { open: 8, per_minute: 120 };
    /// What a /24 or a /48 gets by default.
    pub const NETWORK: Self = Self { open: 64, per_minute: 960 };
    /// No limit.
    pub const NONE: Self = Self { open: u32::MAX, per_minute: u32::MAX };

    fn per_second(self) -> f64 {
        f64::from(self.per_minute.max(1)) / 60.0
    }

    fn burst(self) -> f64 {
        (f64::from(self.per_minute) * BURST).max(1.0)
    }
}

/// The network of an address: its /24, of IPv6 its /48; `None` for this machine itself.
fn network_of(ip: IpAddr) -> Option<u64> {
    if ip.is_loopback() {
        return None;
    }
    Some(match ip {
        // The mark keeps both families apart: no /48 begins with these bits in what is ever contacted.
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8) | 1 << 63,
        IpAddr::V6(ip) => u64::try_from(ip.to_bits() >> 80).unwrap_or_default(),
    })
}

#[derive(Clone, Copy, Debug)]
struct Use {
    open: u32,
    tokens: f64,
    filled: Instant,
    /// Until when moments were given away to peers that were turned away.
    given: Instant,
}

impl Use {
    fn fill(&mut self, now: Instant, limit: Limit) {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * limit.per_second()).min(limit.burst());
        self.filled = self.filled.max(now);
    }

    /// When to come again; `None` if a contact may begin.
    fn turned_away(&mut self, now: Instant, limit: Limit) -> Option<Instant> {
        self.fill(now, limit);
        let pause = Duration::from_secs_f64(1.0 / limit.per_second());
        let pause = if self.open >= limit.open {
            pause.max(RECHECK / limit.open.max(1))
        } else if self.tokens < 1.0 - 1e-6 {
            pause
        } else {
            return None;
        };
        self.given = self.given.max(now) + pause;
        Some(self.given)
    }
}

/// What is open and was begun, by address and by network.
#[derive(Debug)]
pub(super) struct Limits {
    ip: Limit,
    network: Limit,
    ips: HashMap<IpAddr, Use>,
    networks: HashMap<u64, Use>,
    swept: Option<Instant>,
}

impl Limits {
    pub(super) fn new(ip: Limit, network: Limit) -> Self {
        Self { ip, network, ips: HashMap::new(), networks: HashMap::new(), swept: None }
    }

    /// When an address that is at a limit may be tried again; `None` if a contact may begin now.
    pub(super) fn allowed_at(&mut self, now: Instant, ip: IpAddr) -> Option<Instant> {
        if let Some(at) = self.ips.get_mut(&ip).and_then(|used| used.turned_away(now, self.ip)) {
            return Some(at);
        }
        self.networks.get_mut(&network_of(ip)?)?.turned_away(now, self.network)
    }

    /// Notes that a contact begins.
    pub(super) fn begin(&mut self, now: Instant, ip: IpAddr) {
        self.sweep(now);
        for (used, limit) in [
            Some((self.ips.entry(ip).or_insert_with(|| fresh(now, self.ip)), self.ip)),
            network_of(ip).map(|network| {
                let fresh = || fresh(now, self.network);
                (self.networks.entry(network).or_insert_with(fresh), self.network)
            }),
        ]
        .into_iter()
        .flatten()
        {
            used.fill(now, limit);
            used.open += 1;
            used.tokens -= 1.0;
        }
    }

    /// Notes that a contact has ended.
    pub(super) fn end(&mut self, ip: IpAddr) {
        let network = network_of(ip).and_then(|network| self.networks.get_mut(&network));
        for used in [self.ips.get_mut(&ip), network].into_iter().flatten() {
            used.open = used.open.saturating_sub(1);
        }
    }

    /// Forgets who is idle and has its whole pace again.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now < swept + SWEEP_EVERY) {
            return;
        }
        self.swept = Some(now);
        let keeps = |used: &mut Use, limit: Limit| {
            used.fill(now, limit);
            used.open > 0 || used.tokens < limit.burst() || used.given > now
        };
        self.ips.retain(|_, used| keeps(used, self.ip));
        self.networks.retain(|_, used| keeps(used, self.network));
    }
}

fn fresh(now: Instant, limit: Limit) -> Use {
    Use { open: 0, tokens: limit.burst(), filled: now, given: now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any moment will do to count from")]
    fn now() -> Instant {
        Instant::now()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_so_many_contacts_open() {
        let mut limits = Limits::new(Limit { open: 2, ..Limit::NONE }, Limit::NONE);
        let now = now();
        for _ in 0..2 {
            assert_eq!(limits.allowed_at(now, ip("1.2.3.4")), None);
            limits.begin(now, ip("1.2.3.4"));
        }
        assert!(limits.allowed_at(now, ip("1.2.3.4")).is_some());
        assert_eq!(limits.allowed_at(now, ip("1.2.3.5")), None);
        limits.end(ip("1.2.3.4"));
        assert_eq!(limits.allowed_at(now, ip("1.2.3.4")), None);
    }

    #[test]
    fn a_network_counts_as_one_and_loopback_as_none() {
        let mut limits = Limits::new(Limit::NONE, Limit { open: 1, ..Limit::NONE });
        let now = now();
        for (taken, same, other) in
            [("1.2.3.4", "1.2.3.200", "1.2.4.4"), ("2001:db8:1::1", "2001:db8:1:ffff::2", "2001:db8:2::1")]
        {
            limits.begin(now, ip(taken));
            assert!(limits.allowed_at(now, ip(same)).is_some());
            assert_eq!(limits.allowed_at(now, ip(other)), None);
        }
        limits.begin(now, ip("127.64.1.1"));
        assert_eq!(limits.allowed_at(now, ip("127.64.1.2")), None);
    }

    #[test]
    fn what_is_turned_away_is_spread_over_time() {
        let mut limits = Limits::new(Limit { open: 100, per_minute: 60 }, Limit::NONE);
        let start = now();
        let (mut begun, mut asked) = (0, 0);
        let mut due: Vec<Instant> = vec![start; 1000];
        // A thousand ports of one address, each asked for as often as it is told to come.
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            let (at, later): (Vec<_>, Vec<_>) = due.into_iter().partition(|at| *at <= now);
            due = later;
            for _ in at {
                asked += 1;
                if let Some(at) = limits.allowed_at(now, ip("1.2.3.4")) {
                    due.push(at);
                    continue;
                }
                limits.begin(now, ip("1.2.3.4"));
                limits.end(ip("1.2.3.4"));
                begun += 1;
            }
        }
        assert!((100..=110).contains(&begun), "{begun} in 100 s at one a second");
        assert!(asked < 1000 + 120, "{asked} questions");
    }

    #[test]
    fn who_is_idle_is_forgotten() {
        let mut limits = Limits::new(Limit::IP, Limit::NETWORK);
        let start = now();
        for host in 0..250 {
            limits.begin(start, IpAddr::from([1, 2, host, 4]));
            limits.end(IpAddr::from([1, 2, host, 4]));
        }
        limits.begin(start + Duration::from_mins(2), ip("9.9.9.9"));
        assert_eq!((limits.ips.len(), limits.networks.len()), (1, 1));
    }
}
