//! Tokens that are wrong in their form: J1, J5, J9–J11, J17–J19, J21, J25, J26, J29.
//! Encrypted ones are next door (`encrypted.rs`).
//! Not here: tokens whose form is right and whose claims are not.

use serde_json::{Value, json};
use symbolon_e2e::http::raw;
use symbolon_e2e::issuer::{KEY_ID, encode};

use super::{FORM, ORDERS, Verifying, assert_unauthorized, case};

#[tokio::test]
async fn no_spelling_of_none_is_an_algorithm() {
    let verifying = Verifying::start().await;
    let payload = encode(verifying.issuer.claims(ORDERS).to_string().as_bytes());
    let honest = verifying.issuer.token(ORDERS);
    let stale = honest.rsplit('.').next().unwrap();
    let mut cases = Vec::new();
    for alg in [
        "\"none\"",
        "\"None\"",
        "\"NONE\"",
        "\"nOnE\"",
        "\"none \"",
        "\"none\\u0000\"",
        "\"\"",
        "null",
        "[\"none\"]",
        "[\"ES256\"]",
    ] {
        let header = encode(format!(r#"{{"alg":{alg},"typ":"at+jwt","kid":"{KEY_ID}"}}"#).as_bytes());
        for signature in ["", stale] {
            cases.push(case(format!("J1 alg {alg}"), format!("{header}.{payload}.{signature}")));
        }
        cases.push(case(format!("J1 alg {alg}, two parts"), format!("{header}.{payload}")));
    }
    let (signed, _) = honest.rsplit_once('.').unwrap();
    cases.push(case("J5 an empty signature", format!("{signed}.")));
    cases.push(case("two parts of an honest token", signed));
    verifying.all_refused(cases, FORM).await;
}

#[tokio::test]
async fn critical_and_unencoded_extensions_are_refused() {
    let verifying = Verifying::start().await;
    let claims = verifying.issuer.claims(ORDERS).to_string();
    let mut cases = Vec::new();
    for crit in [r#"["x"]"#, "[]", r#""x""#, "null", r#"["x","x"]"#, r#"["alg"]"#, r#"["b64"]"#, "[1]"] {
        let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{KEY_ID}","crit":{crit},"x":1}}"#);
        cases.push(case(format!("J9 crit {crit}"), verifying.issuer.sign_text(&header, &claims)));
    }
    let hidden = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{KEY_ID}","crit":["x"],"crit":[]}}"#);
    cases.push(case("J9 crit hidden by a duplicate", verifying.issuer.sign_text(&hidden, &claims)));
    for extra in [r#""b64":false"#, r#""b64":false,"crit":["b64"]"#, r#""b64":true,"crit":["b64"]"#] {
        let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{KEY_ID}",{extra}}}"#);
        cases.push(case(format!("J10 {extra}"), verifying.issuer.sign_text(&header, &claims)));
    }
    verifying.all_refused(cases, FORM).await;
}

#[tokio::test]
async fn duplicate_members_are_refused_wherever_they_stand() {
    let verifying = Verifying::start().await;
    let issuer = &verifying.issuer;
    let (header, claims) = (issuer.header().to_string(), issuer.claims(ORDERS).to_string());
    let twice = |text: &str, member: &str| format!("{},{member}}}", text.strip_suffix('}').unwrap());
    let mut cases = Vec::new();
    for member in [r#""alg":"ES256""#, r#""kid":"test-key-1""#, r#""typ":"at+jwt""#, r#""\u0061lg":"ES256""#]
    {
        cases.push(case(format!("J21 header {member}"), issuer.sign_text(&twice(&header, member), &claims)));
    }
    let members = [
        r#""exp":9999999999"#,
        r#""aud":"https://orders.test""#,
        r#""sub":"spiffe://test.example/root""#,
        r#""\u0073ub":"spiffe://test.example/root""#,
        r#""iss":"https://issuer.test/a""#,
        r#""jti":"x""#,
        r#""act":{"sub":"a","sub":"b"}"#,
    ];
    for member in members {
        cases.push(case(format!("J21 claim {member}"), issuer.sign_text(&header, &twice(&claims, member))));
    }
    verifying.all_refused(cases, FORM).await;
}

#[tokio::test]
async fn a_token_has_one_spelling() {
    let verifying = Verifying::start().await;
    let honest = verifying.issuer.token(ORDERS);
    let parts: Vec<&str> = honest.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let last = signature.as_bytes()[signature.len() - 1];
    // A 64-byte signature leaves four unused bits in its last character: another one decodes to the same bytes.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let index = alphabet.iter().position(|byte| *byte == last).unwrap();
    let twin = char::from(alphabet[index ^ 1]);
    let shortened = &signature[..signature.len() - 1];
    verifying
        .all_refused(
            vec![
                case("J19 padding", format!("{honest}==")),
                case("J19 padding in the header", format!("{header}=.{payload}.{signature}")),
                case(
                    "J19 the other alphabet",
                    format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+") + "+"),
                ),
                case("J19 trailing bits", format!("{header}.{payload}.{shortened}{twin}")),
                case("J19 length 1 modulo 4", format!("{header}.{payload}.{signature}AAA")),
                case("a part too many", format!("{honest}.")),
                case(
                    "J11 JSON serialization",
                    json!({"protected": header, "payload": payload, "signature": signature}).to_string(),
                ),
                case("five parts", format!("{header}.{payload}.{signature}.AAAA.AAAA")),
                case("five empty parts", "...."),
            ],
            FORM,
        )
        .await;
}

#[tokio::test]
async fn a_token_is_whole_or_it_is_none() {
    let verifying = Verifying::start().await;
    let honest = verifying.issuer.token(ORDERS);
    let mut cases = Vec::new();
    for cut in [1, 2, 3, 4, 43, honest.len() / 2] {
        cases.push(case(format!("J29 {cut} bytes cut off"), &honest[..honest.len() - cut]));
        cases.push(case(format!("J29 {cut} bytes cut off in front"), &honest[cut..]));
    }
    for extra in ["A", "AA", "AAAA", ".", "-", "~", "%00", ",", ";"] {
        cases.push(case(format!("J29 {extra} appended"), format!("{honest}{extra}")));
        cases.push(case(format!("J29 {extra} in front"), format!("{extra}{honest}")));
    }
    cases.push(case("J29 twice", format!("{honest}{honest}")));
    verifying.all_refused(cases, FORM).await;
}

#[tokio::test]
async fn size_and_depth_are_limited_before_anything_is_read() {
    let verifying = Verifying::start().await;
    let issuer = &verifying.issuer;
    let claims = issuer.claims(ORDERS).to_string();
    let deep = format!("{}{}", "[".repeat(3_000), "]".repeat(3_000));
    let wide: Vec<String> = (0..700).map(|nth| format!("\"m{nth}\":1")).collect();
    let with = |member: &str| format!("{},{member}}}", claims.strip_suffix('}').unwrap());
    let header = issuer.header().to_string();
    let long_signature =
        format!("{}.{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()), encode(&[0x30; 9_000]));
    verifying
        .all_refused(
            vec![
                case("J25 deep", issuer.sign_text(&header, &with(&format!("\"x\":{deep}")))),
                case("J25 wide", issuer.sign_text(&header, &with(&wide.join(",")))),
                case("J18 a long signature", long_signature),
                case("J17 dots", ".".repeat(15_000)),
            ],
            &["malformed", "too_large", "alg_not_allowed", "wrong_type", "bad_signature"],
        )
        .await;
    let over = verifying.bearer(&"a".repeat(16_385)).await;
    assert!(matches!(over.status, 401 | 413 | 431), "just over the limit: {}", over.status);
    for token in [".".repeat(100_000), "a".repeat(1_000_000)] {
        let request = format!(
            "GET /orders/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let said = raw(verifying.gateway.address, request.as_bytes()).await;
        let refused = said.is_empty()
            || said.starts_with("HTTP/1.1 431")
            || said.starts_with("HTTP/1.1 401")
            || said.starts_with("HTTP/1.1 400");
        assert!(refused, "J17: {}", said.lines().next().unwrap_or_default());
    }
    verifying.serves_the_honest().await;
}

#[tokio::test]
async fn the_type_of_an_access_token_is_known_in_both_spellings() {
    let verifying = Verifying::start().await;
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT"] {
        let header = json!({"alg": "ES256", "typ": typ, "kid": KEY_ID});
        let token = verifying.issuer.sign(&header, &verifying.issuer.claims(ORDERS));
        assert_eq!(verifying.bearer(&token).await.status, 200, "{typ}");
    }
}

#[tokio::test]
async fn other_kinds_of_token_are_not_access_tokens() {
    let verifying = Verifying::start().await;
    let mut cases = Vec::new();
    for typ in [
        "JWT",
        "dpop+jwt",
        "logout+jwt",
        "application/JWT",
        "at+JWTx",
        "",
        "txntoken+jwt",
        "client-authentication+jwt",
    ] {
        let header = json!({"alg": "ES256", "typ": typ, "kid": KEY_ID});
        cases.push(case(
            format!("J26 typ {typ}"),
            verifying.issuer.sign(&header, &verifying.issuer.claims(ORDERS)),
        ));
    }
    let untyped = json!({"alg": "ES256", "kid": KEY_ID});
    cases.push(case("J26 no typ", verifying.issuer.sign(&untyped, &verifying.issuer.claims(ORDERS))));
    let id_token = verifying.changed(|claims| claims["nonce"] = Value::from("n"));
    assert_eq!(verifying.bearer(&id_token).await.status, 200, "an unknown claim is no reason");
    for (what, token) in cases {
        let answer = verifying.bearer(&token).await;
        assert_unauthorized(&what, &answer, &["wrong_type", "malformed"]);
    }
}
