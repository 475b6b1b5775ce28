//! What single values must be, beyond their types.
//! Upstreams are checked in `upstream.rs`, certificates in `certificates.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use symbolon_config::{ConfigError, Loaded};
use symbolon_identity::UpstreamName;

use super::Upstream;
use crate::config::{Config, TlsMode};

const DAY: Duration = Duration::from_hours(24);

/// Everything that needs no file.
pub(super) fn all(loaded: &Loaded<Config>) -> Vec<ConfigError> {
    let config = &loaded.value;
    let mut errors = Vec::new();
    let mut complain = |wrong: bool, path: &str, message: &str| {
        if wrong {
            errors.push(loaded.contradiction(path, message));
        }
    };
    let image = "an image name: letters, digits and `./:@_-`";
    complain(!is_image(&config.sidecar.image), "sidecar.image", image);
    for (index, other) in config.sidecar.images.iter().enumerate() {
        complain(!is_image(other), &format!("sidecar.images[{index}]"), image);
    }
    complain(config.sidecar.user == 0, "sidecar.user", "the sidecar does not run as root");
    let health = config.sidecar.health;
    let reachable = !health.ip().is_loopback() && health.port() >= 1024;
    complain(!reachable, "sidecar.health", "the kubelet has to reach it: not loopback, and a port from 1024");
    let expiration = config.evidence.expiration.as_duration();
    let in_bounds = (Duration::from_mins(10)..=Duration::from_hours(1)).contains(&expiration);
    complain(
        !in_bounds,
        "evidence.expiration",
        "between 10 minutes, the least that Kubernetes allows, and 1 hour",
    );
    let lost = config.broker.ca_file.is_some() && config.broker.url.is_plaintext();
    complain(lost, "broker.ca_file", "nothing speaks TLS with the broker here, so it would have no effect");
    complain(config.max_containers == 0, "max_containers", "no pod could be injected");
    let tls = &config.webhook.tls;
    let files = (tls.mode == TlsMode::Files) == tls.files.is_some();
    complain(!files, "webhook.tls.files", "it goes with `mode: files`, and only with it");
    if tls.mode == TlsMode::Own {
        own(loaded, &mut errors);
    }
    errors
}

/// The times of our own authority have to leave room for each other.
fn own(loaded: &Loaded<Config>, errors: &mut Vec<ConfigError>) {
    let own = &loaded.value.webhook.tls.own;
    let (authority, certificate) =
        (own.authority_lifetime.as_duration(), own.certificate_lifetime.as_duration());
    let at = |key: &str| format!("webhook.tls.self.{key}");
    for (key, name) in [
        ("namespace", &own.namespace),
        ("secret", &own.secret),
        ("webhook_configuration", &own.webhook_configuration),
        ("service", &own.service),
    ] {
        if !is_object_name(name) {
            errors.push(loaded.contradiction(&at(key), "a name of Kubernetes: `a-z`, `0-9`, `-` and `.`"));
        }
    }
    let mut complain = |wrong: bool, key: &str, message: &str| {
        if wrong {
            errors.push(loaded.contradiction(&at(key), message));
        }
    };
    complain(certificate > DAY * 30, "certificate_lifetime", "at most 30 days");
    complain(certificate < Duration::from_secs(3), "certificate_lifetime", "at least 3 seconds");
    complain(
        authority < certificate * 3,
        "authority_lifetime",
        "at least three times `certificate_lifetime`",
    );
    complain(own.interval.as_duration().is_zero(), "interval", "longer than nothing");
    // A third of the authority's life is left when the next one is made.
    let rolling = (own.settle.as_duration() + own.interval.as_duration() * 3).saturating_mul(3);
    complain(
        rolling > authority,
        "settle",
        "a new authority has to settle within a third of `authority_lifetime`",
    );
}

/// What pods get by default exists.
pub(super) fn defaults(
    loaded: &Loaded<Config>,
    upstreams: &BTreeMap<UpstreamName, Upstream>,
    errors: &mut Vec<ConfigError>,
) {
    for (index, name) in loaded.value.default_upstreams.iter().enumerate() {
        if !upstreams.contains_key(name) {
            let message = format!("there is no upstream `{}`", name.as_str());
            errors.push(loaded.contradiction(&format!("default_upstreams[{index}]"), message));
        }
    }
}

fn is_image(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./:@_-".contains(&byte);
    (1..=512).contains(&text.len()) && text.bytes().all(plain)
}

fn is_object_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(plain) && !text.contains("..")
}
