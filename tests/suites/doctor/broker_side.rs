//! `symbolon doctor --broker`: the same word as a grant's for each kind of evidence, which provider it is from, nothing used up.
//! Not here: clusters that are asked about their pods (`kubernetes::attesting`).

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::{KEY_ID, TestIssuer};
use symbolon_e2e::machine::{now, uid};
use symbolon_e2e::process::binary;
use symbolon_e2e::programs::Broker;
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};

const CLUSTER: &str = "https://cluster.test";
const CI: &str = "https://ci.test";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A broker with a provider of each kind.
struct Providers {
    broker: Broker,
    cluster: TestIssuer,
    ci: TestIssuer,
}

/// How the doctor ended and what it said.
struct Said {
    code: Option<i32>,
    text: String,
    errors: String,
}

impl Providers {
    async fn start() -> Self {
        let (cluster, ci, client) =
            (TestIssuer::new(CLUSTER), TestIssuer::new(CI), TestIssuer::new("tester"));
        let rest = format!(
            "trust_providers:\n\
             \x20 - {{ name: local, unix: {{}}, workload: '\"local/uid/\" + string(attested.uid)' }}\n\
             \x20 - {{ name: ci, oidc: {{ issuer: \"{CI}\", keys: {{ jwks: {ci} }}, replay: one_shot }}, workload: '\"ci/\" + path(attested.subject)' }}\n\
             \x20 - {{ name: prod, kubernetes: {{ issuer: \"{CLUSTER}\", live: off, keys: {{ jwks: {cluster} }} }},\n\
             \x20     workload: '\"prod/ns/\" + attested.namespace + \"/sa/\" + attested.service_account' }}\n",
            ci = ci.jwks(),
            cluster = cluster.jwks(),
        );
        let broker = Broker::start("tester", &client.jwks().to_string(), &rest).await;
        Self { broker, cluster, ci }
    }

    /// The claims of a pod's young token for the broker.
    fn claims(&self) -> Value {
        json!({
            "iss": CLUSTER, "sub": "system:serviceaccount:shop:orders", "aud": [self.broker.url], "jti": "never-shown-jti",
            "iat": now() - 60, "nbf": now() - 60, "exp": now() + 3540,
            "kubernetes.io": {
                "namespace": "shop", "serviceaccount": {"name": "orders", "uid": "sa-uid"},
                "pod": {"name": "orders-0", "uid": "6f3c1f0e-9a2b-4c7d-8e55-0a1b2c3d4e5f"},
                "node": {"name": "node-1", "uid": "7f3c1f0e-9a2b-4c7d-8e55-0a1b2c3d4e5f"},
            },
        })
    }

    fn with(&self, member: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[member] = value;
        claims
    }

    fn signed(&self, claims: &Value) -> String {
        self.cluster.sign(&json!({"alg": "ES256", "kid": KEY_ID}), claims)
    }

    fn ci_token(&self) -> String {
        let claims = json!({
            "iss": CI, "sub": "team/repo", "aud": self.broker.url, "iat": now(), "exp": now() + 300, "jti": "once",
        });
        self.ci.sign(&json!({"alg": "ES256", "kid": KEY_ID}), &claims)
    }

    /// What a grant says of it, presented with a key.
    async fn grant(&self, token: &str, key: &ProofKey) -> Answer {
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", "https://notes.test"),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", token),
        ];
        let target = format!("{}/oauth2/token", self.broker.url);
        let request = ProofRequest { method: "POST", target_uri: &target, access_token: None, nonce: None };
        let proof = key.prove(&request, Timestamp::from_secs(now()).unwrap()).unwrap();
        Call::form("/oauth2/token", &form).header("dpop", &proof).send(self.broker.address).await.unwrap()
    }

    fn doctor(&self, token: &str, more: &[&str]) -> Said {
        let socket = self.broker.admin_socket();
        let mut command = Command::new(binary("symbolon"));
        command.args(["doctor", "--broker", "--evidence", "-", "--broker-admin"]).arg(socket).args(more);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
        let run = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: run.status.code(), text: text(run.stdout), errors: text(run.stderr) }
    }

    async fn admin(&self, call: Call) -> Answer {
        call.send(self.broker.admin_socket().as_path()).await.unwrap()
    }
}

