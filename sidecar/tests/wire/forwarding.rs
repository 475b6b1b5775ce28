//! What reaches the API, and what does not.
//! Not here: where the token comes from.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use symbolon_daemon::Clock;
use symbolon_identity::{ReasonCode, Timestamp};
use symbolon_proof::{ProofExpectation, check};

use crate::broker::Mood;
use crate::rig::{Plan, Rig, eventually};

#[tokio::test]
async fn a_request_leaves_with_its_token_and_a_proof_for_exactly_this_request() {
    let rig = Rig::start(&Plan::default());
    let answer = rig.call("/orders/1?full=yes").method("POST").body("hello").send().await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello"));
    let seen = rig.api.last();
    assert_eq!(seen.head.uri, "/orders/1?full=yes");
    assert_eq!(seen.body, "hello");
    assert_eq!(seen.field("authorization"), "DPoP opaque-1");
    assert_eq!(format!("http://{}", seen.field("host")), rig.api_url);
    let target = format!("{}/orders/1", rig.api_url);
    let expectation =
        ProofExpectation { method: "POST", targets: &[&target], access_token: Some("opaque-1"), nonce: None };
    let now = Timestamp::from_secs(rig.clock.unix_seconds()).unwrap();
    check(seen.field("dpop"), &expectation, now).unwrap();
}

#[tokio::test]
async fn each_request_has_a_proof_of_its_own() {
    let rig = Rig::start(&Plan::default());
    rig.call("/").send().await;
    rig.call("/").send().await;
    let seen = rig.api.seen();
    assert_eq!(seen[0].field("authorization"), seen[1].field("authorization"));
    assert_ne!(seen[0].field("dpop"), seen[1].field("dpop"));
}

#[tokio::test]
async fn the_apps_own_credentials_are_replaced_in_every_form() {
    let rig = Rig::start(&Plan::default());
    let call = rig.call("/").field("authorization", "Bearer app").field("authorization", "Basic app");
    let call = call.field("dpop", "app").field("proxy-authorization", "Basic app");
    assert_eq!(call.field("connection", "authorization, dpop").send().await.status, 200);
    let seen = rig.api.last();
    assert_eq!(seen.field("authorization"), "DPoP opaque-1");
    assert_ne!(seen.field("dpop"), "app");
    assert!(!format!("{:?}", seen.head.headers).contains("app"), "{:?}", seen.head.headers);
}

#[tokio::test]
async fn the_apps_own_credentials_are_refused_where_the_configuration_says_so() {
    let rig = Rig::start(&Plan { upstream: "    app_authorization: refuse", ..Plan::default() });
    for name in ["authorization", "dpop"] {
        let answer = rig.call("/").field(name, "Bearer app").send().await;
        assert_eq!(answer.problem(), (400, ReasonCode::MultipleTokens, None), "{name}");
        assert!(!answer.text().contains("app"), "{}", answer.text());
    }
    assert!(rig.api.seen().is_empty());
    assert_eq!(rig.call("/").send().await.status, 200);
}

#[tokio::test]
async fn a_bearer_token_is_sent_without_a_proof() {
    let broker = Mood::Grant { life: 300, token_type: "Bearer" };
    let rig = Rig::start(&Plan { broker, upstream: "    allow_bearer: true", ..Plan::default() });
    assert_eq!(rig.call("/").send().await.status, 200);
    let seen = rig.api.last();
    assert_eq!(seen.field("authorization"), "Bearer opaque-1");
    assert!(!seen.head.headers.contains_key("dpop"));
}

#[tokio::test]
async fn a_redirect_goes_back_to_the_app_and_is_not_followed() {
    let rig = Rig::start(&Plan::default());
    let answer = rig.call("/redirect").send().await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.headers["location"], "http://127.0.0.1:1/elsewhere");
    assert_eq!(rig.api.seen().len(), 1);
}

#[tokio::test]
async fn an_api_that_echoes_the_credential_does_not_get_it_through() {
    let rig = Rig::start(&Plan::default());
    let answer = rig.call("/echo").send().await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("authorization") && !answer.headers.contains_key("dpop"));
}

#[tokio::test]
async fn an_answer_streams_through_piece_by_piece() {
    let rig = Rig::start(&Plan::default());
    let mut answer = rig.call("/stream").begin().await.into_body();
    let sender = rig.api.pieces.lock().unwrap().take().unwrap();
    for piece in ["one", "two"] {
        sender.send(Bytes::from(piece)).await.unwrap();
        let frame = tokio::time::timeout(Duration::from_secs(5), answer.frame()).await.unwrap();
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), piece);
    }
    drop(sender);
    assert!(answer.frame().await.is_none());
}

#[tokio::test]
async fn an_upgrade_is_refused() {
    let rig = Rig::start(&Plan::default());
    let call = rig.call("/").field("connection", "upgrade").field("upgrade", "websocket");
    assert_eq!(call.send().await.problem(), (400, ReasonCode::UpgradeNotAllowed, None));
    assert!(rig.api.seen().is_empty());
}

#[tokio::test]
async fn a_method_that_would_show_the_token_to_the_app_is_refused() {
    let rig = Rig::start(&Plan::default());
    for method in ["TRACE", "trace", "TRACK"] {
        let answer = rig.call("/").method(method).send().await;
        assert_eq!(answer.problem(), (400, ReasonCode::MalformedRequest, None), "{method}");
    }
    assert!(rig.api.seen().is_empty());
    assert_eq!(rig.call("/").method("OPTIONS").send().await.status, 200);
}

#[tokio::test]
async fn an_api_that_is_away_is_the_apis_outage_and_not_ours() {
    // Port 1 on loopback: nobody listens there.
    let rig = Rig::start(&Plan {
        upstream: "  - name: gone\n    listen: { tcp: \"127.0.0.1:0\", allow_any_local_process: true }\n    \
                   target: http://127.0.0.1:1\n    resource: https://gone.internal",
        ..Plan::default()
    });
    let call = crate::caller::Call::get(rig.door("gone"), "/", &rig.lifecycle);
    assert_eq!(call.send().await.problem(), (502, ReasonCode::UpstreamUnavailable, None));
    eventually(async || rig.call("/").send().await.status == 200).await;
}
