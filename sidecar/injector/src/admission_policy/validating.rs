//! The policy that sees to it: a selected pod has its sidecar, and is one that may have it.
//! Beside the webhook it is a second pair of eyes; beside the mutating policy it says all the refusals.

use serde_json::{Value, json};
use symbolon_identity::UpstreamName;

use super::cel;
use crate::inject::{
    CA, CONFIG, CONTAINER, CPU_REQUEST, DOMAIN, IMAGE, INPUTS, LABEL, LOG_LEVEL, MEMORY_LIMIT,
    MEMORY_REQUEST, NAMESPACE_LABEL, STATUS, UPSTREAMS, VOLUMES,
};
use crate::settings::{Settings, Template};

pub(super) fn spec(settings: &Settings) -> Value {
    let resources = ["pods", "pods/ephemeralcontainers"];
    let mut variables = vec![cel::annotations()];
    variables.extend(cel::selected());
    let defaults = cel::texts(settings.template.default_upstreams.iter().map(UpstreamName::as_str));
    variables.extend([
        cel::variable("upstreams", cel::names(UPSTREAMS, &defaults)),
        cel::variable("initContainers", "has(object.spec.initContainers) ? object.spec.initContainers : []"),
        cel::variable("volumes", "has(object.spec.volumes) ? object.spec.volumes : []"),
        // What runs already is not judged again: an update must not be stuck on it.
        cel::variable("judged", "request.operation == \"CREATE\" && variables.selected"),
    ]);
    let mut validations = vec![opt_out()];
    validations.extend(
        pods(settings).into_iter().map(|(expression, message)| {
            validation(&format!("!variables.judged || ({expression})"), &message)
        }),
    );
    validations.extend([mounts(), kept(), unchanged()]);
    json!({
        "matchConstraints": super::constraints(settings, &["CREATE", "UPDATE"], &resources),
        "matchConditions": [cel::not_a_static_pod()],
        "variables": variables,
        "validations": validations,
        "failurePolicy": "Fail",
    })
}

fn validation(expression: &str, message: &str) -> Value {
    json!({ "expression": expression, "message": format!("symbolon: {message}"), "reason": "Forbidden" })
}

fn opt_out() -> Value {
    validation(
        "request.operation != \"CREATE\" || !(variables.namespaceLabel == \"enforced\" && variables.label != \"\" && \
         variables.label != \"true\")",
        &format!(
            "the namespace has `{NAMESPACE_LABEL}: enforced`, so `{LABEL}: \"false\"` is not allowed here"
        ),
    )
}

/// What is true of every pod that is let in with a sidecar.
fn pods(settings: &Settings) -> Vec<(String, String)> {
    let template = &settings.template;
    let ours = format!("c.name == {}", cel::text(CONTAINER));
    let genuine = format!("{ours} && c.image in {} && !has(c.command) && !has(c.envFrom)", images(template));
    let audience = cel::text(template.audience.as_str());
    let identity = cel::text(VOLUMES[0]);
    // What an owner wrote comes first: its message says more than that the sidecar is missing.
    let mut rules = annotations(template);
    rules.extend([
        (
            format!(
                "{} in variables.annotations && (variables.initContainers.exists(c, {genuine}) || \
                 object.spec.containers.exists(c, {genuine}))",
                cel::text(STATUS)
            ),
            "the pod should have its sidecar and has not: is the injector at work?".to_owned(),
        ),
        (
            "!has(object.spec.hostNetwork) || !object.spec.hostNetwork".to_owned(),
            "a pod with `hostNetwork` cannot be injected".to_owned(),
        ),
        (
            "!has(object.spec.os) || object.spec.os.name != \"windows\"".to_owned(),
            "there is no sidecar for Windows".to_owned(),
        ),
        (
            format!(
                "size(object.spec.containers) + size(variables.initContainers) <= {}",
                settings.max_containers.saturating_add(1)
            ),
            "the pod has too many containers".to_owned(),
        ),
        (
            format!(
                "variables.volumes.all(v, v.name == {identity} || !has(v.projected) || !has(v.projected.sources) || \
                 v.projected.sources.all(s, !has(s.serviceAccountToken) || !has(s.serviceAccountToken.audience) || \
                 s.serviceAccountToken.audience != {audience}))"
            ),
            "only the sidecar may have a token for the broker".to_owned(),
        ),
    ]);
    rules
}

