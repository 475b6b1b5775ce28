use symbolon_identity::GroupName;

use super::{question, set, workload};
use crate::{Condition, Effect, Explanation, Verdict};

fn only(explanation: &Explanation) -> &[Condition] {
    assert_eq!(explanation.policies.len(), 1, "{explanation:?}");
    &explanation.policies[0].conditions
}

fn sides(condition: &Condition) -> (&str, &str) {
    (condition.expected.as_deref().unwrap_or("-"), condition.actual.as_deref().unwrap_or("-"))
}

#[test]
fn a_wrong_hash_is_shown_beside_the_expected_one() {
    let expected = "cd".repeat(32);
    let set = set(&format!(
        r#"@id("a") permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"orders")
           when {{ principal has unix && principal.unix.uid == 1000 && principal.unix has executable_sha256 && principal.unix.executable_sha256 == "{expected}" }};"#
    ))
    .unwrap();
    let explanation = set.explain(&question());
    assert!(!explanation.permitted);
    let missed = explanation.near_misses().next().unwrap();
    let failed: Vec<_> = missed.failed().collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        failed[0].text,
        format!("(principal.unix).executable_sha256 == \"{expected}\"")
            .replace("(principal.unix)", "principal.unix")
    );
    let (wanted, saw) = sides(failed[0]);
    assert_eq!(
        (wanted, saw),
        (format!("\"{expected}\"").as_str(), format!("\"{}\"", "ab".repeat(32)).as_str())
    );
}

