//! `symbolon-sidecar doctor` and `symbolon doctor` beside a real broker: what they find, what they say to do, how they end.
//! Not here: clocks that differ and what is said of each claim, which are tested beside the code.

mod broker_side;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::machine::{free_address, now};
use symbolon_e2e::process::binary;
use symbolon_e2e::programs::Broker;
use tempfile::TempDir;

const CLUSTER: &str = "https://cluster.test";

/// A place where a sidecar would run, with the token that a kubelet would have written.
struct Place {
    folder: TempDir,
    broker: String,
    issuer: TestIssuer,
}

/// How the doctor ended and what it said.
struct Said {
    code: Option<i32>,
    text: String,
    errors: String,
}

impl Place {
    /// A place whose sidecar belongs to the broker at this URL.
    fn of(broker: &str) -> Self {
        let (folder, issuer) = (tempfile::tempdir().unwrap(), TestIssuer::new(CLUSTER));
        let place = Self { folder, broker: broker.to_owned(), issuer };
        place.configure("kubernetes: { token_file: {folder}/token }", "");
        place.write(&place.claims());
        place
    }

    fn configure(&self, evidence: &str, more: &str) {
        let target = self.broker.trim_end_matches('/');
        let text = format!(
            "broker: {{ url: {target}{more} }}\nevidence: {evidence}\nkey: {{ file: {{folder}}/key.json }}\nupstreams:\n\
             \x20 - {{ name: orders, listen: {{ unix: {{folder}}/orders.sock }}, target: \"{target}\", resource: \"https://orders.test\" }}\n",
            evidence = if evidence.contains(':') { format!("{{ {evidence} }}") } else { evidence.to_owned() },
        );
        let text = text.replace("{folder}", &self.folder.path().display().to_string());
        fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("sidecar.yaml")
    }

    /// The claims of a young token for the broker.
    fn claims(&self) -> Value {
        json!({
            "iss": CLUSTER, "sub": "system:serviceaccount:shop:orders", "aud": [self.broker], "jti": "never-shown-jti",
            "iat": now() - 60, "nbf": now() - 60, "exp": now() + 3540,
            "kubernetes.io": {
                "namespace": "shop", "serviceaccount": {"name": "orders", "uid": "sa-uid"},
                "pod": {"name": "orders-0", "uid": "pod-uid"}, "node": {"name": "node-1", "uid": "node-uid"},
            },
        })
    }

    /// Publishes a token as the kubelet does, and returns it.
    fn write(&self, claims: &Value) -> String {
        let root = self.folder.path();
        let token = self.issuer.sign(&self.issuer.header(), claims);
        let stamp = format!("..{}", fs::read_dir(root).unwrap().count());
        fs::create_dir(root.join(&stamp)).unwrap();
        fs::write(root.join(&stamp).join("token"), &token).unwrap();
        symlink(&stamp, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        if root.join("token").symlink_metadata().is_err() {
            symlink("..data/token", root.join("token")).unwrap();
        }
        token
    }

    fn ask(&self, program: &str, environment: &[(&str, &str)], output: &str) -> Said {
        let mut command = Command::new(binary(program));
        command.env_clear().envs(environment.iter().copied()).stdin(Stdio::null());
        let run = command.args(["doctor", "-o", output, "--config"]).arg(self.config()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: run.status.code(), text: text(run.stdout), errors: text(run.stderr) }
    }

    fn doctor(&self) -> Said {
        self.ask("symbolon-sidecar", &[], "json")
    }
}

impl Said {
    /// The verdict of a check and what was found.
    fn check(&self, name: &str) -> (String, String, Value) {
        let report: Value = serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}", self.errors));
        let checks = report["checks"].as_array().unwrap();
        let check =
            checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{}", self.text));
        let text = |member: &str| check[member].as_str().unwrap_or_default().to_owned();
        if matches!(text("verdict").as_str(), "failed" | "warning") {
            assert!(text("next").len() > 10, "it does not say what to do: {check}");
        }
        (text("verdict"), text("found"), check["details"].clone())
    }

    fn verdict(&self, name: &str) -> String {
        self.check(name).0
    }
}

async fn broker() -> Broker {
    let client = TestIssuer::new("https://client.test");
    Broker::start("batch", &client.jwks().to_string(), "").await
}

#[tokio::test]
async fn good_evidence_is_shown_without_what_could_be_used_and_all_is_fine() {
    let broker = broker().await;
    let place = Place::of(&broker.url);
    let token = place.write(&place.claims());
    let said = place.doctor();
    assert_eq!(said.code, Some(0), "{}", said.text);
    let checks = [
        "evidence.source",
        "evidence.read",
        "evidence.claims",
        "evidence.age",
        "evidence.audience",
        "broker.reachable",
        "broker.issuer",
        "clock.skew",
        "key",
        "upstream.orders",
        "competing",
    ];
    for check in checks {
        assert_eq!(said.verdict(check), "ok", "{check}: {}", said.text);
    }
    let claims = said.check("evidence.claims").2;
    assert_eq!(claims["kubernetes.io"]["pod"]["name"], "orders-0");
    assert_eq!(claims["sub"], "system:serviceaccount:shop:orders");
    // Nothing was made, and nothing was shown that somebody else could use.
    assert!(!place.folder.path().join("key.json").exists());
    let table = place.ask("symbolon-sidecar", &[], "table");
    assert_eq!(table.text.lines().count(), checks.len() + 1, "{}", table.text);
    for shown in [&said.text, &table.text] {
        for part in token.split('.') {
            assert!(!shown.contains(part), "{shown}");
        }
        assert!(!shown.contains("never-shown-jti"), "{shown}");
    }
}

