//! Several stages on one route, with tokens that are bound to a key.
//! Not here: conditions and policies, which the suites over the wire cover.

use crate::harness::{Twist, World};
use crate::tokens::assert_rejected;

fn routes(api: &str) -> String {
    format!(
        "
routes:
  - name: orders
    match: {{ hosts: [orders.example.com], path: /orders/** }}
    resource: {orders}
    upstream: {{ url: 'http://{api}' }}
    stages:
      - verify: {{ issuers: [main] }}
      - verify: {{ issuers: [main], scopes: ['orders:read'] }}
        when: request.method == \"GET\"
      - verify: {{ issuers: [main], scopes: ['orders:write'] }}
        when: request.method != \"GET\" && token.key_bound
",
        orders = crate::harness::ORDERS
    )
}

async fn world() -> World {
    // The API of a world is known only once it has started, and a route needs its address: none is reached here.
    World::with(Twist { routes: Some(routes("127.0.0.1:9")), ..Twist::default() }).await
}

#[tokio::test]
async fn a_proof_counts_once_a_request_and_not_once_a_stage() {
    let world = world().await;
    let token = world.mint().sign();
    let proof = world.proof("GET", "/orders/7", &token);
    let more = format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n");
    // Two `verify` stages passed: the request got as far as the upstream, which is away.
    assert_rejected(&world.send("GET", "/orders/7", &more).await, 502, "upstream_unavailable");
    assert_rejected(&world.send("GET", "/orders/7", &more).await, 401, "proof_replayed");
    world.end().await;
}

#[tokio::test]
async fn each_verify_that_applies_must_pass() {
    let world = world().await;
    let token = world.mint().sign();
    assert_rejected(&world.call("POST", "/orders/7", &token).await, 403, "insufficient_scope");
    let token = world.mint().with("scope", "orders:write").sign();
    assert_rejected(&world.call("POST", "/orders/7", &token).await, 502, "upstream_unavailable");
    let answer = world.call("GET", "/orders/7", &token).await;
    assert_rejected(&answer, 403, "insufficient_scope");
    // The challenge is of the stage that refused.
    assert!(answer.headers("www-authenticate")[0].contains("orders:read"), "{answer:?}");
    world.end().await;
}
