//! Pods that were here before, and pods that only say so.
//! A webhook is called twice when another one changed the pod in between.

use super::*;

/// Makes something else of our container.
type Change = fn(&mut Value);

/// What the API server and other webhooks do to every container.
fn lived_in(pod: &mut Value) {
    pod["spec"]["initContainers"][0]["resources"]["limits"]["cpu"] = json!("1");
    pod["spec"]["initContainers"][0]["imagePullPolicy"] = json!("Always");
    pod["spec"]["initContainers"][0]["env"] = json!([{ "name": "OTHER", "value": "x" }]);
    let mounts = pod["spec"]["initContainers"][0]["volumeMounts"].as_array_mut().unwrap();
    mounts.push(
        json!({ "name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount" }),
    );
}

#[test]
fn a_second_call_changes_nothing() {
    for circumstances in [NATIVE, ORDINARY] {
        let pod = patched(pod(), circumstances);
        assert_eq!(
            inject(&pod, &settings(), circumstances),
            Outcome::Unchanged("it has its sidecar already"),
            "{circumstances:?}"
        );
    }
    let mut pod = patched(pod(), NATIVE);
    lived_in(&mut pod);
    assert!(matches!(inject(&pod, &settings(), NATIVE), Outcome::Unchanged(_)));
}

#[test]
fn a_second_call_puts_us_first_again_and_tells_new_containers() {
    let mut pod = patched(pod(), NATIVE);
    let init = pod["spec"]["initContainers"].as_array_mut().unwrap();
    init.insert(0, json!({ "name": "mesh-proxy", "image": "mesh:1", "restartPolicy": "Always" }));
    let pod = patched(pod, NATIVE);
    let names: Vec<&str> = pod["spec"]["initContainers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["symbolon-sidecar", "mesh-proxy", "migrate"]);
    assert_eq!(variables(&pod["spec"]["initContainers"][1]), ["SYMBOLON_ORDERS_URL"]);
    assert!(matches!(inject(&pod, &settings(), NATIVE), Outcome::Unchanged(_)));
}

#[test]
fn a_container_of_our_name_that_is_not_ours_is_refused() {
    let changes: [(&str, Change); 12] = [
        ("image", |c| c["image"] = json!("evil:1")),
        ("command", |c| c["command"] = json!(["sh"])),
        ("args", |c| c["args"] = json!(["run"])),
        ("privileged", |c| c["securityContext"]["privileged"] = json!(true)),
        ("user", |c| c["securityContext"]["runAsUser"] = json!(0)),
        ("override", |c| c["env"] = json!([{ "name": "SYMBOLON__BROKER__URL", "value": "https://evil" }])),
        ("env from", |c| c["envFrom"] = json!([{ "configMapRef": { "name": "x" } }])),
        ("hook", |c| c["lifecycle"] = json!({ "postStart": { "exec": { "command": ["sh"] } } })),
        ("restart", |c| drop(c.as_object_mut().unwrap().shift_remove("restartPolicy"))),
        ("probe", |c| drop(c.as_object_mut().unwrap().shift_remove("startupProbe"))),
        ("fewer mounts", |c| drop(c["volumeMounts"].as_array_mut().unwrap().pop())),
        ("over ours", |c| {
            c["volumeMounts"]
                .as_array_mut()
                .unwrap()
                .push(json!({ "name": "x", "mountPath": "/run/symbolon/identity/token" }));
        }),
    ];
    for (what, change) in changes {
        let mut pod = patched(pod(), NATIVE);
        change(&mut pod["spec"]["initContainers"][0]);
        assert!(refused(&pod).contains("is not the injector's"), "{what}: {}", refused(&pod));
    }
}

#[test]
fn a_pod_that_claims_to_be_injected_and_is_not_is_refused() {
    assert!(refused(&annotated(STATUS, "injected@0.1.0 sha256:0")).contains("has no container"));
    let mut named = pod();
    named["spec"]["initContainers"][0]["name"] = json!(CONTAINER);
    assert!(refused(&named).contains("the name is the injector's"), "{}", refused(&named));
    let mut stale = patched(pod(), NATIVE);
    stale["metadata"]["annotations"][STATUS] = json!("injected@0.0.9 sha256:0");
    assert!(refused(&stale).contains("rendered again"), "{}", refused(&stale));
    let mut other = patched(pod(), NATIVE);
    other["metadata"]["annotations"][CONFIG] = json!("{}");
    assert!(refused(&other).contains("sidecar-config"), "{}", refused(&other));
    let mut volume = patched(pod(), NATIVE);
    volume["spec"]["volumes"][1]["emptyDir"] = json!({});
    assert!(refused(&volume).contains("is not the injector's"));
    let mut twice = patched(pod(), NATIVE);
    let copy = twice["spec"]["initContainers"][0].clone();
    twice["spec"]["containers"].as_array_mut().unwrap().push(copy);
    assert!(refused(&twice).contains("two containers are called"));
}
