//! Which route a request belongs to, and the spellings that belong to none.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Twist, World};
use crate::tokens::assert_rejected;

#[tokio::test]
async fn no_spelling_of_a_path_goes_around_a_route() {
    let world = World::start().await;
    for target in [
        "/public/../orders/7",
        "/public/./x",
        "/public/%2e%2e/orders/7",
        "/public/%2E%2E/orders/7",
        "/public/.%2e/orders",
        "/public/%2e%2e%2forders",
        "/public%2f..%2forders",
        "/public/..%5corders",
        "/public/..\\orders",
        "/public//orders",
        "//orders/7",
        "/public/;/orders",
        "/public;x=1/orders",
        "/public/%3b/x",
        "/public/%00",
        "/public/%252e%252e/orders",
        "/public/%c0%ae%c0%ae/orders",
        "/public/%ff",
        "/public/a%",
        "/public/a%zz",
        "/public/a%2",
        "/%6frders/7",
        "/%70ublic/7",
        "/public/x.",
        "/public/x%20",
        "/public/%23/x",
        "/public/%3f",
        "/public/%0d%0ax",
        "/public/{x}",
        "/public/\"x\"",
        "/public/|",
        "/public/^",
    ] {
        let answer = world.send("GET", target, "").await;
        assert_eq!(answer.status, 400, "{target}: {answer:?}");
        // What hyper itself refuses has no document; what we refuse says why.
        let ours = answer.headers("content-type") == ["application/problem+json"];
        assert!(!ours || answer.code() == "path_not_canonical", "{target}: {answer:?}");
    }
    assert_eq!(world.api.seen(), 0);
    world.end().await;
}

#[tokio::test]
async fn a_fragment_never_changes_the_route() {
    let world = World::start().await;
    let answer = world.send("GET", "/orders/7#/../public", "").await;
    assert!(matches!(answer.status, 400 | 401), "{answer:?}");
    let answer = world.send("GET", "/orders/7?x=/public/", "").await;
    assert_rejected(&answer, 401, "token_missing");
    world.end().await;
}

#[tokio::test]
async fn the_bytes_that_were_judged_are_forwarded() {
    let world = World::start().await;
    for target in [
        "/public/a%20b?x=%2e%2e/y&z=a%2Fb",
        "/public/caf%C3%A9/",
        "/public/caf%c3%a9",
        "/public/a@b:c,d+e=f!$&'()*",
        "/public?",
        "/public",
    ] {
        let answer = world.send("GET", target, "").await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert_eq!(answer.json()["target"], target);
    }
    world.end().await;
}

#[tokio::test]
async fn unknown_hosts_paths_and_methods_have_no_route() {
    let world = World::start().await;
    assert_rejected(&world.send("GET", "/other", "").await, 404, "route_not_found");
    assert_rejected(&world.send("GET", "/Orders/7", "").await, 404, "route_not_found");
    assert_rejected(&world.send("DELETE", "/orders/7", "").await, 404, "route_not_found");
    assert_rejected(&world.send("get", "/orders/7", "").await, 404, "route_not_found");
    let raw = b"GET /public HTTP/1.1\r\nHost: other.example.com\r\nConnection: close\r\n\r\n";
    assert_rejected(&world.raw(raw).await, 404, "route_not_found");
    world.end().await;
}

#[tokio::test]
async fn the_more_precise_route_decides_whatever_the_order_of_the_file() {
    // `/orders/admin/**` stands after `/orders/**` and knows GET only; POST must not fall through to the broad one.
    let world = World::start().await;
    let token = world.mint().sign();
    assert_rejected(&world.call("GET", "/orders/admin/7", &token).await, 403, "insufficient_scope");
    assert_rejected(&world.call("POST", "/orders/admin/7", &token).await, 404, "route_not_found");
    assert_rejected(&world.call("GET", "/orders/admin", &token).await, 403, "insufficient_scope");
    assert_rejected(&world.call("GET", "/orders/admin/", &token).await, 403, "insufficient_scope");
    assert_eq!(world.call("POST", "/orders/7", &token).await.status, 200);
    world.end().await;
}

