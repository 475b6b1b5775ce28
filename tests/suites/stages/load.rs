//! What is refused at load and what is only odd: each with its path in the file.
//! Not here: mistakes that have nothing to do with stages.

use std::fs;
use std::process::{Command, Stdio};

use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::process::binary;

use super::{ISSUER, config};

const VERIFY: &str = "verify: { issuers: [a] }";

/// Validates a gateway with these stages on `orders`; exit code and what was said.
fn validate(stages: &[&str], policies: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("policies")).unwrap();
    fs::write(path.join("policies/calls.cedar"), policies).unwrap();
    fs::write(path.join("a.json"), TestIssuer::new(ISSUER).jwks().to_string()).unwrap();
    let rest = config("", "127.0.0.1:9", stages, &[VERIFY]).replace("{folder}", &path.display().to_string());
    let file = path.join("gateway.yaml");
    fs::write(
        &file,
        format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\norigins: [\"http://a.test\"]\n{rest}"
        ),
    )
    .unwrap();
    let mut command = Command::new(binary("symbolon-gateway"));
    command.args(["config", "validate", "--config"]).arg(&file).stdin(Stdio::null());
    let run = command.output().unwrap();
    (run.status.code().unwrap(), String::from_utf8_lossy(&run.stderr).into_owned())
}

fn with(when: &str) -> String {
    format!("{{ verify: {{ issuers: [a], scopes: [\"orders:admin\"] }}, when: '{when}' }}")
}

#[test]
fn a_condition_over_what_is_not_there_is_refused_with_its_path_and_the_nearest_name() {
    for (when, message) in [
        ("request.pth == \"/\"", "unknown field `pth` of `request`, did you mean `path`?"),
        ("requst.path == \"/\"", "unknown variable `requst`, did you mean `request`?"),
        ("token.clientid == \"\"", "did you mean `client_id`?"),
        ("request.path.startsWith()", "is called as"),
        ("request.path.beginsWith(\"/\")", "unknown function `beginsWith`"),
        ("unverified.sub == \"\"", "unknown variable `unverified`"),
        ("request.path", "needs a bool"),
        ("request.path ==", "expression 1:"),
        ("request.source_ip == 1", "between a string and an int"),
    ] {
        let (code, said) = validate(&[VERIFY, &with(when)], "");
        assert_eq!(code, 3, "{when}: {said}");
        assert!(said.contains("routes[0].stages[1].when") && said.contains(message), "{when}: {said}");
        assert!(said.contains("gateway.yaml:"), "{said}");
    }
}

#[test]
fn stages_in_an_order_that_makes_no_sense_are_refused() {
    for (stages, path, message) in [
        (vec![with("token.sub == \"a\"")], "routes[0].stages[0].when", "only to stages after a `verify`"),
        (
            vec!["authorize: { policies: policies }".to_owned(), VERIFY.to_owned()],
            "routes[0].stages[0]",
            "put a `verify` before it",
        ),
        (vec![VERIFY.to_owned(), VERIFY.to_owned()], "routes[0].stages[1]", "verifies once"),
        (vec!["when: \"true\"".to_owned()], "routes[0].stages[0]", "exactly one of"),
        (
            vec!["{ verify: { issuers: [a] }, authorize: { policies: policies } }".to_owned()],
            "routes[0].stages[0]",
            "exactly one of",
        ),
        (
            vec!["{ verify: { issuers: [a] }, when: \"true\", condition: \"true\" }".to_owned()],
            "routes[0].stages[0]",
            "when",
        ),
        (
            vec!["authorise: { policies: policies }".to_owned()],
            "routes[0].stages[0]",
            "did you mean `authorize`?",
        ),
        (
            vec![VERIFY.to_owned(), "authorize: { policies: nowhere }".to_owned()],
            "routes[0].stages[1].authorize.policies",
            "nowhere: cannot be read",
        ),
    ] {
        let stages: Vec<&str> = stages.iter().map(String::as_str).collect();
        let (code, said) = validate(&stages, "");
        assert_eq!(code, 3, "{stages:?}: {said}");
        assert!(said.contains(path) && said.contains(message), "{stages:?}: {said}");
    }
}

#[test]
fn broken_policies_are_refused_with_file_and_line() {
    let policy = "\n@id(\"a\") permit (principal, action == Symbolon::Action::\"call\", resource) when { context.pth == \"/\" };";
    let (code, said) = validate(&[VERIFY, "authorize: { policies: policies }"], policy);
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("routes[0].stages[1].authorize.policies") && said.contains("calls.cedar:2:"),
        "{said}"
    );
}

#[test]
fn what_is_odd_is_a_warning() {
    let authorize = |when: &str| format!("{{ authorize: {{ policies: policies }}, when: '{when}' }}");
    let policy = "@id(\"a\") permit (principal, action == Symbolon::Action::\"call\", resource);";
    for (stage, message) in [
        (with("1 == 1"), "always true"),
        (with("false"), "never true: this stage is never reached"),
        (with("1 / 0 == 1"), "never has a result"),
        (authorize("request.headers[\"x-env\"] == \"\""), "the client decides by `request.headers`"),
        (authorize("request.query.a == \"\""), "the client decides by `request.query`"),
    ] {
        let (code, said) = validate(&[VERIFY, &stage], policy);
        assert_eq!(code, 0, "{stage}: {said}");
        assert!(said.contains("warning: ") && said.contains("routes[0].stages[1].when"), "{stage}: {said}");
        assert!(said.contains(message), "{stage}: {said}");
    }
    let optional = "{ verify: { issuers: [a] }, when: 'request.path != \"/orders/x\"' }";
    let (_, said) = validate(&[optional, &authorize("token.sub == \"a\"")], policy);
    assert!(said.contains("has(token.sub)"), "{said}");
    assert_eq!(validate(&[VERIFY, &authorize("request.method != \"GET\"")], policy), (0, String::new()));
}
