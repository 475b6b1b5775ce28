//! Expressions through the public interface: what is refused at load, and what evaluation gives.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use symbolon_cel::{Bindings, Environment, EvalError, KeyCase, Position, Problem, Shape, Value};

fn environment() -> Environment {
    Environment::builder()
        .declare(
            "attested",
            Shape::record([
                ("namespace", Shape::String),
                ("repository", Shape::String),
                ("executable", Shape::String),
                ("uid", Shape::Int),
                ("user", Shape::String),
                ("labels", Shape::map(Shape::String)),
                ("groups", Shape::list(Shape::String)),
                ("raw", Shape::Dynamic),
            ]),
        )
        .declare(
            "request",
            Shape::record([
                ("path", Shape::String),
                ("headers", Shape::TotalMap(KeyCase::Folded)),
                ("query", Shape::TotalMap(KeyCase::Exact)),
            ]),
        )
        .build()
}

fn bindings() -> Bindings {
    let headers = Value::total_map(KeyCase::Folded, [("Content-Type", "text/plain"), ("x-a", "1")]).unwrap();
    let query = Value::total_map(KeyCase::Exact, [("plan", "pro"), ("twice", "a"), ("twice", "a")]).unwrap();
    let request = Value::map([("path", "/orders/7".into()), ("headers", headers), ("query", query)]).unwrap();
    let attested = Value::from_json(&serde_json::json!({
        "namespace": "shop", "repository": "octo/repo", "executable": "/usr/bin/app", "uid": 1000,
        "labels": {"app": "cart"}, "groups": ["a", "b"], "raw": {"n": 5, "t": "x"},
    }));
    Bindings::new().with("attested", attested.unwrap()).with("request", request)
}

#[test]
fn a_pattern_that_says_who_somebody_is_fits_the_whole_text() {
    let environment = Environment::builder().declare("subject", Shape::String).whole_matches().build();
    let compiled = |pattern: &str| environment.compile_bool(&format!("subject.matches({pattern:?})"));
    for good in ["^repo:org/app:.*$", "^(a|b)$", "^a$|^b$", r"\Aa\z", "^$", "(?i)^a$", "^(?:x|y)z*$"] {
        assert!(compiled(good).is_ok(), "{good}");
    }
    for bad in [
        "repo:org/app:.*",
        "^repo:org/app:",
        "app$",
        "^a|b$",
        "^a|^b$",
        "(?m)^a$",
        "a",
        "",
        "x*^a$",
        "^a$.?b*|c",
    ] {
        let error = compiled(bad).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("has to fit the whole text"), "{bad}: {error}");
    }
    let not_a_pattern = compiled("(").map(|_| ()).unwrap_err();
    assert!(matches!(not_a_pattern.problem, Problem::Pattern(_)), "{not_a_pattern}");
}

fn problem(source: &str) -> Problem {
    environment().compile(source).unwrap_err().problem
}

fn path(source: &str) -> Result<String, EvalError> {
    environment().compile_path(source).unwrap().eval_string(&bindings())
}

