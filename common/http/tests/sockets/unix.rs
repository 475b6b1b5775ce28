//! Unix sockets: their files and their peers.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use http::{HeaderMap, Request, Response};
use symbolon_daemon::{Ended, Lifecycle};
use symbolon_http::Body;
use symbolon_http::client::GuardedClient;
use symbolon_http::server::{Bind, BindError, ConnectionInfo, Peer, PeerCredentials, PidfdOrigin, Server};
use tokio::sync::mpsc;

use crate::support::{lifecycle, soon};

/// Serves on a socket and reports every request's connection.
fn report(path: &Path, lifecycle: &Lifecycle) -> mpsc::UnboundedReceiver<ConnectionInfo> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let service = tower::service_fn(move |request: Request<Body>| {
        sender.send(request.extensions().get::<ConnectionInfo>().unwrap().clone()).unwrap();
        async { Ok::<_, Infallible>(Response::new(Body::from("hello"))) }
    });
    Server::new("unix", Bind::unix(path, 0o600).listen().unwrap()).serve(service, lifecycle);
    receiver
}

fn credentials(info: &ConnectionInfo) -> &PeerCredentials {
    match info.peer() {
        Peer::Unix(credentials) => credentials,
        Peer::Tcp(_) => panic!("not a Unix socket"),
    }
}

#[tokio::test]
async fn the_peer_of_a_unix_socket_is_known_and_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attest.sock");
    let lifecycle = lifecycle();
    let mut connections = report(&path, &lifecycle);
    let client = GuardedClient::builder().unix_socket(&path).build().unwrap();
    let url = "http://broker/".parse().unwrap();
    let answer = soon("an answer", client.get(&url, HeaderMap::new())).await.unwrap();
    assert_eq!(answer.body, "hello");
    let info = soon("the connection", connections.recv()).await.unwrap();
    let peer = credentials(&info);
    assert_eq!(peer.uid(), rustix::process::getuid().as_raw());
    assert_eq!(peer.gid(), rustix::process::getgid().as_raw());
    assert_eq!(peer.pid(), Some(std::process::id()));
    assert_eq!(peer.pinned_pid().unwrap(), Some(std::process::id()));
    assert!(matches!(peer.pidfd(), Some((_, PidfdOrigin::Socket | PidfdOrigin::Number))));
}

#[tokio::test]
async fn a_service_with_https_urls_is_reached_by_its_socket_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attest.sock");
    let lifecycle = lifecycle();
    let _connections = report(&path, &lifecycle);
    let client = GuardedClient::builder().unix_socket(&path).build().unwrap();
    for url in ["https://broker.example/", "https://broker.example:8443/a?b=c"] {
        let answer = soon("an answer", client.get(&url.parse().unwrap(), HeaderMap::new())).await.unwrap();
        assert_eq!(answer.body, "hello", "{url}");
    }
}

#[tokio::test]
async fn a_peer_that_has_ended_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let lifecycle = lifecycle();
    let mut connections = report(&folder.path().join("peer.sock"), &lifecycle);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "unix::says_hello_from_another_process", "--ignored"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let info = soon("the child", connections.recv()).await.unwrap();
    let peer = credentials(&info);
    assert_eq!(peer.pid(), Some(child.id()));
    assert_eq!(peer.pinned_pid().unwrap(), Some(child.id()));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(peer.pid(), Some(child.id()), "the number alone does not notice");
    assert_eq!(peer.pinned_pid().unwrap(), None);
}

#[test]
#[ignore = "runs as a child of another test"]
fn says_hello_from_another_process() {
    use std::io::{Read, Write};
    let mut stream = UnixStream::connect("peer.sock").unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    // Stay until the parent has looked.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[tokio::test]
async fn the_file_has_its_mode_and_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let lifecycle = lifecycle();
    let _connections = report(&path, &lifecycle);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    lifecycle.shutdown();
    assert_eq!(soon("the drain", lifecycle.run()).await, Ended::Drained);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attest.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let bound = Bind::unix(&path, 0o666).listen().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
    drop(bound);
}

#[tokio::test]
async fn a_live_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attest.sock");
    let live = UnixListener::bind(&path).unwrap();
    assert!(matches!(Bind::unix(&path, 0o600).listen(), Err(BindError::InUse { .. })));
    drop(live);
    let ours = Bind::unix(&path, 0o600).listen().unwrap();
    assert!(matches!(Bind::unix(&path, 0o600).listen(), Err(BindError::InUse { .. })));
    assert!(path.exists());
    drop(ours);
}

#[tokio::test]
async fn what_is_no_socket_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    assert!(matches!(Bind::unix(&path, 0o600).listen(), Err(BindError::NotASocket { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
}

#[tokio::test]
async fn a_socket_that_another_put_in_our_place_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attest.sock");
    let ours = Bind::unix(&path, 0o600).listen().unwrap();
    std::fs::remove_file(&path).unwrap();
    let _theirs = UnixListener::bind(&path).unwrap();
    drop(ours);
    assert!(path.exists());
}
