//! The events of one watch, a line each, none of them longer than any object is.
//! Not here: what they change (`watch`). `kube` reads such lines too, but of any length.

use std::fmt::Debug;
use std::io;

use futures_util::stream::MapErr;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{Request, StatusCode};
use http_body_util::{BodyDataStream, BodyExt as _};
use kube::client::Body;
use kube::core::WatchEvent;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

use super::cluster::{Cluster, ClusterError};
use super::watch::SILENCE;

/// The longest line: etcd takes objects of up to 1.5 MiB, and JSON makes more of them.
const LINE_BYTES: usize = 8 << 20;

type ToIo = fn(kube::Error) -> io::Error;
type Reader = StreamReader<MapErr<BodyDataStream<Body>, ToIo>, bytes::Bytes>;

/// An open watch.
pub(super) struct Events {
    lines: FramedRead<Reader, LinesCodec>,
}

impl Events {
    /// Opens a watch; none if the server no longer knows the place that it should begin at.
    ///
    /// # Errors
    /// [`ClusterError`] if there is no answer, or another one.
    pub(super) async fn open(
        cluster: &Cluster,
        request: Request<Vec<u8>>,
    ) -> Result<Option<Self>, ClusterError> {
        let client = cluster.client().await?;
        let opened = timeout(SILENCE, client.send(request.map(Body::from))).await;
        let away = |error: kube::Error| ClusterError::Away(crate::error_chain(&error));
        let (head, body) = opened.map_err(|_| ClusterError::TimedOut)?.map_err(away)?.into_parts();
        match head.status {
            StatusCode::OK => {
                let bytes = body.into_data_stream().map_err(io::Error::other as ToIo);
                let lines = LinesCodec::new_with_max_length(LINE_BYTES);
                Ok(Some(Self { lines: FramedRead::new(StreamReader::new(bytes), lines) }))
            }
            StatusCode::GONE => Ok(None),
            other => Err(ClusterError::Status(other)),
        }
    }

    /// The next event; none at the end of the watch.
    ///
    /// # Errors
    /// [`ClusterError`] if there is none in time, or something else than an event.
    pub(super) async fn next<K: DeserializeOwned + Clone + Debug>(
        &mut self,
    ) -> Result<Option<WatchEvent<K>>, ClusterError> {
        let line = timeout(SILENCE, self.lines.next()).await.map_err(|_| ClusterError::TimedOut)?;
        let line = match line {
            None => return Ok(None),
            Some(Ok(line)) => line,
            Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                return Err(ClusterError::Garbage("a line of a watch is longer than any object"));
            }
            Some(Err(LinesCodecError::Io(error))) => {
                return Err(ClusterError::Away(crate::error_chain(&error)));
            }
        };
        let event = serde_json::from_str(&line);
        event.map(Some).map_err(|_| ClusterError::Garbage("a line of a watch is no event"))
    }
}
