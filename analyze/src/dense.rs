//! A list of cells by number that holds those between the lowest and the highest number in use.

use std::iter;

/// The cells.
#[derive(Clone, Debug, Default)]
pub struct Dense<T> {
    /// The number of the first.
    from: usize,
    cells: Vec<T>,
}

impl<T: Clone + Default> Dense<T> {
    /// Changes a cell, which is the default one before that.
    pub fn change(&mut self, number: usize, change: impl FnOnce(&mut T)) {
        if self.cells.is_empty() {
            self.from = number;
        }
        if let Some(missing) = self.from.checked_sub(number).filter(|missing| *missing > 0) {
            self.cells.splice(..0, iter::repeat_n(T::default(), missing));
            self.from = number;
        }
        let place = number - self.from;
        if place >= self.cells.len() {
            self.cells.resize(place + 1, T::default());
        }
        if let Some(cell) = self.cells.get_mut(place) {
            change(cell);
        }
    }

    /// The cells and their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        (self.from..).zip(&self.cells)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_map_does(numbers in proptest::collection::vec(500..700_usize, 0..50)) {
            let mut dense: Dense<u32> = Dense::default();
            let mut map: BTreeMap<usize, u32> = BTreeMap::new();
            for number in numbers {
                dense.change(number, |cell| *cell += 1);
                *map.entry(number).or_default() += 1;
            }
            let used: BTreeMap<usize, u32> =
                dense.iter().filter(|(_, cell)| **cell > 0).map(|(number, cell)| (number, *cell)).collect();
            prop_assert_eq!(used, map);
        }
    }
}
