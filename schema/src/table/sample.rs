//! Arbitrary rows for the property tests: every type draws a value of its own, and `define_table!` draws rows.

use std::net::IpAddr;

use proptest::prelude::*;

use crate::{
    table::{Address, Contact, Event, Gauge, Hostname, Progress, Request, Row, Run, Sighting, Torrent},
    value::{InfoHash, InfoHashV2, PeerId, Reserved, Timestamp},
};

/// Any row of any table; times within three days.
pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    any::<u64>().prop_map(|seed| {
        let mut draw = Draw(seed);
        let time = Timestamp(1_767_225_600_000_000 + i64::try_from(draw.below(3 * 86_400_000_000)).unwrap());
        let row = match draw.below(9) {
            0 => Contact::sample(&mut draw).into(),
            1 => Gauge::sample(&mut draw).into(),
            2 => Hostname::sample(&mut draw).into(),
            3 => Progress::sample(&mut draw).into(),
            4 => Request::sample(&mut draw).into(),
            5 => Run::sample(&mut draw).into(),
            6 => Sighting::sample(&mut draw).into(),
            7 => Address::sample(&mut draw).into(),
            _ => Row::from(Torrent::sample(&mut draw)),
        };
        Event { time, row }
    })
}

/// Numbers drawn from a seed (splitmix64).
pub(crate) struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[0])
    }
}

/// A type that an arbitrary value can be drawn of.
pub(crate) trait Sample {
    fn sample(draw: &mut Draw) -> Self;
}

impl<T: Sample> Sample for Option<T> {
    fn sample(draw: &mut Draw) -> Self {
        (draw.below(3) > 0).then(|| T::sample(draw))
    }
}

impl Sample for bool {
    fn sample(draw: &mut Draw) -> Self {
        draw.below(2) == 1
    }
}

impl Sample for u8 {
    fn sample(draw: &mut Draw) -> Self {
        draw.bytes::<1>()[0]
    }
}

impl Sample for u16 {
    fn sample(draw: &mut Draw) -> Self {
        Self::from_le_bytes(draw.bytes())
    }
}

impl Sample for u32 {
    fn sample(draw: &mut Draw) -> Self {
        Self::from_le_bytes(draw.bytes())
    }
}

impl Sample for u64 {
    /// Up to what a signed column holds.
    fn sample(draw: &mut Draw) -> Self {
        let shift = draw.below(63);
        draw.next() >> 1 >> shift
    }
}

impl Sample for String {
    fn sample(draw: &mut Draw) -> Self {
        const CHARS: [char; 6] = ['a', 'Z', '0', '"', 'é', '\u{0}'];
        let length = draw.below(12);
        (0..length).map(|_| CHARS[usize::try_from(draw.below(6)).unwrap()]).collect()
    }
}

impl Sample for Vec<String> {
    fn sample(draw: &mut Draw) -> Self {
        (0..draw.below(4)).map(|_| String::sample(draw)).collect()
    }
}

impl Sample for Vec<u8> {
    fn sample(draw: &mut Draw) -> Self {
        (0..draw.below(40)).map(|_| u8::sample(draw)).collect()
    }
}

impl Sample for IpAddr {
    fn sample(draw: &mut Draw) -> Self {
        let ip =
            if draw.below(2) == 0 { Self::from(draw.bytes::<4>()) } else { Self::from(draw.bytes::<16>()) };
        ip.to_canonical()
    }
}

impl Sample for InfoHash {
    /// Few, so that rows share one.
    fn sample(draw: &mut Draw) -> Self {
        Self([draw.bytes::<1>()[0] & 0x83; 20])
    }
}

impl Sample for InfoHashV2 {
    fn sample(draw: &mut Draw) -> Self {
        Self(draw.bytes())
    }
}

impl Sample for PeerId {
    fn sample(draw: &mut Draw) -> Self {
        Self(draw.bytes())
    }
}

impl Sample for Reserved {
    fn sample(draw: &mut Draw) -> Self {
        Self(draw.next())
    }
}
