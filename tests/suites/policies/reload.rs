use std::fs;
use std::os::unix::fs::symlink;

use super::Judging;

const STALE: &str = "symbolon_broker_policies_stale";
const REFUSED: &str = "symbolon_broker_policy_reloads_total{outcome=\"refused\"}";
const GOOD: &str = "@id(\"other\") permit (principal, action, resource == Symbolon::Resource::\"orders\");\n";

/// What is wrong, what is written, and what the log has to say about it.
const SPOILED: [(&str, &str, &str); 5] = [
    (
        "a syntax error",
        "@id(\"a\") permit (principal, action, resource);\npermit (principal, action resource);",
        "new.cedar:2:27",
    ),
    (
        "a schema error",
        "@id(\"a\") permit (principal, action, resource)\nwhen { principal.colour == \"red\" };",
        "new.cedar:2:8",
    ),
    (
        "a repeated id",
        "@id(\"local-notes\") permit (principal, action, resource);",
        "`@id(\\\"local-notes\\\")` is taken already",
    ),
    (
        "an unknown annotation",
        "@id(\"a\")\n@onwer(\"me\") permit (principal, action, resource);",
        "new.cedar:2:1",
    ),
    (
        "a place that is not configured",
        "@id(\"a\") permit (principal, action, resource)\nwhen { context.local.berlin.weekday == \"monday\" };",
        "new.cedar:2:8",
    ),
];

/// While the folder is spoiled, the old policies go on; then it is mended.
async fn assert_nothing_changes(judging: &Judging, what: &str, said: &str) {
    let before = judging.metric(REFUSED).await.unwrap_or_default();
    judging.reaches(STALE, 1).await;
    let answer = judging.ask("notes:read").await;
    assert_eq!(answer.status, 200, "{what}: {}", String::from_utf8_lossy(&answer.body));
    assert_eq!(judging.ask("notes:write").await.text("error"), "access_denied", "{what}");
    let log = judging.broker.process.log();
    assert!(log.contains(said), "{what}: `{said}` is not in\n{log}");
    assert!(judging.metric(REFUSED).await.is_some_and(|count| count > 0 && count >= before), "{what}");
    for file in fs::read_dir(judging.policies()).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().is_some_and(|name| name != "test.cedar") {
            fs::remove_file(path).unwrap();
        }
    }
    judging.reaches(STALE, 0).await;
}

#[tokio::test]
async fn a_broken_policy_changes_nothing_and_is_told_with_its_place() {
    let judging = Judging::start("").await;
    assert_eq!(judging.ask("notes:read").await.status, 200);
    for (what, text, said) in SPOILED {
        fs::write(judging.policies().join("new.cedar"), text).unwrap();
        assert_nothing_changes(&judging, what, said).await;
    }
}

#[tokio::test]
async fn a_file_that_is_no_policy_file_changes_nothing() {
    let judging = Judging::start("").await;
    let file = judging.policies().join("new.cedar");
    fs::write(&file, " ".repeat(10 << 20)).unwrap();
    assert_nothing_changes(&judging, "ten megabytes", "new.cedar: is larger than 1048576 bytes").await;
    symlink("new.cedar", &file).unwrap();
    assert_nothing_changes(&judging, "a loop of links", "new.cedar: cannot be read").await;
    fs::write(&file, [0xFF, 0xFE]).unwrap();
    assert_nothing_changes(&judging, "no text", "new.cedar: is not UTF-8").await;
    let comment = format!("// {}\n", "x".repeat(1020)).repeat(1000);
    for number in 0..10 {
        fs::write(judging.policies().join(format!("big-{number}.cedar")), &comment).unwrap();
    }
    assert_nothing_changes(&judging, "ten megabytes together", "holds more than 8388608 bytes of policies")
        .await;
}

#[tokio::test]
async fn a_folder_that_links_to_itself_is_not_entered() {
    let judging = Judging::start("").await;
    let before = judging.loaded().await;
    symlink(".", judging.policies().join("again")).unwrap();
    fs::write(judging.policies().join("new.cedar"), GOOD).unwrap();
    judging.reaches("symbolon_broker_policies", before + 1).await;
    assert_eq!(judging.metric(STALE).await, Some(0));
}
