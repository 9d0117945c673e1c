//! What a visit is worth: the share of visits of its kind that brought a confirmed download nearer, as seen so far.
//!
//! Under a budget too small for the swarm, only the kinds worth most are served, so that every contact brings as many
//! confirmed downloads as it can; with places to spare, all are.

use super::plan::Class;

/// Half of a confirmed download: the other half is the visit that sees the peer past the threshold.
const BELOW_IS_WORTH: f32 = 0.5;
/// Once there is so much evidence, half of it is forgotten: swarms change.
const EVIDENCE_MAX: f32 = 400.0;
/// One visit in so many goes to a kind worth less, so that what is known of it stays true.
const EXPLORE_EVERY: u32 = 16;

#[derive(Clone, Copy, Debug)]
struct Record {
    visits: f32,
    won: f32,
}

/// What visits of each kind brought.
#[derive(Debug)]
pub(super) struct Worth {
    records: [Record; Class::ALL.len()],
    choices: u32,
}

impl Default for Worth {
    fn default() -> Self {
        Self {
            records: Class::ALL.map(|class| {
                let (visits, won) = class.expectation();
                Record { visits, won }
            }),
            choices: 0,
        }
    }
}

impl Worth {
    /// A visit of this kind is over: whether it showed a peer below the threshold that was not known, or one that had
    /// crossed it.
    pub(super) fn note(&mut self, class: Class, found_below: bool, found_crossing: bool) {
        let Some(record) = self.records.get_mut(class as usize) else { return };
        record.visits += 1.0;
        if found_crossing {
            record.won += 1.0;
        } else if found_below && class.is_first() {
            record.won += BELOW_IS_WORTH;
        }
        if record.visits > EVIDENCE_MAX {
            record.visits /= 2.0;
            record.won /= 2.0;
        }
    }

    /// The kind to serve next, among those that wait.
    pub(super) fn choose(&mut self, waits: impl Fn(Class) -> bool) -> Option<Class> {
        self.choices = self.choices.wrapping_add(1);
        if self.choices.is_multiple_of(EXPLORE_EVERY) {
            let kinds = Class::ALL.len();
            let first = usize::try_from(self.choices / EXPLORE_EVERY).unwrap_or_default() % kinds;
            return Class::ALL.into_iter().cycle().skip(first).take(kinds).find(|class| waits(*class));
        }
        let value =
            |class: Class| self.records.get(class as usize).map_or(0.0, |record| record.won / record.visits);
        let waiting = Class::ALL.into_iter().filter(|class| waits(*class));
        waiting.max_by(|one, other| value(*one).total_cmp(&value(*other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(worth: &mut Worth, waiting: &[Class]) -> Class {
        let mut counts = Class::ALL.map(|class| (0, class));
        for _ in 0..100 {
            let class = worth.choose(|class| waiting.contains(&class)).expect("some wait");
            counts[class as usize].0 += 1;
        }
        counts.into_iter().max_by_key(|(count, _)| *count).expect("kinds").1
    }

    #[test]
    fn who_should_have_crossed_comes_first_and_seeders_last() {
        let mut worth = Worth::default();
        assert_eq!(served(&mut worth, &Class::ALL), Class::Crossed);
        assert_eq!(served(&mut worth, &[Class::Complete, Class::Tracker, Class::Retry]), Class::Tracker);
        assert_eq!(served(&mut worth, &[Class::Complete, Class::Seed]), Class::Seed);
        assert_eq!(worth.choose(|_| false), None);
    }

    #[test]
    fn a_source_that_names_nobody_loses_its_turn() {
        let mut worth = Worth::default();
        for visit in 0..200 {
            worth.note(Class::Tracker, false, false);
            worth.note(Class::Dht, visit % 3 == 0, false);
        }
        assert_eq!(served(&mut worth, &[Class::Tracker, Class::Dht]), Class::Dht);
    }

    #[test]
    fn no_kind_is_starved_for_ever() {
        let mut worth = Worth::default();
        let complete = (0..1000)
            .filter(|_| {
                worth.choose(|class| matches!(class, Class::Crossed | Class::Complete))
                    == Some(Class::Complete)
            })
            .count();
        assert!((5..100).contains(&complete), "{complete}");
    }
}
