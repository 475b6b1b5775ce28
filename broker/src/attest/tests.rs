use std::sync::Arc;

use symbolon_http::client::GuardedClient;
use symbolon_http::server::{ConnectionInfo, Peer};
use symbolon_identity::{Audience, Timestamp};
use symbolon_issuers::{Issuers, KeyPolicy};
use symbolon_jws::{Algorithm, SigningKey, sha256};
use symbolon_token::{Claims, Issuer, Subject, TokenType, UnverifiedToken, sign};

use super::*;
use crate::config::Config;
use crate::findings::Findings;
use crate::grants::Assertion;
use crate::groups::Groups;
use crate::store::Use;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://broker.example.com";
const CI: &str = "https://ci.example.com";

struct Fixture {
    attestors: Attestors,
    client: SigningKey,
    ci: SigningKey,
}

/// A configuration with these providers and one registered client `batch`.
fn config(providers: &str, keys: &str) -> Config {
    let text = format!(
        "issuer: {ISSUER}\ntrust_domain: example.com\npolicies: /nowhere\nlisten: {{ socket: /tmp/a.sock }}\n\
         store: {{ sqlite: /nowhere }}\ntrust_providers: {providers}\n\
         clients: [{{ client_id: batch, jwks: {keys} }}]\n"
    );
    symbolon_config::parse_str(&text, "broker.yaml", &symbolon_config::Environment::empty()).unwrap().value
}

fn key_set(key: &SigningKey) -> String {
    serde_json::json!({ "keys": [key.public_jwk()] }).to_string()
}

