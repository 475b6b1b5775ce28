//! What is added to a pod: the container, its two volumes, and what the annotations hold.
//! All defaults of the API server are written out, so that what comes back from it can be compared with this.

use serde_json::{Value, json};

use super::annotations::Wishes;
use super::{CA, CA_FILE, CONFIG, CONTAINER, FOLDER, STATUS, VOLUMES};
use crate::settings::{Settings, Template};

/// What differs between the pods of one installation.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) image: String,
    pub(crate) log_level: String,
    pub(crate) cpu_request: String,
    pub(crate) memory_request: String,
    pub(crate) memory_limit: String,
    /// The entries of the sidecar's `upstreams`, with commas between them.
    pub(crate) entries: String,
    pub(crate) native: bool,
}

/// What one pod gets.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) container: Value,
    pub(crate) volumes: [Value; 2],
    pub(crate) annotations: Vec<(&'static str, String)>,
    pub(crate) native: bool,
}

impl Parts {
    pub(crate) fn new(settings: &Settings, wishes: &Wishes<'_>, native: bool) -> Self {
        let template = &settings.template;
        let chosen = template.upstreams.iter().filter(|(name, _)| wishes.upstreams.contains(*name));
        let entries: Vec<&str> = chosen.map(|(_, upstream)| upstream.entry.as_str()).collect();
        let choice = Choice {
            image: wishes.image.clone(),
            log_level: word(&wishes.log_level),
            cpu_request: wishes.cpu_request.clone(),
            memory_request: wishes.memory_request.clone(),
            memory_limit: wishes.memory_limit.clone(),
            entries: entries.join(","),
            native,
        };
        let mut annotations =
            vec![(STATUS, settings.status.clone()), (CONFIG, sidecar_config(template, &choice))];
        annotations.extend(template.ca.iter().map(|ca| (CA, ca.clone())));
        Self { container: container(template, &choice), volumes: volumes(template), annotations, native }
    }
}

/// A value of an enum, as it is written.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    // INVARIANT: the enums of the configuration serialise to texts.
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The sidecar's whole configuration. JSON is YAML, and a serialiser leaves no doubt where a value ends.
pub(crate) fn sidecar_config(template: &Template, choice: &Choice) -> String {
    let mut broker = json!({ "url": template.broker });
    if template.ca.is_some() {
        broker["ca_file"] = json!(CA_FILE);
    }
    let mut token = json!({ "path": format!("{FOLDER}/identity/token") });
    if let Some(provider) = &template.provider {
        token["provider"] = json!(provider);
    }
    let evidence = json!({ "token_file": token });
    let key = json!({ "file": format!("{FOLDER}/key/key.json") });
    let listen = json!({ "health": template.sidecar.health });
    let (entries, level) = (&choice.entries, &choice.log_level);
    format!(
        "{{\"broker\":{broker},\"evidence\":{evidence},\"key\":{key},\"upstreams\":[{entries}],\
         \"listen\":{listen},\"log\":{{\"format\":\"json\",\"level\":\"{level}\"}}}}"
    )
}

/// The container, as the pod security standard `restricted` wants it.
pub(crate) fn container(template: &Template, choice: &Choice) -> Value {
    let sidecar = &template.sidecar;
    let port = sidecar.health.port();
    let mut container = json!({
        "name": CONTAINER,
        "image": choice.image,
        "imagePullPolicy": sidecar.pull_policy,
        "args": ["run", "--config", format!("{FOLDER}/identity/sidecar.yaml")],
        "ports": [{ "name": "symbolon-health", "containerPort": port, "protocol": "TCP" }],
        "resources": {
            "requests": { "cpu": choice.cpu_request, "memory": choice.memory_request },
            "limits": { "memory": choice.memory_limit },
        },
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": sidecar.user,
            "runAsGroup": sidecar.user,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        // No readiness probe: a broker that is away must not take the app out of its service.
        "startupProbe": probe("/startupz", port, [1, 1, 120]),
        "livenessProbe": probe("/livez", port, [10, 5, 6]),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            { "name": VOLUMES[0], "mountPath": format!("{FOLDER}/identity"), "readOnly": true },
            { "name": VOLUMES[1], "mountPath": format!("{FOLDER}/key") },
        ],
    });
    if choice.native {
        container["restartPolicy"] = json!("Always");
    }
    container
}

fn probe(path: &str, port: u16, [period, timeout, failures]: [u32; 3]) -> Value {
    json!({
        "httpGet": { "path": path, "port": port, "scheme": "HTTP" },
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "successThreshold": 1,
        "failureThreshold": failures,
    })
}

/// Token, configuration and certificates in one volume; the key in another, which is memory and dies with the pod.
pub(crate) fn volumes(template: &Template) -> [Value; 2] {
    let item = |path: &str, annotation: &str| {
        let field = format!("metadata.annotations['{annotation}']");
        json!({ "path": path, "fieldRef": { "apiVersion": "v1", "fieldPath": field } })
    };
    let mut items = vec![item("sidecar.yaml", CONFIG)];
    if template.ca.is_some() {
        items.push(item("ca.pem", CA));
    }
    let token = json!({
        "audience": template.audience,
        "expirationSeconds": template.expiration_seconds,
        "path": "token",
    });
    [
        json!({
            "name": VOLUMES[0],
            "projected": {
                // Readable to the sidecar's user, which no other container of the pod shares the mount with.
                "defaultMode": 0o444,
                "sources": [{ "serviceAccountToken": token }, { "downwardAPI": { "items": items } }],
            },
        }),
        json!({ "name": VOLUMES[1], "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } }),
    ]
}
