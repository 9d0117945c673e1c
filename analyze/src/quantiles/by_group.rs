//! Numbers at ranks of each of many groups, whose numbers are read once, and again where a group has too many to be listed.
//!
//! Most groups belong to a chapter, such as a torrent, whose numbers come next to one another: once the next chapter begins,
//! only what was found is kept. Others get numbers until the end, such as a country's in all torrents.

use std::collections::BTreeMap;

use super::{Number, Sought, Spread};

/// Numbers of a chapter that are listed.
const LISTED: usize = 65_536;

/// Numbers of a group that are listed where other groups have many.
const LISTED_OF_GROUP: usize = 1_024;

/// A group: its chapter if it has one, and which it is.
pub type Group<A, B> = (Option<A>, B);

/// What is given numbers.
pub type Take<'a, A, B, T> = dyn FnMut(Group<A, B>, Vec<T>) + 'a;

/// What was found of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<T> {
    /// How many numbers it has.
    pub count: u64,
    /// Those at the ranks that were asked for; one beyond the last number is left out.
    pub values: Vec<T>,
}

/// The numbers of each group at the ranks that `ranks` tells of a group and how many numbers it has. `read` gives all
/// numbers to what it is given, the same ones each time, those of one chapter after the other.
pub fn at_ranks<A: Ord + Clone, B: Ord + Clone, T: Number, E>(
    ranks: impl Fn(&B, u64) -> Vec<u64>,
    mut read: impl FnMut(&mut Take<'_, A, B, T>) -> Result<(), E>,
) -> Result<BTreeMap<Group<A, B>, Found<T>>, E> {
    let mut first = First {
        ranks,
        chapter: None,
        of_chapter: BTreeMap::new(),
        numbers: 0,
        open: BTreeMap::new(),
        found: BTreeMap::new(),
        sought: BTreeMap::new(),
    };
    read(&mut |group, numbers| first.take(group, numbers))?;
    let First { mut found, mut sought, .. } = first.finished();
    if !sought.is_empty() {
        read(&mut |group, numbers| {
            if let Some((_, sought)) = sought.get_mut(&group) {
                for number in numbers {
                    sought.add(number);
                }
            }
        })?;
    }
    found.extend(sought.into_iter().map(|(group, (count, sought))| {
        (group, Found { count, values: sought.found().into_iter().flatten().collect() })
    }));
    Ok(found)
}

/// The numbers of a group.
enum Numbers<T> {
    Listed(Vec<T>),
    Counted(Spread),
}

impl<T: Number> Numbers<T> {
    fn take(&mut self, more: Vec<T>, listed: usize) {
        match self {
            Self::Listed(numbers) if numbers.len() + more.len() <= listed => numbers.extend(more),
            Self::Listed(numbers) => {
                let mut spread = Spread::default();
                for number in numbers.iter().chain(&more) {
                    spread.add(*number);
                }
                *self = Self::Counted(spread);
            }
            Self::Counted(spread) => {
                for number in more {
                    spread.add(number);
                }
            }
        }
    }
}

/// The first reading.
struct First<A, B, T, R> {
    ranks: R,
    chapter: Option<A>,
    of_chapter: BTreeMap<B, Numbers<T>>,
    /// How many numbers the chapter has.
    numbers: usize,
    open: BTreeMap<B, Numbers<T>>,
    found: BTreeMap<Group<A, B>, Found<T>>,
    sought: BTreeMap<Group<A, B>, (u64, Sought)>,
}

impl<A: Ord + Clone, B: Ord + Clone, T: Number, R: Fn(&B, u64) -> Vec<u64>> First<A, B, T, R> {
    fn take(&mut self, (chapter, group): Group<A, B>, numbers: Vec<T>) {
        if chapter.is_some() && self.chapter != chapter {
            self.close();
            self.chapter.clone_from(&chapter);
        }
        let groups = if chapter.is_some() { &mut self.of_chapter } else { &mut self.open };
        self.numbers += if chapter.is_some() { numbers.len() } else { 0 };
        let listed = if chapter.is_some() && self.numbers <= LISTED { LISTED } else { LISTED_OF_GROUP };
        groups.entry(group).or_insert_with(|| Numbers::Listed(Vec::new())).take(numbers, listed);
    }

    /// Finds what the chapter's lists tell.
    fn close(&mut self) {
        let chapter = self.chapter.take();
        self.numbers = 0;
        for (group, numbers) in std::mem::take(&mut self.of_chapter) {
            self.settle((chapter.clone(), group), numbers);
        }
    }

    fn settle(&mut self, group: Group<A, B>, numbers: Numbers<T>) {
        debug_assert!(
            !self.found.contains_key(&group) && !self.sought.contains_key(&group),
            "the numbers of a chapter come next to one another"
        );
        match numbers {
            Numbers::Listed(mut numbers) => {
                numbers.sort_unstable_by_key(|number| number.key());
                let count = numbers.len() as u64;
                let at = |rank: u64| numbers.get(usize::try_from(rank).ok()?).copied();
                let values = (self.ranks)(&group.1, count).into_iter().filter_map(at).collect();
                self.found.insert(group, Found { count, values });
            }
            Numbers::Counted(spread) => {
                let count = spread.count();
                let sought = spread.seek(&(self.ranks)(&group.1, count));
                self.sought.insert(group, (count, sought));
            }
        }
    }

    fn finished(mut self) -> Self {
        self.close();
        for (group, numbers) in std::mem::take(&mut self.open) {
            self.settle((None, group), numbers);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is found by sorting each group.
    fn sorted(
        groups: &BTreeMap<Group<u8, u8>, Vec<i64>>,
        ranks: &[u64],
    ) -> BTreeMap<Group<u8, u8>, Found<i64>> {
        let of_group = |(group, numbers): (&Group<u8, u8>, &Vec<i64>)| {
            let mut numbers = numbers.clone();
            numbers.sort_unstable();
            let at = |rank: &u64| numbers.get(usize::try_from(*rank).unwrap()).copied();
            (*group, Found { count: numbers.len() as u64, values: ranks.iter().filter_map(at).collect() })
        };
        groups.iter().map(of_group).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_found_is_at_its_rank_whether_listed_or_counted(
            seed in 1..1_000_i64,
            sizes in proptest::collection::vec((0..4_u8, prop_oneof![0..20_usize, 1_000..1_100_usize, 65_500..65_600_usize]), 1..6),
            ranks in proptest::collection::vec(prop_oneof![0..30_u64, 0..70_000_u64], 0..6),
            step in 1..70_000_usize,
        ) {
            let mut sizes = sizes;
            sizes.sort_unstable();
            let numbers = |size: usize| -> Vec<i64> {
                (0..size).map(|place| i64::try_from(place).unwrap() * 7_919 * seed % 100_003).collect()
            };
            let mut runs: Vec<(Group<u8, u8>, Vec<i64>)> = Vec::new();
            for (place, (chapter, size)) in sizes.iter().enumerate() {
                let group = u8::try_from(place % 2).unwrap();
                runs.push(((Some(*chapter), group), numbers(*size)));
                runs.push(((None, group), numbers(size / 2)));
            }
            let mut groups: BTreeMap<Group<u8, u8>, Vec<i64>> = BTreeMap::new();
            for (group, numbers) in &runs {
                groups.entry(*group).or_default().extend(numbers);
            }
            groups.retain(|_, numbers| !numbers.is_empty());
            let mut readings = 0;
            let found = at_ranks(|_: &u8, _| ranks.clone(), |take: &mut Take<'_, u8, u8, i64>| {
                readings += 1;
                for (group, numbers) in &runs {
                    numbers.chunks(step).for_each(|part| take(*group, part.to_vec()));
                }
                Ok::<_, ()>(())
            });
            prop_assert_eq!(found.unwrap(), sorted(&groups, &ranks));
            let longest = groups.values().map(Vec::len).max().unwrap_or_default();
            prop_assert!(longest <= LISTED || readings == 2);
            prop_assert!(longest > LISTED_OF_GROUP || readings == 1);
        }

        #[test]
        fn an_error_ends_it(fails_at in 1..3_usize) {
            let mut readings = 0;
            let found = at_ranks(|(), _| vec![0], |take: &mut Take<'_, (), (), i64>| {
                readings += 1;
                take((None, ()), vec![1; 2_000]);
                if readings == fails_at { Err("cannot be read") } else { Ok(()) }
            });
            prop_assert_eq!(found.err(), Some("cannot be read"));
        }
    }
}
