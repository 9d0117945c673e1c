//! Peers that stand still shortly before the threshold, and leave soon after it.

use schema::table::ContactOutcome;

use super::*;

/// Transmission with a download limit: it tells of pieces in batches ten seconds apart, stands still for a while before
/// its last pieces, and leaves six seconds after its completion.
struct StandsStill {
    from: f64,
    pieces: u32,
    for_s: f64,
    /// Pieces a second.
    speed: f64,
}

impl StandsStill {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and all pieces")]
    fn pieces_at(&self, second: f64) -> u32 {
        let before = f64::from(self.pieces) - (self.from - second).max(0.0) * self.speed;
        let after = (second - self.from - self.for_s).max(0.0) * self.speed;
        (before + after).clamp(0.0, f64::from(COUNT)) as u32
    }

    fn leaves_at(&self) -> f64 {
        self.from + self.for_s + f64::from(COUNT - self.pieces) / self.speed + 6.0
    }

    /// Whether a schedule sees it cross before it leaves.
    fn is_seen_to_cross(&self, world: &mut World) -> bool {
        const ID: [u8; 20] = *b"-TR3000-abcdefghijkl";
        world.meet(1, 1);
        let mut contact = None;
        while (world.now - world.start).as_secs_f64() < self.leaves_at() {
            while let Some(action) = world.next() {
                match action {
                    Action::Dial { contact: number, .. } => {
                        world.schedule.handshake(number, &ID);
                        contact = Some((number, world.now, 0, false));
                    }
                    Action::Close { contact: number, .. } => {
                        contact = None;
                        world.ends(number, ContactOutcome::VisitDone);
                    }
                }
            }
            world.now += Duration::from_millis(50);
            let Some((number, since, told, settled)) = &mut contact else { continue };
            let (age, pieces) = (world.now - *since, self.pieces_at((world.now - world.start).as_secs_f64()));
            if *told == 0 && age >= Duration::from_millis(1800) {
                *told = pieces;
                world.schedule.claimed(world.now, *number, Some(pieces), Some(COUNT));
            } else if !*settled && age >= Duration::from_millis(3800) {
                *settled = true;
                world.schedule.observed(world.now, *number, seen(*told, true, true));
                world.schedule.settled(world.now, *number);
            } else if age.as_millis() % 10_000 == 0 && pieces > *told {
                *told = pieces;
                world.schedule.observed(world.now, *number, seen(pieces, false, false));
            }
            if world.schedule.counts().crossings > 0 {
                return true;
            }
            let hurried = world.schedule.open.get(number).is_some_and(|open| open.hurried);
            if hurried && !*settled {
                let early = Seen { settled: false, ..seen(*told, true, true) };
                world.schedule.observed(world.now, *number, early);
            }
        }
        false
    }
}

#[test]
fn who_stands_still_before_the_threshold_and_leaves_soon_after_is_seen_to_cross() {
    let mut missed = Vec::new();
    for pieces in [840, 875, 900, 940, 970, 979] {
        for for_s in [0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0] {
            for speed in [20.0, 25.0, 33.0] {
                for from in [20.0, 31.0, 37.0, 43.0] {
                    let peer = StandsStill { from, pieces, for_s, speed };
                    if !peer.is_seen_to_cross(&mut World::new(pacing())) {
                        missed.push((pieces, for_s, speed, from));
                    }
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} of 576 missed: {missed:?}", missed.len());
}
