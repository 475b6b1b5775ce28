//! Configurations that fit together and ones that do not.
//! Spelling mistakes are the concern of `symbolon_config`.

use symbolon_config::{Environment, parse_str};

use super::*;

const GOOD: &str = r#"
broker: { url: "http://127.0.0.1:8700", socket: /run/symbolon/attest.sock }
evidence: { unix: {} }
upstreams:
  - name: orders
    listen: { unix: /run/symbolon-sidecar/orders.sock, uids: [1000] }
    target: https://orders.example.com
    resource: https://orders.internal
    scope: orders:read
"#;

fn settings(text: &str) -> Result<Settings, ConfigErrors> {
    Settings::new(&parse_str::<Config>(text, "sidecar.yaml", &Environment::empty())?)
}

fn complaint(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    settings(&GOOD.replace(from, to)).unwrap_err().to_string()
}

#[test]
fn a_small_configuration_is_complete() {
    let settings = settings(GOOD).unwrap();
    let orders = settings.upstreams.first().unwrap();
    assert_eq!(orders.target.proof_uri("/orders/1"), "https://orders.example.com/orders/1");
    assert_eq!(orders.app_authorization, AppAuthorization::Replace);
    assert_eq!(settings.health.to_string(), "127.0.0.1:8719");
    assert_eq!(settings.start_timeout, Duration::from_secs(30));
}

#[test]
fn the_only_caller_of_a_door_may_have_all_of_its_connections() {
    let usual = settings(GOOD).unwrap();
    assert_eq!((usual.limits.connections, usual.limits.per_peer(), usual.connections()), (4096, 4096, 4096));
    let shared =
        settings(&format!("{GOOD}limits: {{ connections: 100, connections_per_peer: 10 }}\n")).unwrap();
    assert_eq!((shared.limits.per_peer(), shared.limits.requests), (10, 4096));
}

#[test]
fn a_tcp_listener_is_loopback_and_asked_for_in_so_many_words() {
    let unix = "{ unix: /run/symbolon-sidecar/orders.sock, uids: [1000] }";
    for (listen, expected) in [
        ("{ tcp: \"127.0.0.1:8711\" }", "every local process"),
        ("{ tcp: \"0.0.0.0:8711\", allow_any_local_process: true }", "only a loopback address"),
        ("{ tcp: \"127.0.0.1:8711\", uids: [0], allow_any_local_process: true }", "only a Unix socket tells"),
        ("{ tcp: \"127.0.0.1:8711\", unix: /a, allow_any_local_process: true }", "either `unix` or `tcp`"),
        ("{ unix: /a, allow_any_local_process: true }", "it is for `tcp`"),
        ("{}", "needs `unix` or `tcp`"),
    ] {
        let text = complaint(unix, listen);
        assert!(text.contains(expected), "{listen}: {text}");
        assert!(text.starts_with("sidecar.yaml:"), "{text}");
    }
    assert!(settings(&GOOD.replace(unix, "{ tcp: \"[::1]:0\", allow_any_local_process: true }")).is_ok());
}

#[test]
fn a_target_is_an_origin_that_is_reached_by_tls() {
    for (target, expected) in [
        ("http://orders.example.com", "could be read on the way"),
        ("http://127.0.0.1.example.com", "could be read on the way"),
        ("https://user@orders.example.com", "no user"),
        ("https://orders.example.com/v1", "scheme, host and port only"),
        ("https://orders.example.com/?a", "scheme, host and port only"),
        ("ftp://orders.example.com", "the scheme is"),
    ] {
        let text = complaint("https://orders.example.com", target);
        assert!(text.contains(expected), "{target}: {text}");
    }
    for good in ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:1", "https://10.0.0.1:8443"] {
        assert!(settings(&GOOD.replace("https://orders.example.com", good)).is_ok(), "{good}");
    }
}

#[test]
fn unix_evidence_needs_the_brokers_socket() {
    assert!(complaint(", socket: /run/symbolon/attest.sock", "").contains("set `broker.socket`"));
}

#[test]
fn a_certificate_authority_without_tls_is_a_mistake() {
    assert!(complaint("attest.sock }", "attest.sock, ca_file: /ca.pem }").contains("no effect"));
}

#[test]
fn names_and_addresses_are_taken_once() {
    let again = GOOD.split_once("upstreams:\n").unwrap().1;
    let text = settings(&format!("{GOOD}{again}")).unwrap_err().to_string();
    assert!(text.contains("defined twice"), "{text}");
    let other = again.replace("name: orders", "name: billing");
    let text = settings(&format!("{GOOD}{other}")).unwrap_err().to_string();
    assert!(text.contains("another listener has this address"), "{text}");
}

#[test]
fn an_upstream_without_any_door_is_refused() {
    let listen = "listen: { unix: /run/symbolon-sidecar/orders.sock, uids: [1000] }\n    ";
    assert!(complaint(listen, "").contains("nobody could use this upstream"));
    let with_endpoint = GOOD.replace(listen, "") + "listen: { endpoints: { unix: /run/token.sock } }\n";
    assert!(settings(&with_endpoint).is_ok());
}