#[test]
fn policies_about_other_resources_and_actions_are_not_shown() {
    let set = set(r#"
        @id("other-resource") permit (principal, action, resource == Symbolon::Resource::"billing");
        @id("other-action") permit (principal, action == Symbolon::Action::"call", resource);
        @id("other-group") permit (principal, action, resource in Symbolon::ResourceGroup::"public");
        @id("near") permit (principal, action in [Symbolon::Action::"issue", Symbolon::Action::"call"], resource)
        when { !context.key_bound };
    "#)
    .unwrap();
    let explanation = set.explain(&question());
    assert_eq!(explanation.policies[0].id.as_str(), "near");
    let condition = &only(&explanation)[0];
    assert_eq!(condition.text, "!(context.key_bound)");
    assert_eq!(sides(condition), ("not true", "true"));
}

#[test]
fn the_nearest_miss_comes_first_and_forbids_before_it() {
    let set = set(r#"
        @id("far") permit (principal in Symbolon::Group::"x", action == Symbolon::Action::"issue", resource)
        when { context.scope == "y" };
        @id("near") permit (principal in Symbolon::Group::"x", action, resource);
        @id("idle") forbid (principal in Symbolon::Group::"x", action, resource);
        @id("guard") forbid (principal, action == Symbolon::Action::"issue", resource)
        when { context.scope like "orders:*" };
    "#)
    .unwrap();
    let explanation = set.explain(&question());
    let ids: Vec<_> = explanation.policies.iter().map(|policy| policy.id.as_str()).collect();
    assert_eq!(ids, ["guard", "near", "far"]);
    let guard = &explanation.policies[0];
    assert!(guard.applies && guard.effect == Effect::Forbid && guard.line == 6);
    assert_eq!(sides(&guard.conditions[0]), ("like \"orders:*\"", "\"orders:read\""));
}

#[test]
fn the_groups_of_the_principal_are_shown() {
    let set = set(r#"@id("a") permit (principal in Symbolon::Group::"shop", action, resource);"#).unwrap();
    let mut question = question();
    let explanation = set.explain(&question);
    assert_eq!(sides(&only(&explanation)[0]), ("Symbolon::Group::\"shop\"", "no group"));
    workload(&mut question).groups.insert(GroupName::parse("batch").unwrap());
    let explanation = set.explain(&question);
    assert_eq!(sides(&only(&explanation)[0]), ("Symbolon::Group::\"shop\"", "Symbolon::Group::\"batch\""));
    workload(&mut question).groups.insert(GroupName::parse("shop").unwrap());
    let explanation = set.explain(&question);
    assert!(explanation.permitted && explanation.policies[0].applies);
}

#[test]
fn what_a_failed_condition_guards_is_not_reached() {
    let set = set(r#"
        @id("a") permit (principal, action == Symbolon::Action::"issue", resource)
        when { principal has oidc && principal.oidc.subject == "x" }
        unless { context has source_ip || context.scope == "z" };
    "#)
    .unwrap();
    let explanation = set.explain(&question());
    let conditions = only(&explanation);
    let verdicts: Vec<_> = conditions.iter().map(|condition| condition.verdict.clone()).collect();
    assert_eq!(verdicts, [Verdict::Fails, Verdict::NotReached, Verdict::Holds, Verdict::Holds]);
    assert_eq!(sides(&conditions[0]), ("present", "absent"));
    assert_eq!(sides(&conditions[1]), ("\"x\"", "absent"));
    assert_eq!(sides(&conditions[2]), ("not present", "absent"));
    assert_eq!(sides(&conditions[3]), ("not \"z\"", "\"orders:read\""));
}

#[test]
fn a_broken_forbid_is_shown_first_with_its_error() {
    let set = set(r#"
        @id("all") permit (principal, action, resource);
        @id("broken") forbid (principal, action, resource)
        when { principal has unix && principal.unix.uid * 9223372036854775807 > 0 };
    "#)
    .unwrap();
    let explanation = set.explain(&question());
    assert_eq!(explanation.policies[0].id.as_str(), "broken");
    assert!(matches!(explanation.policies[0].conditions[1].verdict, Verdict::Error(_)));
}

#[test]
fn sets_ranges_times_and_turned_comparisons_are_readable() {
    let set = set(r#"
        @id("a") permit (principal, action == Symbolon::Action::"issue", resource)
        when { ["a", "b"].contains(context.scope) }
        when { context.now < datetime("2020-01-01") }
        when { principal has unix && 5000 < principal.unix.uid }
        when { context has source_ip && context.source_ip.isInRange(ip("10.0.0.0/8")) }
        when { principal.assurance == "live" || principal.provider == "x" };
    "#)
    .unwrap();
    let mut question = question();
    question.context.source_ip = Some("192.0.2.1".parse().unwrap());
    let explanation = set.explain(&question);
    let shown: Vec<_> = explanation.policies[0].failed().map(sides).collect();
    assert_eq!(shown[0], ("one of [\"a\", \"b\"]", "\"orders:read\""));
    assert!(shown[1].0.starts_with("< datetime(\"2020-01-01\")"), "{shown:?}");
    assert_eq!(shown[2], ("5000 < it", "1000"));
    assert!(shown[3].0.starts_with("isInRange ip("), "{shown:?}");
    assert!(shown[3].1.contains("192.0.2.1"), "{shown:?}");
    assert_eq!(
        shown[4],
        (
            "principal.assurance == \"live\" or principal.provider == \"x\"",
            "principal.assurance is \"connection\"; principal.provider is \"local\""
        )
    );
}

fn failed(condition: &str) -> Vec<(String, String, String)> {
    let set = set(&format!(
        "@id(\"a\") permit (principal, action == Symbolon::Action::\"issue\", resource) {condition};"
    ));
    let explanation = set.unwrap().explain(&question());
    let missed = explanation.near_misses().next().unwrap();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    missed.failed().map(|c| (c.text.clone(), text(&c.actual), text(&c.about))).collect()
}

#[test]
fn nested_conditions_are_split_as_far_as_they_belong_together() {
    let one = |condition: &str, text: &str, actual: &str, about: &str| {
        assert_eq!(
            failed(condition),
            [(text.to_owned(), actual.to_owned(), about.to_owned())],
            "{condition}"
        );
    };
    one(
        "when { context.key_bound && (context.scope == \"x\" && context.key_bound) }",
        "context.scope == \"x\"",
        "\"orders:read\"",
        "context.scope",
    );
    one(
        "unless { context.scope like \"orders:*\" && context.key_bound }",
        "!((context.scope like \"orders:*\") && context.key_bound)",
        "context.scope is \"orders:read\"; context.key_bound is true",
        "context.scope",
    );
    one(
        "unless { !(context.scope == \"x\" || !context.key_bound) }",
        "(context.scope == \"x\") || (!context.key_bound)",
        "context.scope is \"orders:read\"; context.key_bound is true",
        "context.scope",
    );
    one(
        "when { principal has unix && principal.unix has user }",
        "principal.unix has user",
        "absent",
        "principal.unix.user",
    );
    one("when { principal.hasTag(\"team\") }", "principal.hasTag(\"team\")", "absent", "principal");
    one(
        "when { principal in [Symbolon::Group::\"a\", Symbolon::Group::\"b\"] }",
        "principal in [Symbolon::Group::\"a\", Symbolon::Group::\"b\"]",
        "no group",
        "principal",
    );
    one(
        "when { if context.key_bound then context.scope == \"x\" else true }",
        "if context.key_bound then context.scope == \"x\" else true",
        "",
        "",
    );
}

#[test]
fn the_smallest_change_is_told_if_two_conditions_are_enough() {
    let change = |text: &str| set(text).unwrap().explain(&question()).smallest_change();
    let far = "@id(\"far\") permit (principal in Symbolon::Group::\"x\", action == Symbolon::Action::\"issue\", resource)
        when { context.scope == \"y\" && !context.key_bound };";
    assert_eq!(change(far), None);
    let near = format!(
        "{far} @id(\"near\") permit (principal, action == Symbolon::Action::\"issue\", resource)
        when {{ context.scope == \"y\" && context.key_bound }};"
    );
    assert_eq!(change(&near), Some(vec!["context.scope == \"y\"".to_owned()]));
    let guarded = format!(
        "{near} @id(\"guard\") forbid (principal, action, resource) unless {{ !context.key_bound }};"
    );
    let both = ["!(context.key_bound)", "context.scope == \"y\""].map(str::to_owned).to_vec();
    assert_eq!(change(&guarded), Some(both));
    let closed = format!("{near} @id(\"closed\") forbid (principal, action, resource);");
    assert_eq!(change(&closed), None, "no condition of it could change");
    assert_eq!(change("@id(\"all\") permit (principal, action, resource);"), None, "it is permitted");
    let broken = "@id(\"broken\") permit (principal, action, resource)
        when { principal has unix && principal.unix.uid * 9223372036854775807 > 0 };";
    assert_eq!(change(broken), None, "what cannot be evaluated is no hint");
}

#[test]
fn policies_in_shadow_mode_explain_nothing() {
    let set = set("@id(\"a\") @mode(\"shadow\") permit (principal, action, resource);").unwrap();
    assert!(set.explain(&question()).policies.is_empty());
}

#[test]
fn an_explanation_survives_its_record() {
    let set =
        set(r#"@id("a") @owner("me") permit (principal in Symbolon::Group::"shop", action, resource);"#)
            .unwrap();
    let explanation = set.explain(&question());
    let record = serde_json::to_string(&explanation).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&record).unwrap(), explanation);
}
