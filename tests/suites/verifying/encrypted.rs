//! Encrypted tokens (JWE) where only signed ones are taken: J12–J16. Real ones, made by josekit for our public key.
//! Not here: anything that decrypts; the gateway has no key that could.

use josekit::jwe::{self, ECDH_ES, JweEncrypter, JweHeader, PBES2_HS256_A128KW};
use josekit::jwk::Jwk;
use rustix::process::Pid;
use serde_json::{Value, json};
use symbolon_e2e::issuer::{KEY_ID, encode};
use symbolon_e2e::machine::{cpu_time, resident_bytes};

use super::{FORM, ORDERS, Verifying, case};

/// A compact JWE of this content for the issuer's own public key.
fn encrypted(verifying: &Verifying, content: &[u8], compressed: bool) -> String {
    let mut key = verifying.issuer.jwk();
    for member in ["alg", "use"] {
        key.as_object_mut().unwrap().remove(member);
    }
    let encrypter = ECDH_ES.encrypter_from_jwk(&Jwk::from_bytes(key.to_string()).unwrap()).unwrap();
    let mut header = JweHeader::new();
    header.set_content_encryption("A256GCM");
    header.set_token_type("at+jwt");
    header.set_key_id(KEY_ID);
    if compressed {
        header.set_compression("DEF");
    }
    jwe::serialize_compact(content, &header, &encrypter).unwrap()
}

/// The same parts under another header.
fn with_header(token: &str, change: impl FnOnce(&mut Value)) -> String {
    let (header, rest) = token.split_once('.').unwrap();
    let mut header: Value = serde_json::from_slice(&symbolon_e2e::issuer::decode(header)).unwrap();
    change(&mut header);
    format!("{}.{rest}", encode(header.to_string().as_bytes()))
}

#[tokio::test]
async fn a_token_encrypted_to_our_public_key_is_no_token() {
    let verifying = Verifying::start().await;
    let claims = verifying.issuer.claims(ORDERS).to_string();
    let plain = encrypted(&verifying, claims.as_bytes(), false);
    let nested = encrypted(&verifying, verifying.issuer.token(ORDERS).as_bytes(), false);
    let parts: Vec<&str> = plain.split('.').collect();
    let [header, _, iv, ciphertext, tag] = parts[..] else { panic!("five parts") };
    let no_point = |header: &mut Value| {
        let mut y = symbolon_e2e::issuer::decode(header["epk"]["y"].as_str().unwrap());
        y[31] ^= 1;
        header["epk"]["y"] = encode(&y).into();
    };
    let cases = vec![
        case("J12 good-looking claims", plain.clone()),
        case("J12 an honest token inside", nested),
        case(
            "J15 an empty key that must not be",
            with_header(&plain, |header| header["alg"] = json!("ECDH-ES+A128KW")),
        ),
        case("J15 no iv", format!("{header}...{ciphertext}.{tag}")),
        case("J15 no content", format!("{header}..{iv}..{tag}")),
        case("J15 no tag", format!("{header}..{iv}.{ciphertext}.")),
        case("J15 nothing but a header", format!("{header}....")),
        case("J16 a point beside the curve", with_header(&plain, no_point)),
        case("J16 no point", with_header(&plain, |header| header["epk"] = json!({}))),
    ];
    verifying.all_refused(cases, FORM).await;
}

#[tokio::test]
async fn nothing_that_a_token_carries_is_inflated() {
    let verifying = Verifying::start().await;
    let bomb = encrypted(&verifying, &vec![b'a'; 8 << 20], true);
    assert!(bomb.len() < 16_000, "J13 fits below the limit: {}", bomb.len());
    let pid = verifying.gateway.process.pid();
    // What refusals of this size cost in memory that is kept, on every thread, is paid before it is measured: as many
    // of a token that holds nothing to inflate.
    let plain = encrypted(&verifying, &vec![b'a'; bomb.len() / 2], false);
    for _ in 0..50 {
        assert_eq!(verifying.bearer(&plain).await.status, 401);
    }
    let before = resident_bytes(pid);
    let cases = (0..50).map(|nth| case(format!("J13 bomb {nth}"), bomb.clone())).collect();
    verifying.all_refused(cases, FORM).await;
    let grown = resident_bytes(pid).saturating_sub(before);
    assert!(grown < 1 << 20, "J13: the gateway grew by {grown} bytes");
}

#[tokio::test]
async fn nobody_makes_us_derive_a_key_from_a_password() {
    let verifying = Verifying::start().await;
    let mut encrypter = PBES2_HS256_A128KW.encrypter_from_bytes(b"password").unwrap();
    encrypter.set_iter_count(1000);
    let mut header = JweHeader::new();
    header.set_content_encryption("A128GCM");
    let claims = verifying.issuer.claims(ORDERS).to_string();
    let honest = jwe::serialize_compact(claims.as_bytes(), &header, &encrypter as &dyn JweEncrypter).unwrap();
    let mut cases = vec![case("J14 as it is", honest.clone())];
    for count in
        [json!(2_147_483_647), json!(-1), json!(10_u64.pow(18)), json!(1e300), json!("1000"), Value::Null]
    {
        cases.push(case(format!("J14 p2c {count}"), with_header(&honest, |header| header["p2c"] = count)));
    }
    let rounds = i32::try_from(cases.len()).unwrap();
    let pid: Pid = verifying.gateway.process.pid();
    let before = cpu_time(pid);
    verifying.all_refused(cases, FORM).await;
    let each = cpu_time(pid).saturating_sub(before) / rounds.unsigned_abs();
    // Two billion rounds would take minutes; the clock of the kernel ticks every ten milliseconds.
    assert!(each.as_millis() < 50, "J14: {each:?} of CPU for one token");
}