fn fixture(provider: &str) -> Fixture {
    let client = SigningKey::generate(Algorithm::Es256).unwrap();
    let ci = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let oidc = format!(
        "[{{ name: ci, oidc: {{ issuer: {CI}, keys: {{ jwks: {} }}, {provider} }}, workload: '\"ci/\" + path(attested.subject)' }}]",
        key_set(&ci)
    );
    let mut findings = Findings::default();
    let blueprint = Blueprint::draw(&config(&oidc, &key_set(&client)), &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
    let ours =
        Surroundings { issuer: ISSUER.parse().unwrap(), token_endpoint: format!("{ISSUER}/oauth2/token") };
    let now = Timestamp::from_secs(NOW).unwrap();
    let settings = blueprint.issuer_settings(&ours).unwrap();
    let http = GuardedClient::builder().build().unwrap();
    let issuers = Issuers::new(settings, KeyPolicy::default(), http, now).unwrap();
    Fixture { attestors: blueprint.build(&Arc::new(issuers), &ours, None).unwrap(), client, ci }
}

fn claims(issuer: &str, subject: &str) -> Claims {
    let at = |seconds| Timestamp::from_secs(seconds).unwrap();
    let audience = Audience::parse(ISSUER).unwrap();
    Claims {
        issued_at: Some(at(NOW - 10)),
        token_id: Some("jti-1".parse().unwrap()),
        ..Claims::new(
            Issuer::parse(issuer).unwrap(),
            Subject::parse(subject).unwrap(),
            audience,
            at(NOW + 300),
        )
    }
}

fn presented(claims: &Claims, key: &SigningKey) -> PresentedClient {
    let token = sign(claims, TokenType::Jwt, key).unwrap();
    let (covered, _) = token.expose().rsplit_once('.').unwrap();
    let assertion = Assertion {
        token: UnverifiedToken::parse(token.expose()).unwrap(),
        text: token.expose().to_owned().into(),
        digest: sha256(covered.as_bytes()),
    };
    PresentedClient {
        unverified_id: None,
        provider: None,
        credential: Credential::Assertion(Box::new(assertion)),
    }
}

async fn attest(fixture: &Fixture, client: &PresentedClient) -> Result<Attested, Refusal> {
    let connection = ConnectionInfo::new(Peer::Tcp("192.0.2.1:1".parse().unwrap()), false);
    let now = Timestamp::from_secs(NOW).unwrap();
    fixture.attestors.attest(client, &connection, None, now).await.map_err(|unattested| match unattested {
        Unattested::Stranger(refusal) => refusal,
        Unattested::WrongKey { owner, refusal } => {
            assert!(owner.uses().is_empty(), "a thief cannot spend what is not his");
            refusal
        }
    })
}

#[tokio::test]
async fn a_registered_client_is_attested_by_its_own_key_once() {
    let fixture = fixture("replay: one_shot");
    let attested = attest(&fixture, &presented(&claims("batch", "batch"), &fixture.client)).await.unwrap();
    assert_eq!(attested.workload().as_str(), "spiffe://example.com/client/batch");
    assert_eq!((attested.provider().as_str(), attested.method()), ("clients", Method::PrivateKeyJwt));
    assert_eq!(attested.not_after(), None);
    assert!(matches!(attested.uses(), [Use::Evidence { .. }]));
}

#[tokio::test]
async fn a_key_of_one_never_proves_another() {
    let fixture = fixture("replay: one_shot");
    let crossed =
        [presented(&claims("batch", "batch"), &fixture.ci), presented(&claims(CI, "repo"), &fixture.client)];
    for client in &crossed {
        assert!(attest(&fixture, client).await.is_err());
    }
}

#[tokio::test]
async fn what_does_not_fit_a_client_assertion_is_refused() {
    let fixture = fixture("replay: one_shot");
    let good = || claims("batch", "batch");
    let cases = [
        ("other subject", Claims { subject: Subject::parse("other").unwrap(), ..good() }),
        ("no jti", Claims { token_id: None, ..good() }),
        (
            "second audience",
            Claims { audiences: vec![ISSUER.parse().unwrap(), "x".parse().unwrap()], ..good() },
        ),
        (
            "token endpoint",
            Claims { audiences: vec![format!("{ISSUER}/oauth2/token").parse().unwrap()], ..good() },
        ),
        ("expired", Claims { expires_at: Timestamp::from_secs(NOW).unwrap(), ..good() }),
        ("too long", Claims { expires_at: Timestamp::from_secs(NOW + 3600).unwrap(), ..good() }),
    ];
    for (what, claims) in cases {
        assert!(attest(&fixture, &presented(&claims, &fixture.client)).await.is_err(), "{what}");
    }
}

#[tokio::test]
async fn an_issuers_token_names_a_workload_in_the_providers_namespace() {
    let fixture = fixture("replay: one_shot");
    let attested = attest(&fixture, &presented(&claims(CI, "team/repo"), &fixture.ci)).await.unwrap();
    assert_eq!(attested.workload().as_str(), "spiffe://example.com/ci/team/repo");
    assert_eq!(attested.age().unwrap().as_secs(), 10);
    let bad = presented(&claims(CI, "team/../client/batch"), &fixture.ci);
    assert!(matches!(attest(&fixture, &bad).await, Err(Refusal::Mapping { .. })));
}

#[tokio::test]
async fn key_bound_evidence_needs_a_key_unless_the_provider_says_otherwise() {
    let strict = fixture("replay: key_bound");
    let client = presented(&claims(CI, "repo"), &strict.ci);
    assert!(matches!(attest(&strict, &client).await, Err(Refusal::EvidenceUnproved { .. })));
    let lax = fixture("replay: key_bound, allow_bearer_evidence: true");
    let attested = attest(&lax, &presented(&claims(CI, "repo"), &lax.ci)).await.unwrap();
    assert!(matches!(attested.uses(), [Use::Binding { key: None, .. }]));
    assert_eq!(attested.not_after().unwrap().as_secs(), NOW + 300);
}

#[tokio::test]
async fn evidence_that_is_bound_to_a_key_is_worth_nothing_without_it() {
    let fixture = fixture("replay: one_shot");
    let bound = Claims {
        confirmation: Some(symbolon_token::Confirmation::to_key(fixture.client.thumbprint())),
        ..claims(CI, "repo")
    };
    assert!(matches!(attest(&fixture, &presented(&bound, &fixture.ci)).await, Err(Refusal::EvidenceBound)));
}

#[tokio::test]
async fn a_subject_that_holds_or_continues_another_is_not_in_its_group() {
    let group = |pattern: &str| {
        let section = format!("attested.claims[\"workflow\"].matches({pattern:?})");
        let mut findings = Findings::default();
        let groups = Groups::build(&[("app".parse().unwrap(), section)].into(), &mut findings);
        findings.is_empty().then_some(groups)
    };
    for loose in ["repo:org/app:", "^repo:org/app", "repo:org/app:.*$", "^repo:a:x$|repo:org/app:x"] {
        assert!(group(loose).is_none(), "{loose}");
    }
    let groups = group(r"^repo:org/app\.io:(ref|environment):[^:]+$").unwrap();
    let fixture = fixture("replay: one_shot");
    for (subject, is_member) in [
        ("repo:org/app.io:ref:main", true),
        ("repo:org/app-evil:ref:main", false),
        ("repo:org/app.io-evil:ref:main", false),
        ("repo:org/appxio:ref:main", false),
        ("repo:evil/x:environment:repo:org/app.io:ref:main", false),
        ("repo:org/app.io:environment:x:ref:main", false),
        ("repo:org/app.io:ref:main\nrepo:evil", false),
    ] {
        let mut claims = claims(CI, "x");
        claims.extra.insert("workflow".to_owned(), subject.into());
        let attested = attest(&fixture, &presented(&claims, &fixture.ci)).await.unwrap();
        assert_eq!(!groups.of(&attested).unwrap().is_empty(), is_member, "{subject}");
    }
}

#[tokio::test]
async fn a_delegated_token_is_no_evidence_of_its_subject() {
    let fixture = fixture("replay: one_shot");
    let actor =
        symbolon_token::Actor { subject: Subject::parse("somebody").unwrap(), issuer: None, earlier: None };
    let delegated = |issuer, subject| Claims { actor: Some(actor.clone()), ..claims(issuer, subject) };
    for client in [
        presented(&delegated(CI, "repo"), &fixture.ci),
        presented(&delegated("batch", "batch"), &fixture.client),
    ] {
        assert!(matches!(attest(&fixture, &client).await, Err(Refusal::EvidenceDelegated)));
    }
}

#[tokio::test]
async fn the_named_provider_narrows_down_and_the_named_client_must_be_the_one() {
    let fixture = fixture("replay: one_shot");
    let named = |provider: Option<&str>, id: Option<&str>| PresentedClient {
        provider: provider.map(str::to_owned),
        unverified_id: id.map(str::to_owned),
        ..presented(&claims("batch", "batch"), &fixture.client)
    };
    for good in [(Some("clients"), Some("batch")), (None, Some("spiffe://example.com/client/batch"))] {
        assert!(attest(&fixture, &named(good.0, good.1)).await.is_ok(), "{good:?}");
    }
    assert!(matches!(attest(&fixture, &named(Some("ci"), None)).await, Err(Refusal::UnknownClient)));
    assert!(matches!(attest(&fixture, &named(None, Some("other"))).await, Err(Refusal::ClientMismatch)));
}

#[test]
fn contradictions_between_providers_are_found_at_load() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let oidc = |name: &str, issuer: &str, workload: &str| {
        format!("{{ name: {name}, oidc: {{ issuer: '{issuer}' }}, workload: '{workload}' }}")
    };
    let found = |providers: &[String]| {
        let mut findings = Findings::default();
        Blueprint::draw(&config(&format!("[{}]", providers.join(", ")), &key_set(&key)), &mut findings);
        !findings.is_empty()
    };
    let other = "https://b.example";
    let with = |settings: &str| {
        format!(
            "{{ name: a, oidc: {{ issuer: '{CI}', {settings} }}, workload: '\"a/\" + attested.subject' }}"
        )
    };
    for (what, providers) in [
        (
            "one issuer twice",
            vec![oidc("a", CI, "\"a/\" + attested.subject"), oidc("b", CI, "\"b/\" + attested.subject")],
        ),
        (
            "one name twice",
            vec![oidc("a", CI, "\"a/\" + attested.subject"), oidc("a", other, "\"b/\" + attested.subject")],
        ),
        ("the name of registered clients", vec![oidc("clients", CI, "\"a/\" + attested.subject")]),
        (
            "one namespace",
            vec![oidc("a", CI, "\"a/\" + attested.subject"), oidc("b", other, "\"a/\" + attested.subject")],
        ),
        ("the namespace of clients", vec![oidc("a", CI, "\"client/\" + attested.subject")]),
        ("no namespace", vec![oidc("a", CI, "attested.subject")]),
        ("ourselves", vec![oidc("a", ISSUER, "\"a/\" + attested.subject")]),
        ("an unknown attribute", vec![oidc("a", CI, "\"a/\" + attested.sub")]),
        ("plain http", vec![oidc("a", "http://127.0.0.1:1", "\"a/\" + attested.subject")]),
        ("one-shot evidence as a bearer", vec![with("replay: one_shot, allow_bearer_evidence: true")]),
        ("no lifetime", vec![with("max_lifetime: 0s")]),
        ("a lifetime without end", vec![with("max_lifetime: 25h")]),
        ("keys that are not there", vec![with("keys: { jwks_file: /nowhere/keys.json }")]),
        ("no kind", vec!["{ name: a, workload: '\"a\"' }".to_owned()]),
    ] {
        assert!(found(&providers), "{what}");
    }
    assert!(!found(&[with("replay: key_bound, allow_bearer_evidence: true, max_lifetime: 24h")]));
    assert!(!found(&[
        oidc("a", CI, "\"a/\" + attested.subject"),
        oidc("b", other, "\"b/\" + attested.subject")
    ]));
}
