//! A peer's download: which piece it has when, fixed in advance.

use std::time::Duration;

use rand::{RngExt, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::profile::{Hostile, Role};

/// Pieces a peer needs to count as having downloaded: 0.98 of them, rounded up.
pub const fn threshold_pieces(piece_count: u32) -> u32 {
    piece_count - piece_count / 50
}

/// Which pieces a peer has when. Times are offsets from the lab's start, in ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// All pieces of the torrent, in the order in which the peer gets them.
    order: Vec<u32>,
    /// How many of them it has from the start.
    initial: u32,
    /// When it gets each further one; ascending, and shorter than the rest of `order` for a peer that stops before.
    arrivals_ms: Vec<u32>,
}

impl Schedule {
    /// Draws the download of a peer that joins at `joins` in a lab of this length.
    pub fn draw(
        role: Role,
        piece_count: u32,
        joins: Duration,
        length: Duration,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let mut order: Vec<u32> = (0..piece_count).collect();
        order.shuffle(rng);
        let initial = share_of(piece_count, initial_share(role, rng));
        let arrivals_ms = if role.downloads() {
            let room = length.saturating_sub(joins);
            let earliest = length.mul_f64(0.2).min(room.mul_f64(0.6));
            // Who goes after finishing needs time to come back.
            let ends = if role == Role::Rejoins { 0.75 } else { 0.93 };
            let latest = length.mul_f64(ends).saturating_sub(joins);
            let earliest = earliest.min(latest);
            let takes = match role {
                Role::Slow => room.mul_f64(rng.random_range(1.3..4.0)),
                _ => earliest + latest.saturating_sub(earliest).mul_f64(rng.random()),
            };
            draw_arrivals(piece_count.saturating_sub(initial), joins, takes, rng)
        } else {
            Vec::new()
        };
        Self { order, initial, arrivals_ms }
    }

    /// Everything from the start.
    pub fn complete(piece_count: u32) -> Self {
        Self { order: (0..piece_count).collect(), initial: piece_count, arrivals_ms: Vec::new() }
    }

    /// A download without chance: pieces in their own order, the first so many from the start.
    pub fn fixed(piece_count: u32, initial: u32, arrivals_ms: Vec<u32>) -> Self {
        Self { order: (0..piece_count).collect(), initial, arrivals_ms }
    }

    /// Stops the download from–to; what comes later is sped up, so that it ends when it would have ended.
    pub fn pause(&mut self, from: Duration, to: Duration) {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let (from, to) = (ms(from), ms(to));
        let last = self.arrivals_ms.last().copied().unwrap_or(from);
        for at in self.arrivals_ms.iter_mut().filter(|at| **at >= from) {
            let share = f64::from(*at - from) / f64::from((last - from).max(1));
            *at = to + share_of(last.saturating_sub(to), share);
        }
    }

    /// Pieces it has at this time.
    pub fn count_at(&self, time: Duration) -> u32 {
        let ms = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        self.initial + u32::try_from(self.arrivals_ms.partition_point(|at| *at <= ms)).unwrap_or(0)
    }

    /// When it has this many; `None` if it never gets so far, or has them from the start.
    pub fn time_of(&self, count: u32) -> Option<Duration> {
        let index = count.checked_sub(self.initial)?.checked_sub(1)?;
        let ms = self.arrivals_ms.get(usize::try_from(index).ok()?)?;
        Some(Duration::from_millis(u64::from(*ms)))
    }

    /// When it crosses the threshold.
    pub fn crosses(&self) -> Option<Duration> {
        self.time_of(threshold_pieces(self.piece_count()))
    }

    /// Pieces of the torrent.
    pub fn piece_count(&self) -> u32 {
        u32::try_from(self.order.len()).unwrap_or(u32::MAX)
    }

    /// Pieces it joins with.
    pub const fn initial(&self) -> u32 {
        self.initial
    }

    /// The pieces from the `from`-th to before the `to`-th, in the order in which it gets them.
    pub fn pieces(&self, from: u32, to: u32) -> &[u32] {
        let bound = |count| usize::try_from(count).unwrap_or(usize::MAX);
        self.order.get(bound(from)..bound(to)).unwrap_or(&[])
    }
}

fn share_of(whole: u32, share: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32 is a u32")]
    let part = (f64::from(whole) * share.clamp(0.0, 1.0)).floor() as u32;
    part
}

fn initial_share(role: Role, rng: &mut ChaCha8Rng) -> f64 {
    match role {
        Role::Blackhole | Role::Unresponsive => 0.0,
        Role::Hostile(Hostile::Backwards) => 0.6,
        Role::Hostile(Hostile::Leaps) => 0.1,
        Role::Hostile(_) | Role::Seeder | Role::SuperSeeder => 1.0,
        Role::PartialSeed => rng.random_range(0.3..0.9),
        Role::Crashes
        | Role::Leaves
        | Role::Moves
        | Role::Neighbours
        | Role::Rejoins
        | Role::Restarts
        | Role::Slow
        | Role::Stays => match rng.random_range(0..20) {
            0..=10 => 0.0,
            11..=17 => rng.random_range(0.05..0.8),
            _ => rng.random_range(0.8..0.93),
        },
    }
}

/// Uneven steps that together take `takes`, for one peer in five with a pause somewhere.
fn draw_arrivals(pieces: u32, joins: Duration, takes: Duration, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut weights: Vec<f64> = (0..pieces).map(|_| rng.random_range(0.4..1.6)).collect();
    let total: f64 = weights.iter().sum();
    if pieces > 1 && rng.random_bool(0.2) {
        let stalled = rng.random_range(0..weights.len());
        if let Some(weight) = weights.get_mut(stalled) {
            *weight += total * 0.15;
        }
    }
    let total: f64 = weights.iter().sum();
    let mut done = 0.0;
    weights
        .iter()
        .map(|weight| {
            done += weight;
            let at = joins + takes.mul_f64((done / total).min(1.0));
            u32::try_from(at.as_millis()).unwrap_or(u32::MAX)
        })
        .collect()
}
