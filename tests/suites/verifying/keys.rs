//! Keys that a token tries to choose for itself: J2–J4, J6–J8.
//! Not here: rotation of the issuer's keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use symbolon_e2e::issuer::{KEY_ID, TestIssuer, encode};
use symbolon_e2e::jwks::JwksEndpoint;
use symbolon_e2e::process::wait_for;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{FORM, ISSUER, ORDERS, Verifying, assert_unauthorized, case};

fn mac(algorithm: hmac::Algorithm, name: &str, secret: &[u8], claims: &Value) -> String {
    let header = json!({"alg": name, "typ": "at+jwt", "kid": KEY_ID});
    let message =
        format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
    format!("{message}.{}", encode(tag.as_ref()))
}

#[tokio::test]
async fn the_public_key_is_no_shared_secret() {
    let verifying = Verifying::start().await;
    let issuer = &verifying.issuer;
    let claims = issuer.claims(ORDERS);
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("J2 PEM", issuer.pem("\n").into_bytes()),
        ("J2 PEM, CRLF", issuer.pem("\r\n").into_bytes()),
        ("J2 PEM, no line at the end", issuer.pem("\n").trim_end().as_bytes().to_vec()),
        ("J2 DER", issuer.spki()),
        ("J2 point", issuer.point().to_vec()),
        ("J2 x", issuer.point()[1..33].to_vec()),
        ("J2 JWK", issuer.jwk().to_string().into_bytes()),
        ("J2 JWK set", issuer.jwks().to_string().into_bytes()),
        ("J3 empty", Vec::new()),
        ("J3 NUL", vec![0]),
        ("J3 secret", b"secret".to_vec()),
        ("J3 kid", KEY_ID.as_bytes().to_vec()),
        ("J3 issuer", ISSUER.as_bytes().to_vec()),
    ];
    let mut cases = Vec::new();
    for (what, secret) in &secrets {
        for (algorithm, name) in
            [(hmac::HMAC_SHA256, "HS256"), (hmac::HMAC_SHA384, "HS384"), (hmac::HMAC_SHA512, "HS512")]
        {
            cases.push(case(format!("{what} {name}"), mac(algorithm, name, secret, &claims)));
        }
        cases.push(case(format!("{what} under ES256"), mac(hmac::HMAC_SHA256, "ES256", secret, &claims)));
    }
    verifying.all_refused(cases, FORM).await;
}

#[tokio::test]
async fn degenerate_signatures_verify_nothing() {
    let verifying = Verifying::start().await;
    let honest = verifying.issuer.token(ORDERS);
    let (signed, _) = honest.rsplit_once('.').unwrap();
    let n = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let n: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&n[at..at + 2], 16).unwrap()).collect();
    let mut n_minus_1 = n.clone();
    n_minus_1[31] -= 1;
    let (zero, mut one) = (vec![0_u8; 32], vec![0_u8; 32]);
    one[31] = 1;
    let mut cases = Vec::new();
    for (name, r, s) in [
        ("0 0", &zero, &zero),
        ("0 1", &zero, &one),
        ("1 0", &one, &zero),
        ("1 1", &one, &one),
        ("n n", &n, &n),
        ("n-1 n-1", &n_minus_1, &n_minus_1),
        ("n 1", &n, &one),
    ] {
        cases.push(case(format!("J4 {name}"), format!("{signed}.{}", encode(&[r.as_slice(), s].concat()))));
    }
    cases.push(case("one byte short", format!("{signed}.{}", encode(&[1; 63]))));
    cases.push(case("one byte long", format!("{signed}.{}", encode(&[1; 65]))));
    verifying.all_refused(cases, FORM).await;
}

/// A place that leads on to another one and counts who asks.
struct Detour {
    url: String,
    asked: Arc<AtomicU64>,
    _task: JoinSet<()>,
}