#[test]
fn conditions_that_hold_are_true() {
    for source in [
        r#"attested.namespace == "shop" && request.path.startsWith("/orders/")"#,
        r#"request.headers["content-TYPE"] == "text/plain" && request.headers.x_missing == """#,
        r#""X-A" in request.headers && !("x-b" in request.headers) && size(request.headers) == 2"#,
        r#"request.query["plan"] == "pro" && request.query["PLAN"] == """#,
        r"has(request.query.plan) && !has(request.query.other) && has(attested.uid)",
        r"!has(attested.user) && !has(attested.labels.zone) && has(attested.labels.app)",
        r#"attested.groups.exists(g, g == "b") && attested.groups.all(g, size(g) == 1)"#,
        r#"attested.groups.exists_one(g, g == "b") && attested.groups.filter(g, g != "a").size() == 1"#,
        r#"attested.groups.map(g, g + "!")[1] == "b!" && request.headers.all(name, name == name.lowerAscii())"#,
        r#"request.path.matches("^/orders/[0-9]+$") && !attested.namespace.matches("^[0-9]+$")"#,
        r#""orders" + "/" + string(attested.uid) == "orders/1000" && int("7") == 7"#,
        r#"attested.raw.n + 1 == 6 && attested.raw.t == "x" && (true ? "a" : "b") == "a""#,
        r#"attested.uid in [1000, 1001] && "a" in attested.groups && "n" in attested.raw"#,
        r#""ÄÖ".size() == 2 && request.path.contains("ders") && request.path.endsWith("7")"#,
        r#"path(attested.repository) == "octo/repo" && absolute_path(attested.executable) == "usr/bin/app""#,
    ] {
        let program = environment().compile_bool(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert_eq!(program.eval_bool(&bindings()), Ok(true), "{source}");
    }
}

#[test]
fn a_mistyped_name_is_refused_at_load_with_its_place_and_the_nearest_name() {
    let message = |source: &str| environment().compile(source).unwrap_err().to_string();
    same(
        &message("atested.uid == 1"),
        "expression 1:1: unknown variable `atested`, did you mean `attested`?",
    );
    same(
        &message("true &&\n  attested.namespce == \"x\""),
        "expression 2:11: unknown field `namespce` of `attested`, did you mean `namespace`?",
    );
    same(
        &message("\"ä\" == request.path.startWith(\"x\")"),
        "expression 1:30: unknown function `startWith`, did you mean `startsWith`?",
    );
    same(&message("path()"), "expression 1:5: `path` is called as `path(text)`");
    same(
        &message("attested.groups.exists(g)"),
        "expression 1:23: `exists` is called as `list.exists(x, condition)`",
    );
    same(&message("attested.uid == \"1\""), "expression 1:14: `==` between an int and a string");
    same(&message("has(attested.nope)"), "expression 1:4: unknown field `nope` of `attested`");
}

fn same(found: &str, expected: &str) {
    assert_eq!(found, expected);
}

#[test]
fn a_syntax_error_has_its_place() {
    for (source, line, column) in [("1 +", 1, 4), ("\"é\" == \n  )", 2, 3), ("", 1, 1)] {
        let error = environment().compile(source).unwrap_err();
        assert_eq!(error.position, Position { line, column }, "{source}: {error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn functions_of_the_interpreter_that_are_not_listed_are_refused() {
    for source in [
        "type(1) == int",
        "dyn(1) == 1",
        "double(1) == 1.0",
        "bool(\"true\")",
        "uint(1) == 1u",
        "optional.of(1).hasValue()",
        "request.?path",
        "timestamp(\"x\")",
        "b\"x\" == b\"x\"",
        "Message{}",
        ".attested.uid == 1",
        "int",
        "matches(request.path, \"x\")",
        "contains(request.path, \"x\")",
    ] {
        assert!(environment().compile(source).is_err(), "{source}");
    }
}

#[test]
fn shapes_that_never_fit_are_refused_at_load() {
    for source in [
        "attested.uid && true",
        "!attested.namespace",
        "attested.uid + attested.namespace",
        "attested.namespace.exists(x, true)",
        "attested.namespace.other",
        "attested[\"uid\"]",
        "attested.groups[\"a\"]",
        "attested.groups + attested.groups",
        "size(attested.uid)",
        "attested.uid.startsWith(\"1\")",
        "request.headers == request.query",
        "request.path.matches(attested.namespace)",
        "request.path.matches(\"(\")",
        "request.path.matches(\"(a{1000}){1000}\")",
        "attested.uid in request.headers",
        "attested.groups.exists(request, true)",
        "attested.groups.exists(a, attested.groups.exists(b, attested.groups.exists(c, true)))",
        "-attested.namespace",
        "{1: 2}",
        "attested.uid < \"a\"",
    ] {
        assert!(environment().compile(source).is_err(), "{source}");
    }
    assert!(environment().compile_bool("attested.namespace").is_err());
    assert!(environment().compile_string("attested.uid").is_err());
}

#[test]
fn a_failed_evaluation_is_an_error_without_the_value() {
    let eval = |source: &str| environment().compile(source).unwrap().eval(&bindings()).unwrap_err();
    assert_eq!(eval("attested.user"), EvalError::Absent(Some("user".to_owned())));
    assert_eq!(eval("attested.labels[request.path]"), EvalError::Absent(None));
    assert_eq!(eval("1 / (attested.uid - 1000)"), EvalError::Arithmetic);
    assert_eq!(eval("attested.groups[9]"), EvalError::OutOfBounds);
    assert_eq!(eval("attested.raw.t < 1"), EvalError::Mismatch("<".to_owned()));
    let refused = eval("int(request.path)").to_string();
    assert!(!refused.contains("orders"), "{refused}");
    let refused = eval("path(attested.executable)");
    assert_eq!(refused.to_string(), "`path`: a path segment is empty");
    let unbound = environment().compile("attested.uid").unwrap().eval(&Bindings::new());
    assert_eq!(unbound.unwrap_err(), EvalError::Unbound("attested".to_owned()));
    let not_bool = environment().compile_bool("attested.raw.n").unwrap().eval_bool(&bindings());
    assert_eq!(not_bool, Err(EvalError::WrongResult("a bool")));
}

#[test]
fn an_attribute_cannot_pose_as_two_path_segments() {
    assert_eq!(path(r#""k8s/ns/" + attested.namespace"#).unwrap(), "k8s/ns/shop");
    assert_eq!(
        path(r#""gh/" + path(attested.repository) + "/" + attested.namespace"#).unwrap(),
        "gh/octo/repo/shop"
    );
    assert_eq!(path(r#""unix/" + string(attested.uid) + "/x""#).unwrap(), "unix/1000/x");
    assert!(path(r#""gh/" + attested.repository"#).unwrap_err().to_string().contains("something else"));
    assert!(path(r#"(true ? attested.repository : "x")"#).is_err());
    assert!(path(r#""a/" + attested.groups[0] + "/" + attested.executable"#).is_err());
    for ambiguous in [
        r"attested.namespace + attested.repository",
        r#"attested.namespace + "-" + attested.repository"#,
        r#"path(attested.repository) + "/" + path(attested.namespace)"#,
        r"path(attested.repository) + attested.namespace",
        r#""a b/" + attested.namespace"#,
    ] {
        let error = environment().compile_path(ambiguous).unwrap_err();
        assert!(matches!(error.problem, Problem::AmbiguousPath(_)), "{ambiguous}: {error}");
    }
}

#[test]
fn a_program_says_what_it_reads() {
    let program = environment().compile("request.headers[\"a\"] == attested.namespace").unwrap();
    assert_eq!(program.variables().iter().collect::<Vec<_>>(), ["attested", "request"]);
    assert!(program.references().contains("request.headers"));
    assert!(!format!("{:?}", bindings()).contains("orders"));
}

#[test]
fn deep_and_long_sources_are_refused_and_end_nothing() {
    assert_eq!(problem(&"a".repeat(5000)), Problem::TooLong);
    for (open, close) in
        [("(", ")"), ("[", "]"), ("!", ""), ("-", ""), ("{\"a\":", "}"), ("size(", ")"), ("[0,", "]")]
    {
        let count = 4000 / (open.len() + close.len());
        for (source, kind) in [
            (format!("{}1{}", open.repeat(count), close.repeat(count)), "closed"),
            (open.repeat(4000 / open.len()), "open"),
        ] {
            // A run of `!` or `-` folds into one, and parentheses leave no trace.
            let folds = kind == "closed" && ["(", "!", "-"].contains(&open);
            assert!(environment().compile(&source).is_err() || folds, "{open} {kind}");
        }
    }
    for part in ["+1", "&&true", "||a", "[0]", ".a", "?1:1", "==1", "/*"] {
        let source = format!("1{}", part.repeat(4000 / part.len()));
        drop(environment().compile(&source));
    }
    assert_eq!(problem(&format!("1{}", "+1".repeat(1000))), Problem::TooDeep);
}

#[test]
fn too_many_elements_are_refused_before_any_loop() {
    let many = vec![serde_json::json!(1); 1025];
    assert!(Value::from_json(&many.into()).is_err());
    assert!(Value::total_map(KeyCase::Exact, (0..1025).map(|n| (n.to_string(), ""))).is_err());
}

#[test]
fn a_position_counts_characters() {
    let error = environment().compile("\"äöü\" == x").unwrap_err();
    assert_eq!(error.position, Position { line: 1, column: 10 });
}

#[test]
fn the_deepest_program_evaluates_on_the_stack_of_a_worker_thread() {
    let sum = format!("attested.uid{}", " + 1".repeat(21));
    let choice = format!("{}0{}", "(attested.uid == 1 ? 1 : ".repeat(21), ")".repeat(21));
    let list = format!("size({}1{})", "[".repeat(21), "]".repeat(21));
    let inner = format!("g{}", " + g".repeat(12));
    let loops = format!("attested.groups.all(f, attested.groups.exists(g, {inner} != f))");
    for source in [sum, choice, list, loops] {
        let program = environment().compile(&source).unwrap();
        let thread = std::thread::Builder::new().stack_size(1536 * 1024);
        let evaluated = thread.spawn(move || program.eval(&bindings()).is_ok()).unwrap();
        assert!(evaluated.join().unwrap(), "{source}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn compiling_any_text_ends_in_a_program_or_an_error(source in "\\PC{0,80}") {
        let error = environment().compile(&source).err();
        prop_assert!(!matches!(error, Some(error) if error.problem == Problem::Internal));
    }

    #[test]
    fn compiling_and_evaluating_any_tokens_never_panics(
        tokens in prop::collection::vec(prop::sample::select(TOKENS), 1..24),
    ) {
        let source = tokens.join(" ");
        match environment().compile(&source) {
            Ok(program) => drop(program.eval(&bindings())),
            Err(error) => prop_assert!(error.problem != Problem::Internal, "{}", source),
        }
    }
}

const TOKENS: &[&str] = &[
    "attested",
    "request",
    ".",
    "headers",
    "groups",
    "uid",
    "raw",
    "namespace",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "?",
    "==",
    "!=",
    "<",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "in",
    "1",
    "0",
    "9223372036854775807",
    "1.5",
    "1u",
    "\"a\"",
    "'b'",
    "b'c'",
    "r\"\\d\"",
    "null",
    "true",
    "x",
    "size",
    "has",
    "all",
    "exists",
    "map",
    "filter",
    "matches",
    "path",
    "string",
    "int",
    "`q`",
    "\\",
    "\"",
    "//",
    "\n",
    "é",
];

#[test]
fn a_program_tells_which_fields_it_may_read() {
    let reads = |source: &str| {
        let program = environment().compile(source).unwrap();
        (program.reads("request", "headers"), program.reads("request", "query"))
    };
    assert_eq!(reads("request.path == \"/\""), (false, false));
    assert_eq!(reads("request.headers[\"x-a\"] == \"\""), (true, false));
    assert_eq!(reads("has(request.headers.x) && request.query.y == \"\""), (true, true));
    // A variable under another name: everything may be read.
    assert_eq!(reads("[request].all(r, r.headers[\"x-a\"] == \"\")"), (true, true));
    assert_eq!(reads("size(request) == 3"), (true, true));
}

#[test]
fn the_shape_of_a_result_is_known_before_it_is_evaluated() {
    let shape = |source: &str| environment().compile(source).unwrap().shape().clone();
    assert_eq!(shape("attested.namespace + \"x\""), Shape::String);
    assert_eq!(shape("attested.groups"), Shape::list(Shape::String));
    assert_eq!(shape("attested.raw"), Shape::Dynamic);
}

#[test]
fn a_shared_value_is_read_like_any_other() {
    let program = environment().compile_bool("request.path == \"/a\"").unwrap();
    let request = std::sync::Arc::new(Value::map([("path", "/a".into())]).unwrap());
    let mut bindings = Bindings::new();
    bindings.share("request", &request);
    assert_eq!(program.eval_bool(&bindings), Ok(true));
}
