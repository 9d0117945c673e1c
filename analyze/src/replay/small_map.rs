//! A map that mostly holds one or two keys: a list, and beyond some length a hash table beside it.

use std::{collections::HashMap, hash::Hash};

/// From so many keys on there is a hash table.
const MANY: usize = 40;

/// A map in the order in which its keys came.
#[derive(Clone, Debug)]
pub struct SmallMap<K, V> {
    items: Vec<(K, V)>,
    places: HashMap<K, usize>,
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self { items: Vec::new(), places: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash, V> SmallMap<K, V> {
    fn place(&self, key: &K) -> Option<usize> {
        if self.items.len() < MANY {
            return self.items.iter().position(|(other, _)| other == key);
        }
        self.places.get(key).copied()
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.items.get(self.place(key)?).map(|(_, value)| value)
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: K, value: V) {
        match self.place(&key).and_then(|place| self.items.get_mut(place)) {
            Some((_, old)) => *old = value,
            None => self.push(key, value),
        }
    }

    fn push(&mut self, key: K, value: V) {
        self.items.push((key, value));
        if self.items.len() == MANY {
            self.places = self.items.iter().enumerate().map(|(place, (key, _))| (*key, place)).collect();
        } else if self.items.len() > MANY {
            self.places.insert(key, self.items.len() - 1);
        }
    }

    /// The value of a key, made where there is none.
    pub fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let place = self.place(&key).unwrap_or_else(|| {
            self.push(key, V::default());
            self.items.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the place was found or just made")]
        let (_, value) = &mut self.items[place];
        value
    }

    /// Forgets every key.
    pub fn clear(&mut self) {
        self.items.clear();
        self.places.clear();
    }

    /// Keys and values in the order in which the keys came.
    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.items.iter()
    }

    /// Keys, and values to change, in the same order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.items.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_keys_are_found_as_few_are() {
        let mut map = SmallMap::default();
        for key in (0..90_u32).chain(0..90) {
            *map.entry(key) += key;
        }
        map.insert(3, 1_u32);
        map.insert(199, 2);
        assert_eq!(
            (map.get(&3), map.get(&39), map.get(&199), map.get(&100)),
            (Some(&1), Some(&78), Some(&2), None)
        );
        assert_eq!(map.len(), 91);
        assert!(map.iter().map(|(key, _)| *key).is_sorted() && !map.is_empty());
    }
}
