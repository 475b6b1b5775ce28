//! Ends what is open of a token as soon as its issuer's feed tells that it is taken back, or its key leaves the key set.
//! Not here: requests that come later, which `verify` refuses.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use symbolon_issuers::Issuer;
use tokio_util::sync::CancellationToken;

use super::Open;
use crate::caller::VerifiedCaller;
use crate::clock::Now;
use crate::house::Keys;
use crate::revocations::{Feed, Feeds};

/// Ends the streams of revoked tokens. Clones do the same work.
#[derive(Debug, Clone)]
pub struct Reaper {
    open: Open,
    ended: Counter,
    now: Now,
}

impl Reaper {
    /// A reaper of these streams, which counts those that it ends.
    #[must_use]
    pub fn new(open: Open, ended: Counter, now: Now) -> Self {
        Self { open, ended, now }
    }

    /// Ends the streams whose tokens these feeds revoke.
    pub fn sweep(&self, feeds: &Feeds) {
        let now = self.now.now();
        self.end_where(|caller| feeds.revoke(caller, now));
    }

    /// Ends the streams of callers whose issuer is not among these.
    pub fn sweep_strangers(&self, keys: &Keys) {
        self.end_where(|caller| keys.are_strange_to(caller));
    }

    /// Ends the streams of tokens that this issuer's keys would not verify any more. A token that is over says nothing: its
    /// key may go.
    fn sweep_keyless(&self, issuer: &Issuer) {
        let now = self.now.now();
        self.end_where(|caller| {
            let token = caller.token();
            caller.issuer_name() == issuer.name()
                && token.claims().expires_at > now
                && !issuer.holds(&token.key_thumbprint(), now)
        });
    }

    fn end_where(&self, fits: impl Fn(&VerifiedCaller) -> bool) {
        let ended = self.open.end_where(fits);
        if ended > 0 {
            self.ended.inc_by(u64::try_from(ended).unwrap_or(u64::MAX));
            tracing::info!(
                event.name = "streams.revoked",
                streams.ended = ended,
                "streams ended because their tokens count no longer"
            );
        }
    }

    /// Sweeps with each change of `feed`, one of `feeds`, until that is followed no longer.
    pub async fn run(self, feeds: Arc<Feeds>, feed: Arc<Feed>) {
        let mut news = feed.changes();
        // What changed before somebody listened.
        news.mark_changed();
        loop {
            tokio::select! {
                () = feed.ended() => return,
                told = news.changed() => {
                    if told.is_err() {
                        return;
                    }
                    self.sweep(&feeds);
                }
            }
        }
    }

    /// Sweeps with each change of an issuer's keys, until it is replaced.
    pub async fn run_keys(self, issuer: Arc<Issuer>, stop: CancellationToken) {
        let mut changes = issuer.changes();
        while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
            self.sweep_keyless(&issuer);
        }
    }
}
