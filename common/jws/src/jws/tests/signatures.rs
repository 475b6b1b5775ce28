//! Signatures that prove nothing: none at all, HMAC under a public key, forged, cut or padded ones.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::vectors::forged_rsa;

#[test]
fn j1_unsecured_tokens_are_refused_in_any_spelling() {
    let forger = Forger::new();
    let algorithms = [
        r#""none""#,
        r#""None""#,
        r#""NONE""#,
        r#""nOnE""#,
        r#""none ""#,
        r#""none\u0000""#,
        r#""""#,
        "null",
        r#"["none"]"#,
        r#"["ES256"]"#,
        "0",
        "{}",
    ];
    for algorithm in algorithms {
        let signed = forger.sign(&format!(r#"{{"alg":{algorithm}}}"#), CLAIMS);
        let (input, _) = signed.rsplit_once('.').unwrap();
        for token in [signed.clone(), format!("{input}."), input.to_owned()] {
            assert!(verify(&token, &forger.key()).is_err(), "{algorithm}");
        }
    }
    assert!(verify(&forger.sign("{}", CLAIMS), &forger.key()).is_err(), "no alg");
}

/// Everything that somebody might have keyed an HMAC with.
fn hmac_secrets(forger: &Forger) -> Vec<Vec<u8>> {
    let point = forger.point();
    let parsed =
        aws_lc_rs::signature::ParsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED, &point)
            .unwrap();
    let der: PublicKeyX509Der<'_> = parsed.as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let pem = |line: &str, end: &str| {
        format!("-----BEGIN PUBLIC KEY-----{line}{text}{line}-----END PUBLIC KEY-----{end}").into_bytes()
    };
    vec![
        pem("\n", "\n"),
        pem("\r\n", "\r\n"),
        pem("\n", ""),
        der.as_ref().to_vec(),
        point[1..33].to_vec(),
        point,
        serde_json::to_vec(&forger.public_jwk()).unwrap(),
        Vec::new(),
        vec![0],
        b"secret".to_vec(),
        b"k1".to_vec(),
        b"https://broker.example.com".to_vec(),
    ]
}

#[test]
fn j2_j3_hmac_tokens_are_refused_whatever_they_are_keyed_with() {
    let forger = Forger::new();
    let families = [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
    for secret in hmac_secrets(&forger) {
        for (name, family) in families {
            let tagged = |header: &str| {
                let input = format!("{}.{}", base64url::encode(header), base64url::encode(CLAIMS));
                let tag = hmac::sign(&hmac::Key::new(family, &secret), input.as_bytes());
                verify(&format!("{input}.{}", base64url::encode(tag.as_ref())), &forger.key()).unwrap_err()
            };
            let refused = tagged(&format!(r#"{{"alg":"{name}","kid":"k1"}}"#));
            assert_eq!(refused, JwsError::UnsupportedAlgorithm { name: name.to_owned() });
            assert_eq!(tagged(GOOD), JwsError::BadSignature, "the same tag under the key's own algorithm");
        }
    }
}

#[test]
fn j2_a_key_verifies_its_own_algorithm_only() {
    for (algorithm, token) in [(Algorithm::Ps256, rfc7515::A2_TOKEN), (Algorithm::Rs512, rfc7515::A2_TOKEN)] {
        let error = verify(token, &rsa(algorithm)).unwrap_err();
        assert_eq!(error, JwsError::AlgorithmMismatch { expected: algorithm, found: Algorithm::Rs256 });
    }
    let error = verify(rfc7515::A3_TOKEN, &rsa(Algorithm::Rs256)).unwrap_err();
    assert!(matches!(error, JwsError::AlgorithmMismatch { .. }));
}

/// The order of P-256 (SEC 2 §2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn j4_psychic_signatures_are_refused() {
    let forger = Forger::new();
    let token = forger.sign(GOOD, CLAIMS);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let good = base64url::decode(signature).unwrap();
    let (r, s) = good.split_at(32);
    let (zero, one, order) = (vec![0; 32], [vec![0; 31], vec![1]].concat(), P256_ORDER.to_vec());
    let mut below = order.clone();
    below[31] -= 1;
    let pairs: [(&[u8], &[u8]); 10] = [
        (&zero, &zero),
        (&zero, s),
        (r, &zero),
        (&order, &order),
        (&order, s),
        (r, &order),
        (&below, &below),
        (&one, &one),
        (s, r),
        (&[0xff; 32], &[0xff; 32]),
    ];
    for (r, s) in pairs {
        let altered = format!("{input}.{}", base64url::encode([r, s].concat()));
        assert_eq!(verify(&altered, &forger.key()).unwrap_err(), JwsError::BadSignature);
    }
}

#[test]
fn j5_empty_short_and_long_signatures_are_refused() {
    let forger = Forger::new();
    let token = forger.sign(GOOD, CLAIMS);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let good = base64url::decode(signature).unwrap();
    for bad in [&[][..], &good[..63], &good[..32], &[&good[..], &[0]].concat(), &[&[0], &good[..]].concat()] {
        let altered = format!("{input}.{}", base64url::encode(bad));
        assert_eq!(verify(&altered, &forger.key()).unwrap_err(), JwsError::BadSignature, "{}", bad.len());
    }
}

#[test]
fn j18_a_der_signature_or_a_huge_one_is_refused() {
    let forger = Forger::new();
    let token = forger.sign(GOOD, CLAIMS);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let good = base64url::decode(signature).unwrap();
    let der = [&[0x30, 0x46, 0x02, 0x21, 0x00][..], &good[..32], &[0x02, 0x21, 0x00], &good[32..]].concat();
    let padded = [&[0x30, 0x82, 0x27, 0x10][..], &[0x41; 10_000]].concat();
    for bad in [der, padded] {
        let altered = format!("{input}.{}", base64url::encode(bad));
        assert_eq!(verify(&altered, &forger.key()).unwrap_err(), JwsError::BadSignature);
    }
    let huge = format!("{input}.{}", "A".repeat(20_000));
    assert!(matches!(UnverifiedJws::parse(&huge).unwrap_err(), JwsError::TooLarge { .. }));
}

#[test]
fn j28_forged_rsa_signatures_are_refused_and_sound_ones_are_not() {
    let verify_rsa = |token: &str| {
        let unverified = UnverifiedJws::parse(token).unwrap();
        unverified.verify(&rsa(unverified.header_hint().algorithm()))
    };
    for (what, token) in forged_rsa::SOUND {
        assert!(verify_rsa(token).is_ok(), "{what}");
    }
    for (what, token) in forged_rsa::FORGED {
        assert_eq!(verify_rsa(token).unwrap_err(), JwsError::BadSignature, "{what}");
    }
}
