//! Rows told by how they differ from the one before: in small numbers, which take few bytes.

use super::rows::{Contact, Progress, Sighting};

/// A row that can be told so. Numbers of runs and words stay as they are, and the address is not told.
pub trait Relative: Copy {
    /// How it differs from the row before.
    #[must_use]
    fn after(self, before: Self) -> Self;

    /// The row that differs so from the one before.
    #[must_use]
    fn whole(self, before: Self) -> Self;
}

impl Relative for Contact {
    fn after(self, before: Self) -> Self {
        Self {
            time: self.time.wrapping_sub(before.time),
            contact: self.contact.wrapping_sub(before.contact),
            handshake_at: self.handshake_at.map(|at| self.time.wrapping_sub(at)),
            port: self.port.wrapping_sub(before.port),
            peer_id: self.peer_id.map(|id| before.peer_id.map_or(id, |before| id.xor(before))),
            ..self
        }
    }

    fn whole(self, before: Self) -> Self {
        let time = self.time.wrapping_add(before.time);
        Self {
            time,
            contact: self.contact.wrapping_add(before.contact),
            handshake_at: self.handshake_at.map(|open_us| time.wrapping_sub(open_us)),
            port: self.port.wrapping_add(before.port),
            peer_id: self.peer_id.map(|id| before.peer_id.map_or(id, |before| id.xor(before))),
            ..self
        }
    }
}

impl Relative for Progress {
    fn after(self, before: Self) -> Self {
        Self {
            time: self.time.wrapping_sub(before.time),
            contact: self.contact.wrapping_sub(before.contact),
            port: self.port.wrapping_sub(before.port),
            ..self
        }
    }

    fn whole(self, before: Self) -> Self {
        Self {
            time: self.time.wrapping_add(before.time),
            contact: self.contact.wrapping_add(before.contact),
            port: self.port.wrapping_add(before.port),
            ..self
        }
    }
}

impl Relative for Sighting {
    fn after(self, before: Self) -> Self {
        Self { time: self.time.wrapping_sub(before.time), port: self.port.wrapping_sub(before.port), ..self }
    }

    fn whole(self, before: Self) -> Self {
        Self { time: self.time.wrapping_add(before.time), port: self.port.wrapping_add(before.port), ..self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schema::table::{ContactOutcome, ProgressKind, Source};

    use super::*;
    use crate::replay::rows::PeerId;

    fn contact() -> impl Strategy<Value = Contact> {
        let peer_id = prop::option::of(prop::collection::vec(0_u8..3, 0..22).prop_map(|id| PeerId::new(&id)));
        let times = (any::<i64>(), any::<i64>(), any::<Option<i64>>());
        let numbers = (any::<u32>(), any::<i32>(), any::<Option<u16>>(), any::<u32>());
        (
            times,
            numbers,
            peer_id,
            any::<[bool; 2]>(),
            prop::option::of(prop::sample::select(ContactOutcome::ALL)),
        )
            .prop_map(
                |((time, contact, handshake_at), (run, port, listen_port, client), peer_id, are, outcome)| {
                    let [out, shows_us] = are;
                    Contact {
                        time,
                        contact,
                        handshake_at,
                        run,
                        ip: 0,
                        port,
                        listen_port,
                        peer_id,
                        client,
                        out,
                        outcome,
                        shows_us,
                    }
                },
            )
    }

    fn progress() -> impl Strategy<Value = Progress> {
        let numbers = (any::<i64>(), any::<i64>(), any::<Option<u32>>(), any::<u32>(), any::<i32>());
        (numbers, prop::sample::select(ProgressKind::ALL), any::<[bool; 2]>()).prop_map(
            |((time, contact, pieces, run, port), kind, [out, settled])| Progress {
                time,
                contact,
                pieces,
                run,
                ip: 0,
                port,
                kind,
                out,
                settled,
            },
        )
    }

    fn sighting() -> impl Strategy<Value = Sighting> {
        let code = prop::option::of(prop::sample::select(Source::ALL));
        (any::<i64>(), any::<u32>(), any::<i32>(), any::<u32>(), code)
            .prop_map(|(time, run, port, source, code)| Sighting { time, run, ip: 0, port, source, code })
    }

    proptest! {
        #[test]
        fn what_differs_makes_the_row_again(
            contacts in [contact(), contact()],
            progress in [progress(), progress()],
            sightings in [sighting(), sighting()],
        ) {
            let [before, row] = contacts;
            prop_assert_eq!(row.after(before).whole(before), row);
            let [before, row] = progress;
            prop_assert_eq!(row.after(before).whole(before), row);
            let [before, row] = sightings;
            prop_assert_eq!(row.after(before).whole(before), row);
        }
    }
}
