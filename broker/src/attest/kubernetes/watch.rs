//! Keeps a mirror of a cluster's objects: a list, then watches of a few seconds, one after the other.
//! Not here: what the objects are. Short watches, because a long one that has died looks like one with nothing to tell.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use http::StatusCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{List, ListableResource, Metadata};
use kube::api::{ListParams, WatchParams};
use kube::core::{Request, WatchEvent};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, ClusterError};
use super::events::Events;
use super::mirror::{Change, Mirror};

/// A watch is ended by the server after so many seconds; then everything up to its end is known.
const WATCH_SECONDS: u32 = 4;
/// A server that is silent for longer than that is not there.
pub(super) const SILENCE: Duration = Duration::from_secs(7);
const PAGE: u32 = 250;
/// Between two watches, counted from the beginning of the first.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two attempts.
const BACKOFF: [u64; 5] = [250, 500, 1000, 2000, 4000];
/// So often a trouble that lasts is told.
const TELL: Duration = Duration::from_mins(1);

/// What of a kind of objects is mirrored.
#[derive(Debug)]
pub(super) struct Watched<'a, K, T> {
    pub(super) cluster: &'a Cluster,
    /// The path of the collection.
    pub(super) path: &'static str,
    pub(super) mirror: &'a Mirror<T>,
    /// The key and the form under which an object is remembered.
    pub(super) reduce: fn(&K) -> Option<(String, T)>,
}

impl<K, T> Watched<'_, K, T>
where
    K: ListableResource + Metadata<Ty = ObjectMeta> + DeserializeOwned + Clone + Debug,
    T: PartialEq,
{
    /// Follows the cluster for ever, telling each change.
    pub(super) async fn follow(&self, mut tell: impl FnMut(Change<T>)) {
        let (mut failures, mut told) = (0_usize, None::<Instant>);
        loop {
            let began = Instant::now();
            let Err(error) = self.list_and_watch(&mut tell).await else {
                sleep(PAUSE).await;
                continue;
            };
            // A watch that went well for a while starts the count anew.
            failures = if began.elapsed() > SILENCE { 0 } else { failures.saturating_add(1) };
            if told.is_none_or(|told| told.elapsed() > TELL) {
                told = Some(Instant::now());
                let error = crate::error_chain(&error);
                tracing::warn!(
                    event.name = "kubernetes.watch_failed", provider = %self.cluster.name(), path = self.path, error,
                    "the cluster cannot be followed"
                );
            }
            let wait = BACKOFF.get(failures).or(BACKOFF.last()).copied().unwrap_or_default();
            sleep(Duration::from_millis(wait)).await;
        }
    }

    /// Lists once and then watches until something goes wrong, or until the server no longer knows the place we are at.
    async fn list_and_watch(&self, tell: &mut impl FnMut(Change<T>)) -> Result<(), ClusterError> {
        let began = Instant::now();
        let (list, mut place) = self.list().await?;
        for change in self.mirror.replace(list) {
            tell(change);
        }
        self.mirror.hear(began);
        loop {
            // A server that ends each watch at once is not asked without a pause.
            let pause = sleep(PAUSE);
            match self.watch(place, tell).await? {
                Some(next) => place = next,
                None => return Ok(()),
            }
            pause.await;
        }
    }

    async fn list(&self) -> Result<(HashMap<String, T>, String), ClusterError> {
        let mut all = HashMap::new();
        let (mut params, mut limit) = (ListParams::default(), PAGE);
        loop {
            params.limit = Some(limit);
            let request = Request::new(self.path).list(&params);
            let request = request.map_err(|_| ClusterError::Garbage("the question"))?;
            let page: List<K> = match self.cluster.page(request).await {
                Ok(page) => page,
                // SECURITY: whoever may create large pods must not keep us from hearing of all others.
                Err(ClusterError::TooLarge | ClusterError::TimedOut) if limit > 1 => {
                    limit = limit.div_euclid(2);
                    continue;
                }
                Err(error) => return Err(error),
            };
            all.extend(page.items.iter().filter_map(self.reduce));
            let place = page.metadata.resource_version.unwrap_or_default();
            match page.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => params.continue_token = Some(next),
                None => return Ok((all, place)),
            }
        }
    }

    /// One watch; returns the place that it came to, none if everything has to be listed anew.
    async fn watch(
        &self,
        mut place: String,
        tell: &mut impl FnMut(Change<T>),
    ) -> Result<Option<String>, ClusterError> {
        let params = WatchParams { timeout: Some(WATCH_SECONDS), bookmarks: true, ..WatchParams::default() };
        let request = Request::new(self.path).watch(&params, &place);
        let request = request.map_err(|_| ClusterError::Garbage("the question"))?;
        let Some(mut events) = Events::open(self.cluster, request).await? else { return Ok(None) };
        loop {
            let object = match events.next::<K>().await? {
                Some(WatchEvent::Bookmark(bookmark)) => {
                    place = bookmark.metadata.resource_version;
                    continue;
                }
                Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    if let Some((key, object)) = (self.reduce)(&object) {
                        tell(self.mirror.put(key, object));
                    }
                    object
                }
                Some(WatchEvent::Deleted(object)) => {
                    if let Some((key, _)) = (self.reduce)(&object) {
                        tell(self.mirror.remove(&key));
                    }
                    object
                }
                Some(WatchEvent::Error(status)) if status.code == StatusCode::GONE.as_u16() => {
                    return Ok(None);
                }
                Some(WatchEvent::Error(_)) => return Err(ClusterError::Garbage("an error event")),
                None => {
                    self.mirror.hear(Instant::now());
                    return Ok(Some(place));
                }
            };
            self.mirror.hear(Instant::now());
            if let Some(version) = &object.metadata().resource_version {
                place.clone_from(version);
            }
        }
    }
}
