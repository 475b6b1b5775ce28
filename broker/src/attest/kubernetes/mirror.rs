//! What a cluster said last about its pods and nodes, and whether that is recent enough to count.
//! Not here: how it is kept up to date (`watch`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

/// What was heard longer ago counts no more.
const FRESH: Duration = Duration::from_secs(10);

/// The last known state of all objects of one kind.
#[derive(Debug)]
pub(super) struct Mirror<T> {
    objects: RwLock<HashMap<String, Arc<T>>>,
    heard: Mutex<Option<Instant>>,
}

/// A change of one object.
#[derive(Debug)]
pub(super) enum Change<T> {
    /// It was not there before.
    Came,
    /// It is another now.
    Became(Arc<T>),
    /// It is gone.
    Went(Arc<T>),
    /// Nothing that we look at.
    Nothing,
}

impl<T> Default for Mirror<T> {
    fn default() -> Self {
        Self { objects: RwLock::default(), heard: Mutex::default() }
    }
}

impl<T: PartialEq> Mirror<T> {
    /// Whether everything up to a few seconds ago is in it.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_some_and(|heard| now.saturating_duration_since(heard) <= FRESH)
    }

    /// Everything up to this moment is in it.
    pub(super) fn hear(&self, when: Instant) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(when);
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<T>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// The keys of all objects of this kind.
    pub(super) fn keys_of(&self, is_meant: impl Fn(&T) -> bool) -> Vec<String> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects.iter().filter(|(_, object)| is_meant(object)).map(|(key, _)| key.clone()).collect()
    }

    pub(super) fn put(&self, key: String, object: T) -> Change<T> {
        let object = Arc::new(object);
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        match objects.insert(key, Arc::clone(&object)) {
            None => Change::Came,
            Some(before) if before == object => Change::Nothing,
            Some(_) => Change::Became(object),
        }
    }

    pub(super) fn remove(&self, key: &str) -> Change<T> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        objects.remove(key).map_or(Change::Nothing, Change::Went)
    }

    /// Takes a whole list over; returns what changed.
    pub(super) fn replace(&self, list: HashMap<String, T>) -> Vec<Change<T>> {
        let known: Vec<String> =
            self.objects.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        let gone = known.iter().filter(|key| !list.contains_key(*key));
        let mut changes: Vec<Change<T>> = gone.map(|key| self.remove(key)).collect();
        changes.extend(list.into_iter().map(|(key, object)| self.put(key, object)));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_long_ago_counts_no_more() {
        let (mirror, start) = (Mirror::<u32>::default(), Instant::now());
        assert!(!mirror.is_fresh(start), "nothing was heard yet");
        mirror.hear(start);
        assert!(mirror.is_fresh(start + FRESH));
        assert!(!mirror.is_fresh(start + FRESH + Duration::from_millis(1)));
    }

    #[test]
    fn a_list_tells_what_went_came_and_became_another() {
        let mirror = Mirror::default();
        mirror.replace(HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 3)]));
        let changes =
            mirror.replace(HashMap::from([("b".to_owned(), 2), ("c".to_owned(), 4), ("d".to_owned(), 5)]));
        let count = |is: fn(&Change<u32>) -> bool| changes.iter().filter(|change| is(change)).count();
        assert_eq!(count(|change| matches!(change, Change::Went(one) if **one == 1)), 1);
        assert_eq!(count(|change| matches!(change, Change::Became(one) if **one == 4)), 1);
        assert_eq!(count(|change| matches!(change, Change::Came)), 1);
        assert_eq!(count(|change| matches!(change, Change::Nothing)), 1);
        assert_eq!((mirror.get("a"), mirror.get("d").as_deref()), (None, Some(&5)));
    }
}
