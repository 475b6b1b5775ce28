use std::collections::BTreeSet;
use std::fs;

use super::{question, set};
use crate::{PolicyFile, PolicySet, Problem, Warning};

fn problems(text: &str) -> Vec<String> {
    set(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_folder_denies_everything_and_warns() {
    let folder = tempfile::tempdir().unwrap();
    let set = PolicySet::load(folder.path(), &BTreeSet::new()).unwrap();
    assert!(set.is_empty());
    assert!(!set.decide(&question()).is_permit());
    assert_eq!(set.warnings().iter().map(|w| &w.warning).collect::<Vec<_>>(), [&Warning::Empty]);
}

#[test]
fn a_syntax_error_is_shown_with_its_line_and_column() {
    let shown = problems("@id(\"a\")\npermit (principal, action, resource)\nwhenn { true };\n");
    assert_eq!(shown.len(), 1);
    assert!(shown[0].starts_with("p.cedar:3:1: "), "{shown:?}");
}

#[test]
fn a_misspelt_attribute_is_shown_with_its_line_and_column() {
    let shown = problems(
        "@id(\"a\")\npermit (principal, action == Symbolon::Action::\"issue\", resource)\nwhen { principal has unix && principal.unix.exectuable == \"x\" };\n",
    );
    assert!(shown[0].starts_with("p.cedar:3:30: "), "{shown:?}");
    assert!(shown[0].contains("exectuable"), "{shown:?}");
}

#[test]
fn an_attribute_that_may_be_absent_has_to_be_asked_for_first() {
    let shown = problems(
        "@id(\"a\") permit (principal, action == Symbolon::Action::\"issue\", resource) when { principal.unix.uid == 0 };",
    );
    assert!(shown[0].contains("unix"), "{shown:?}");
}

#[test]
fn unknown_actions_and_entity_types_are_refused() {
    for scope in [
        "principal, action == Symbolon::Action::\"isue\", resource",
        "principal is Symbolon::Wrokload, action, resource",
        "principal, action, resource == Symbolon::Ressource::\"orders\"",
        "principal, action, resource == Resource::\"orders\"",
    ] {
        assert!(set(&format!("@id(\"a\") permit ({scope});")).is_err(), "{scope}");
    }
}

#[test]
fn an_unknown_annotation_is_shown_where_it_stands() {
    let shown = problems("@id(\"a\")\n  @onwer(\"me\")\npermit (principal, action, resource);");
    assert_eq!(
        shown,
        [
            "p.cedar:2:3: unknown annotation `@onwer`; known are `@id`, `@owner`, `@reason`, `@runbook`, `@ttl`, `@max_actors`, `@mode`"
        ]
    );
}

#[test]
fn a_policy_without_an_id_is_shown_where_it_begins() {
    let shown = problems(
        "@id(\"a\") permit (principal, action, resource);\n\n// no id\nforbid (principal, action, resource);",
    );
    assert_eq!(shown, ["p.cedar:4:1: the policy has no `@id`"]);
}

#[test]
fn a_repeated_id_names_both_places_also_across_files() {
    let text = "\n@id(\"a\") permit (principal, action, resource);";
    let files = vec![PolicyFile::new("1.cedar", text), PolicyFile::new("2.cedar", text)];
    let errors = PolicySet::from_files(files, &BTreeSet::new()).unwrap_err();
    assert_eq!(errors.to_string(), "2.cedar:2:1: `@id(\"a\")` is taken already, at 1.cedar:2:1");
}

#[test]
fn all_errors_of_all_files_are_reported_at_once() {
    let files = vec![
        PolicyFile::new("1.cedar", "permit (principal, action, resource);"),
        PolicyFile::new("2.cedar", "permit (principal, action, resource"),
        PolicyFile::new("3.cedar", "@id(\"bad id\") @ttl(\"soon\") permit (principal, action, resource);"),
    ];
    let errors = PolicySet::from_files(files, &BTreeSet::new()).unwrap_err();
    assert_eq!(errors.iter().count(), 4, "{errors}");
}

#[test]
fn equal_policies_are_told_apart_by_their_position() {
    let text = "permit (principal, action, resource);\npermit (principal, action, resource);";
    let lines: Vec<_> = set(text).unwrap_err().iter().map(|error| error.position.unwrap().line).collect();
    assert_eq!(lines, [1, 2]);
}

#[test]
fn templates_are_refused() {
    let errors = set("@id(\"a\") permit (principal == ?principal, action, resource);").unwrap_err();
    assert_eq!(errors.iter().map(|error| error.problem.clone()).collect::<Vec<_>>(), [Problem::Template]);
}

#[test]
fn text_that_deceives_a_reviewer_is_refused() {
    let policy = |text: &str| {
        format!(
            "@id(\"a\") permit (principal, action == Symbolon::Action::\"issue\", resource) when {{ context.scope == \"{text}\" }};"
        )
    };
    assert!(set(&policy("orders:read")).is_ok());
    assert!(set(&policy("\u{202e}daer")).is_err(), "bidirectional control");
    assert!(set(&policy("оrders")).is_err(), "Cyrillic о among Latin letters");
}

#[test]
fn a_policy_that_can_never_apply_is_a_warning_with_its_place() {
    let set = set("\n@id(\"a\") permit (principal, action, resource) when { false };").unwrap();
    let shown: Vec<_> = set.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 1);
    assert!(shown[0].starts_with("p.cedar:2:"), "{shown:?}");
}

#[test]
fn many_policies_without_a_resource_of_their_own_are_a_warning() {
    let policies: Vec<_> =
        (0..101).map(|n| format!("@id(\"p{n}\") permit (principal, action, resource);")).collect();
    let text = policies.join("\n");
    let set = set(&text).unwrap();
    assert_eq!(set.warnings()[0].warning, Warning::LargeRemainder { policies: 101 });
}

#[test]
fn a_broken_folder_yields_no_set_and_the_old_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cedar");
    fs::write(&path, "@id(\"a\") permit (principal, action, resource);").unwrap();
    let old = PolicySet::load(folder.path(), &BTreeSet::new()).unwrap();
    fs::write(&path, "@id(\"a\") permit (principal, action, resource) when { tru };").unwrap();
    assert!(PolicySet::load(folder.path(), &BTreeSet::new()).is_err());
    assert!(old.decide(&question()).is_permit());
}

#[test]
fn very_deep_conditions_are_refused_and_the_deepest_accepted_ones_do_not_crash() {
    let shapes = |depth: usize, length: usize| {
        [
            format!("{}true{}", "(".repeat(depth), ")".repeat(depth)),
            format!("{}true{}", "[".repeat(depth), "]".repeat(depth)),
            format!("{}true{}", "true && (".repeat(depth), ")".repeat(depth)),
            vec!["true"; length].join(" && "),
            vec!["false"; length].join(" || "),
            format!("{}0 == 0", "0 + ".repeat(length)),
            format!("context{}", ".a".repeat(length)),
            format!("{}true", "!".repeat(length)),
            format!("{}true", "if true then true else ".repeat(length / 16)),
        ]
    };
    let policy =
        |condition: &str| format!("@id(\"a\") permit (principal, action, resource) when {{ {condition} }};");
    for condition in shapes(20_000, 20_000) {
        assert!(set(&policy(&condition)).is_err());
    }
    // The smallest stack that a runtime gives its threads.
    let work = move || {
        for condition in shapes(29, 990) {
            if let Ok(set) = set(&policy(&condition)) {
                let _ = set.decide(&question());
                let _ = set.explain(&question());
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}
