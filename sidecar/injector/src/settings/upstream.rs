//! An upstream, checked: its target is one origin, and its port and variable are its own.
//! The sidecar checks the same again; a pod that cannot start is found here first.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use symbolon_config::{ConfigError, Loaded};
use symbolon_identity::UpstreamName;

use super::folder::Written;
use crate::config::{AppAuthorization, Config, UpstreamConfig};

/// An API that pods may call through their sidecar.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Upstream {
    pub(crate) port: u16,
    /// The variable that tells an app where to call it, `SYMBOLON_<NAME>_URL`.
    pub(crate) variable: String,
    /// Its entry in the sidecar's configuration, one JSON object.
    pub(crate) entry: String,
}

/// Checks all upstreams, each alone and against the others.
pub(super) fn check(
    loaded: &Loaded<Config>,
    written: &BTreeMap<UpstreamName, Written>,
    errors: &mut Vec<ConfigError>,
) -> BTreeMap<UpstreamName, Upstream> {
    let mut checked: BTreeMap<UpstreamName, Upstream> = BTreeMap::new();
    for (name, Written { config, at }) in written {
        let mut complain = |message: String| {
            errors.push(loaded.contradiction(at, format!("`{}`: {message}", name.as_str())));
        };
        if let Err(problem) = target(config) {
            complain(problem.to_owned());
        }
        if config.private_ca && (loaded.value.broker.ca_file.is_none() || config.target.scheme() != "https") {
            complain("`private_ca` needs `broker.ca_file` and a target with `https`".to_owned());
        }
        if config.port < 1024 || config.port == loaded.value.sidecar.health.port() {
            complain(format!("port {} is not free for it: from 1024, and not the health port", config.port));
        }
        let upstream = Upstream { port: config.port, variable: variable(name), entry: entry(name, config) };
        for (other, taken) in &checked {
            if taken.port == upstream.port || taken.variable == upstream.variable {
                complain(format!("port {} or {} is `{}`'s", config.port, upstream.variable, other.as_str()));
            }
        }
        checked.insert(name.clone(), upstream);
    }
    checked
}

fn target(config: &UpstreamConfig) -> Result<(), &'static str> {
    let url = &config.target;
    match url.scheme() {
        "https" => {}
        "http" if config.allow_plaintext => {}
        "http" => {
            return Err("the token could be read on the way: use `https`, or say `allow_plaintext: true`");
        }
        _ => return Err("the target's scheme is `https` or `http`"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("no user and no password in the target");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("the target is scheme, host and port only");
    }
    Ok(())
}

fn variable(name: &UpstreamName) -> String {
    let upper = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    format!("SYMBOLON_{}_URL", name.as_str().chars().map(upper).collect::<String>())
}

/// The entry of `upstreams` in the sidecar's configuration, without what is its default.
fn entry(name: &UpstreamName, config: &UpstreamConfig) -> String {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| {
        entry.insert(key.to_owned(), value);
    };
    put("name", json!(name));
    put("listen", json!({ "tcp": format!("127.0.0.1:{}", config.port), "allow_any_local_process": true }));
    put("target", json!(config.target.origin().ascii_serialization()));
    put("resource", json!(config.resource));
    if !config.scope.is_empty() {
        put("scope", json!(config.scope));
    }
    if config.private_ca {
        put("ca_file", json!(crate::inject::CA_FILE));
    }
    for (key, set) in [
        ("http2", config.http2),
        ("allow_plaintext", config.allow_plaintext),
        ("allow_bearer", config.allow_bearer),
        ("required", config.required),
    ] {
        if set {
            put(key, json!(true));
        }
    }
    if config.app_authorization != AppAuthorization::default() {
        put("app_authorization", json!(config.app_authorization));
    }
    if let Some(timeout) = config.timeout {
        put("timeout", json!(timeout));
    }
    Value::Object(entry).to_string()
}
