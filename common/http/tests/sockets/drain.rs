//! The end of a server.

use symbolon_daemon::Ended;
use symbolon_http::server::Limits;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::raw::Raw;
use crate::support::{lifecycle, serve, soon, text};

#[tokio::test]
async fn open_requests_finish_idle_connections_end_and_new_ones_are_refused() {
    let lifecycle = lifecycle();
    let (go, gate) = watch::channel(false);
    let address = serve(Limits::default(), &lifecycle, move |request: http::Request<_>| {
        let mut gate = gate.clone();
        async move {
            if request.uri().path() == "/slow" {
                gate.wait_for(|open| *open).await.unwrap();
            }
            text("answered").await
        }
    });
    let mut idle = Raw::connect(address).await;
    idle.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    idle.until("answered").await;
    let mut busy = Raw::connect(address).await;
    busy.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    // One more round trip, so that the slow request has surely been read.
    idle.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    idle.until("answered").await;

    lifecycle.shutdown();
    assert_eq!(idle.rest().await, "");
    soon("the listener to close", async { while TcpStream::connect(address).await.is_ok() {} }).await;
    go.send(true).unwrap();
    assert!(busy.rest().await.ends_with("answered"));
    assert_eq!(soon("the drain", lifecycle.run()).await, Ended::Drained);
}
