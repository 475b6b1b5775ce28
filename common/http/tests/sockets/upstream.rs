//! An upstream that shows the very bytes it was sent, and answers with the very bytes it was told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response};
use symbolon_daemon::Lifecycle;
use symbolon_http::Body;
use symbolon_http::forward::{Cleared, ForwardError, ForwardOptions, Forwarder, TrailerFilter, Upstream};
use symbolon_http::server::Limits;
use symbolon_http::streams::{Guard, Streams};
use symbolon_http::tunnel::Terms;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::support::serve;

/// A plain answer.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What arrived, connection by connection.
pub(crate) type Arrived = Arc<Mutex<Vec<String>>>;

/// All bytes that arrived.
pub(crate) fn all(arrived: &Arrived) -> String {
    arrived.lock().unwrap().concat()
}

/// The requests that arrived, by their request lines.
pub(crate) fn requests(arrived: &Arrived) -> usize {
    all(arrived).lines().filter(|line| line.ends_with(" HTTP/1.1")).count()
}

/// Takes connections and answers every complete request on them with `answer`.
pub(crate) async fn upstream(lifecycle: &Lifecycle, answer: &'static str) -> (SocketAddr, Arrived) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let arrived = Arrived::default();
    let (seen, tasks) = (Arc::clone(&arrived), lifecycle.clone());
    lifecycle.spawn_background("upstream", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let index = {
                let mut seen = seen.lock().unwrap();
                seen.push(String::new());
                seen.len() - 1
            };
            tasks.spawn_background("upstream", answer_all(stream, answer, Arc::clone(&seen), index));
        }
    });
    (address, arrived)
}

async fn answer_all(mut stream: TcpStream, answer: &'static str, seen: Arrived, index: usize) {
    let mut buffer = vec![0; 1 << 16];
    let mut answered = 0;
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let complete = {
            let mut seen = seen.lock().unwrap();
            seen[index].push_str(&String::from_utf8_lossy(&buffer[..count]));
            complete(&seen[index])
        };
        while answered < complete {
            answered += 1;
            stream.write_all(answer.as_bytes()).await.unwrap();
            if !answer.contains("length") && !answer.contains("chunked") {
                return;
            }
        }
    }
}

/// How many whole requests these are. Good enough for what a correct forwarder sends.
fn complete(mut bytes: &str) -> usize {
    let mut count = 0;
    while let Some((head, rest)) = bytes.split_once("\r\n\r\n") {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        bytes = if head.contains("transfer-encoding: chunked") {
            let Some((_, rest)) =
                format!("\r\n{rest}").split_once("\r\n0\r\n\r\n").map(|(a, b)| (a.len(), b.len()))
            else {
                return count;
            };
            &bytes[bytes.len() - rest..]
        } else {
            let length = length.map_or(0, |length| length.parse().unwrap());
            let Some(rest) = rest.get(length..) else { return count };
            rest
        };
        count += 1;
    }
    count
}

/// A proof for tests: removes the caller's credential, sets ours.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(crate) upstream: Upstream,
    pub(crate) path: Option<PathAndQuery>,
    /// Where its exchanges are open, and for how long.
    pub(crate) held: Option<(Streams, Option<Duration>)>,
    pub(crate) tunnel_idle: Duration,
}

impl Pass {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::at(&format!("http://{address}"))
    }

    pub(crate) fn at(url: &str) -> Self {
        Self { upstream: url.parse().unwrap(), path: None, held: None, tunnel_idle: Duration::from_mins(1) }
    }
}

impl Cleared for Pass {
    fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    fn path_and_query(&self) -> Option<&PathAndQuery> {
        self.path.as_ref()
    }

    fn edit_request(&self, headers: &mut HeaderMap) {
        headers.insert("authorization", "DPoP ours".parse().unwrap());
        headers.insert("x-workload-id", "spiffe://ours".parse().unwrap());
    }

    fn trailer_filter(&self) -> Option<TrailerFilter> {
        Some(|trailers| {
            trailers.remove("x-workload-id");
        })
    }

    fn take_guard(&mut self) -> Option<Guard> {
        let (streams, within) = self.held.as_ref()?;
        let deadline = within.and_then(|within| Instant::now().checked_add(within));
        Some(streams.register(Arc::new("holder"), deadline))
    }

    fn may_wait(&self) -> bool {
        self.held.is_some()
    }

    fn tunnel_terms(&mut self) -> Terms {
        Terms { idle_timeout: self.tunnel_idle, observer: None }
    }

    fn edit_response(&mut self, headers: &mut HeaderMap) {
        headers.insert("x-edited", "yes".parse().unwrap());
    }
}

/// A server that forwards everything with `pass`, and says why where it cannot.
pub(crate) fn proxy(lifecycle: &Lifecycle, options: &ForwardOptions, pass: Pass) -> SocketAddr {
    let forwarder = Forwarder::<Pass>::new(options, lifecycle).unwrap();
    serve(Limits::default(), lifecycle, move |request: Request<Body>| {
        let (forwarder, pass) = (forwarder.clone(), pass.clone());
        async move { forwarder.forward(pass, request).await.unwrap_or_else(|error| refusal(&error)) }
    })
}

fn refusal(error: &ForwardError) -> Response<Body> {
    let mut answer = Response::new(Body::from(format!("{}: {error}", error.reason_code())));
    *answer.status_mut() = error.status();
    answer
}
