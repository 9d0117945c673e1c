//! How many contacts begin a second, and when an address may be visited again.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::swarm::SwarmId;

/// Least time between two visits to an address in a swarm; transmission turns one away that comes back sooner.
pub const SPACING: Duration = Duration::from_secs(2);

/// A token bucket that lets a tenth of a second's contacts begin at once.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl Rate {
    pub(super) fn new(now: Instant, per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        let burst = (per_second / 10.0).max(1.0);
        Self { per_second, burst, tokens: burst, filled: now }
    }

    /// Whether a contact may begin.
    pub(super) fn is_ready(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        self.filled = self.filled.max(now);
        // The sum of many small fillings may miss a whole token by a rounding error.
        self.tokens > 1.0 - 1e-6
    }

    pub(super) fn take(&mut self) {
        self.tokens -= 1.0;
    }

    /// When the next contact may begin.
    pub(super) fn ready_at(&self) -> Instant {
        let missing = (1.0 - self.tokens).max(0.0);
        self.filled + Duration::from_secs_f64(missing / self.per_second) + Duration::from_micros(1)
    }
}

/// When each address was last visited, as long as it matters.
#[derive(Debug, Default)]
pub(super) struct Spacing {
    last: HashMap<(SwarmId, IpAddr), Instant>,
    swept: Option<Instant>,
}

impl Spacing {
    /// When the address may be visited; `None` for now.
    pub(super) fn allowed_at(&self, now: Instant, swarm: SwarmId, ip: IpAddr) -> Option<Instant> {
        let at = *self.last.get(&(swarm, ip))? + SPACING;
        (at > now).then_some(at)
    }

    /// Notes the begin or end of a visit.
    pub(super) fn note(&mut self, now: Instant, swarm: SwarmId, ip: IpAddr) {
        if self.swept.is_none_or(|swept| now >= swept + SPACING) {
            self.swept = Some(now);
            self.last.retain(|_, last| *last + SPACING > now);
        }
        self.last.insert((swarm, ip), now);
    }
}
