//! The credentials that the sidecar holds: one account for each different thing it wants from the broker.
//! How the broker is asked is in `broker.rs`; how a credential leaves is in `armed.rs`.

mod account;
mod credential;
mod standing;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use account::Account;
pub(crate) use credential::Credential;
pub(crate) use standing::{Answer, Denial, Without};

use crate::settings::{Upstream, Want};
use crate::time::Time;

/// One account for each different want; upstreams that want the same share it.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    by_want: HashMap<Want, Arc<Account>>,
}

impl Accounts {
    /// The account for this upstream, opened if there is none yet.
    pub(crate) fn open(
        &mut self,
        upstream: &Upstream,
        patience: std::time::Duration,
        time: &Time,
    ) -> Arc<Account> {
        let want = &upstream.want;
        let account = self
            .by_want
            .entry(want.clone())
            .or_insert_with(|| Arc::new(Account::new(want.clone(), patience, time.clone())));
        Arc::clone(account)
    }

    /// All accounts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.by_want.values()
    }
}
