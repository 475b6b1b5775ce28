//! Forged RSA signatures over the wire: J28. They are made with the private key by hand, each wrong in one respect.
//! Not here: how the verifier finds out.

use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use serde_json::{Value, json};
use symbolon_e2e::api::Api;
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::{TestIssuer, encode};
use symbolon_e2e::programs::Gateway;

use super::{FORM, ISSUER, ORDERS, assert_unauthorized};

/// `DigestInfo` of SHA-256 (RFC 8017 §9.2), the same without the NULL of its parameters, and that of SHA-512.
const SHA256: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
const SHA256_WITHOUT_NULL: &[u8] = b"\x30\x2f\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x04\x20";
const SHA512: &[u8] = b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40";

struct Forger {
    key: Rsa<Private>,
    claims: Value,
}

impl Forger {
    fn message(&self, algorithm: &str) -> String {
        let header = json!({"alg": algorithm, "typ": "at+jwt", "kid": algorithm});
        format!("{}.{}", encode(header.to_string().as_bytes()), encode(self.claims.to_string().as_bytes()))
    }

    /// The RSA operation on a block as it is, without any padding of OpenSSL's.
    fn raw(&self, block: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; block.len()];
        self.key.private_encrypt(block, &mut signature, Padding::NONE).unwrap();
        signature
    }

    /// A token signed over a block of type `kind`: padding, then `rest`.
    fn block(&self, kind: u8, padding: usize, rest: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let message = self.message("RS256");
        let mut block = [&[0, kind][..], &vec![0xFF; padding], &[0], &rest(message.as_bytes())].concat();
        block.resize(256, 0xAA);
        format!("{message}.{}", encode(&self.raw(&block)))
    }

    fn pss(&self, salt: RsaPssSaltlen) -> String {
        let key = PKey::from_rsa(self.key.clone()).unwrap();
        let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
        signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        signer.set_rsa_pss_saltlen(salt).unwrap();
        let message = self.message("PS256");
        signer.update(message.as_bytes()).unwrap();
        format!("{message}.{}", encode(&signer.sign_to_vec().unwrap()))
    }

    fn jwk(&self, algorithm: &str) -> Value {
        let (n, e) = (self.key.n().to_vec(), self.key.e().to_vec());
        json!({"kty": "RSA", "alg": algorithm, "kid": algorithm, "use": "sig", "n": encode(&n), "e": encode(&e)})
    }
}

fn sha256(message: &[u8]) -> Vec<u8> {
    openssl::hash::hash(MessageDigest::sha256(), message).unwrap().to_vec()
}

fn digest_info(prefix: &'static [u8]) -> impl FnOnce(&[u8]) -> Vec<u8> {
    move |message| [prefix, &sha256(message)].concat()
}

/// The signature plus the modulus: the same number modulo n, and no signature (RFC 8017 §5.2.2).
fn beyond_the_modulus(forger: &Forger, token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut sum = openssl::bn::BigNum::new().unwrap();
    let signature = openssl::bn::BigNum::from_slice(&symbolon_e2e::issuer::decode(signature)).unwrap();
    sum.checked_add(&signature, forger.key.n()).unwrap();
    format!("{message}.{}", encode(&sum.to_vec()))
}

#[tokio::test]
async fn forged_rsa_signatures_verify_nothing() {
    let issuer = TestIssuer::new(ISSUER);
    let forger = Forger { key: Rsa::generate(2048).unwrap(), claims: issuer.claims(ORDERS) };
    let api = Api::start().await;
    let config = format!(
        "issuers: [{{ name: a, issuer: \"{ISSUER}\", jwks_file: {{folder}}/a.json, audiences: [\"{ORDERS}\"], binding: when_bound }}]\n\
         routes: [{{ name: orders, match: {{ path: /orders/** }}, resource: \"{ORDERS}\", upstream: {{ url: \"http://{}\" }}, stages: [{{ verify: {{ issuers: [a] }} }}] }}]\n",
        api.address
    );
    let set = json!({"keys": [forger.jwk("RS256"), forger.jwk("PS256")]}).to_string();
    let gateway = Gateway::start(&config, &[("a.json", &set)]).await;
    gateway.ready().await;
    let sound = forger.block(1, 202, digest_info(SHA256));
    let sound_pss = forger.pss(RsaPssSaltlen::DIGEST_LENGTH);
    // By the same hand, so that the others fail for the reason that they say.
    for token in [&sound, &sound_pss] {
        let answer = Call::get("/orders/1").bearer(token).send(gateway.address).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text("code"));
    }
    let relabelled = |token: &str, algorithm: &str| {
        format!("{}.{}", forger.message(algorithm), token.rsplit('.').next().unwrap())
    };
    let cases = [
        ("DigestInfo without NULL", forger.block(1, 204, digest_info(SHA256_WITHOUT_NULL))),
        ("garbage after the hash", forger.block(1, 8, digest_info(SHA256))),
        ("one byte of garbage", forger.block(1, 201, digest_info(SHA256))),
        ("block type 2", forger.block(2, 202, digest_info(SHA256))),
        ("block type 0", forger.block(0, 202, digest_info(SHA256))),
        ("a bare hash", forger.block(1, 221, sha256)),
        (
            "another hash",
            forger.block(1, 170, |message| {
                [SHA512, &openssl::hash::hash(MessageDigest::sha512(), message).unwrap()].concat()
            }),
        ),
        ("s beyond the modulus", beyond_the_modulus(&forger, &sound)),
        ("PSS under RS256", relabelled(&sound_pss, "RS256")),
        ("PKCS #1 v1.5 under PS256", relabelled(&sound, "PS256")),
        ("PSS without salt", forger.pss(RsaPssSaltlen::custom(0))),
        ("PSS with a longer salt", forger.pss(RsaPssSaltlen::MAXIMUM_LENGTH)),
        ("zero", format!("{}.{}", forger.message("RS256"), encode(&[0; 256]))),
        ("one", format!("{}.{}", forger.message("RS256"), encode(&[&[0; 255][..], &[1]].concat()))),
        ("a byte short", format!("{}.{}", forger.message("RS256"), encode(&[1; 255]))),
    ];
    for (what, token) in cases {
        let answer = Call::get("/orders/1").bearer(&token).send(gateway.address).await.unwrap();
        assert_unauthorized(&format!("J28 {what}"), &answer, FORM);
    }
    assert_eq!(api.requests(), 2, "a forged token reached the API");
}
