//! What a cluster said just now, so that it is not asked again at once.
//! Not here: what is worth remembering, and for how long (`confirm`).

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many answers are remembered; beyond it the cluster is asked each time.
const MOST: usize = 10_000;

/// Answers by what they are about, each until its time is over.
pub(super) struct Recent<K, V> {
    answers: Mutex<HashMap<K, (V, Instant)>>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { answers: Mutex::default() }
    }
}

/// Says how many, and never about what: keys may be made of tokens.
impl<K, V> fmt::Debug for Recent<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.answers.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Recent").field("answers", &count).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash, V: Copy> Recent<K, V> {
    pub(super) fn get(&self, key: &K, now: Instant) -> Option<V> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(key).filter(|(_, until)| now < *until).map(|(answer, _)| *answer)
    }

    pub(super) fn put(&self, key: K, answer: V, (now, time): (Instant, Duration)) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST {
            answers.retain(|_, (_, until)| now < *until);
        }
        if answers.len() < MOST
            && let Some(until) = now.checked_add(time)
        {
            answers.insert(key, (answer, until));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_remembered_for_its_time() {
        let (recent, now, time) = (Recent::default(), Instant::now(), Duration::from_mins(1));
        assert_eq!(recent.get(&"a", now), None);
        recent.put("a", true, (now, time));
        assert_eq!(recent.get(&"a", now + Duration::from_secs(59)), Some(true));
        assert_eq!(recent.get(&"a", now + time), None);
    }

    #[test]
    fn no_more_than_so_many_are_remembered_and_what_is_over_makes_place() {
        let (recent, now) = (Recent::default(), Instant::now());
        for place in 0..MOST {
            recent.put(place, (), (now, Duration::from_secs(1)));
        }
        recent.put(MOST, (), (now, Duration::from_secs(1)));
        assert_eq!(recent.get(&MOST, now), None);
        let later = now + Duration::from_secs(2);
        recent.put(MOST, (), (later, Duration::from_secs(1)));
        assert_eq!(recent.get(&MOST, later), Some(()));
    }
}
