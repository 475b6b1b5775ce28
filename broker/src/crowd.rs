//! A bounded crowd: how many may be inside at once, and how many of one kind.
//! Not here: who counts as one (the callers' keys), and how often somebody may come (`limits`).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places that are taken and given back. Copies are the same crowd.
#[derive(Debug)]
pub(crate) struct Crowd<K> {
    inside: Arc<Mutex<Inside<K>>>,
}

/// A place in a crowd; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash> {
    key: K,
    inside: Arc<Mutex<Inside<K>>>,
}

#[derive(Debug)]
struct Inside<K> {
    most: usize,
    most_of_one: usize,
    all: usize,
    of_each: HashMap<K, usize>,
}

impl<K> Clone for Crowd<K> {
    fn clone(&self) -> Self {
        Self { inside: Arc::clone(&self.inside) }
    }
}

impl<K: Eq + Hash + Clone> Crowd<K> {
    /// A crowd of at most `most`, and of `most_of_one` under one key.
    pub(crate) fn new(most: usize, most_of_one: usize) -> Self {
        let inside = Inside { most, most_of_one, all: 0, of_each: HashMap::new() };
        Self { inside: Arc::new(Mutex::new(inside)) }
    }

    /// A place, if there is one for this key.
    pub(crate) fn enter(&self, key: K) -> Option<Place<K>> {
        let entered = lock(&self.inside).enter(&key);
        entered.then(|| Place { key, inside: Arc::clone(&self.inside) })
    }

    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        lock(&self.inside).all
    }
}

impl<K: Eq + Hash + Clone> Inside<K> {
    fn enter(&mut self, key: &K) -> bool {
        let of_one = self.of_each.get(key).copied().unwrap_or_default();
        if self.all >= self.most || of_one >= self.most_of_one {
            return false;
        }
        self.all = self.all.saturating_add(1);
        self.of_each.insert(key.clone(), of_one.saturating_add(1));
        true
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut inside = lock(&self.inside);
        inside.all = inside.all.saturating_sub(1);
        match inside.of_each.get_mut(&self.key) {
            Some(of_one) if *of_one > 1 => *of_one = of_one.saturating_sub(1),
            _ => {
                inside.of_each.remove(&self.key);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_cannot_hold_all_places() {
        let crowd = Crowd::new(16, 2);
        let mut first: Vec<Place<u32>> = (0..16).filter_map(|_| crowd.enter(1)).collect();
        assert_eq!(first.len(), 2);
        let others: Vec<Place<u32>> = (2..20).filter_map(|key| crowd.enter(key)).collect();
        assert_eq!((others.len(), crowd.size()), (14, 16));
        assert!(crowd.enter(30).is_none());
        first.pop();
        let late = crowd.enter(30);
        assert!(late.is_some());
        first.clear();
        assert!(!lock(&crowd.inside).of_each.contains_key(&1), "nothing of it is left");
        drop((others, late));
        assert_eq!(crowd.size(), 0);
    }
}
