//! The local token endpoint.
//! Not here: what a token is good for; a bound one for nothing without the sidecar's key.

use symbolon_identity::ReasonCode;

use crate::broker::Mood;
use crate::caller::{Call, Place};
use crate::rig::{Plan, Rig};

const REST: &str =
    r#"listen: { health: "127.0.0.1:0", endpoints: { tcp: "127.0.0.1:0", allow_any_local_process: true } }"#;

fn rig() -> Rig {
    Rig::start(&Plan { rest: REST, ..Plan::default() })
}

fn call(rig: &Rig, path: &str) -> Call {
    Call::get(Place::Tcp(rig.addresses.endpoints.clone().unwrap()), path, &rig.lifecycle)
}

fn marked(rig: &Rig, path: &str) -> Call {
    call(rig, path).field("symbolon-request", "true")
}

#[tokio::test]
async fn a_local_caller_gets_the_token_of_an_upstream() {
    let rig = rig();
    let answer = marked(&rig, "/v1/token?upstream=orders").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let token: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&token["access_token"], &token["token_type"]), (&"opaque-1".into(), &"DPoP".into()));
    assert!((1..=300).contains(&token["expires_in"].as_u64().unwrap()), "{token}");
}

#[tokio::test]
async fn a_request_that_a_browser_could_be_made_to_send_is_refused() {
    let rig = rig();
    let path = "/v1/token?upstream=orders";
    let malformed = (400, ReasonCode::MalformedRequest, None);
    assert_eq!(call(&rig, path).send().await.problem(), malformed);
    assert_eq!(call(&rig, path).field("symbolon-request", "1").send().await.problem(), malformed);
    assert_eq!(marked(&rig, path).field("symbolon-request", "true").send().await.problem(), malformed);
    for name in ["x-forwarded-for", "x-forwarded-host", "forwarded"] {
        assert_eq!(marked(&rig, path).field(name, "10.0.0.1").send().await.problem(), malformed, "{name}");
    }
    let foreign = marked(&rig, path).host("evil.example").send().await;
    assert_eq!(foreign.problem(), (421, ReasonCode::RouteNotFound, None));
    let page = marked(&rig, path).field("origin", "http://localhost").send().await;
    assert_eq!(page.problem(), (403, ReasonCode::OriginNotAllowed, None));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let rig = rig();
    for path in ["/", "/v1/token/?upstream=orders", "/v1/token?upstream=other", "/v1/token?upstream=.."] {
        assert_eq!(marked(&rig, path).send().await.problem().0, 404, "{path}");
    }
    for path in ["/v1/token", "/v1/token?x=1"] {
        assert_eq!(marked(&rig, path).send().await.problem().0, 400, "{path}");
    }
    assert_eq!(marked(&rig, "/v1/token?upstream=orders").method("POST").send().await.status, 405);
}

#[tokio::test]
async fn a_denied_token_is_denied_here_too() {
    let rig = Rig::start(&Plan { rest: REST, broker: Mood::Deny, ..Plan::default() });
    let answer = marked(&rig, "/v1/token?upstream=orders").send().await;
    let (status, code, decision) = answer.problem();
    assert_eq!((status, code), (403, ReasonCode::Denied));
    assert!(decision.is_some());
}
