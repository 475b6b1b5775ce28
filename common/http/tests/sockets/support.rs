//! Servers to test, and patience with a limit.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use symbolon_daemon::Lifecycle;
use symbolon_http::Body;
use symbolon_http::server::{Bind, Limits, Server, ServerMetrics};

/// Long enough for a slow machine, short enough to fail.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The output of `future`, which must come in time.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(output) = tokio::time::timeout(PATIENCE, future).await else {
        panic!("waited too long for {what}")
    };
    output
}

pub(crate) fn lifecycle() -> Lifecycle {
    Lifecycle::new(Duration::from_secs(10))
}

/// Serves `answer` on a free port of this machine.
pub(crate) fn serve<A, F>(limits: Limits, lifecycle: &Lifecycle, answer: A) -> SocketAddr
where
    A: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    serve_counted(limits, ServerMetrics::default(), lifecycle, answer)
}

/// The same, with metrics.
pub(crate) fn serve_counted<A, F>(
    limits: Limits,
    metrics: ServerMetrics,
    lifecycle: &Lifecycle,
    answer: A,
) -> SocketAddr
where
    A: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let bound = "127.0.0.1:0".parse::<Bind>().unwrap().listen().unwrap();
    let address = bound.address().tcp().unwrap();
    let service = tower::service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    Server::new("test", bound).limits(limits).metrics(metrics).serve(service, lifecycle);
    address
}

/// An answer with this text.
pub(crate) async fn text(text: &'static str) -> Response<Body> {
    Response::new(Body::from(text))
}
