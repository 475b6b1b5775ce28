//! Who may keep a core busy with hashing: few at a time, and each user one at most.
//! Not here: the hashing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many executables are hashed at the same time.
const SLOTS: usize = 2;
/// So many users are kept before those without a turn are forgotten.
const USERS: usize = 256;

/// Hands out turns.
#[derive(Debug)]
pub(super) struct Turns {
    slots: Arc<Semaphore>,
    users: Mutex<HashMap<u32, Arc<Semaphore>>>,
}

/// A turn; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _of_user: OwnedSemaphorePermit,
    _slot: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { slots: Arc::new(Semaphore::new(SLOTS)), users: Mutex::default() }
    }

    /// Waits for a turn. A user with many large executables waits for itself before it stands in anybody's way.
    pub(super) async fn wait(&self, uid: u32) -> Option<Turn> {
        let of_user = self.of_user(uid).acquire_owned().await.ok()?;
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        Some(Turn { _of_user: of_user, _slot: slot })
    }

    fn of_user(&self, uid: u32) -> Arc<Semaphore> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= USERS {
            users.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        Arc::clone(users.entry(uid).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_user_with_a_turn_waits_and_another_user_does_not() {
        let turns = Turns::new();
        let first = turns.wait(1).await.unwrap();
        assert_eq!(turns.of_user(1).available_permits(), 0);
        let _other = turns.wait(2).await.unwrap();
        drop(first);
        assert!(turns.wait(1).await.is_some());
    }
}
