//! Reading through the public interface: what is accepted, and how mistakes are shown.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeMap, fs, net::SocketAddr, num::NonZeroU16};

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::{
    ConfigErrors, Environment, HumanDuration, Loaded, Position, Secret, load, parse_str, schema,
};

#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    issuer: String,
    listen: Listen,
    #[serde(default)]
    store: Option<Store>,
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    groups: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Listen {
    public: SocketAddr,
    #[serde(default)]
    backlog: Option<NonZeroU16>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Store {
    sealing_key: Secret,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Resource {
    name: String,
    binding: Binding,
    #[serde(default)]
    token_ttl: Option<HumanDuration>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    match_on: Option<Matcher>,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Binding {
    Dpop,
    BearerAllowed,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Matcher {
    Path(String),
    Header { name: String, value: String },
    Any,
}

const GOOD: &str = "\
issuer: https://broker.example.com
listen: { public: \"127.0.0.1:8700\" }
resources:
  - name: orders
    binding: dpop
    token_ttl: 5m
    scopes: [a, b]
    match_on: { header: { name: x, value: 'y' } }
  - { name: billing, binding: bearer_allowed, match_on: any }
groups:
  shop: 'workload.provider == \"prod\"'
";

fn read(source: &str, variables: &[(&str, &str)]) -> Result<Loaded<Config>, ConfigErrors> {
    parse_str(source, "broker.yaml", &Environment::from_pairs(variables.iter().copied()))
}

fn refused(source: &str, variables: &[(&str, &str)]) -> String {
    read(source, variables).map(|_| ()).unwrap_err().to_string()
}

/// `GOOD` with one text replaced.
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

#[test]
fn a_good_file_is_read() {
    let config = read(GOOD, &[]).unwrap().value;
    assert_eq!(config.issuer, "https://broker.example.com");
    assert_eq!(config.listen.public.port(), 8700);
    assert_eq!(config.resources[0].binding, Binding::Dpop);
    assert_eq!(config.resources[0].token_ttl, Some(HumanDuration::from_secs(300)));
    assert_eq!(
        config.resources[0].match_on,
        Some(Matcher::Header { name: "x".to_owned(), value: "y".to_owned() })
    );
    assert_eq!(config.resources[1].match_on, Some(Matcher::Any));
    assert_eq!(config.resources[1].name, "billing");
    assert_eq!(config.groups["shop"], "workload.provider == \"prod\"");
}

#[test]
fn each_mistake_is_shown_with_its_place_and_path() {
    for (source, expected) in [
        (with("issuer:", "isuer:"), "broker.yaml:1:1: unknown key `isuer`, did you mean `issuer`?"),
        (
            with("    binding: dpop", "    bindung: dpop"),
            "broker.yaml:5:5: unknown key `bindung`, did you mean `binding`? (at `resources[0]`)",
        ),
        (
            with("binding: dpop", "binding: dpopp"),
            "broker.yaml:5:14: unknown choice `dpopp`, did you mean `dpop`? (at `resources[0].binding`)",
        ),
        (
            with("token_ttl: 5m", "token_ttl: 5"),
            "broker.yaml:6:16: expected a duration with its unit, such as `5m` or `250ms`, found a whole number; \
             quote it to make it a text (at `resources[0].token_ttl`)",
        ),
        (
            with("token_ttl: 5m", "token_ttl: 5y"),
            "broker.yaml:6:16: expected numbers with units from large to small, such as `5m`, `1h30m` or `250ms` \
             (at `resources[0].token_ttl`)",
        ),
        (
            with("name: orders", "name: true"),
            "broker.yaml:4:11: expected a string, found a bool; quote it to make it a text (at `resources[0].name`)",
        ),
        (with("    binding: dpop\n", ""), "broker.yaml:4:5: missing key `binding` (at `resources[0]`)"),
        (
            with("127.0.0.1:8700\"", "127.0.0.1:8700\", backlog: 70000"),
            "broker.yaml:2:46: expected a nonzero u16, found `70000` (at `listen.backlog`)",
        ),
        (
            with("127.0.0.1:8700\"", "127.0.0.1\""),
            "broker.yaml:2:19: invalid socket address syntax (at `listen.public`)",
        ),
        (
            with("{ header: { name: x, value: 'y' } }", "{ path: a, any: }"),
            "broker.yaml:8:15: expected enum Matcher as exactly one key (at `resources[0].match_on`)",
        ),
        (
            with("scopes: [a, b]", "scopes: a"),
            "broker.yaml:7:13: expected a sequence, found a text (at `resources[0].scopes`)",
        ),
        (with("issuer:", "listen: {}\nissuer:"), "broker.yaml:3:1: key `listen` is given twice"),
        (with("issuer: h", "issuer: &a h"), "broker.yaml:1:9: anchors are not used here (at `issuer`)"),
        (with("issuer: h", "issuer: !!str h"), "broker.yaml:1:9: tags are not used here (at `issuer`)"),
        (format!("{GOOD}---\na: 1\n"), "broker.yaml:12:1: one file is one document"),
    ] {
        assert_eq!(refused(&source, &[]), expected, "{source}");
    }
}

#[test]
fn all_unknown_keys_are_shown_at_once() {
    let source = with("issuer:", "colour: red\nisuer:")
        .replace("backlog", "x")
        .replace("name: billing", "nam: billing");
    let shown = refused(&source, &[]);
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines.len() >= 3, "{shown}");
    assert!(lines.iter().any(|line| line.contains("`colour`")), "{shown}");
    assert!(lines.iter().any(|line| line.contains("`nam`, did you mean `name`")), "{shown}");
}

#[test]
fn broken_and_hostile_yaml_is_refused() {
    for source in ["a: [", "a: b: c", "\t- x", "a: *b", "{", "? [a]\n: b", "a: \"\\q\""] {
        assert!(refused(source, &[]).starts_with("broker.yaml:"), "{source}");
    }
    for depth in [65, 10_000] {
        let shown = refused(&format!("a: {}", "[".repeat(depth)), &[]);
        assert!(shown.starts_with("broker.yaml:1:"), "{shown}");
    }
    let block = (0..70).fold(String::new(), |yaml, level| yaml + &" ".repeat(level) + "a:\n");
    assert!(refused(&block, &[]).contains("nested more than 64 deep"));
    let large = format!("issuer: {}", "x".repeat(1024 * 1024));
    assert_eq!(refused(&large, &[]), "broker.yaml: larger than 1 MiB");
}

#[test]
fn an_empty_file_misses_its_keys() {
    assert_eq!(refused("", &[]), "broker.yaml:1:1: missing key `issuer`");
    assert_eq!(refused("# nothing\n", &[]), "broker.yaml:1:1: missing key `issuer`");
}

#[test]
fn overrides_replace_add_and_are_checked() {
    let config = read(
        GOOD,
        &[
            ("SYMBOLON__ISSUER", "https://other.example"),
            ("SYMBOLON__LISTEN__BACKLOG", "5"),
            ("SYMBOLON__RESOURCES__0__NAME", "123"),
            ("SYMBOLON__RESOURCES__1__SCOPES", "[x, y]"),
            ("SYMBOLON__RESOURCES__2", "{name: third, binding: dpop}"),
            ("SYMBOLON__GROUPS__SHOP", "a == 'b'"),
            ("SYMBOLONE", "not ours"),
        ],
    );
    let config = config.unwrap().value;
    assert_eq!(config.issuer, "https://other.example");
    assert_eq!(config.listen.backlog.map(NonZeroU16::get), Some(5));
    assert_eq!(config.resources[0].name, "123");
    assert_eq!(config.resources[1].scopes, ["x", "y"]);
    assert_eq!(config.resources[2].name, "third");
    assert_eq!(config.groups["shop"], "a == 'b'");

    assert_eq!(
        refused(GOOD, &[("SYMBOLON__ISUER", "x")]),
        "SYMBOLON__ISUER: unknown key `isuer`, did you mean `issuer`?"
    );
    assert_eq!(
        refused(GOOD, &[("SYMBOLON__LISTEN__BACKLOG", "many")]),
        "SYMBOLON__LISTEN__BACKLOG: expected a nonzero u16, found a text (at `listen.backlog`)"
    );
    for name in
        ["SYMBOLON__RESOURCES__9__NAME", "SYMBOLON__RESOURCES__X", "SYMBOLON__ISSUER__X", "SYMBOLON__A____B"]
    {
        assert!(refused(GOOD, &[(name, "x")]).starts_with(name), "{name}");
    }
}

#[test]
fn secrets_come_from_files_and_variables_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), "from-file\n").unwrap();
    let path = folder.path().join("broker.yaml");
    fs::write(&path, format!("{GOOD}store: {{ sealing_key: \"${{file:key}}\" }}\n")).unwrap();
    let loaded = load::<Config>(&path, &Environment::empty()).unwrap();
    assert_eq!(loaded.value.store.as_ref().unwrap().sealing_key.expose(), "from-file");
    assert_eq!(loaded.files, [path, folder.path().join("key")]);
    assert!(!format!("{loaded:?}").contains("from-file"));

    let by_variable = format!("{GOOD}store: {{ sealing_key: \"${{env:KEY}}\" }}\n");
    let loaded = read(&by_variable, &[("KEY", "from-variable")]).unwrap();
    assert_eq!(loaded.value.store.unwrap().sealing_key.expose(), "from-variable");
    let loaded = read(GOOD, &[("SYMBOLON__STORE__SEALING_KEY", "itself")]).unwrap();
    assert!(!format!("{loaded:?}").contains("itself"));
    assert_eq!(loaded.value.store.unwrap().sealing_key.expose(), "itself");
}

#[test]
fn a_secret_from_a_variable_is_never_parsed_nor_shown() {
    for secret in
        ["{half", "[a, b", "{a: b}", "[x]", "{\"json\": \"whole\"}", "@at", "'quoted", "123", "{{a}}"]
    {
        let loaded = read(GOOD, &[("SYMBOLON__STORE__SEALING_KEY", secret)]).unwrap();
        assert_eq!(loaded.value.store.unwrap().sealing_key.expose(), secret);
    }
    let elsewhere = refused(GOOD, &[("SYMBOLON__RESOURCES__0__SCOPES", "[hunter2")]);
    assert!(elsewhere.contains("a text that opens like YAML, but is not"), "{elsewhere}");
    assert!(!elsewhere.contains("hunter2"), "{elsewhere}");
}

#[test]
fn a_secret_that_others_could_have_written_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (key, path) = (folder.path().join("key"), folder.path().join("broker.yaml"));
    fs::write(&key, "from-file").unwrap();
    fs::write(&path, format!("{GOOD}store: {{ sealing_key: \"${{file:key}}\" }}\n")).unwrap();
    for (mode, is_taken) in [(0o400, true), (0o644, true), (0o664, false), (0o646, false)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let loaded = load::<Config>(&path, &Environment::empty()).map(|_| ());
        assert_eq!(loaded.is_ok(), is_taken, "{mode:o}");
        assert!(is_taken || loaded.unwrap_err().to_string().contains("others could choose the secret"));
    }
}

