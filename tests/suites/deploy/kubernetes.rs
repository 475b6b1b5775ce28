//! The Helm chart, by Helm itself: it lints, renders what is kept in the repository, and refuses what it should.
//! Not here: an API server (`cluster.rs`).

mod cluster;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use symbolon_e2e::machine::cache;
use symbolon_e2e::process::workspace;

use super::manifests::{Manifests, SETS, chart, rendered};

fn helm(arguments: &[&str]) -> Output {
    let program = cache().join("kubernetes/helm");
    assert!(program.is_file(), "{} is missing: run `scripts/setup kubernetes`", program.display());
    // A Helm that was built without a release number takes the cluster for an old one.
    Command::new(program)
        .args(arguments)
        .arg(chart())
        .args(["--kube-version", "1.37.2"])
        .env_clear()
        .output()
        .unwrap()
}

fn template(more: &[&str]) -> Output {
    helm(&[&["template", "symbolon", "--namespace", "symbolon-system"][..], more].concat())
}

fn values(set: &str) -> Vec<String> {
    let file: PathBuf = workspace().join(format!("tests/kubernetes/chart/values/{set}.yaml"));
    if set == "default" { Vec::new() } else { vec!["--values".to_owned(), file.display().to_string()] }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
#[ignore = "Helm: scripts/test kubernetes"]
fn the_chart_lints_strictly_with_every_set_of_values() {
    for set in SETS {
        let values = values(set);
        let arguments: Vec<&str> =
            ["lint", "--strict"].into_iter().chain(values.iter().map(String::as_str)).collect();
        let run = helm(&arguments);
        assert!(run.status.success(), "{set}: {}{}", text(&run.stdout), text(&run.stderr));
    }
}

#[test]
#[ignore = "Helm: scripts/test kubernetes"]
fn what_is_kept_is_what_it_renders_and_it_renders_the_same_twice() {
    for set in SETS {
        let values = values(set);
        let arguments: Vec<&str> = values.iter().map(String::as_str).collect();
        let [first, second] = [template(&arguments), template(&arguments)];
        assert!(first.status.success(), "{set}: {}", text(&first.stderr));
        assert!(first.stdout == second.stdout, "{set}: two renderings differ");
        let kept = rendered(set);
        if std::env::var_os("SYMBOLON_UPDATE").is_some() {
            fs::write(&kept, &first.stdout).unwrap();
        }
        let stale = fs::read(&kept).unwrap_or_default() != first.stdout;
        assert!(!stale, "{} is stale: run this test with SYMBOLON_UPDATE=1", kept.display());
    }
}

#[test]
#[ignore = "Helm: scripts/test kubernetes"]
fn what_cannot_be_is_refused_with_a_message_that_says_why() {
    for (set, expected) in [
        ("broker.replicaCount=2", "SQLite"),
        ("broker.replicas=2", "additional properties 'replicas' not allowed"),
        ("borker.enabled=true", "additional properties 'borker' not allowed"),
        ("webhook.failurePolicy=Maybe", "'/webhook/failurePolicy'"),
        ("cluster.live=sometimes", "'/cluster/live'"),
        ("broker.url=http://broker.example.com", "'/broker/url'"),
        ("broker.enabled=false", "say where the broker is"),
        ("broker.tls.mode=certManager", "certManager.enabled=true"),
        ("broker.tls.mode=external", "by which https URL"),
        ("webhook.tls.mode=secret", "needs existingSecret"),
        ("gateway.tls.mode=certManager", "certManager.enabled=true"),
        ("policyInjection.enabled=true", "symbolon-injector admission-policy"),
        ("sidecar.user=0", "'/sidecar/user'"),
        ("broker.image.digest=sha256:abc", "'/broker/image/digest'"),
        ("broker.policies.orders=permit", "does not match pattern"),
        ("upstreams.orders.port=8711", "'/upstreams/orders'"),
    ] {
        let run = template(&["--set", set]);
        let said = text(&run.stderr);
        assert!(!run.status.success() && said.contains(expected), "{set}: {said}");
    }
}

#[test]
#[ignore = "Helm: scripts/test kubernetes"]
fn images_are_taken_by_digest_where_one_is_given() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let run = template(&["--set", &format!("broker.image.digest={digest},broker.image.tag=ignored")]);
    let manifests = Manifests { set: "digest", objects: super::manifests::objects(&text(&run.stdout)) };
    let broker = manifests.find("StatefulSet", "symbolon-broker").unwrap();
    let image = &broker["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image.as_str().unwrap(), format!("ghcr.io/symbolon/broker@{digest}"));
}

#[test]
#[ignore = "Helm: scripts/test kubernetes"]
fn a_pod_goes_where_its_values_say_and_runs_as_restricted_anyway() {
    let set =
        "gateway.securityContext.readOnlyRootFilesystem=false,gateway.podSecurityContext.runAsUser=1234";
    let run = template(&["--set", set]);
    let manifests = Manifests { set: "contexts", objects: super::manifests::objects(&text(&run.stdout)) };
    let gateway = &manifests.find("Deployment", "symbolon-gateway").unwrap()["spec"]["template"]["spec"];
    assert_eq!(gateway["securityContext"]["runAsUser"], 1234);
    assert_eq!(gateway["securityContext"]["runAsNonRoot"], true);
    let container = &gateway["containers"][0]["securityContext"];
    assert_eq!(
        (&container["readOnlyRootFilesystem"], &container["allowPrivilegeEscalation"]),
        (&false.into(), &false.into())
    );
}
