//! Issuers of opaque tokens that cannot answer, or answer nothing that can be used: an outage, soon told, never a 401.
//! Not here: answers that can be used (`opaque`).

use std::time::Duration;

use serde_json::{Value, json};
use symbolon_e2e::http::Answer;
use symbolon_e2e::introspection::Reply;
use symbolon_e2e::process::wait_for;
use tokio::time::Instant;

use super::opaque::{Asking, but, good};
use super::{BACK, DEEP, said};

/// Checks an answer that nobody here is to blame for.
fn assert_outage(what: &str, answer: &Answer, code: &str) {
    let error = (answer.status, answer.text("error"));
    assert_eq!(error, (503, "temporarily_unavailable".to_owned()), "{what}: {}", said(answer));
    assert!(answer.text("error_description").starts_with(&format!("{code}:")), "{what}: {}", said(answer));
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{what}");
    assert!(answer.json().get("access_token").is_none());
}

fn text(value: &Value) -> String {
    value.to_string()
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_an_outage() {
    let asking = Asking::start().await;
    let json = "application/json";
    let body = text(&good());
    let raw = |status, kind, body: &str| Reply::Raw(status, kind, body.to_owned());
    let large = text(&but("padding", json!("x".repeat(70_000))));
    let elsewhere = format!("{}/elsewhere", asking.vault.url());
    let twice = body.replacen("\"active\":true", "\"active\":true,\"active\":true", 1);
    let escaped = body.replacen("\"active\":true", "\"active\":false,\"\\u0061ctive\":true", 1);
    let cases = [
        ("active as a text", Reply::Json(but("active", json!("true"))), "no boolean `active`"),
        ("active as a number", Reply::Json(but("active", json!(1))), "no boolean `active`"),
        ("no active", Reply::Json(but("active", Value::Null)), "no boolean `active`"),
        ("our credentials refused", raw(401, json, &body), "status 401"),
        ("forbidden", raw(403, json, &body), "status 403"),
        ("a fault", raw(500, json, &body), "status 500"),
        ("another success", raw(203, json, &body), "status 203"),
        ("a redirect", Reply::Redirect(elsewhere), "status 302"),
        ("another type", raw(200, "text/html", &body), "not `application/json`"),
        ("no type", raw(200, "", &body), "not `application/json`"),
        ("a signed answer", raw(200, "application/token-introspection+jwt", &body), "not `application/json`"),
        ("no JSON", raw(200, json, "<html>"), "its answer is refused"),
        ("no object", raw(200, json, "[true]"), "its answer is refused"),
        ("nothing", raw(200, json, ""), "its answer is refused"),
        ("a member twice", raw(200, json, &twice), "stands twice"),
        ("a member twice, once escaped", raw(200, json, &escaped), "stands twice"),
        ("something after it", raw(200, json, &format!("{body}{body}")), "its answer is refused"),
        ("too large", raw(200, json, &large), "larger than 65536 bytes"),
        ("closed", Reply::Close, "no answer that can be read"),
    ];
    for (what, reply, detail) in cases {
        let answer = asking.pass_on(&asking.token(reply)).await;
        assert_outage(what, &answer, "issuer_unavailable");
        let record = asking.record(&answer).await;
        assert!(record.contains(detail), "{what}: {record}");
        // One good answer in between: an issuer that fails too often in a row would not be asked for a while.
        assert_eq!(asking.pass_on(&asking.good_token()).await.status, 200, "after {what}");
    }
    assert_eq!(asking.vault.strays(), 0, "a redirect was followed");
    let metrics = asking.metrics().await;
    for outcome in ["malformed", "status", "unreachable"] {
        assert!(metrics.contains(&format!("introspections_total{{outcome=\"{outcome}\"}}")), "{metrics}");
    }
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_keeps_nobody_waiting_for_long() {
    let section = "token_prefix: vault_, client_id: symbolon, concurrent_requests: 1";
    let asking = Asking::start_with(section).await;
    let silent = asking.token(Reply::Silence);
    let began = Instant::now();
    let (first, second) = tokio::join!(asking.pass_on(&silent), async {
        wait_for("the issuer is asked", Duration::from_secs(10), async || asking.vault.asked(&silent) == 1)
            .await;
        asking.pass_on(&asking.good_token()).await
    });
    assert_outage("silence", &first, "issuer_unavailable");
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert!(asking.record(&first).await.contains("no answer in time"));
    assert_outage("no place", &second, "busy");
    assert_eq!(asking.vault.questions().len(), 1);
    assert_eq!(asking.pass_on(&asking.good_token()).await.status, 200);
}

#[tokio::test]
async fn an_issuer_that_is_down_is_left_alone_and_asked_again_later() {
    let mut asking = Asking::start().await;
    let token = asking.good_token();
    assert_eq!(asking.pass_on(&token).await.status, 200);
    asking.vault.down().await;
    for _ in 0..6 {
        assert_outage("down", &asking.pass_on(&token).await, "issuer_unavailable");
    }
    assert!(asking.metrics().await.contains("introspections_total{outcome=\"resting\"}"));
    asking.vault.up().await;
    wait_for("it is asked again", Duration::from_secs(20), async || {
        let answer = asking.pass_on(&token).await;
        if answer.status != 200 {
            assert_outage("resting", &answer, "issuer_unavailable");
        }
        answer.status == 200
    })
    .await;
}

#[tokio::test]
async fn who_makes_an_issuer_fail_mutes_it_for_nobody_else() {
    let asking = Asking::start().await;
    // Each failure is of another token: an endpoint that has moved is no wrong guess either.
    for status in [500, 404, 403, 500, 404, 500] {
        let token = asking.token(Reply::Raw(status, "text/plain", String::new()));
        assert_outage("it fails", &asking.pass_on(&token).await, "issuer_unavailable");
    }
    assert!(asking.metrics().await.contains("introspections_total{outcome=\"resting\"} 1"));
    let subject = asking.token(Reply::Json(but("aud", json!(BACK))));
    assert_eq!(asking.exchanging.pass_on(1, &subject, DEEP).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_a_guess_too() {
    let section = "token_prefix: vault_, client_id: symbolon, inactive_per_minute: 2";
    let asking = Asking::start_with(section).await;
    let mut statuses = Vec::new();
    // The minute of the clock may end once on the way.
    for _ in 0..5 {
        let token = asking.token(Reply::Raw(500, "text/plain", String::new()));
        statuses.push(asking.pass_on(&token).await.status);
    }
    assert!(statuses.starts_with(&[503]) && statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn only_so_many_questions_are_asked_in_a_second() {
    let section =
        "token_prefix: vault_, client_id: symbolon, requests_per_second: 1, inactive_per_minute: 1000";
    let asking = Asking::start_with(section).await;
    let began = Instant::now();
    let mut held_back = 0;
    for guess in 0..12 {
        let answer = asking.pass_on(&format!("vault_garbage-{guess}")).await;
        if answer.status == 503 {
            assert_outage("too many", &answer, "busy");
            held_back += 1;
        }
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(
        asking.vault.questions().len() <= seconds + 2,
        "{} in {seconds} s",
        asking.vault.questions().len()
    );
    assert_eq!(held_back + asking.vault.questions().len(), 12);
}

#[tokio::test]
async fn an_endpoint_is_discovered_only_from_its_issuer_and_only_if_it_may_be_asked() {
    let asking = Asking::start().await;
    let (url, endpoint) = (asking.vault.url(), asking.vault.endpoint());
    let described =
        |issuer: &str, endpoint: &str| json!({"issuer": issuer, "introspection_endpoint": endpoint});
    let cases = [
        ("another issuer's document", described("https://evil.test", &endpoint), "of another issuer"),
        ("plain http elsewhere", described(&url, "http://vault.test/introspect"), "may not be used"),
        ("no web address", described(&url, "file:///etc/passwd"), "may not be used"),
        ("no endpoint", json!({"issuer": url}), "malformed"),
    ];
    for (what, document, detail) in cases {
        asking.vault.describe(document);
        let token = asking.good_token();
        let answer = asking.pass_on(&token).await;
        assert_outage(what, &answer, "issuer_unavailable");
        let record = asking.record(&answer).await;
        assert!(record.contains(detail), "{what}: {record}");
        assert_eq!(asking.vault.asked(&token), 0, "{what}");
    }
    // Once it is described rightly it is asked; what was wrong before was not kept.
    asking.vault.describe(described(&url, &endpoint));
    assert_eq!(asking.pass_on(&asking.good_token()).await.status, 200);
}
