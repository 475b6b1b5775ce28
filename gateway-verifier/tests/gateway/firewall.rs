//! What a client says about itself does not reach the API.

use crate::harness::World;
use crate::tokens::assert_rejected;

const SPOOFS: &[&str] = &[
    "X-Workload-Id",
    "x-workload-id",
    "X_Workload_Id",
    "x_workload-id",
    "X.Workload.Id",
    "x-workload.id",
    "X-WORKLOAD-SUBJECT",
    "X_Workload_Issuer",
    "X-Workload-Audience",
    "X-Workload-Scope",
    "X.Workload.Scope",
    "X-Workload-Actors",
    "X-Workload-Token",
    "X-Workload-Anything",
    "X-Request-Id",
    "X_Request_ID",
    "X-Auth-Reason",
    "Symbolon-Stream",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Uri",
    "X_Forwarded_Method",
    "X-Forwarded-Prefix",
    "Forwarded",
    "X-Original-Url",
    "X-Original-Uri",
    "X-Rewrite-Url",
    "X-Envoy-Original-Path",
    "X-HTTP-Method-Override",
    "X-Forwarded",
    "X_Forwarded",
    "Client-IP",
    "Client_Ip",
    "X-Client-IP",
    "True-Client-IP",
    "X-Cluster-Client-IP",
    "Remote-User",
    "Remote_User",
    "X-Remote-User",
    "X.Remote.User",
];

/// Credentials in a spelling or place that is not read.
const TWINS: &[&str] = &["Txn_Token", "Workload_Identity_Token", "Txn-Token", "Workload-Proof-Token"];

#[tokio::test]
async fn no_spelling_of_our_headers_reaches_the_api_on_any_route() {
    let world = World::start().await;
    let token = world.mint().sign();
    for spoof in SPOOFS {
        let proof = world.proof("GET", "/orders/7", &token);
        let credential = format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n");
        for (target, credential) in
            [("/orders/7", credential.as_str()), ("/public/7", ""), ("/optional/7", "")]
        {
            let more = format!("{credential}{spoof}: forged\r\n{}: forged\r\n", spoof.to_ascii_uppercase());
            let answer = world.send("GET", target, &more).await;
            assert_eq!(answer.status, 200, "{spoof} {target}: {answer:?}");
            assert!(!answer.text().contains("forged"), "{spoof} {target}: {}", answer.text());
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_credential_in_another_spelling_is_refused_where_one_is_read_and_removed_elsewhere() {
    let world = World::start().await;
    let token = world.mint().sign();
    for twin in TWINS {
        let proof = world.proof("GET", "/orders/7", &token);
        let more = format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n{twin}: forged\r\n");
        let beside = world.send("GET", "/orders/7", &more).await;
        assert_rejected(&beside, 400, "multiple_tokens");
        let alone = world.send("GET", "/optional/7", &format!("{twin}: forged\r\n")).await;
        assert_eq!(alone.status, 401, "{twin}: {alone:?}");
        let public = world.send("GET", "/public/7", &format!("{twin}: forged\r\n")).await;
        assert_eq!(public.status, 200, "{twin}: {public:?}");
        assert!(!public.text().contains("forged"), "{twin}: {}", public.text());
    }
    assert_eq!(world.api.seen(), TWINS.len());
    world.end().await;
}

#[tokio::test]
async fn a_name_with_a_space_is_no_header() {
    let world = World::start().await;
    let answer = world.send("GET", "/public/7", "X Workload Id: root\r\n").await;
    assert!(answer.status == 400, "{answer:?}");
    let answer = world.send("GET", "/public/7", "X-Workload-Id : root\r\n").await;
    assert!(answer.status == 400, "{answer:?}");
    assert_eq!(world.api.seen(), 0);
    world.end().await;
}

#[tokio::test]
async fn connection_cannot_remove_what_we_vouch_for() {
    let world = World::start().await;
    let token = world.mint().sign();
    for nominated in [
        "X-Workload-Id",
        "close, x-workload-id",
        "Keep-Alive, X-Workload-Id, authorization, dpop, x-request-id",
    ] {
        let proof = world.proof("GET", "/orders/7", &token);
        let raw = format!(
            "GET /orders/7 HTTP/1.1\r\nHost: orders.example.com\r\nConnection: close\r\nConnection: {nominated}\r\nX-Workload-Id: root\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\r\n"
        );
        let answer = world.raw(raw.as_bytes()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.seen("x-workload-id"), ["spiffe://example.com/shop"], "{nominated}");
        assert_eq!(answer.seen("x-request-id").len(), 1);
        assert!(answer.seen("connection").is_empty());
    }
    world.end().await;
}

#[tokio::test]
async fn trailers_do_not_reach_the_api() {
    let world = World::start().await;
    let raw = b"POST /public/7 HTTP/1.1\r\nHost: orders.example.com\r\nTransfer-Encoding: chunked\r\nTrailer: X-Workload-Id\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-Workload-Id: root\r\nAuthorization: Bearer x\r\n\r\n";
    let answer = world.raw(raw).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["body"], "hello");
    assert!(!answer.text().contains("root"), "{}", answer.text());
    world.end().await;
}

#[tokio::test]
async fn the_credential_stays_here_unless_the_route_passes_it_on() {
    let world = World::start().await;
    let token = world.issuer.bearer(world.now()).sign();
    let authorization = format!("Authorization: Bearer {token}\r\n");
    let kept = world.send("GET", "/billing/7", &authorization).await;
    assert!(!kept.text().contains(&token), "{}", kept.text());
    let passed = world.send("GET", "/passing/7", &authorization).await;
    assert_eq!(passed.seen("authorization"), [format!("Bearer {token}")]);
    let public = world.send("GET", "/public/7", &format!("{authorization}DPoP: x\r\nTxn-Token: x\r\n")).await;
    assert_eq!(public.status, 200);
    for name in ["authorization", "dpop", "txn-token"] {
        assert!(public.seen(name).is_empty(), "{name}");
    }
    world.end().await;
}

#[tokio::test]
async fn the_api_sees_only_what_was_sent_and_what_we_set() {
    let world = World::start().await;
    let token = world.mint().sign();
    let mut names = world.call("GET", "/orders/7", &token).await.names();
    names.sort();
    assert_eq!(
        names,
        [
            "host",
            "x-request-id",
            "x-workload-audience",
            "x-workload-id",
            "x-workload-issuer",
            "x-workload-scope",
            "x-workload-subject"
        ]
    );
    world.end().await;
}