#[tokio::test]
async fn hosts_are_compared_without_case_and_port() {
    let world = World::start().await;
    for host in ["Orders.Example.COM", "orders.example.com:8720"] {
        let raw = format!("GET /public HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(world.raw(raw.as_bytes()).await.status, 200, "{host}");
    }
    world.end().await;
}

#[tokio::test]
async fn the_gateway_describes_the_resources_behind_it() {
    let world = World::start().await;
    let answer = world.send("GET", "/.well-known/oauth-protected-resource/orders", "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let document = answer.json();
    assert_eq!(document["resource"], "https://orders.internal");
    assert_eq!(document["authorization_servers"][0], world.issuer.url());
    assert_eq!(document["scopes_supported"][0], "orders:read");
    assert_eq!(document["dpop_bound_access_tokens_required"], true);
    let billing = world.send("GET", "/.well-known/oauth-protected-resource/billing", "").await.json();
    assert_eq!(billing["dpop_bound_access_tokens_required"], false);
    for target in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/public",
        "/.well-known/oauth-protected-resource/nothing",
    ] {
        assert_rejected(&world.send("GET", target, "").await, 404, "route_not_found");
    }
    let posted = world.send("POST", "/.well-known/oauth-protected-resource/orders", "").await;
    assert_rejected(&posted, 404, "route_not_found");
    assert_eq!(world.api.seen(), 0);
    world.end().await;
}

#[tokio::test]
async fn an_upstream_that_is_away_is_502_with_a_code() {
    let routes = "
routes:
  - name: away
    match: { path: /** }
    public: true
    upstream: { url: 'http://127.0.0.1:9' }
"
    .to_owned();
    let world = World::with(Twist { routes: Some(routes), ..Twist::default() }).await;
    assert_rejected(&world.send("GET", "/x", "").await, 502, "upstream_unavailable");
    world.end().await;
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_504() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let routes = format!(
        "
routes:
  - name: silent
    match: {{ path: /** }}
    public: true
    upstream: {{ url: 'http://{}', response_timeout: 100ms }}
",
        silent.local_addr().unwrap()
    );
    let world = World::with(Twist { routes: Some(routes), ..Twist::default() }).await;
    assert_rejected(&world.send("GET", "/x", "").await, 504, "upstream_timeout");
    world.end().await;
}

#[tokio::test]
async fn an_api_that_hangs_makes_the_next_request_busy_and_takes_nothing_from_others() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = hanging.local_addr().unwrap();
    let routes = |api: &str| {
        format!(
            "
routes:
  - {{ name: slow, match: {{ path: /slow/** }}, public: true, upstream: {{ url: 'http://{address}', max_requests: 1 }} }}
  - {{ name: fast, match: {{ path: /fast/** }}, public: true, upstream: {{ url: 'http://{api}', max_requests: 1 }} }}
"
        )
    };
    let world = World::with(Twist { routes: Some(routes("127.0.0.1:9")), ..Twist::default() }).await;
    let mut first = TcpStream::connect(&world.public).await.unwrap();
    first.write_all(b"GET /slow/1 HTTP/1.1\r\nHost: orders.example.com\r\n\r\n").await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_secs(20), hanging.accept()).await.unwrap().unwrap();
    assert_rejected(&world.send("GET", "/slow/2", "").await, 503, "busy");
    assert_rejected(&world.send("GET", "/fast/1", "").await, 502, "upstream_unavailable");
    // Who asked gives up, and the place is free.
    drop((first, waiting));
    let freed = async {
        while world.send("GET", "/slow/3", "").await.code() == "busy" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    drop(hanging);
    tokio::time::timeout(Duration::from_secs(20), freed).await.unwrap();
    world.end().await;
}
