//! What a pod's owner may say by annotations: names that an operator knows, and amounts.
//! Nothing of it reaches the sidecar as it came: each value is looked up or read, and refused otherwise.

use std::collections::BTreeSet;

use symbolon_config::nearest;
use symbolon_daemon::telemetry::LogLevel;
use symbolon_identity::UpstreamName;

use super::pod::{Pod, shown};
use super::{CA, CONFIG, DOMAIN, STATUS};
use crate::settings::{Settings, quantity};

pub(crate) const UPSTREAMS: &str = "symbolon.dev/upstreams";
pub(crate) const CONTAINERS: &str = "symbolon.dev/containers";
pub(crate) const SKIP_CONTAINERS: &str = "symbolon.dev/skip-containers";
pub(crate) const LOG_LEVEL: &str = "symbolon.dev/log-level";
pub(crate) const CPU_REQUEST: &str = "symbolon.dev/cpu-request";
pub(crate) const MEMORY_REQUEST: &str = "symbolon.dev/memory-request";
pub(crate) const MEMORY_LIMIT: &str = "symbolon.dev/memory-limit";
pub(crate) const IMAGE: &str = "symbolon.dev/image";

/// What an owner may set.
pub(crate) const INPUTS: [&str; 8] =
    [UPSTREAMS, CONTAINERS, SKIP_CONTAINERS, LOG_LEVEL, CPU_REQUEST, MEMORY_REQUEST, MEMORY_LIMIT, IMAGE];
/// What we set.
const OUTPUTS: [&str; 3] = [STATUS, CONFIG, CA];

/// The longest value that is read.
const MAX_VALUE: usize = 4096;

/// What a pod wants, with the settings where it says nothing.
#[derive(Debug)]
pub(crate) struct Wishes<'a> {
    /// In alphabetical order, as all renderers have them.
    pub(crate) upstreams: BTreeSet<UpstreamName>,
    pub(crate) told: Told<'a>,
    pub(crate) image: String,
    pub(crate) log_level: LogLevel,
    pub(crate) cpu_request: String,
    pub(crate) memory_request: String,
    pub(crate) memory_limit: String,
}

/// Which containers are told the addresses of the upstreams.
#[derive(Debug)]
pub(crate) enum Told<'a> {
    Only(BTreeSet<&'a str>),
    AllBut(BTreeSet<&'a str>),
}

impl<'a> Wishes<'a> {
    pub(crate) fn read(pod: &Pod<'a>, settings: &Settings) -> Result<Self, String> {
        only_known(pod)?;
        let template = &settings.template;
        let sidecar = &template.sidecar;
        let wishes = Self {
            upstreams: upstreams(pod, settings)?,
            told: told(pod)?,
            image: image(pod, settings)?,
            log_level: value(pod, LOG_LEVEL, level, "error, warn, info, debug or trace")?
                .unwrap_or(sidecar.log_level),
            cpu_request: value(pod, CPU_REQUEST, quantity::cpu, "an amount such as 5m or 1")?
                .unwrap_or_else(|| sidecar.cpu_request.clone()),
            memory_request: value(pod, MEMORY_REQUEST, quantity::memory, "an amount such as 16Mi")?
                .unwrap_or_else(|| sidecar.memory_request.clone()),
            memory_limit: value(pod, MEMORY_LIMIT, quantity::memory, "an amount such as 64Mi")?
                .unwrap_or_else(|| sidecar.memory_limit.clone()),
        };
        let [request, limit] =
            [&wishes.memory_request, &wishes.memory_limit].map(|text| quantity::memory_in_mebibytes(text));
        if request > limit {
            return Err(format!(
                "the sidecar would request more memory ({}) than it may use ({}): see `{MEMORY_LIMIT}`",
                wishes.memory_request, wishes.memory_limit
            ));
        }
        Ok(wishes)
    }
}

impl Told<'_> {
    pub(crate) fn holds(&self, container: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(container),
            Self::AllBut(names) => !names.contains(container),
        }
    }
}

