//! What an exchange may be for: targets all or none, scopes that only shrink: X5, X6.
//! Not here: whose tokens may be exchanged.

use serde_json::json;

use super::{ACCESS_TOKEN, BACK, DEEP, Exchanging, FRONT, assert_refused, claims, said};

impl Exchanging {
    async fn wanting(&self, subject: &str, wanted: &[(&str, &str)]) -> symbolon_e2e::http::Answer {
        let token = [("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)];
        self.exchange(0, &[&token, wanted].concat()).await
    }
}

#[tokio::test]
async fn for_the_same_resource_scopes_only_shrink() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let answer = exchanging.wanting(&subject, &[("resource", FRONT), ("scope", "front:read")]).await;
    assert_eq!((answer.status, answer.text("scope").as_str()), (200, "front:read"), "{}", said(&answer));
    let narrowed = answer.text("access_token");
    let answer = exchanging.wanting(&subject, &[("resource", FRONT)]).await;
    assert_eq!(answer.text("scope"), "front:read front:write", "the subject's, not the default");
    // The narrowed one has an actor by now; whoever narrows again is another.
    let wider = [("resource", FRONT), ("scope", "front:read front:write")];
    let answer = exchanging.wanting(&narrowed, &wider).await;
    assert!(answer.status == 400, "{}", said(&answer));
    let alice = exchanging.users.sign(&exchanging.users.header(), &{
        let mut claims = exchanging.user_claims();
        claims["aud"] = json!(FRONT);
        claims["scope"] = json!("front:read");
        claims
    });
    let answer = exchanging.wanting(&alice, &wider).await;
    assert_refused("wider than a user's", &answer, "invalid_scope", "scope_exceeds_subject");
}

#[tokio::test]
async fn each_target_is_well_formed_known_and_permitted() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    for (what, wanted) in [
        ("relative", vec![("resource", "/back")]),
        ("a fragment", vec![("resource", "https://back.test#a")]),
        ("another scheme", vec![("resource", "ftp://back.test")]),
        ("unknown", vec![("resource", "https://unknown.test")]),
        ("one of two unknown", vec![("resource", BACK), ("resource", "https://unknown.test")]),
        ("three", vec![("resource", BACK), ("resource", DEEP), ("resource", FRONT)]),
        ("one delegated, one not", vec![("resource", BACK), ("audience", "borrowed")]),
    ] {
        let answer = exchanging.wanting(&subject, &wanted).await;
        assert_refused(what, &answer, "invalid_target", "invalid_target");
    }
    for (what, scope, code) in [
        ("not offered", "back:burn", "invalid_scope"),
        ("of another resource", "deep:read", "invalid_scope"),
        ("malformed", "back:read  back:write", "invalid_scope"),
    ] {
        let answer = exchanging.wanting(&subject, &[("resource", BACK), ("scope", scope)]).await;
        assert_refused(what, &answer, "invalid_scope", code);
    }
}

#[tokio::test]
async fn an_audience_is_a_target_too_alone_several_or_beside_a_resource() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let scope = ("scope", "back:read deep:read");
    for (wanted, audience) in [
        (vec![("audience", "back")], json!(BACK)),
        (vec![("audience", BACK)], json!(BACK)),
        (vec![("audience", BACK), ("resource", BACK)], json!(BACK)),
        (vec![("audience", "back"), ("audience", "deep"), scope], json!([BACK, DEEP])),
        (vec![("audience", "deep"), ("resource", BACK), scope], json!([BACK, DEEP])),
    ] {
        let answer = exchanging.wanting(&subject, &wanted).await;
        assert_eq!(answer.status, 200, "{wanted:?}: {}", said(&answer));
        assert_eq!(claims(&answer.text("access_token"))["aud"], audience, "{wanted:?}");
    }
    for unknown in ["backs", "BACK", "a b", "https://back.test/"] {
        let answer = exchanging.wanting(&subject, &[("audience", unknown)]).await;
        assert_refused(unknown, &answer, "invalid_target", "invalid_target");
    }
}

#[tokio::test]
async fn several_targets_are_all_or_nothing() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let both = [("resource", BACK), ("resource", DEEP), ("scope", "back:read deep:read")];
    let answer = exchanging.wanting(&subject, &both).await;
    assert_eq!(answer.status, 200, "{}", said(&answer));
    let after = claims(&answer.text("access_token"));
    assert_eq!((&after["aud"], &after["scope"]), (&json!([BACK, DEEP]), &json!("back:read deep:read")));
    let one_forbidden = [("resource", BACK), ("resource", DEEP), ("scope", "back:read deep:write")];
    assert_refused(
        "one forbidden",
        &exchanging.wanting(&subject, &one_forbidden).await,
        "invalid_target",
        "denied",
    );
}

#[tokio::test]
async fn what_one_target_has_by_default_is_no_scope_of_another() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let both = [("resource", "https://one.test"), ("resource", "https://two.test")];
    let answer = exchanging.wanting(&subject, &both).await;
    assert_refused("different defaults", &answer, "invalid_scope", "invalid_scope");
    let named = [&both[..], &[("scope", "read")]].concat();
    let answer = exchanging.wanting(&subject, &named).await;
    assert_eq!((answer.status, answer.text("scope").as_str()), (200, "read"), "{}", said(&answer));
}

#[tokio::test]
async fn a_bound_resource_wants_a_proof_also_in_an_exchange() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let answer = exchanging.wanting(&subject, &[("audience", "bound")]).await;
    assert_refused("no proof", &answer, "invalid_dpop_proof", "proof_missing");
}
