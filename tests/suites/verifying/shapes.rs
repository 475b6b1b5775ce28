//! Tokens in other serializations than the compact one, or too deep: J10, J11, J25.
//! Not here: compact tokens with a wrong header or spelling (`forms`).

use serde_json::json;
use symbolon_e2e::issuer::{KEY_ID, TestIssuer, encode};

use super::{FORM, ISSUER, ORDERS, Verifying, case};

#[tokio::test]
async fn a_payload_that_is_not_encoded_is_refused() {
    let verifying = Verifying::start().await;
    let issuer = &verifying.issuer;
    let claims = issuer.claims(ORDERS).to_string();
    let mut cases = Vec::new();
    for extra in [r#","b64":false"#, r#","b64":false,"crit":["b64"]"#, ""] {
        let header =
            encode(format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{KEY_ID}"{extra}}}"#).as_bytes());
        // Detached from dots, which would add parts: RFC 7797 §5.2 forbids them in the compact form.
        for payload in [claims.as_str(), &claims.replace('.', "\\u002e"), &encode(claims.as_bytes())] {
            if extra.is_empty() && !payload.contains('{') {
                continue;
            }
            let signature = encode(&issuer.signature(format!("{header}.{payload}").as_bytes()));
            cases.push(case(format!("J10 raw{extra}"), format!("{header}.{payload}.{signature}")));
            cases.push(case(format!("J10 detached{extra}"), format!("{header}..{signature}")));
        }
    }
    verifying.all_refused(cases, FORM).await;
}

#[tokio::test]
async fn only_the_compact_serialization_with_one_signature_is_a_token() {
    let verifying = Verifying::start().await;
    let honest = verifying.issuer.token(ORDERS);
    let stranger = TestIssuer::new(ISSUER).token(ORDERS);
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (good, bad) = (parts(&honest), parts(&stranger));
    let signed = |parts: &[String]| json!({"protected": parts[0], "signature": parts[2]});
    let root = encode(verifying.issuer.claims(ORDERS).to_string().replace("caller", "root").as_bytes());
    let cases = vec![
        case(
            "J11 two signatures",
            json!({"payload": good[1], "signatures": [signed(&good), signed(&bad)]}).to_string(),
        ),
        case("J11 one signature in a list", json!({"payload": good[1], "signatures": [signed(&good)]}).to_string()),
        case(
            "J11 an unprotected header",
            json!({"payload": good[1], "header": {"kid": KEY_ID}, "protected": good[0], "signature": good[2]}).to_string(),
        ),
        case(
            "J11 polyglot",
            format!(
                r#"{{"{header}.{root}.":"","protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#,
                header = good[0],
                payload = good[1],
                signature = good[2]
            ),
        ),
        case("J11 another payload before the honest one", format!("{}.{root}.{honest}", good[0])),
        case("J11 two signatures in the compact form", format!("{honest}.{}", bad[2])),
        case("J11 two tokens", format!("{honest}~{stranger}")),
    ];
    verifying.all_refused(cases, FORM).await;
}

#[tokio::test]
async fn a_tower_of_brackets_is_refused_wherever_it_stands() {
    let verifying = Verifying::start().await;
    let issuer = &verifying.issuer;
    let (header, claims) = (issuer.header().to_string(), issuer.claims(ORDERS).to_string());
    let with = |text: &str, member: &str| format!("{},{member}}}", text.strip_suffix('}').unwrap());
    let mut cases = Vec::new();
    for tower in [
        format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)),
        "[".repeat(5_000),
        format!("{}1{}", "{\"a\":".repeat(1_600), "}".repeat(1_600)),
    ] {
        let member = format!("\"x\":{tower}");
        cases.push(case("J25 a deep claim", issuer.sign_text(&header, &with(&claims, &member))));
        cases.push(case("J25 a deep header", issuer.sign_text(&with(&header, &member), &claims)));
        cases.push(case("J25 nothing but depth", issuer.sign_text(&header, &tower)));
    }
    verifying.all_refused(cases, &[FORM, &["too_large"]].concat()).await;
}