impl Said {
    fn check(&self, name: &str) -> Value {
        let report: Value = serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}", self.errors));
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{}", self.text)).clone()
    }

    fn verdict(&self, name: &str) -> String {
        self.check(name)["verdict"].as_str().unwrap().to_owned()
    }

    fn found(&self, name: &str) -> String {
        self.check(name)["found"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn good_evidence_is_taken_by_one_provider_and_each_other_says_why_not() {
    let providers = Providers::start().await;
    let token = providers.signed(&providers.claims());
    let said = providers.doctor(&token, &["-o", "json"]);
    assert_eq!(said.code, Some(0), "{}{}", said.text, said.errors);
    for (provider, verdict, why) in [
        ("provider.prod", "ok", "the evidence is good"),
        (
            "provider.ci",
            "skipped",
            "it takes tokens of `https://ci.test`; this one is of `https://cluster.test`",
        ),
        ("provider.local", "skipped", "this is a token"),
        ("provider.clients", "skipped", "no client is registered as `https://cluster.test`"),
        ("attested", "ok", "`spiffe://test.example/prod/ns/shop/sa/orders`"),
        ("clock.skew", "ok", "agree"),
        ("evidence.age", "ok", "it ends in"),
        ("evidence.audience", "ok", &providers.broker.url),
        ("broker.reachable", "ok", "answered in"),
    ] {
        assert_eq!(said.verdict(provider), verdict, "{}", said.text);
        assert!(said.found(provider).contains(why), "{}", said.text);
    }
    assert!(said.found("attested").contains("for who proves its key"), "{}", said.text);
    // Who holds the key gets it, as was said.
    let key = ProofKey::generate(Algorithm::Es256).unwrap();
    let granted = providers.grant(&token, &key).await;
    assert_eq!(
        granted.text("error_description").split(':').next(),
        Some("denied"),
        "attested, and no policy"
    );
}

#[tokio::test]
async fn what_is_shown_is_nothing_that_somebody_else_could_use() {
    let providers = Providers::start().await;
    let token = providers.signed(&providers.claims());
    let json = providers.doctor(&token, &["-o", "json"]);
    let table = providers.doctor(&token, &[]);
    let claims = json.check("evidence.claims")["details"]["claims"].clone();
    assert_eq!(claims["kubernetes.io"]["pod"]["name"], "orders-0");
    assert!(table.text.contains("0 failed"), "{}", table.text);
    let log = providers.broker.process.log();
    assert!(log.contains("evidence.appraised"), "{log}");
    for shown in [&json.text, &table.text, &json.errors, &log] {
        for part in token.split('.') {
            assert!(!shown.contains(part), "{shown}");
        }
        assert!(!shown.contains("never-shown-jti"), "{shown}");
    }
}

#[tokio::test]
async fn each_kind_of_bad_evidence_is_called_what_a_grant_calls_it() {
    let providers = Providers::start().await;
    let key = ProofKey::generate(Algorithm::Es256).unwrap();
    let good = providers.signed(&providers.claims());
    let (stranger, forger) = (TestIssuer::new("https://cluster.test/"), TestIssuer::new(CLUSTER));
    let header = |kid: &str| json!({"alg": "ES256", "kid": kid});
    let with = |member, value| providers.signed(&providers.with(member, value));
    for (token, reason, failed) in [
        (stranger.sign(&header(KEY_ID), &providers.with("iss", json!(stranger.url))), "unknown_client", None),
        (with("aud", json!(["https://kubernetes.default.svc"])), "assertion_rejected", Some("provider.prod")),
        (
            with("aud", json!([providers.broker.url, "https://other.test"])),
            "assertion_rejected",
            Some("provider.prod"),
        ),
        (with("exp", json!(now() - 3600)), "expired", Some("provider.prod")),
        (with("nbf", json!(now() + 600)), "not_yet_valid", Some("provider.prod")),
        (with("kubernetes.io", json!({"namespace": "shop"})), "pod_unbound", Some("provider.prod")),
        (
            providers.cluster.sign(&header("other-key"), &providers.claims()),
            "unknown_kid",
            Some("provider.prod"),
        ),
        (forger.sign(&header(KEY_ID), &providers.claims()), "bad_signature", Some("provider.prod")),
        (good.replacen('.', "", 1), "assertion_malformed", None),
    ] {
        let said = providers.doctor(&token, &["-o", "json"]);
        assert_eq!(said.code, Some(2), "{reason}: {}{}", said.text, said.errors);
        assert!(said.found("attested").starts_with(&format!("{reason}: ")), "{}", said.text);
        let next = said.check("attested")["next"].as_str().unwrap().to_owned();
        assert!(next.len() > 10, "it does not say what to do: {next}");
        if let Some(provider) = failed {
            assert_eq!(said.verdict(provider), "failed", "{}", said.text);
        } else {
            assert_eq!(said.verdict("provider.prod"), "skipped", "{}", said.text);
        }
        let granted = providers.grant(&token, &key).await;
        assert_eq!(granted.text("error_description").split(':').next(), Some(reason), "{}", said.text);
        assert!(!said.text.contains(token.rsplit('.').next().unwrap()), "{}", said.text);
    }
    let slash = stranger.sign(&header(KEY_ID), &providers.with("iss", json!(stranger.url)));
    let said = providers.doctor(&slash, &["-o", "json"]);
    assert!(said.found("provider.prod").contains("the slash at the end counts"), "{}", said.text);
}

#[tokio::test]
async fn nothing_is_used_up_or_put_on_record_by_asking() {
    let providers = Providers::start().await;
    let token = providers.ci_token();
    for _ in 0..3 {
        let said = providers.doctor(&token, &["-o", "json"]);
        assert_eq!((said.code, said.verdict("provider.ci").as_str()), (Some(0), "ok"), "{}", said.text);
        assert!(!said.found("attested").contains("for who proves"), "one-shot evidence needs no key");
    }
    let listed = providers.admin(Call::get("/v1/decisions")).await;
    assert_eq!(listed.json(), json!([]));
    let key = ProofKey::generate(Algorithm::Es256).unwrap();
    let first = providers.grant(&token, &key).await;
    assert_eq!(first.text("error_description").split(':').next(), Some("denied"), "attested, and no policy");
}

#[tokio::test]
async fn a_provider_can_be_named_as_the_caller_would_and_a_process_asks_for_itself() {
    let providers = Providers::start().await;
    let token = providers.signed(&providers.claims());
    let said = providers.doctor(&token, &["-o", "json", "--provider", "ci"]);
    assert_eq!(said.code, Some(2), "{}", said.text);
    assert!(said.found("provider.prod").contains("names another provider"), "{}", said.text);
    let form = providers.admin(Call::form("/v1/evidence", &[])).await;
    assert_eq!(form.status, 200);
    assert_eq!(form.text("workload"), format!("spiffe://test.example/local/uid/{}", uid()));
}

#[tokio::test]
async fn only_operators_may_ask_and_only_with_a_small_form() {
    let providers = Providers::start().await;
    let token = providers.signed(&providers.claims());
    let call =
        || Call::form("/v1/evidence", &[("client_assertion_type", JWT_BEARER), ("client_assertion", &token)]);
    for place in [providers.broker.address, providers.broker.admin] {
        assert_eq!(call().send(place).await.unwrap().status, 404);
    }
    assert_eq!(call().send(providers.broker.socket().as_path()).await.unwrap().status, 404);
    let long = "x".repeat(30_000);
    for (call, status) in [
        (Call::form("/v1/evidence", &[("client_assertion", &long)]), 413),
        (Call::post("/v1/evidence", "application/json", "{}"), 415),
        (Call::form("/v1/evidence", &[("client_id", "a"), ("client_id", "b")]), 400),
        (Call::get("/v1/evidence"), 405),
    ] {
        let answer = providers.admin(call).await;
        assert_eq!(answer.status, status);
    }
    let answer = providers.admin(call()).await;
    assert_eq!((answer.status, answer.header("cache-control").as_str()), (200, "no-store"));
}

#[tokio::test]
async fn another_user_is_refused_even_if_the_socket_is_open_to_all() {
    if uid() != 0 {
        // Only root can become somebody else; for everybody else the kernel keeps the socket.
        return;
    }
    let providers = Providers::start().await;
    let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    open(providers.broker.folder.path(), 0o755);
    open(&providers.broker.admin_socket(), 0o666);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "curl", "--silent", "--data", ""]);
    command.args(["--write-out", " %{http_code}", "http://localhost/v1/evidence", "--unix-socket"]);
    let said = command.arg(providers.broker.admin_socket()).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.ends_with(" 403") && text.contains("the broker's own user and root"), "{text}");
}

#[tokio::test]
async fn a_broker_that_is_away_and_a_token_as_an_argument_have_exit_codes_of_their_own() {
    let mut providers = Providers::start().await;
    let token = providers.signed(&providers.claims());
    let mut command = Command::new(binary("symbolon"));
    let said = command.args(["doctor", "--broker", "--evidence", &token]).output().unwrap();
    assert_eq!(said.status.code(), Some(64));
    assert!(!String::from_utf8(said.stderr).unwrap().contains(&token));
    for wrong in [&["doctor"][..], &["doctor", "--config", "a", "--broker"], &["doctor", "--evidence", "-"]] {
        assert_eq!(Command::new(binary("symbolon")).args(wrong).output().unwrap().status.code(), Some(64));
    }
    providers.broker.process.kill();
    let said = providers.doctor(&token, &[]);
    assert_eq!(said.code, Some(69), "{}", said.errors);
}