impl Detour {
    async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, asked) =
            (format!("http://{}/keys", listener.local_addr().unwrap()), Arc::<AtomicU64>::default());
        let (counted, target) = (Arc::clone(&asked), target.to_owned());
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, asked, _task: task }
    }
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_not_used_and_not_fetched() {
    let verifying = Verifying::start().await;
    let attacker = TestIssuer::new(ISSUER);
    let mut canary = JwksEndpoint::new(&attacker.jwks().to_string());
    canary.up().await;
    let url = canary.url();
    let detour = Detour::to(&url).await;
    let claims = attacker.claims(ORDERS);
    let mut cases = Vec::new();
    for extra in [
        json!({"jwk": attacker.jwk()}),
        json!({"jwk": attacker.jwk(), "kid": null}),
        json!({"jku": url}),
        json!({"jku": format!("https://issuer.test@{}", canary.address)}),
        json!({"x5u": url}),
        json!({"jku": detour.url}),
        json!({"x5u": detour.url}),
        json!({"kid": detour.url}),
        json!({"x5c": ["AAAA"]}),
        json!({"jku": "file:///etc/passwd"}),
        json!({"jku": "http://169.254.169.254/latest/meta-data/"}),
    ] {
        let mut header = attacker.header();
        for (name, value) in extra.as_object().unwrap() {
            if value.is_null() {
                header.as_object_mut().unwrap().remove(name);
            } else {
                header[name] = value.clone();
            }
        }
        cases.push(case(format!("J6/J7 {extra}"), attacker.sign(&header, &claims)));
    }
    let mut foreign = claims.clone();
    foreign["iss"] = json!(format!("http://{}", canary.address));
    cases.push(case("J7 its own issuer", attacker.sign(&attacker.header(), &foreign)));
    foreign["iss"] = json!(detour.url);
    cases.push(case("J7 its own issuer, by a redirect", attacker.sign(&attacker.header(), &foreign)));
    for (what, token) in cases {
        let answer = verifying.bearer(&token).await;
        let unknown = (answer.status, answer.text("code").as_str()) == (503, "jwks_unavailable");
        if !unknown {
            assert_unauthorized(&what, &answer, &[FORM, &["unknown_issuer"]].concat());
        }
    }
    verifying.serves_the_honest().await;
    let fetched = (canary.fetches(), detour.asked.load(Ordering::SeqCst));
    assert_eq!(fetched, (0, 0), "something was fetched for an unverified token");
}

#[tokio::test]
async fn a_key_id_is_a_name_and_nothing_else() {
    let verifying = Verifying::start().await;
    let mut canary = JwksEndpoint::new("{}");
    canary.up().await;
    let sign = |kid: &Value| {
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": kid});
        verifying.issuer.sign(&header, &verifying.issuer.claims(ORDERS))
    };
    for kid in [
        json!("a\u{0}b"),
        json!("k".repeat(8_000)),
        json!([KEY_ID]),
        json!({"kid": KEY_ID}),
        json!(1),
        json!(null),
    ] {
        let answer = verifying.bearer(&sign(&kid)).await;
        assert_unauthorized(&format!("J8 kid {kid}"), &answer, &["malformed"]);
    }
    for kid in [
        json!("../../../../dev/null"),
        json!("' OR '1'='1"),
        json!("x' UNION SELECT 'a"),
        json!("| sleep 10"),
        json!("$(id)"),
        json!("future"),
        json!("TEST-KEY-1"),
        json!(format!("{KEY_ID} ")),
        json!(canary.url()),
    ] {
        let answer = verifying.bearer(&sign(&kid)).await;
        let code = answer.text("code");
        // Before the keys could be fetched again nobody knows whether a new key of this name exists.
        let unknown = (answer.status, code.as_str()) == (503, "jwks_unavailable");
        let refused = answer.status == 401 && FORM.contains(&code.as_str());
        assert!(unknown || refused, "J8 kid {kid}: {} {code}", answer.status);
    }
    assert_eq!((verifying.api.requests(), canary.fetches()), (0, 0));
    let unknown = sign(&json!("never-published"));
    wait_for("a fetch says that there is no such key", Duration::from_secs(30), async || {
        let answer = verifying.bearer(&unknown).await;
        (answer.status, answer.text("code").as_str()) == (401, "unknown_kid")
    })
    .await;
    assert_eq!(verifying.bearer(&verifying.issuer.token(ORDERS)).await.status, 200);
}
