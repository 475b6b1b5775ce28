//! Evidence that buys nothing, one kind for each reason.
//! Not here: all the ways in which a JWT can be wrong; `issuing::assertions` has them.

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::{KEY_ID, TestIssuer, encode, random};
use symbolon_e2e::machine::now;
use symbolon_e2e::programs::Broker;
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};

const CI: &str = "https://ci.test";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A broker that takes tokens of an issuer, and knows local processes by two providers, so that they have to name one.
struct Evidence {
    broker: Broker,
    ci: TestIssuer,
    client: TestIssuer,
}

impl Evidence {
    async fn start() -> Self {
        let (ci, client) = (TestIssuer::new(CI), TestIssuer::new("tester"));
        let unix = |name: &str| {
            format!(
                "  - {{ name: {name}, unix: {{}}, workload: '\"{name}/uid/\" + string(attested.uid)' }}\n"
            )
        };
        let oidc = format!(
            "  - {{ name: ci, oidc: {{ issuer: \"{CI}\", keys: {{ jwks: {jwks} }}, replay: key_bound }}, workload: '\"ci/\" + path(attested.subject)' }}\n",
            jwks = ci.jwks()
        );
        let rest = format!("trust_providers:\n{}{}{oidc}", unix("local"), unix("twin"));
        let broker = Broker::start("tester", &client.jwks().to_string(), &rest).await;
        Self { broker, ci, client }
    }

    fn claims(&self, subject: &str, life: u64) -> Value {
        json!({"iss": CI, "sub": subject, "aud": self.broker.url, "iat": now(), "exp": now() + life})
    }

    fn jwt(&self, subject: &str, life: u64) -> String {
        self.ci.sign(&json!({"alg": "ES256", "kid": KEY_ID}), &self.claims(subject, life))
    }

    fn proof(&self, key: &ProofKey) -> String {
        let target = format!("{}/oauth2/token", self.broker.url);
        let request = ProofRequest { method: "POST", target_uri: &target, access_token: None, nonce: None };
        key.prove(&request, Timestamp::from_secs(now()).unwrap()).unwrap()
    }

    async fn ask(&self, fields: &[(&str, &str)], key: Option<&ProofKey>) -> Answer {
        let usual = [("grant_type", "client_credentials"), ("resource", "https://notes.test")];
        let mut call = Call::form("/oauth2/token", &[&usual, fields].concat());
        if let Some(key) = key {
            call = call.header("dpop", &self.proof(key));
        }
        call.send(self.broker.address).await.unwrap()
    }

    async fn present(&self, jwt: &str, key: Option<&ProofKey>) -> Answer {
        let fields = [("client_assertion_type", JWT_BEARER), ("client_assertion", jwt)];
        self.ask(&fields, key).await
    }
}

fn assert_reason(answer: &Answer, status: u16, reason: &str) {
    let said = answer.text("error_description");
    assert_eq!((answer.status, said.split(':').next().unwrap_or_default()), (status, reason), "{said}");
}

#[tokio::test]
async fn each_kind_of_evidence_that_is_not_good_has_a_reason_of_its_own() {
    let evidence = Evidence::start().await;
    let (owner, thief) =
        (ProofKey::generate(Algorithm::Es256).unwrap(), ProofKey::generate(Algorithm::Es256).unwrap());
    let good = evidence.jwt("team/repo", 300);
    let assertion = |jwt| [("client_assertion_type", JWT_BEARER), ("client_assertion", jwt)];
    assert_reason(&evidence.ask(&[], None).await, 401, "evidence_missing");
    assert_reason(&evidence.ask(&assertion("a.b.c"), None).await, 401, "assertion_malformed");
    let fields = [("grant_type", "client_credentials"), ("resource", "https://notes.test")];
    let local = Call::form("/oauth2/token", &fields).send(evidence.broker.socket().as_path()).await.unwrap();
    assert_reason(&local, 400, "provider_ambiguous");
    let saml = [
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
        ("client_assertion", "x"),
    ];
    assert_reason(&evidence.ask(&saml, None).await, 401, "unsupported_assertion_type");
    let stranger = TestIssuer::new("https://nobody.test");
    let strange =
        stranger.sign(&json!({"alg": "ES256", "kid": KEY_ID}), &stranger.claims(&evidence.broker.url));
    assert_reason(&evidence.ask(&assertion(&strange), Some(&owner)).await, 401, "unknown_client");
    let mut elsewhere = evidence.claims("team/repo", 300);
    elsewhere["aud"] = json!("https://elsewhere.test");
    let elsewhere = evidence.ci.sign(&json!({"alg": "ES256", "kid": KEY_ID}), &elsewhere);
    assert_reason(&evidence.present(&elsewhere, Some(&owner)).await, 401, "assertion_rejected");
    let odd = evidence.jwt("a b", 300);
    assert_reason(&evidence.present(&odd, Some(&owner)).await, 401, "mapping_failed");
    assert_reason(&evidence.present(&good, Some(&owner)).await, 400, "denied");
    assert_reason(&evidence.present(&good, Some(&thief)).await, 401, "evidence_key_mismatch");
}

#[tokio::test]
async fn evidence_that_ends_too_soon_buys_nothing() {
    let evidence = Evidence::start().await;
    let policy = "@id(\"anybody\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"notes\");";
    std::fs::write(evidence.broker.folder.path().join("policies/more.cedar"), policy).unwrap();
    let key = ProofKey::generate(Algorithm::Es256).unwrap();
    symbolon_e2e::process::wait_for(
        "the policy is in force",
        std::time::Duration::from_secs(20),
        async || evidence.present(&evidence.jwt("team/repo", 300), Some(&key)).await.status == 200,
    )
    .await;
    let late = evidence.jwt("team/late", 20);
    assert_reason(&evidence.present(&late, Some(&key)).await, 401, "evidence_expiring");
}

#[tokio::test]
async fn an_assertion_of_a_registered_client_is_not_asked_for_a_provider() {
    let evidence = Evidence::start().await;
    let claims = json!({
        "iss": "tester", "sub": "tester", "aud": evidence.broker.url, "jti": encode(&random()), "iat": now(), "exp": now() + 60
    });
    let jwt = evidence.client.sign(&json!({"alg": "ES256", "kid": KEY_ID}), &claims);
    let fields = [("client_assertion_type", JWT_BEARER), ("client_assertion", jwt.as_str())];
    assert_eq!(evidence.ask(&fields, None).await.status, 200);
    assert_reason(&evidence.ask(&fields, None).await, 401, "evidence_replayed");
}
