//! The Helm chart, by what it rendered last: security, fit of its parts, and configurations that the programs take.
//! Not here: that this is what it renders now (`kubernetes.rs`, with Helm).

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use symbolon_e2e::process::workspace;

use super::manifests::{Manifests, Pod, chart, list, text, yaml};

#[test]
fn every_container_runs_under_the_profile_restricted_and_says_what_it_needs() {
    for manifests in Manifests::all() {
        for pod in manifests.pods() {
            let at = format!("{}: {}", manifests.set, pod.name());
            let context = &pod.spec["securityContext"];
            assert_eq!(context["runAsNonRoot"], true, "{at}");
            assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{at}");
            assert_ne!(context["runAsUser"], 0, "{at}");
            for host in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
                assert!(pod.spec[host].is_null(), "{at}: {host}");
            }
            for volume in list(&pod.spec["volumes"]) {
                assert!(volume["hostPath"].is_null(), "{at}: {volume}");
            }
            assert!(pod.containers().count() > 0, "{at}");
            for container in pod.containers() {
                is_restricted(container, &at);
            }
        }
    }
}

fn is_restricted(container: &Value, at: &str) {
    let context = &container["securityContext"];
    assert_eq!(context["allowPrivilegeEscalation"], false, "{at}");
    assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{at}");
    assert_eq!(context["readOnlyRootFilesystem"], true, "{at}");
    assert_eq!(context["runAsNonRoot"], true, "{at}");
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{at}");
    assert!(context["privileged"].is_null(), "{at}");
    let resources = &container["resources"];
    assert!(resources["requests"]["cpu"].is_string() && resources["requests"]["memory"].is_string(), "{at}");
    assert!(
        resources["limits"]["memory"].is_string() && resources["limits"]["cpu"].is_null(),
        "{at}: {resources}"
    );
    let image = text(&container["image"]);
    let tag = image.rsplit_once(':').map(|(_, tag)| tag).unwrap_or_default();
    assert!(!tag.is_empty() && tag != "latest" && !tag.contains('/'), "{at}: {image}");
    for port in list(&container["ports"]) {
        assert!(port["hostPort"].is_null(), "{at}");
    }
}

