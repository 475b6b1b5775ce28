//! Since when others are known to believe each authority: a new one signs nothing before that has settled.
//! Not here: how they are told.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Authority;

/// Since when each authority is known to be in the bundle.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<String, u64>);

impl Seen {
    /// Notes that exactly these are in the bundle now.
    pub fn note(&mut self, authorities: &[Authority], now: u64) {
        self.0.retain(|certificate, _| authorities.iter().any(|known| known.certificate == *certificate));
        for authority in authorities {
            self.0.entry(authority.certificate.clone()).or_insert(now);
        }
    }

    /// The authority to serve with: the newest that has been in the bundle for long enough.
    ///
    /// Right after our start that is none, although the bundle may be old: then it is the oldest, which was there first.
    #[must_use]
    pub fn serving<'a>(
        &self,
        authorities: &'a [Authority],
        now: u64,
        settle: Duration,
    ) -> Option<&'a Authority> {
        let settled = |authority: &&Authority| {
            let since = self.0.get(&authority.certificate);
            since.is_some_and(|since| now.saturating_sub(*since) >= settle.as_secs())
        };
        let mut alive = authorities.iter().filter(|authority| now < authority.ends);
        let mut newest_first = authorities.iter().rev().filter(|authority| now < authority.ends);
        newest_first
            .find(settled)
            .or_else(|| alive.find(|authority| self.0.contains_key(&authority.certificate)))
    }
}
