//! A unit's contacts by run and number, with those of which only observations are left.

use super::{judge::Opening, rows::Contact, unit::Unit};

/// A run and the number of a contact in it.
type Number = (u32, i64);

/// The contacts, by run and number.
#[derive(Debug, Default)]
pub struct Calls(Vec<(Number, Option<u32>)>);

impl Calls {
    /// Finds those of which a unit has the rows; those of an earlier unit are forgotten.
    pub fn find(&mut self, unit: &Unit<'_>) {
        self.0.clear();
        self.0
            .extend(unit.contacts.iter().zip(0..).map(|(row, place)| ((row.run, row.contact), Some(place))));
        if !self.0.is_sorted() {
            self.0.sort_unstable();
        }
    }

    /// Adds those of which only observations are left.
    pub fn add_lost(&mut self, unit: &Unit<'_>) {
        let numbers = unit.progress.iter().map(|row| (row.run, row.contact));
        let lost: Vec<Number> = numbers.filter(|number| self.place(*number, 0).is_none()).collect();
        self.0.extend(lost.into_iter().map(|number| (number, None)));
        self.0.sort_unstable();
        self.0.dedup();
    }

    /// A contact's place among all, which mostly is the one after `near`.
    pub fn place(&self, number: Number, near: u32) -> Option<u32> {
        let is_at = |place: u32| self.0.get(place as usize).is_some_and(|(other, _)| *other == number);
        if let Some(place) = [near, near.saturating_add(1)].into_iter().find(|place| is_at(*place)) {
            return Some(place);
        }
        let place = u32::try_from(self.0.partition_point(|(other, _)| *other < number)).ok()?;
        is_at(place).then_some(place)
    }

    /// The place in the unit of the row of the contact at a place; `None` for one that was lost.
    pub fn row(&self, place: u32) -> Option<usize> {
        Some(self.0.get(place as usize)?.1? as usize)
    }

    /// What the row of the contact at a place tells of its beginning.
    pub fn opening(&self, unit: &Unit<'_>, place: u32) -> Opening {
        let of = |row: &Contact| Opening { handshake_at: row.handshake_at, peer_id: row.peer_id };
        self.row(place).and_then(|row| unit.contacts.get(row)).map(of).unwrap_or_default()
    }
}
