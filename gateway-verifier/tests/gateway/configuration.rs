//! What is refused at load, each with its path, and what the program says to the one who started it.

use std::process::Command;

const GOOD: &str = "
listen: 127.0.0.1:0
admin: { listen: '127.0.0.1:0' }
origins: [https://orders.example.com]
issuers:
  - { name: main, issuer: 'https://broker.example.com', audiences: [https://orders.internal] }
routes:
  - name: orders
    match: { hosts: [orders.example.com], path: /orders/**, methods: [GET] }
    resource: https://orders.internal
    upstream: { url: 'http://127.0.0.1:9000' }
    stages:
      - verify: { issuers: [main], scopes: ['orders:read'] }
";

fn validate(text: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.yaml");
    std::fs::write(&path, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_symbolon-gateway"))
        .args(["config", "validate", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_good_file_is_valid() {
    assert_eq!(validate(GOOD), (0, String::new()));
}

/// What to replace in the good file, by what, and which path and message must come of it.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    (
        "    stages:\n      - verify: { issuers: [main], scopes: ['orders:read'] }\n",
        "",
        "routes[0]",
        "public: true",
    ),
    ("    resource: https://orders.internal\n", "", "routes[0]", "`verify` needs `resource`"),
    (
        "    resource: https://orders.internal\n",
        "    resource: https://orders.internal\n    streams: { idle_timeout: 0s }\n",
        "routes[0].streams.idle_timeout",
        "end at once",
    ),
    ("routes:\n", "limits: { streams: 0 }\nroutes:\n", "limits.streams", "would be refused"),
    (
        "resource: https://orders.internal",
        "resource: https://other.internal",
        "routes[0].resource",
        "not among the `audiences`",
    ),
    ("issuers: [main]", "issuers: [mian]", "routes[0].stages[0].verify.issuers[0]", "did you mean `main`?"),
    ("issuers: [main]", "issuers: []", "routes[0].stages[0].verify.issuers", "admits nobody"),
    ("audiences: [https://orders.internal]", "audiences: []", "issuers[0].audiences", "at least one"),
    (
        "audiences: [https://orders.internal]",
        "audiences: [https://orders.internal], algorithms: []",
        "issuers[0].algorithms",
        "empty list",
    ),
    (
        "audiences: [https://orders.internal]",
        "audiences: [https://orders.internal], algorithms: [HS256]",
        "issuers[0].algorithms",
        "HS256",
    ),
    (
        "audiences: [https://orders.internal]",
        "audiences: [https://orders.internal], algorithms: [none]",
        "issuers[0].algorithms",
        "none",
    ),
    (
        "audiences: [https://orders.internal]",
        "audiences: [https://orders.internal], binding: off",
        "issuers[0].binding",
        "off",
    ),
    (
        "audiences: [https://orders.internal]",
        "audiences: [https://orders.internal], token_types: [at]",
        "issuers[0].token_types[0]",
        "at+jwt",
    ),
    (
        "audiences: [https://orders.internal]",
        "audiences: [https://orders.internal], jwks_uri: 'https://a/k', jwks_file: /k",
        "issuers[0]",
        "exclude",
    ),
    ("'https://broker.example.com'", "'http://127.0.0.1:8700'", "issuers[0].issuer", "dev: true"),
    ("origins: [https://orders.example.com]", "origins: []", "origins", "at least one"),
    ("origins: [https://orders.example.com]", "origins: [orders.example.com]", "origins[0]", "https://host"),
    ("path: /orders/**", "path: /orders/../x", "routes[0].match.path", "not a path pattern"),
    ("path: /orders/**", "path: /**/orders", "routes[0].match.path", "whole segment"),
    ("path: /orders/**", "path: /.well-known/oauth-protected-resource/x", "routes[0].match.path", "RFC 9728"),
    (
        "path: /orders/**",
        "path: /.well-known/symbolon/streams/renew",
        "routes[0].match.path",
        "streams are renewed",
    ),
    ("hosts: [orders.example.com]", "hosts: []", "routes[0].match.hosts", "empty list"),
    (
        "hosts: [orders.example.com]",
        "hosts: ['orders.example.com:80']",
        "routes[0].match.hosts[0]",
        "without port",
    ),
    ("methods: [GET]", "methods: [get]", "routes[0].match.methods[0]", "upper case"),
    ("methods: [GET]", "methods: [CONNECT]", "routes[0].match.methods[0]", "CONNECT"),
    ("methods: [GET]", "methods: [TRACE]", "routes[0].match.methods[0]", "TRACE"),
    ("'http://127.0.0.1:9000'", "'http://127.0.0.1:9000/base'", "routes[0].upstream", "no path"),
    ("'http://127.0.0.1:9000'", "'ftp://127.0.0.1:9000'", "routes[0].upstream", "neither http nor https"),
    ("- verify: {", "- verfy: {", "routes[0].stages[0]", "did you mean `verify`?"),
    ("- verify: {", "- authorize: {", "routes[0].stages[0]", "authorize"),
    ("listen: 127.0.0.1:0\nadmin", "lisen: 127.0.0.1:0\nadmin", "", "did you mean `listen`?"),
];

#[test]
fn every_mistake_is_named_with_its_path() {
    for (from, to, path, message) in MISTAKES {
        assert!(GOOD.contains(from), "{from}");
        let (code, said) = validate(&GOOD.replacen(from, to, 1));
        assert_eq!(code, 3, "{to}: {said}");
        assert!(said.contains(path) && said.contains(message), "{to}:\n{said}");
        assert!(said.contains("gateway.yaml:"), "no position for {to}:\n{said}");
    }
}

#[test]
fn two_routes_for_one_request_are_refused() {
    let second = "
  - name: again
    match: { hosts: [orders.example.com], path: /orders/**, methods: [POST, GET] }
    public: true
    upstream: { url: 'http://127.0.0.1:9000' }
";
    let (code, said) = validate(&format!("{GOOD}{second}"));
    assert_eq!(code, 3);
    assert!(said.contains("already belongs to route `orders`") && said.contains("routes[1].match"), "{said}");
    assert_eq!(validate(&format!("{GOOD}{}", second.replace(", GET]", "]"))).0, 0);
    let (code, said) =
        validate(&format!("{GOOD}{}", second.replace("again", "orders").replace(", GET]", "]")));
    assert!(code == 3 && said.contains("name of two routes"), "{said}");
}

#[test]
fn two_paths_that_differ_in_case_only_are_a_warning() {
    let twin = "
  - name: careless
    match: { path: /Orders/** }
    public: true
    upstream: { url: 'http://127.0.0.1:9000' }
";
    let (code, said) = validate(&format!("{GOOD}{twin}"));
    assert_eq!(code, 0, "{said}");
    let warning = "warning: the paths `/orders/**` of route `orders` and `/Orders/**` of route `careless` differ only in";
    assert!(said.contains(warning), "{said}");
    assert_eq!(validate(&format!("{GOOD}{}", twin.replace("/Orders/", "/others/"))), (0, String::new()));
}

#[test]
fn two_issuers_do_not_share_an_iss() {
    let second = "  - { name: other, issuer: 'https://broker.example.com', audiences: [https://orders.internal] }\nroutes:";
    let (code, said) = validate(&GOOD.replace("routes:", second));
    assert!(code == 3 && said.contains("issuers[1].issuer") && said.contains("configured twice"), "{said}");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = GOOD.replace("methods: [GET]", "methods: [get]").replace("issuers: [main]", "issuers: [x]");
    let (code, said) = validate(&text);
    assert!(code == 3 && said.contains("upper case") && said.contains("no issuer `x`"), "{said}");
}

#[test]
fn the_schema_is_json_and_usage_errors_are_64() {
    let program = env!("CARGO_BIN_EXE_symbolon-gateway");
    let schema = Command::new(program).args(["config", "schema"]).output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert_eq!(schema["title"], "symbolon-gateway");
    assert!(schema["properties"]["routes"].is_object());
    assert_eq!(Command::new(program).arg("fly").output().unwrap().status.code(), Some(64));
    assert_eq!(Command::new(program).arg("--help").output().unwrap().status.code(), Some(0));
    let missing = Command::new(program).args(["serve", "--config", "/nonexistent"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(3));
}
