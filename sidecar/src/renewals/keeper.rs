//! Tells a gateway of the new token for each open stream, ahead of the end of the old one.
//! Not here: which stream and when (`renewals.rs`), and where tokens come from (`credentials`).

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use http::header::HOST;
use http::{HeaderMap, Request, StatusCode};
use symbolon_http::Body;
use symbolon_wire::paths::STREAM_RENEWAL;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Came, Due, STREAM, StreamId};
use crate::armed::Armed;
use crate::credentials::Credential;
use crate::dice::Dice;
use crate::listeners::Reverse;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many are asked for at one time.
const AT_ONCE: usize = 8;

impl Reverse {
    /// Keeps the streams of this upstream for as long as the program lives.
    pub(crate) async fn keep_streams(&self) {
        let mut dice = Dice::thrown();
        let mut changes = self.account.changes();
        loop {
            changes.borrow_and_update();
            let current = self.account.current();
            let due =
                current.as_ref().and_then(|current| self.renewals.plan(current, self.time.now(), &mut dice));
            tokio::select! {
                // INVARIANT: the account holds the sender, so the channel cannot close while we wait.
                _ = changes.changed() => {}
                () = self.renewals.news.notified() => {}
                () = until(due) => {
                    if let Some(current) = current {
                        self.renew_due(&current, &mut dice).await;
                    }
                }
            }
        }
    }

    async fn renew_due(&self, current: &Arc<Credential>, dice: &mut Dice) {
        let due = stream::iter(self.renewals.due(self.time.now()));
        let mut answers = due
            .map(|due| async move { (due.number, self.renew(due, current).await) })
            .buffer_unordered(AT_ONCE);
        while let Some((number, (came, status))) = answers.next().await {
            let came = self.renewals.settle((number, came), current, self.time.now(), dice);
            self.metrics.renewed(&self.label, came);
            self.tell(came, status);
        }
    }

    fn tell(&self, came: Came, status: Option<StatusCode>) {
        let (upstream, status) = (self.label.0.as_str(), status.map(|status| status.as_u16()));
        match came {
            Came::Renewed => {}
            Came::Refused => tracing::warn!(
                event.name = "stream.refused",
                upstream,
                status,
                "a stream is not renewed and ends with its token"
            ),
            Came::Unknown | Came::Failed => tracing::debug!(
                event.name = "stream.failed",
                upstream,
                status,
                "a stream could not be renewed yet"
            ),
        }
    }

    async fn renew(&self, due: Due, credential: &Arc<Credential>) -> (Came, Option<StatusCode>) {
        let status = timeout(PATIENCE, self.ask(due, credential)).await.ok().flatten();
        let came = match status {
            Some(status) if status.is_success() => Came::Renewed,
            Some(StatusCode::NOT_FOUND) => Came::Unknown,
            Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) => Came::Failed,
            Some(status) if status.is_client_error() => Came::Refused,
            Some(_) | None => Came::Failed,
        };
        (came, status)
    }

    async fn ask(&self, due: Due, credential: &Arc<Credential>) -> Option<StatusCode> {
        let StreamId(id) = due.id;
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(HOST, self.target.origin().host().clone());
        headers.insert(STREAM, id);
        let mut request = Request::post(STREAM_RENEWAL).body(Body::empty()).ok()?;
        *request.headers_mut() = headers;
        let (head, body) = request.into_parts();
        let place = (&*self.key, &self.target);
        let armed = Armed::new(credential, &self.renewals, place, &head, self.time.now()).ok()?;
        // A kept connection leads to the same gateway again and again, a new one perhaps to the one that has the stream.
        let forwarder = if due.again { &self.anew } else { &self.forwarder };
        let answer = forwarder.forward(armed, Request::from_parts(head, body)).await;
        answer.ok().map(|answer| answer.status())
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