/// A misspelt annotation would be a wish that is silently not granted.
fn only_known(pod: &Pod<'_>) -> Result<(), String> {
    for key in pod.annotations.into_iter().flat_map(|all| all.keys()) {
        let Some(name) = key.strip_prefix(DOMAIN) else { continue };
        if !INPUTS.contains(&key.as_str()) && !OUTPUTS.contains(&key.as_str()) {
            // `nearest` compares names of configuration keys, which have no hyphens.
            let known: Vec<String> = INPUTS.iter().map(|known| short(known).replace('-', "_")).collect();
            let near = near(name, known.iter().map(String::as_str));
            let hint = near.map(|near| format!(", did you mean `{DOMAIN}{}`?", near.replace('_', "-")));
            return Err(format!("unknown annotation {}{}", shown(key), hint.unwrap_or_default()));
        }
    }
    let long = INPUTS.iter().find(|key| pod.annotation(key).is_some_and(|value| value.len() > MAX_VALUE));
    match long {
        Some(key) => Err(format!("`{key}` is longer than {MAX_VALUE} bytes")),
        None => Ok(()),
    }
}

/// The nearest known name to one that a person may have meant; comparing megabytes would be a stranger's to ask for.
fn near<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    (name.len() <= 64).then(|| nearest(name, known)).flatten()
}

fn short(key: &str) -> &str {
    key.strip_prefix(DOMAIN).unwrap_or(key)
}

fn upstreams(pod: &Pod<'_>, settings: &Settings) -> Result<BTreeSet<UpstreamName>, String> {
    let known = &settings.template.upstreams;
    let Some(text) = pod.annotation(UPSTREAMS) else {
        let defaults = &settings.template.default_upstreams;
        if defaults.is_empty() {
            return Err(format!("say in `{UPSTREAMS}` which APIs it calls: there is no default here"));
        }
        return Ok(defaults.iter().cloned().collect());
    };
    let mut chosen = BTreeSet::new();
    for name in list(text) {
        let upstream = UpstreamName::parse(name).ok().filter(|name| known.contains_key(name));
        let Some(upstream) = upstream else {
            let near = near(name, known.keys().map(UpstreamName::as_str));
            let hint = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("`{UPSTREAMS}`: there is no upstream {}{hint}", shown(name)));
        };
        chosen.insert(upstream);
    }
    if chosen.is_empty() { Err(format!("`{UPSTREAMS}` names no upstream")) } else { Ok(chosen) }
}

fn told<'a>(pod: &Pod<'a>) -> Result<Told<'a>, String> {
    let names = |key: &str| -> Result<Option<BTreeSet<&'a str>>, String> {
        let Some(text) = pod.annotation(key) else { return Ok(None) };
        let names: BTreeSet<&str> = list(text).collect();
        let exists = |name: &str| pod.containers.iter().any(|container| container.named.name == name);
        match names.iter().find(|name| !exists(name)) {
            Some(stranger) => Err(format!("`{key}`: the pod has no container {}", shown(stranger))),
            None => Ok(Some(names)),
        }
    };
    match (names(CONTAINERS)?, names(SKIP_CONTAINERS)?) {
        (Some(_), Some(_)) => Err(format!("either `{CONTAINERS}` or `{SKIP_CONTAINERS}`, not both")),
        (Some(only), None) => Ok(Told::Only(only)),
        (None, but) => Ok(Told::AllBut(but.unwrap_or_default())),
    }
}

fn image(pod: &Pod<'_>, settings: &Settings) -> Result<String, String> {
    let sidecar = &settings.template.sidecar;
    match pod.annotation(IMAGE) {
        None => Ok(sidecar.image.clone()),
        Some(image) if image == sidecar.image || sidecar.images.iter().any(|other| other == image) => {
            Ok(image.to_owned())
        }
        Some(image) => {
            Err(format!("`{IMAGE}`: {} is not among the images that are allowed here", shown(image)))
        }
    }
}

fn value<T>(
    pod: &Pod<'_>,
    key: &str,
    read: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<Option<T>, String> {
    let Some(text) = pod.annotation(key) else { return Ok(None) };
    read(text).map(Some).ok_or_else(|| format!("`{key}` is {expected}, not {}", shown(text)))
}

fn level(text: &str) -> Option<LogLevel> {
    Some(match text {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "info" => LogLevel::Info,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => return None,
    })
}

/// The names of a list with `,` or `;` between them.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';']).map(|name| name.trim_matches(' ')).filter(|name| !name.is_empty())
}