#[tokio::test]
async fn the_operators_tool_says_the_same_in_each_form() {
    let broker = broker().await;
    let place = Place::of(&broker.url);
    for output in ["json", "jsonl"] {
        let said = place.ask("symbolon", &[], output);
        assert_eq!((said.code, said.verdict("evidence.age").as_str()), (Some(0), "ok"), "{}", said.errors);
    }
    let table = place.ask("symbolon", &[], "table");
    assert!(table.text.contains("evidence.audience") && table.text.contains("0 failed"), "{}", table.text);
    fs::write(place.config(), "brokr: {}").unwrap();
    let said = place.ask("symbolon", &[], "table");
    assert_eq!(said.code, Some(3));
    assert!(said.text.is_empty() && said.errors.contains("sidecar.yaml"), "{}", said.errors);
}

#[tokio::test]
async fn evidence_that_is_missing_or_that_others_could_have_written_is_named() {
    let broker = broker().await;
    let place = Place::of(&broker.url);
    let inner = place.folder.path().join("..data/token");
    fs::set_permissions(&inner, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let said = place.doctor();
    assert_eq!((said.code, said.verdict("evidence.read").as_str()), (Some(1), "failed"));
    assert!(said.check("evidence.read").1.contains("group or others can write it"), "{}", said.text);
    fs::remove_file(place.folder.path().join("token")).unwrap();
    let said = place.doctor();
    assert_eq!((said.code, said.verdict("evidence.read").as_str()), (Some(1), "failed"));
    assert!(said.check("evidence.read").1.contains("No such file"), "{}", said.text);
    // The rest is looked at all the same.
    assert_eq!(said.verdict("upstream.orders"), "ok");
}

#[tokio::test]
async fn a_kubelet_that_is_stuck_and_a_token_for_others_are_told_apart() {
    let broker = broker().await;
    let place = Place::of(&broker.url);
    let with = |member: &str, value: Value| {
        let mut claims = place.claims();
        claims[member] = value;
        claims
    };
    for (claims, check, expected) in [
        (with("iat", json!(now() - 40_000)), "evidence.age", "stale"),
        (with("exp", json!(now() - 1)), "evidence.age", "expired"),
        (
            with("aud", json!(["https://kubernetes.default.svc"])),
            "evidence.audience",
            "not the broker's issuer",
        ),
        (with("aud", json!([broker.url, "https://other.test"])), "evidence.audience", "2 audiences"),
        (with("kubernetes.io", json!({"namespace": "shop"})), "evidence.claims", "bound to no pod"),
    ] {
        place.write(&claims);
        let said = place.doctor();
        assert_eq!(said.code, Some(1), "{}", said.text);
        let (verdict, found, _) = said.check(check);
        assert_eq!(verdict, "failed", "{}", said.text);
        assert!(found.contains(expected), "{found}");
    }
}

#[tokio::test]
async fn a_broker_that_is_away_has_its_own_exit_code_and_the_rest_is_still_looked_at() {
    let place = Place::of(&format!("http://{}", free_address()));
    let said = place.doctor();
    assert_eq!(said.code, Some(69), "{}", said.text);
    assert_eq!(said.verdict("broker.reachable"), "failed");
    assert_eq!(said.verdict("clock.skew"), "skipped");
    assert_eq!(said.verdict("evidence.audience"), "ok");
    assert_eq!(said.verdict("upstream.orders"), "failed");
    let tool = place.ask("symbolon", &[], "yaml");
    assert_eq!(tool.code, Some(69), "{}", tool.text);
    assert!(tool.text.contains("broker_unreachable"), "{}", tool.text);
}

#[tokio::test]
async fn auto_says_why_it_took_the_socket_and_what_it_looked_for() {
    let broker = broker().await;
    let place = Place::of(&broker.url);
    place.configure("auto", &format!(", socket: {}", broker.socket().display()));
    let said = place.doctor();
    assert_eq!(said.code, Some(0), "{}", said.text);
    let (_, found, _) = said.check("evidence.source");
    assert!(found.starts_with("unix: `auto`, there is no projected token"), "{found}");
    assert_eq!(said.verdict("broker.issuer"), "ok");
    place.configure("auto", "");
    let said = place.doctor();
    assert_eq!(said.code, Some(1), "{}", said.text);
    assert!(said.check("evidence.source").1.contains("/var/run/secrets/symbolon/token"), "{}", said.text);
}

#[tokio::test]
async fn what_competes_is_named_and_its_values_are_not() {
    let broker = broker().await;
    let place = Place::of(&broker.url);
    let environment = [
        ("HTTPS_PROXY", "http://user:proxy-secret@proxy.test:3128"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
    ];
    let said = place.ask("symbolon-sidecar", &environment, "json");
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert_eq!(said.verdict("competing.variable"), "warning");
    assert!(
        said.text.contains("HTTPS_PROXY") && said.text.contains("AWS_WEB_IDENTITY_TOKEN_FILE"),
        "{}",
        said.text
    );
    assert!(!said.text.contains("proxy-secret"), "{}", said.text);
}