#[test]
fn secrets_in_the_file_and_references_elsewhere_are_refused() {
    let inline = format!("{GOOD}store: {{ sealing_key: hunter2 }}\n");
    let shown = refused(&inline, &[]);
    assert!(shown.starts_with("broker.yaml:12:23: a secret is given as"), "{shown}");
    assert!(!shown.contains("hunter2"));
    let number = refused(&format!("{GOOD}store: {{ sealing_key: [hunter2] }}\n"), &[]);
    assert!(!number.contains("hunter2"), "{number}");
    let unset = refused(&format!("{GOOD}store: {{ sealing_key: '${{env:NOPE}}' }}\n"), &[]);
    assert!(unset.contains("the variable `NOPE` is not set"), "{unset}");
    let absent = refused(&format!("{GOOD}store: {{ sealing_key: '${{file:/nope/x}}' }}\n"), &[]);
    assert!(absent.contains("cannot be read"), "{absent}");
    let device = refused(&format!("{GOOD}store: {{ sealing_key: '${{file:/dev/zero}}' }}\n"), &[]);
    assert!(device.contains("not a regular file"), "{device}");
    let elsewhere = refused(&with("https://broker.example.com", "'${env:HOME}'"), &[("HOME", "secret-home")]);
    assert!(
        elsewhere.contains("fields for secrets only") && !elsewhere.contains("secret-home"),
        "{elsewhere}"
    );
}

#[test]
fn a_contradiction_is_reported_where_the_value_stands() {
    let loaded = read(GOOD, &[]).unwrap();
    assert_eq!(loaded.locate("resources[1].binding"), Some(Position { line: 9, column: 31 }));
    assert_eq!(loaded.locate("resources[1].absent.deeper"), loaded.locate("resources[1]"));
    let error = loaded.contradiction("resources[1].binding", "both cannot be");
    assert_eq!(error.to_string(), "broker.yaml:9:31: both cannot be (at `resources[1].binding`)");
}

#[test]
fn a_file_that_is_not_there_is_said_so() {
    let error = load::<Config>("/nope/broker.yaml".as_ref(), &Environment::empty()).map(|_| ()).unwrap_err();
    assert!(error.to_string().starts_with("/nope/broker.yaml: cannot be read: "), "{error}");
    assert!(load::<Config>("/dev/zero".as_ref(), &Environment::empty()).is_err());
}

#[test]
fn the_schema_names_every_key() {
    let schema = schema::<Config>("symbolon-broker");
    assert_eq!(schema["title"], "symbolon-broker");
    for key in ["issuer", "listen", "store", "resources", "groups"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    assert!(schema["$defs"]["Secret"]["pattern"].is_string());
}
