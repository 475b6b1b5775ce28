//! The policy that injects: the parts of `inject`, with the places that a pod's annotations fill.
//! It can add and cannot refuse: what it has no answer for, the validating policy refuses.

use std::fmt::Write as _;

use serde_json::{Value, json};
use symbolon_daemon::telemetry::LogLevel;
use symbolon_identity::UpstreamName;

use super::cel;
use crate::inject::{
    CA, CONFIG, CONTAINERS, CPU_REQUEST, Choice, IMAGE, LOG_LEVEL, MEMORY_LIMIT, MEMORY_REQUEST,
    SKIP_CONTAINERS, STATUS, UPSTREAMS, container, escaped, sidecar_config, told, volumes,
};
use crate::settings::{Settings, Template};

pub(super) fn spec(settings: &Settings) -> Value {
    json!({
        "matchConstraints": super::constraints(settings, &["CREATE"], &["pods"]),
        // A pod that was here before. Whether it tells the truth, the validating policy judges.
        "matchConditions": [cel::not_a_static_pod(), {
            "name": "not-yet-injected",
            "expression": format!(
                "!has(object.metadata.annotations) || !({} in object.metadata.annotations)",
                cel::text(STATUS)
            ),
        }],
        "variables": variables(&settings.template),
        "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": patch(settings) } }],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
    })
}

fn variables(template: &Template) -> Vec<Value> {
    let sidecar = &template.sidecar;
    let by_annotation = |name: &str, key: &str, otherwise: &str| {
        cel::variable(name, cel::annotation(key, &cel::text(otherwise)))
    };
    let defaults = cel::texts(template.default_upstreams.iter().map(UpstreamName::as_str));
    let level = level(sidecar.log_level);
    let chosen = |list: &str| {
        format!(
            "has(object.spec.{list}) ? object.spec.{list}.map(c, c.name).filter(n, {} in variables.annotations ? \
             n in variables.only : !(n in variables.but)) : []",
            cel::text(CONTAINERS)
        )
    };
    let all = |list: &str| format!("has(object.spec.{list}) ? object.spec.{list}.map(c, c.name) : []");
    let mut variables = vec![cel::annotations()];
    variables.extend(cel::selected());
    variables.extend([
        by_annotation("image", IMAGE, &sidecar.image),
        by_annotation("level", LOG_LEVEL, level),
        by_annotation("cpuRequest", CPU_REQUEST, &sidecar.cpu_request),
        by_annotation("memoryRequest", MEMORY_REQUEST, &sidecar.memory_request),
        by_annotation("memoryLimit", MEMORY_LIMIT, &sidecar.memory_limit),
        cel::variable("upstreams", cel::names(UPSTREAMS, &defaults)),
        cel::variable("only", cel::names(CONTAINERS, "[]")),
        cel::variable("but", cel::names(SKIP_CONTAINERS, "[]")),
        cel::variable("containers", all("containers")),
        cel::variable("initContainers", all("initContainers")),
        cel::variable("toldContainers", chosen("containers")),
        cel::variable("toldInitContainers", chosen("initContainers")),
        cel::variable("entries", entries(template)),
    ]);
    variables
}

/// A log level as it is written.
fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

/// The entries of the chosen upstreams, in alphabetical order.
fn entries(template: &Template) -> String {
    let each = template.upstreams.iter().map(|(name, upstream)| {
        let (name, entry) = (cel::text(name.as_str()), cel::text(&upstream.entry));
        format!("({name} in variables.upstreams ? [{entry}] : [])")
    });
    let each: Vec<String> = each.collect();
    if each.is_empty() { "\"\"".to_owned() } else { format!("({}).join(\",\")", each.join(" + ")) }
}

/// The whole patch, in the order of `inject`.
fn patch(settings: &Settings) -> String {
    let template = &settings.template;
    let choice = Choice {
        image: cel::place("image"),
        log_level: cel::place("level"),
        cpu_request: cel::place("cpuRequest"),
        memory_request: cel::place("memoryRequest"),
        memory_limit: cel::place("memoryLimit"),
        entries: cel::place("entries"),
        native: true,
    };
    let mut operations =
        vec![format!("(has(object.metadata.annotations) ? [] : [{}])", add("/metadata/annotations", "{}"))];
    let mut annotations =
        vec![(STATUS, settings.status.clone()), (CONFIG, sidecar_config(template, &choice))];
    annotations.extend(template.ca.iter().map(|ca| (CA, ca.clone())));
    let annotations = annotations.iter().map(|(key, text)| {
        add(&format!("/metadata/annotations/{}", escaped(key)), &cel::value(&json!(text)))
    });
    operations.push(format!("[{}]", annotations.collect::<Vec<_>>().join(", ")));
    for (list, told) in [("initContainers", "toldInitContainers"), ("containers", "toldContainers")] {
        operations.push(variables_of(template, list, told));
    }
    let [first, second] = volumes(template).map(|volume| cel::value(&volume));
    operations.push(format!(
        "(has(object.spec.volumes) ? [{}, {}] : [{}])",
        add("/spec/volumes/-", &first),
        add("/spec/volumes/-", &second),
        add("/spec/volumes", &format!("[dyn({first}), dyn({second})]"))
    ));
    let ours = cel::value(&container(template, &choice));
    operations.push(format!(
        "(has(object.spec.initContainers) ? [{}] : [{}])",
        add("/spec/initContainers/0", &ours),
        add("/spec/initContainers", &format!("[dyn({ours})]"))
    ));
    format!("variables.selected ? ({}) : []", operations.join("\n+ "))
}

/// The variables that tell the containers of a list where their upstreams are.
fn variables_of(template: &Template, list: &str, told_by: &str) -> String {
    let chosen = |condition: &str, patch: &str| {
        format!("object.spec.{list}.filter(c, c.name in variables.{told_by} && {condition}).map(c, {patch})")
    };
    let at =
        |end: &str| format!("\"/spec/{list}/\" + string(variables.{list}.indexOf(c.name)) + \"/env{end}\"");
    let empty = chosen("!has(c.env)", &format!("JSONPatch{{op: \"add\", path: {}, value: []}}", at("")));
    let mut operations = format!("(has(object.spec.{list}) ? {empty}");
    for (name, upstream) in &template.upstreams {
        let variable = cel::text(&upstream.variable);
        let condition = format!(
            "{} in variables.upstreams && !(has(c.env) && c.env.exists(e, e.name == {variable}))",
            cel::text(name.as_str())
        );
        let patch =
            format!("JSONPatch{{op: \"add\", path: {}, value: {}}}", at("/-"), cel::value(&told(upstream)));
        // INVARIANT: writing to a text does not fail.
        let _ = write!(operations, "\n+ {}", chosen(&condition, &patch));
    }
    operations + " : [])"
}

fn add(path: &str, value: &str) -> String {
    format!("JSONPatch{{op: \"add\", path: {}, value: {value}}}", cel::text(path))
}