#[test]
fn rights_are_these_and_no_more() {
    let found = |set| -> BTreeSet<String> {
        let manifests = Manifests::rendered(set);
        let granted = manifests.of_kind("ClusterRole").chain(manifests.of_kind("Role"));
        let rules = granted.flat_map(|role| {
            let name = format!("{} {}", text(&role["kind"]), text(&role["metadata"]["name"]));
            list(&role["rules"]).iter().map(move |rule| format!("{name}: {rule}"))
        });
        let bindings = manifests.of_kind("ClusterRoleBinding").chain(manifests.of_kind("RoleBinding"));
        let bindings = bindings.map(|binding| {
            let subjects: Vec<&str> =
                list(&binding["subjects"]).iter().map(|subject| text(&subject["name"])).collect();
            format!("{} -> {}", subjects.join(","), text(&binding["roleRef"]["name"]))
        });
        rules.chain(bindings).collect()
    };
    let pods = json!({"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]});
    let own = |kind: &str, name: &str| json!({"apiGroups": [""], "resources": [kind], "resourceNames": [name], "verbs": ["get", "update"]});
    let secret = own("secrets", "symbolon-injector-tls");
    let (kept, told) = (own("secrets", "symbolon-broker-kept"), own("configmaps", "symbolon-broker-ca"));
    let webhook = json!({
        "apiGroups": ["admissionregistration.k8s.io"], "resources": ["mutatingwebhookconfigurations"],
        "resourceNames": ["symbolon-injector"], "verbs": ["get", "patch"],
    });
    let mut expected = BTreeSet::from([
        format!("Role symbolon-broker: {kept}"),
        format!("Role symbolon-broker: {told}"),
        format!("ClusterRole symbolon-broker: {pods}"),
        format!("ClusterRole symbolon-injector: {webhook}"),
        format!("Role symbolon-injector: {secret}"),
        "symbolon-broker -> symbolon-broker".to_owned(),
        "symbolon-broker -> system:auth-delegator".to_owned(),
        "symbolon-broker -> system:service-account-issuer-discovery".to_owned(),
        "symbolon-injector -> symbolon-injector".to_owned(),
    ]);
    assert_eq!(found("default"), expected);
    expected.remove(&format!("Role symbolon-broker: {told}"));
    assert_eq!(found("shop"), expected, "somebody else keeps the broker's certificate");
    assert_eq!(found("external-broker"), BTreeSet::new(), "somebody else keeps the certificate");
    assert!(found("cert-manager").iter().all(|right| !right.contains("injector")), "cert-manager does it");
}

#[test]
fn who_asks_nothing_of_the_api_server_has_no_token_for_it() {
    for manifests in Manifests::all() {
        for pod in manifests.pods() {
            let account = text(&pod.spec["serviceAccountName"]);
            let bound = manifests.objects.iter().any(|object| {
                list(&object["subjects"]).iter().any(|subject| text(&subject["name"]) == account)
            });
            let mounted = pod.spec["automountServiceAccountToken"] != json!(false);
            // The injector asks for the version of the API server, which needs no right (`sidecar.native: auto`).
            let asks = bound || pod.name().ends_with("-injector");
            assert_eq!(mounted, asks, "{}: {}", manifests.set, pod.name());
        }
    }
}

#[test]
fn no_secret_is_made_by_the_chart() {
    for manifests in Manifests::all() {
        for secret in manifests.of_kind("Secret") {
            assert!(
                secret["data"].is_null() && secret["stringData"].is_null(),
                "{}: {secret}",
                manifests.set
            );
        }
    }
    let random = [
        "randAlpha",
        "randNum",
        "randAscii",
        "randBytes",
        "genCA",
        "genSelfSigned",
        "genSignedCert",
        "genPrivateKey",
        "uuidv4",
        "now ",
        "derivePassword",
        "htpasswd",
        "bcrypt",
    ];
    for file in templates() {
        let template = fs::read_to_string(&file).unwrap();
        for word in random {
            assert!(!template.contains(word), "{} uses `{word}`", file.display());
        }
    }
}

fn templates() -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![chart().join("templates")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    assert!(found.len() > 10);
    found
}

#[test]
fn the_webhook_is_narrow_and_fails_closed() {
    for manifests in Manifests::all() {
        for configuration in manifests.of_kind("MutatingWebhookConfiguration") {
            let webhooks = list(&configuration["webhooks"]);
            let chosen: Vec<Value> =
                webhooks.iter().map(|webhook| is_narrow(webhook, manifests.set)).collect();
            let expected = [
                json!(["/pods", [named("NotIn", &["disabled", "enabled", "enforced"])], asks(true)]),
                json!(["/enabled", [named("In", &["enabled"])], asks(false)]),
                json!(["/enforced", [named("In", &["enforced"])], []]),
            ];
            assert_eq!(chosen, expected, "{}", manifests.set);
        }
    }
    assert_eq!(Manifests::rendered("policy-injection").of_kind("MutatingWebhookConfiguration").count(), 0);
}

fn named(operator: &str, values: &[&str]) -> Value {
    json!({"key": "symbolon.dev/injection", "operator": operator, "values": values})
}

/// The pods that do not decline, and if it has to be, that say anything at all.
fn asks(said: bool) -> Value {
    let exists = said.then(|| json!({"key": "symbolon.dev/inject", "operator": "Exists"}));
    let declined = json!({"key": "symbolon.dev/inject", "operator": "NotIn", "values": ["false"]});
    exists.into_iter().chain([declined]).collect()
}

/// Path, namespaces and pods of a webhook that is as all have to be.
fn is_narrow(webhook: &Value, set: &str) -> Value {
    assert_eq!(webhook["failurePolicy"], "Fail");
    assert_eq!(webhook["reinvocationPolicy"], "IfNeeded");
    assert_eq!(webhook["sideEffects"], "None");
    assert_eq!(webhook["timeoutSeconds"], 3);
    let rules = json!([{
        "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Namespaced",
    }]);
    assert_eq!(webhook["rules"], rules);
    // Written by the injector or cert-manager, unless somebody else keeps the certificate.
    assert_eq!(webhook["clientConfig"]["caBundle"].is_string(), set == "external-broker", "{set}");
    let [never, namespaces @ ..] = list(&webhook["namespaceSelector"]["matchExpressions"]) else {
        panic!("{webhook}")
    };
    assert_eq!((&never["key"], &never["operator"]), (&json!("kubernetes.io/metadata.name"), &json!("NotIn")));
    for namespace in ["kube-system", "symbolon-system"] {
        assert!(list(&never["values"]).contains(&json!(namespace)), "{never}");
    }
    json!([
        webhook["clientConfig"]["service"]["path"],
        namespaces,
        webhook["objectSelector"]["matchExpressions"]
    ])
}

#[test]
fn a_chosen_pod_without_the_sidecar_is_refused_whatever_the_webhook_does() {
    for manifests in Manifests::all() {
        let policies: Vec<&Value> = manifests.of_kind("ValidatingAdmissionPolicy").collect();
        if manifests.set == "policy-injection" {
            assert!(policies.is_empty(), "what the injector prints has its own");
            continue;
        }
        let [policy] = policies[..] else { panic!("{}: {policies:?}", manifests.set) };
        assert_eq!(policy["spec"]["failurePolicy"], "Fail");
        // A label that was taken off must not open the sidecar's volumes to a container for debugging.
        assert!(policy["spec"]["matchConstraints"]["objectSelector"].is_null(), "{policy}");
        let resources = json!(["pods", "pods/ephemeralcontainers"]);
        assert_eq!(policy["spec"]["matchConstraints"]["resourceRules"][0]["resources"], resources);
        let binding = manifests.of_kind("ValidatingAdmissionPolicyBinding").next().unwrap();
        assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
        assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
    }
}

#[test]
fn the_parts_fit_together() {
    for manifests in Manifests::all() {
        let pods = manifests.pods();
        for kind in ["Service", "PodDisruptionBudget", "NetworkPolicy"] {
            for object in manifests.of_kind(kind) {
                let at = format!("{}: {kind} {}", manifests.set, object["metadata"]["name"]);
                let spec = &object["spec"];
                let selector = [
                    &spec["selector"]["matchLabels"],
                    &spec["podSelector"]["matchLabels"],
                    &spec["selector"],
                ];
                let selector = selector.into_iter().find(|labels| labels.is_object()).unwrap();
                let selected: Vec<&Pod<'_>> =
                    pods.iter().filter(|pod| has(&pod.metadata["labels"], selector)).collect();
                let [pod] = selected[..] else { panic!("{at} selects {} pods", selected.len()) };
                for port in list(&spec["ports"]) {
                    let named = |container: &Value| {
                        list(&container["ports"]).iter().any(|one| one["name"] == port["targetPort"])
                    };
                    assert!(pod.containers().any(named), "{at}: {port}");
                }
            }
        }
        for pod in &pods {
            let at = format!("{}: {}", manifests.set, pod.name());
            if let Some(account) = pod.spec["serviceAccountName"].as_str() {
                assert!(manifests.find("ServiceAccount", account).is_some(), "{at}: no account {account}");
            }
            let volumes: BTreeSet<&str> =
                list(&pod.spec["volumes"]).iter().map(|volume| text(&volume["name"])).collect();
            let claims = list(&pod.object["spec"]["volumeClaimTemplates"])
                .iter()
                .map(|claim| text(&claim["metadata"]["name"]));
            let volumes: BTreeSet<&str> = volumes.into_iter().chain(claims).collect();
            let mounts = pod.containers().flat_map(|container| list(&container["volumeMounts"]));
            let mounted: BTreeSet<&str> = mounts.map(|mount| text(&mount["name"])).collect();
            assert_eq!(volumes, mounted, "{at}");
            for map in
                list(&pod.spec["volumes"]).iter().filter_map(|volume| volume["configMap"]["name"].as_str())
            {
                assert!(manifests.find("ConfigMap", map).is_some(), "{at}: no ConfigMap {map}");
            }
        }
    }
}

/// Whether an object's labels are those of a selector, and more.
fn has(labels: &Value, selector: &Value) -> bool {
    selector.as_object().unwrap().iter().all(|(key, value)| labels[key] == *value)
}

#[test]
fn keys_are_mounted_by_name_and_only_where_they_are_used() {
    for manifests in Manifests::all() {
        for pod in manifests.pods() {
            for volume in list(&pod.spec["volumes"]) {
                let secret = &volume["secret"];
                if secret.is_null() {
                    continue;
                }
                let keys: Vec<&str> = list(&secret["items"]).iter().map(|item| text(&item["key"])).collect();
                let at =
                    format!("{}: {} mounts {keys:?} of {}", manifests.set, pod.name(), secret["secretName"]);
                match text(&volume["name"]) {
                    "broker-ca" => assert_eq!(keys, ["ca.crt"], "{at}"),
                    "tls" => assert_eq!(
                        (keys, &secret["defaultMode"]),
                        (vec!["tls.crt", "tls.key"], &json!(288)),
                        "{at}"
                    ),
                    "sealing" => {
                        assert!(
                            pod.name().starts_with("StatefulSet ") && secret["defaultMode"] == 288,
                            "{at}"
                        );
                        assert_eq!(keys.len(), 1, "{at}");
                    }
                    other => panic!("{at}: {other}"),
                }
            }
        }
    }
}

#[test]
fn the_chart_is_of_this_version_and_carries_the_alerts() {
    let chart_file = yaml(&fs::read_to_string(chart().join("Chart.yaml")).unwrap());
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("version = ")).unwrap().trim_matches('"');
    assert_eq!(chart_file["appVersion"], version);
    for alerts in fs::read_dir(workspace().join("deploy/alerts")).unwrap().map(|entry| entry.unwrap().path())
    {
        let copy = chart().join("files/alerts").join(alerts.file_name().unwrap());
        let [ours, theirs] = [&alerts, &copy].map(|file| fs::read_to_string(file).unwrap_or_default());
        assert_eq!(ours, theirs, "copy {} to {}", alerts.display(), copy.display());
    }
    let rule = Manifests::rendered("cert-manager");
    assert!(rule.of_kind("PrometheusRule").all(|rule| !list(&rule["spec"]["groups"]).is_empty()));
}

#[test]
fn the_schema_knows_every_value_and_no_other() {
    let values = yaml(&fs::read_to_string(chart().join("values.yaml")).unwrap());
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap();
    compare(&values, &schema, &schema, "");
}

fn compare(values: &Value, schema: &Value, root: &Value, path: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => &root["definitions"][reference.rsplit('/').next().unwrap()],
        None => schema,
    };
    if schema["additionalProperties"] != json!(false) {
        return;
    }
    let known = schema["properties"].as_object().unwrap();
    let given = values.as_object().unwrap_or_else(|| panic!("{path} is no mapping"));
    for (key, value) in given {
        let next = known.get(key).unwrap_or_else(|| panic!("values.schema.json lacks {path}{key}"));
        compare(value, next, root, &format!("{path}{key}."));
    }
    // What a parent chart hands down, and what only users give, has no default.
    let bare = ["global", "claims", "matchLabels", "matchExpressions", "group", "kind", "name"];
    for key in known.keys().filter(|key| !bare.contains(&key.as_str())) {
        assert!(given.contains_key(key), "values.yaml lacks {path}{key}");
    }
}