/// What owners may write, in the same spellings as `inject` takes.
fn annotations(template: &Template) -> Vec<(String, String)> {
    let known = cel::texts(INPUTS.into_iter().chain([STATUS, CONFIG, CA]));
    let upstreams = cel::texts(template.upstreams.keys().map(UpstreamName::as_str));
    let value = |key: &str, condition: &str| {
        let key = cel::text(key);
        format!("!({key} in variables.annotations) || variables.annotations[{key}]{condition}")
    };
    let cpu = r#".matches("^[1-9][0-9]{0,4}m?$")"#;
    let memory = r#".matches("^[1-9][0-9]{0,4}[MG]i$")"#;
    let levels = " in [\"error\", \"warn\", \"info\", \"debug\", \"trace\"]";
    let of = |key: &str, what: &str| format!("`{key}` is {what}");
    vec![
        (
            format!("variables.annotations.all(k, !k.startsWith({}) || k in {known})", cel::text(DOMAIN)),
            format!("unknown annotation; known are {}", INPUTS.join(", ")),
        ),
        (value(UPSTREAMS, r#".matches("^[a-z0-9._,; -]*$")"#), of(UPSTREAMS, "a list of names")),
        (
            format!("size(variables.upstreams) > 0 && variables.upstreams.all(n, n in {upstreams})"),
            of(UPSTREAMS, "a list of upstreams that exist, and there is no default without it"),
        ),
        (value(IMAGE, &format!(" in {}", images(template))), of(IMAGE, "an image that is allowed here")),
        (value(LOG_LEVEL, levels), of(LOG_LEVEL, "error, warn, info, debug or trace")),
        (value(CPU_REQUEST, cpu), of(CPU_REQUEST, "an amount such as 5m or 1")),
        (value(MEMORY_REQUEST, memory), of(MEMORY_REQUEST, "an amount such as 16Mi")),
        (value(MEMORY_LIMIT, memory), of(MEMORY_LIMIT, "an amount such as 64Mi")),
    ]
}

fn images(template: &Template) -> String {
    let sidecar = &template.sidecar;
    cel::texts([&sidecar.image].into_iter().chain(&sidecar.images).map(String::as_str))
}

/// Token, configuration and key are the sidecar's alone; also an ephemeral container has no way to them.
fn mounts() -> Value {
    let (name, volumes) = (cel::text(CONTAINER), cel::texts(VOLUMES));
    let none = format!("!has(c.volumeMounts) || c.volumeMounts.all(m, !(m.name in {volumes}))");
    let lists = ["containers", "initContainers", "ephemeralContainers"].map(|list| {
        format!("(!has(object.spec.{list}) || object.spec.{list}.all(c, c.name == {name} || {none}))")
    });
    validation(
        // SECURITY: whether or not the pod is selected: its label can be taken off while it runs.
        &lists.join(" && "),
        "the sidecar's volumes are mounted by the sidecar alone",
    )
}

/// An image is a field that may change; another one would run with the sidecar's token and key.
fn kept() -> Value {
    let name = cel::text(CONTAINER);
    let kept = ["containers", "initContainers"].map(|list| {
        format!(
            "(!has(oldObject.spec.{list}) || oldObject.spec.{list}.all(b, b.name != {name} || \
             (has(object.spec.{list}) && object.spec.{list}.exists(c, c.name == {name} && c.image == b.image))))"
        )
    });
    let looks = format!(
        "(!has(object.spec.ephemeralContainers) || object.spec.ephemeralContainers.all(c, \
         !has(c.targetContainerName) || c.targetContainerName != {name}))"
    );
    validation(
        &format!("request.operation != \"UPDATE\" || ({} && {looks})", kept.join(" && ")),
        "the sidecar keeps its image while its pod lives, and nobody looks into its processes",
    )
}

/// The sidecar reads its configuration from annotations, when it starts and when it is restarted.
fn unchanged() -> Value {
    let keys = cel::texts([STATUS, CONFIG, CA]);
    let old = "oldObject.metadata.annotations";
    validation(
        &format!(
            "request.operation != \"UPDATE\" || !has({old}) || {keys}.all(k, !(k in {old}) || \
             (k in variables.annotations && variables.annotations[k] == {old}[k]))"
        ),
        "the sidecar's configuration does not change while its pod lives",
    )
}
