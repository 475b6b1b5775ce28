//! The broker as its callers see it, over real sockets, in one process.
//! Not here: the process itself (signals, `kill -9`), which the end-to-end suites test.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod evidence;
mod harness;
mod operation;

use harness::{Setup, claims, proof_key};
use http::HeaderMap;
use http::header::{ETAG, IF_NONE_MATCH};
use symbolon_jws::JwkSet;
use symbolon_token::{AudienceRule, Expectations, UnverifiedToken};

const EVERYTHING: &str = "@id(\"all\") permit (principal, action, resource);";

#[tokio::test(flavor = "multi_thread")]
async fn a_local_program_gets_a_bound_token_that_verifies_by_the_published_keys() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    let key = proof_key();
    let answer = broker.ask_local(&[("resource", "https://orders.test")], Some(&broker.prove(&key))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((answer.text("token_type"), answer.text("scope")), ("DPoP", "orders:read"));
    assert_eq!(answer.body["expires_in"], 600);
    assert_eq!(answer.headers["cache-control"], "no-store");

    let keys = broker.get("/.well-known/jwks.json", HeaderMap::new()).await;
    let keys = JwkSet::parse(keys.body.to_string().as_bytes()).unwrap();
    let token = UnverifiedToken::parse(answer.text("access_token")).unwrap();
    let verifying = keys.find(token.key_id_hint(), token.algorithm_hint()).unwrap();
    let audience = "https://orders.test".parse().unwrap();
    let expectations =
        Expectations::access_token(broker.addresses.issuer.as_str(), AudienceRule::Sole(&audience));
    let verified = token.verify(verifying, &expectations, harness::now()).unwrap();
    let uid = rustix::process::geteuid().as_raw();
    let workload = format!("spiffe://test.example/local/uid/{uid}");
    assert_eq!(verified.claims().subject.as_str(), workload);
    assert_eq!(verified.claims().client_id.as_ref().unwrap().as_str(), workload);
    assert_eq!(verified.claims().confirmation.unwrap().jkt, Some(key.thumbprint()));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_resource_needs_a_proof_and_a_bearer_resource_does_not() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    let bound = broker.ask_local(&[("resource", "https://orders.test")], None).await;
    assert_eq!(
        (bound.status, bound.text("error"), bound.reason()),
        (400, "invalid_dpop_proof", "proof_missing")
    );
    let bearer = broker.ask_local(&[("audience", "notes")], None).await;
    assert_eq!((bearer.status, bearer.text("token_type")), (200, "Bearer"));
    assert!(claims(bearer.text("access_token")).get("cnf").is_none());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_an_issuer_with_a_path_stand_at_both_places_and_keys_are_validated_by_tag() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.try_start("http://127.0.0.1:0/tenant/a", "").await.unwrap();
    for place in [
        "/tenant/a/.well-known/openid-configuration",
        "/.well-known/openid-configuration/tenant/a",
        "/tenant/a/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/tenant/a",
    ] {
        let document = broker.get(place, HeaderMap::new()).await;
        assert_eq!(document.status, 200, "{place}");
        assert_eq!(document.text("issuer"), broker.addresses.issuer.as_str());
        assert!(document.text("token_endpoint").ends_with("/tenant/a/oauth2/token"));
    }
    let keys = broker.get("/tenant/a/.well-known/jwks.json", HeaderMap::new()).await;
    let headers = HeaderMap::from_iter([(IF_NONE_MATCH, keys.headers[ETAG].clone())]);
    assert_eq!(broker.get("/tenant/a/.well-known/jwks.json", headers).await.status, 304);
    assert!(!keys.body.to_string().contains("\"d\""));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_offered_scopes_and_known_targets_are_granted() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    let notes = ("audience", "notes");
    let all = broker.ask_local(&[notes, ("scope", "notes:write notes:read")], None).await;
    assert_eq!(all.text("scope"), "notes:read notes:write");
    let wide = broker.ask_local(&[notes, ("scope", "notes:read orders:read")], None).await;
    assert_eq!((wide.status, wide.text("error")), (400, "invalid_scope"));
    let unknown = broker.ask_local(&[("resource", "https://else.test")], None).await;
    assert_eq!((unknown.status, unknown.text("error")), (400, "invalid_target"));
    broker.stop().await;
}
