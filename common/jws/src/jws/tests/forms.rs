//! Headers that ask for too much, and texts that are no canonical compact JWS.

use super::*;

#[test]
fn j6_a_token_that_brings_its_own_key_is_refused() {
    let (attacker, issuer) = (Forger::new(), Forger::new());
    let jwk = serde_json::to_string(&attacker.public_jwk()).unwrap();
    for kid in ["", r#","kid":"k1""#] {
        let token = attacker.sign(&format!(r#"{{"alg":"ES256","jwk":{jwk}{kid}}}"#), CLAIMS);
        assert_eq!(verify(&token, &issuer.key()).unwrap_err(), JwsError::KeyInHeader { member: "jwk" });
        // Not even when it happens to be the right key.
        assert_eq!(verify(&token, &attacker.key()).unwrap_err(), JwsError::KeyInHeader { member: "jwk" });
    }
}

#[test]
fn j7_a_token_that_names_a_place_for_its_key_is_refused() {
    let forger = Forger::new();
    let places = [
        "https://evil.example/jwks",
        "https://broker.example.com@evil.example/jwks",
        "https://broker.example.com.evil.example/",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
    ];
    for place in places {
        for member in ["jku", "x5u"] {
            let token = forger.sign(&format!(r#"{{"alg":"ES256","kid":"k1","{member}":"{place}"}}"#), CLAIMS);
            assert_eq!(verify(&token, &forger.key()).unwrap_err(), JwsError::KeyInHeader { member });
        }
    }
    let token = forger.sign(r#"{"alg":"ES256","x5c":["MIIB"]}"#, CLAIMS);
    assert_eq!(verify(&token, &forger.key()).unwrap_err(), JwsError::KeyInHeader { member: "x5c" });
    // A certificate's fingerprint names nothing that could be fetched; platforms do send it.
    assert!(verify(&forger.sign(r#"{"alg":"ES256","x5t":"abc"}"#, CLAIMS), &forger.key()).is_ok());
}

#[test]
fn j8_a_kid_that_is_no_plain_text_or_another_one_is_refused() {
    let forger = Forger::new();
    for kid in
        [r#""../../dev/null""#, r#""' OR 1=1 --""#, r#""| touch /tmp/x""#, r#""https://evil.example/""#]
    {
        let token = forger.sign(&format!(r#"{{"alg":"ES256","kid":{kid}}}"#), CLAIMS);
        assert_eq!(verify(&token, &forger.key()).unwrap_err(), JwsError::KeyIdMismatch, "{kid}");
    }
    let long = format!("\"{}\"", "k".repeat(8192));
    for kid in [r#""k1\u0000""#, r#""k1\n""#, r#"["k1"]"#, "1", "null", r#"{"k1":1}"#, r#""ключ""#, &long]
    {
        let token = forger.sign(&format!(r#"{{"alg":"ES256","kid":{kid}}}"#), CLAIMS);
        assert_eq!(
            verify(&token, &forger.key()).unwrap_err(),
            JwsError::HeaderMember { member: "kid" },
            "{kid}"
        );
    }
}

#[test]
fn j9_critical_extensions_are_refused_in_any_form() {
    let forger = Forger::new();
    for crit in
        [r#"["exp"]"#, "[]", r#""exp""#, "null", r#"["exp","exp"]"#, r#"["alg"]"#, r#"["b64"]"#, "{}", "0"]
    {
        let token = forger.sign(&format!(r#"{{"alg":"ES256","crit":{crit},"exp":1}}"#), CLAIMS);
        assert_eq!(verify(&token, &forger.key()).unwrap_err(), JwsError::CriticalExtension, "{crit}");
    }
    let hidden = forger.sign(r#"{"alg":"ES256","crit":["x"],"x":1,"crit":[]}"#, CLAIMS);
    assert!(matches!(verify(&hidden, &forger.key()).unwrap_err(), JwsError::Header(_)));
    let escaped = forger.sign(r#"{"alg":"ES256","\u0063rit":["x"],"x":1}"#, CLAIMS);
    assert_eq!(verify(&escaped, &forger.key()).unwrap_err(), JwsError::CriticalExtension);
}

#[test]
fn j10_unencoded_payloads_are_refused() {
    let forger = Forger::new();
    for value in ["false", "true", "null"] {
        let token = forger.sign(&format!(r#"{{"alg":"ES256","b64":{value}}}"#), CLAIMS);
        assert_eq!(verify(&token, &forger.key()).unwrap_err(), JwsError::UnsupportedMember { member: "b64" });
    }
    let header = base64url::encode(r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#);
    assert!(UnverifiedJws::parse(&format!("{header}.{CLAIMS}.AAAA")).is_err());
}

/// Any JWE is refused by the number of its parts, before a part is decoded, decrypted, inflated or derived.
#[test]
fn j12_to_j16_encrypted_tokens_are_refused_by_their_form() {
    let headers = [
        r#"{"alg":"ECDH-ES","enc":"A256GCM"}"#,
        r#"{"alg":"RSA-OAEP","enc":"A256GCM","zip":"DEF"}"#,
        r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}"#,
        r#"{"alg":"ECDH-ES","enc":"A256GCM","epk":{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}}"#,
    ];
    for header in headers.map(base64url::encode) {
        for rest in ["AAAA.AAAA.AAAA.AAAA", "...", ".AAAA..AAAA"] {
            let error = UnverifiedJws::parse(&format!("{header}.{rest}")).unwrap_err();
            assert_eq!(error, JwsError::NotThreeParts);
        }
    }
    let forger = Forger::new();
    for member in ["enc", "zip"] {
        let token = forger.sign(&format!(r#"{{"alg":"ES256","{member}":"DEF"}}"#), CLAIMS);
        assert_eq!(verify(&token, &forger.key()).unwrap_err(), JwsError::UnsupportedMember { member });
    }
}

#[test]
fn j17_large_tokens_are_refused_before_they_are_split() {
    for token in
        [".".repeat(100_000), format!("e30.{}.AA", "A".repeat(1_000_000)), "A".repeat(MAX_TOKEN_BYTES + 1)]
    {
        assert_eq!(UnverifiedJws::parse(&token).unwrap_err(), JwsError::TooLarge { length: token.len() });
    }
    for token in ["", ".", "a.b", "a.b.c.d", "a.b.c.d.e", &".".repeat(MAX_TOKEN_BYTES)] {
        assert_eq!(UnverifiedJws::parse(token).unwrap_err(), JwsError::NotThreeParts, "{}", token.len());
    }
    let forger = Forger::new();
    let frame = forger.sign(GOOD, "").len();
    let fill = |bytes: usize| forger.sign(GOOD, &"x".repeat(bytes));
    let largest = (MAX_TOKEN_BYTES - frame) / 4 * 3;
    assert!(verify(&fill(largest), &forger.key()).is_ok());
    assert!(fill(largest).len() > MAX_TOKEN_BYTES - 4);
}

#[test]
fn j19_second_spellings_of_a_token_are_refused() {
    let forger = Forger::new();
    let token = forger.sign(GOOD, CLAIMS);
    let parts: Vec<&str> = token.split('.').collect();
    let spellings = |part: &str| {
        let mut twin = part.to_owned();
        // 11, 41 and 64 bytes leave spare bits in the last digit; setting one is a second spelling.
        let last = twin.pop().unwrap();
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let next = alphabet.find(last).unwrap() + 1;
        twin.push_str(&alphabet[next % 64..=next % 64]);
        [
            twin,
            format!("{part}="),
            format!("{part}=="),
            format!("{part} "),
            format!("{part}\n"),
            format!("{part}\0"),
            format!("{part}A"),
        ]
    };
    for index in 0..3 {
        for spelling in spellings(parts[index]) {
            let mut twin = parts.clone();
            twin[index] = &spelling;
            assert!(verify(&twin.join("."), &forger.key()).is_err(), "part {index}: {spelling:?}");
        }
    }
    for twin in
        [format!(" {token}"), format!("{token}\n"), format!("Bearer {token}"), token.replace('.', ". ")]
    {
        assert!(verify(&twin, &forger.key()).is_err(), "{twin:?}");
    }
}

#[test]
fn j21_duplicate_header_members_are_refused() {
    let forger = Forger::new();
    for header in [
        r#"{"alg":"none","alg":"ES256"}"#,
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"k2","kid":"k1"}"#,
        r#"{"alg":"ES256","\u0061lg":"none"}"#,
    ] {
        let error = verify(&forger.sign(header, CLAIMS), &forger.key()).unwrap_err();
        assert!(
            matches!(error, JwsError::Header(strict_json::StrictJsonError::DuplicateMember { .. })),
            "{header}"
        );
    }
}

#[test]
fn j25_headers_that_are_no_small_object_are_refused() {
    let forger = Forger::new();
    let deep = format!(r#"{{"alg":"ES256","x":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    for header in ["", "[]", "null", "\"ES256\"", "{", r#"{"alg":"ES256"} "x""#, &deep] {
        let error = verify(&forger.sign(header, CLAIMS), &forger.key()).unwrap_err();
        assert!(matches!(error, JwsError::Header(_)), "{error}");
    }
}
