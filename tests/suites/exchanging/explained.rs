//! What operators are told of a refused exchange: whether it was the subject, the actor, the target or the policy.
//! Not here: the command that prints it.

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};

use super::{ACCESS_TOKEN, BACK, Exchanging};

/// What an admin socket says of a refusal.
async fn explain(exchanging: &Exchanging, answer: &Answer) -> Value {
    let call = Call::get(&format!("/v1/decisions/{}", answer.text("decision_id")));
    call.send(exchanging.broker.admin_socket().as_path()).await.unwrap().json()
}

fn steps(document: &Value) -> Vec<(&str, &str)> {
    let stages = document["stages"].as_array().unwrap();
    stages
        .iter()
        .map(|stage| (stage["stage"].as_str().unwrap(), stage["outcome"].as_str().unwrap()))
        .collect()
}

/// The steps of an exchange, of which this one ended it.
fn until(end: &str) -> Vec<(&'static str, &'static str)> {
    let all = ["received", "evidence", "caller", "subject", "actor", "target", "policy", "token"];
    let at = all.iter().position(|step| *step == end).unwrap();
    let outcome = |nth: usize| match nth.cmp(&at) {
        std::cmp::Ordering::Less => "passed",
        std::cmp::Ordering::Equal => "stopped",
        std::cmp::Ordering::Greater => "not_reached",
    };
    all.iter().enumerate().map(|(nth, step)| (*step, outcome(nth))).collect()
}

#[tokio::test]
async fn a_refused_exchange_names_the_party_that_it_failed_for() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let acting = async |actor: &str| {
        let fields = [
            ("subject_token", subject.as_str()),
            ("subject_token_type", ACCESS_TOKEN),
            ("actor_token", actor),
            ("actor_token_type", ACCESS_TOKEN),
            ("resource", BACK),
        ];
        exchanging.exchange(0, &fields).await
    };
    let mut late = exchanging.user_claims();
    late["exp"] = json!(1_700_000_000);
    let late = exchanging.users.sign(&exchanging.users.header(), &late);
    let mut only_others = exchanging.user_claims();
    only_others["may_act"] = json!({"sub": "somebody"});
    let only_others = exchanging.users.sign(&exchanging.users.header(), &only_others);
    for (what, answer, end) in [
        ("subject expired", exchanging.pass_on(0, &late, BACK).await, "subject"),
        ("actor is another's", acting(&subject).await, "actor"),
        ("may_act", exchanging.pass_on(0, &only_others, BACK).await, "actor"),
        ("target", exchanging.pass_on(0, &subject, "https://nowhere.test").await, "target"),
    ] {
        let document = explain(&exchanging, &answer).await;
        assert_eq!(steps(&document), until(end), "{what}: {document:#}");
    }
    for (answer, end) in [(exchanging.pass_on(0, "x", BACK).await, "subject"), (acting("x").await, "actor")] {
        let document = explain(&exchanging, &answer).await;
        assert_eq!(steps(&document), until(end), "no token at all: {document:#}");
    }
}

#[tokio::test]
async fn a_denied_exchange_shows_its_subject_and_its_actors() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let fields = [
        ("subject_token", subject.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
        ("resource", "https://deep.test"),
        ("scope", "deep:write"),
    ];
    let document = explain(&exchanging, &exchanging.exchange(0, &fields).await).await;
    assert_eq!((&document["outcome"], steps(&document)), (&json!("denied"), until("policy")), "{document:#}");
    assert_eq!(document["forbids"][0]["policy"], "not-the-write-of-deep", "{document:#}");
}

#[tokio::test]
async fn who_may_not_pass_a_token_on_is_shown_the_permit_that_names_who_may() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let document = explain(&exchanging, &exchanging.pass_on(1, &subject, BACK).await).await;
    assert_eq!((&document["outcome"], steps(&document)), (&json!("refused"), until("subject")));
    let nearest = &document["near_misses"][0];
    assert_eq!(nearest["policy"], "middle-operates-front", "{document:#}");
    assert_eq!(nearest["failed"][0]["actual"], "\"second\"", "{document:#}");
}
