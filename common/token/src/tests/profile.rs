//! The regression list for claims: each line is an input that some verifier once accepted.

use std::time::Instant;

use symbolon_identity::ReasonCode;

use super::*;

fn refused(forger: &Forger, claims: &str) -> ReasonCode {
    forger.outcome(claims).err().unwrap_or_else(|| panic!("accepted: {claims:.200}")).reason_code()
}

#[test]
fn j21_duplicate_claims_are_refused() {
    let forger = Forger::new();
    for (claim, twin) in [
        ("exp", "\"exp\""),
        ("aud", "\"aud\""),
        ("sub", "\"sub\""),
        ("iss", "\"iss\""),
        ("jti", "\"jti\""),
        ("sub", "\"\\u0073ub\""),
        ("iss", "\"i\\u0073s\""),
    ] {
        let good = good_claims();
        let text = good.to_string();
        let doubled = format!("{},{twin}:{}}}", &text[..text.len() - 1], good[claim]);
        assert_eq!(refused(&forger, &doubled), ReasonCode::Malformed, "{claim}");
    }
    let actor = with("act", Some(r#"{"sub":"a","sub":"b"}"#));
    assert_eq!(refused(&forger, &actor), ReasonCode::Malformed);
}

#[test]
fn j22_expiry_times_that_are_no_near_integer_are_refused() {
    let forger = Forger::new();
    assert_eq!(refused(&forger, &with("exp", None)), ReasonCode::Malformed);
    for (value, reason) in [
        ("null", ReasonCode::Malformed),
        ("\"1795000300\"", ReasonCode::Malformed),
        ("true", ReasonCode::Malformed),
        ("[1795000300]", ReasonCode::Malformed),
        ("{}", ReasonCode::Malformed),
        ("-1", ReasonCode::Malformed),
        ("1795000300.0", ReasonCode::Malformed),
        ("1795000300.5", ReasonCode::Malformed),
        ("1.7950003e9", ReasonCode::Malformed),
        ("18446744073709551616", ReasonCode::Malformed),
        ("340282366920938463463374607431768211456", ReasonCode::Malformed),
        ("1e309", ReasonCode::Malformed),
        ("NaN", ReasonCode::Malformed),
        ("Infinity", ReasonCode::Malformed),
        ("0", ReasonCode::Expired),
        ("1", ReasonCode::Expired),
        ("9223372036854775807", ReasonCode::LifetimeTooLong),
        ("18446744073709551615", ReasonCode::LifetimeTooLong),
        ("1795000300000", ReasonCode::LifetimeTooLong),
        ("4948600000", ReasonCode::LifetimeTooLong),
        ("1795003601", ReasonCode::LifetimeTooLong),
    ] {
        assert_eq!(refused(&forger, &with("exp", Some(value))), reason, "{value}");
    }
}

#[test]
fn j22_other_times_that_are_no_integer_or_in_the_future_are_refused() {
    let forger = Forger::new();
    for claim in ["iat", "nbf"] {
        for value in ["null", "\"1\"", "1.5", "true", "[]", "-1", "18446744073709551616"] {
            assert_eq!(refused(&forger, &with(claim, Some(value))), ReasonCode::Malformed, "{claim} {value}");
        }
        for value in ["9223372036854775807", "18446744073709551615", "1795000031"] {
            assert_eq!(
                refused(&forger, &with(claim, Some(value))),
                ReasonCode::NotYetValid,
                "{claim} {value}"
            );
        }
    }
    // An early `iat` lengthens the life that is counted, a missing one counts from now.
    assert_eq!(refused(&forger, &with("iat", Some("1"))), ReasonCode::LifetimeTooLong);
    assert!(forger.outcome(&with("iat", None)).is_ok());
}

#[test]
fn j23_audiences_that_are_not_ours_are_refused() {
    let forger = Forger::new();
    assert_eq!(refused(&forger, &with("aud", None)), ReasonCode::Malformed);
    let malformed = [
        "null",
        "[]",
        "\"\"",
        "[\"\"]",
        "{}",
        "1",
        "true",
        r#"[["https://orders.internal"]]"#,
        r#"["https://orders.internal",1]"#,
        r#"["https://orders.internal",null]"#,
        r#"{"https://orders.internal":1}"#,
        r#""https://orders.internal ""#,
        r#""https://orders.internal https://x""#,
        r#""https://orders.internal\u0000""#,
        r#""https://orderѕ.internal""#,
    ];
    for value in malformed {
        assert_eq!(refused(&forger, &with("aud", Some(value))), ReasonCode::Malformed, "{value}");
    }
    let many: Vec<String> = (0..33).map(|n| format!("a{n}")).collect();
    assert_eq!(refused(&forger, &with("aud", Some(&json!(many).to_string()))), ReasonCode::Malformed);
    let foreign = [
        r#""https://orders""#,
        r#""https://orders.internal/""#,
        r#""https://orders.internal.evil.example""#,
        r#""HTTPS://ORDERS.INTERNAL""#,
        r#""https://orders.internal,https://x""#,
        r#""*""#,
        r#"["https://billing.internal"]"#,
        r#""orders""#,
        r#""http://orders.internal""#,
    ];
    for value in foreign {
        assert_eq!(refused(&forger, &with("aud", Some(value))), ReasonCode::WrongAudience, "{value}");
    }
}

#[test]
fn j23_a_second_audience_passes_only_where_it_may() {
    let forger = Forger::new();
    let (ours, other) = (audience(AUDIENCE), audience("https://billing.internal"));
    let both = [ours.clone(), other.clone()];
    let verify = |value: &str, rule| {
        let token = UnverifiedToken::parse(&forger.sign(HEADER, &with("aud", Some(value)))).unwrap();
        token.verify(&forger.key, &Expectations::access_token(ISSUER, rule), at(NOW)).map(|_| ())
    };
    let (one, two) = (format!(r#"["{AUDIENCE}"]"#), format!(r#"["https://x","{AUDIENCE}"]"#));
    for (value, rule, passes) in [
        (&one, AudienceRule::Contains(&ours), true),
        (&two, AudienceRule::Contains(&ours), true),
        (&one, AudienceRule::Contains(&other), false),
        (&two, AudienceRule::ContainsAny(&both), true),
        (&two, AudienceRule::ContainsAny(&[]), false),
        (&one, AudienceRule::Sole(&ours), true),
        (&two, AudienceRule::Sole(&ours), false),
        (&one, AudienceRule::SoleAny(&both), true),
        (&two, AudienceRule::SoleAny(&both), false),
        (&one, AudienceRule::SoleAny(&[]), false),
    ] {
        let expected = if passes { Ok(()) } else { Err(TokenError::WrongAudience) };
        assert_eq!(verify(value, rule), expected, "{value} {rule:?}");
    }
    // The same one twice is still more than one.
    let doubled = format!(r#"["{AUDIENCE}","{AUDIENCE}"]"#);
    assert_eq!(verify(&doubled, AudienceRule::Sole(&ours)), Err(TokenError::WrongAudience));
}

#[test]
fn j24_issuers_that_are_not_exactly_ours_are_refused() {
    let forger = Forger::new();
    assert_eq!(refused(&forger, &with("iss", None)), ReasonCode::Malformed);
    for value in [
        "null",
        "1",
        "{}",
        "\"\"",
        r#"["https://broker.example.com"]"#,
        r#""https://broker.example.com\u0000""#,
    ] {
        assert_eq!(refused(&forger, &with("iss", Some(value))), ReasonCode::Malformed, "{value}");
    }
    for value in [
        "https://broker.example.com/",
        "https://broker.example.co",
        "https://broker.example.com.evil.example",
        "https://evil.example/https://broker.example.com",
        "HTTPS://BROKER.EXAMPLE.COM",
        "http://broker.example.com",
        "https://broker.example.com:443",
        " https://broker.example.com",
        "https://broker.example.com ",
        "broker.example.com",
    ] {
        let claims = with("iss", Some(&json!(value).to_string()));
        assert_eq!(refused(&forger, &claims), ReasonCode::UnknownIssuer, "{value}");
    }
}

#[test]
fn subjects_are_required_text() {
    let forger = Forger::new();
    let long = format!("\"{}\"", "s".repeat(2049));
    assert_eq!(refused(&forger, &with("sub", None)), ReasonCode::Malformed);
    for value in ["null", "1", "\"\"", "[\"x\"]", r#""a\u0000""#, r#""a\nb""#, &long] {
        assert_eq!(refused(&forger, &with("sub", Some(value))), ReasonCode::Malformed, "{value:.40}");
    }
}

#[test]
fn j25_deep_and_wide_claims_are_refused_quickly() {
    let forger = Forger::new();
    let deep = with("x", Some(&format!("{}{}", "[".repeat(5_000), "]".repeat(5_000))));
    let members: Vec<String> = (0..2_000).map(|n| format!("\"{n}\":1")).collect();
    let wide = format!("{{{}}}", members.join(","));
    for claims in [deep, wide] {
        let token = forger.sign(HEADER, &claims);
        #[expect(clippy::disallowed_methods, reason = "the test measures its own time")]
        let start = Instant::now();
        let refused = UnverifiedToken::parse(&token).unwrap_err();
        // Generous: the bar of 5 ms is for an idle machine and an optimised build.
        assert!(start.elapsed() < Duration::from_millis(250));
        assert!([ReasonCode::Malformed, ReasonCode::TooLarge].contains(&refused.reason_code()), "{refused}");
    }
    let chain =
        (0..17).fold(String::from(r#"{"sub":"a"}"#), |chain, _| format!(r#"{{"sub":"a","act":{chain}}}"#));
    assert_eq!(refused(&forger, &with("act", Some(&chain))), ReasonCode::Malformed);
}

#[test]
fn j25_a_payload_that_is_no_object_is_refused() {
    let forger = Forger::new();
    for claims in ["", "[]", "null", "\"x\"", "1", "{", "{}{}", "\u{feff}{}"] {
        assert_eq!(refused(&forger, claims), ReasonCode::Malformed, "{claims}");
    }
}

#[test]
fn j26_tokens_of_another_kind_are_refused() {
    let forger = Forger::new();
    let audience = audience(AUDIENCE);
    let expectations = Expectations::access_token(ISSUER, AudienceRule::Contains(&audience));
    for typ in
        ["JWT", "logout+jwt", "dpop+jwt", "client-authentication+jwt", "secevent+jwt", "JOSE", "", "at+jwt;x"]
    {
        let token = forger.sign(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#), &good_claims().to_string());
        let refused =
            UnverifiedToken::parse(&token).unwrap().verify(&forger.key, &expectations, at(NOW)).unwrap_err();
        assert_eq!((refused.reason_code(), refused), (ReasonCode::WrongType, TokenError::WrongType), "{typ}");
    }
    let token = forger.sign(r#"{"alg":"ES256"}"#, &good_claims().to_string());
    let refused =
        UnverifiedToken::parse(&token).unwrap().verify(&forger.key, &expectations, at(NOW)).unwrap_err();
    assert_eq!(refused, TokenError::WrongType, "no type");
}

#[test]
fn j1_j17_refusals_by_form_have_their_reasons() {
    let forger = Forger::new();
    let good = good_claims().to_string();
    let none = forger.sign(r#"{"alg":"none","typ":"at+jwt"}"#, &good);
    for (token, reason) in [
        (none.as_str(), ReasonCode::AlgNotAllowed),
        ("a.b.c", ReasonCode::Malformed),
        ("", ReasonCode::Malformed),
        ("opaque-token", ReasonCode::Malformed),
        (&"a.".repeat(10_000), ReasonCode::TooLarge),
    ] {
        assert_eq!(UnverifiedToken::parse(token).unwrap_err().reason_code(), reason);
    }
}
