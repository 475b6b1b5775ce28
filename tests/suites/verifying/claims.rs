//! Tokens that are signed well and say the wrong thing: J22–J24.
//! Not here: keys.

use serde_json::{Value, json};
use symbolon_e2e::issuer::KEY_ID;
use symbolon_e2e::machine::now;

use super::{ISSUER, NOTES, ORDERS, Verifying, case};

#[tokio::test]
async fn only_a_plain_time_in_the_near_future_is_an_expiry() {
    let verifying = Verifying::start().await;
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY_ID}).to_string();
    let mut cases = vec![case(
        "J22 no exp",
        verifying.changed(|claims| {
            claims.as_object_mut().unwrap().remove("exp");
        }),
    )];
    let claims = verifying.issuer.claims(ORDERS).to_string();
    let honest = format!("\"exp\":{}", verifying.issuer.claims(ORDERS)["exp"]);
    let text = if claims.contains(&honest) { claims } else { verifying.issuer.claims(ORDERS).to_string() };
    let at = text.find("\"exp\":").unwrap();
    let end = at + text[at..].find([',', '}']).unwrap();
    for exp in [
        "null",
        "true",
        "\"9999999999\"",
        "[9999999999]",
        "{}",
        "0",
        "-1",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "1e309",
        "-1e309",
        "NaN",
        "Infinity",
        "9999999999.5",
        "1e10",
        "01",
        "+1",
    ] {
        let payload = format!("{}\"exp\":{exp}{}", &text[..at], &text[end..]);
        cases.push(case(format!("J22 exp {exp}"), verifying.issuer.sign_text(&header, &payload)));
    }
    for (what, exp) in [
        ("just past", now() - 1),
        ("an hour ago", now() - 3600),
        ("in milliseconds", now() * 1000),
        ("in a hundred years", now() + 3_153_600_000),
    ] {
        cases.push(case(format!("J22 {what}"), verifying.changed(|claims| claims["exp"] = json!(exp))));
    }
    verifying.all_refused(cases, &["malformed", "expired", "lifetime_too_long"]).await;
}

#[tokio::test]
async fn issue_times_in_the_future_and_long_lives_are_refused() {
    let verifying = Verifying::start().await;
    verifying
        .all_refused(
            vec![
                case("nbf", verifying.changed(|claims| claims["nbf"] = json!(now() + 120))),
                case(
                    "iat",
                    verifying.changed(|claims| {
                        claims["iat"] = json!(now() + 120);
                        claims["exp"] = json!(now() + 300);
                    }),
                ),
                case("a life of two hours", verifying.changed(|claims| claims["exp"] = json!(now() + 7200))),
                case(
                    "no iat and a life of two hours",
                    verifying.changed(|claims| {
                        claims.as_object_mut().unwrap().remove("iat");
                        claims["exp"] = json!(now() + 7200);
                    }),
                ),
                case("nbf as text", verifying.changed(|claims| claims["nbf"] = json!("0"))),
                case("iat negative", verifying.changed(|claims| claims["iat"] = json!(-5))),
            ],
            &["not_yet_valid", "lifetime_too_long", "malformed"],
        )
        .await;
}

#[tokio::test]
async fn only_the_routes_own_audience_opens_it() {
    let verifying = Verifying::start().await;
    let mut cases = vec![case(
        "J23 no aud",
        verifying.changed(|claims| {
            claims.as_object_mut().unwrap().remove("aud");
        }),
    )];
    for aud in [
        json!([]),
        json!(""),
        json!("*"),
        json!("https://orders"),
        json!("https://orders.test/"),
        json!("https://orders.test.evil"),
        json!("https://ORDERS.test"),
        json!("https://orders.test,https://notes.test"),
        json!("https://orders.test https://notes.test"),
        json!([[ORDERS]]),
        json!({"a": ORDERS}),
        json!("https://оrders.test"),
        json!(NOTES),
        json!(null),
        json!(7),
        json!([NOTES, "x"]),
    ] {
        cases.push(case(format!("J23 aud {aud}"), verifying.changed(|claims| claims["aud"] = aud)));
    }
    verifying.all_refused(cases, &["wrong_audience", "malformed"]).await;
    let several = verifying.changed(|claims| claims["aud"] = json!(["https://x.test", ORDERS]));
    assert_eq!(verifying.bearer(&several).await.status, 200);
}

#[tokio::test]
async fn the_issuer_is_compared_exactly() {
    let verifying = Verifying::start().await;
    let mut cases = Vec::new();
    for iss in [
        json!(null),
        json!(""),
        json!([ISSUER]),
        json!("https://issuer.test/"),
        json!("https://issuer.test/a/"),
        json!("https://issuer.test/ab"),
        json!("HTTPS://issuer.test/a"),
        json!("https://issuer.test/A"),
        json!("https://issuer.test/a\u{0}"),
        json!("issuer.test/a"),
        json!("https://evil.test/?https://issuer.test/a"),
        json!({"a": ISSUER}),
    ] {
        cases.push(case(format!("J24 iss {iss}"), verifying.changed(|claims| claims["iss"] = iss)));
    }
    verifying.all_refused(cases, &["unknown_issuer", "malformed"]).await;
}

#[tokio::test]
async fn a_subject_that_is_no_text_or_missing_is_refused() {
    let verifying = Verifying::start().await;
    let mut cases = Vec::new();
    for sub in
        [Value::Null, json!(""), json!(["a"]), json!(7), json!("a\r\nX-Workload-Id: b"), json!("a\u{0}b")]
    {
        cases.push(case(format!("sub {sub}"), verifying.changed(|claims| claims["sub"] = sub)));
    }
    cases.push(case(
        "no sub",
        verifying.changed(|claims| {
            claims.as_object_mut().unwrap().remove("sub");
        }),
    ));
    verifying.all_refused(cases, &["malformed"]).await;
}
