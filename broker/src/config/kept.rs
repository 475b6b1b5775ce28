//! The section `kept`: what the broker keeps in objects of the cluster that it runs in.
//! Not here: keeping it (`kept`).

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_kept::ApiConfig;

/// Objects of the cluster in which the broker keeps what it has to have before it can serve. They exist, empty at first;
/// the broker may get and update these two by their names, and needs no more.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeptConfig {
    /// The namespace of the objects.
    pub namespace: String,
    /// The Secret. Without `store.sealing_key` and `store.sealing_passphrase` its key `sealing-key` seals the signing keys:
    /// made once, when nothing is sealed yet, and never replaced. Keep a copy of it.
    pub secret: String,
    /// A certificate of the public listener from an authority of our own, instead of `listen.tls`.
    #[serde(default)]
    pub certificate: Option<KeptCertificateConfig>,
    /// The API server.
    #[serde(default)]
    pub api: ApiConfig,
}

/// A certificate from an authority of our own, which rests in the Secret.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeptCertificateConfig {
    /// The DNS names and addresses of the certificate.
    pub names: Vec<String>,
    /// The `ConfigMap` whose `ca.crt` says who vouches for the certificate: for gateways and the injector.
    pub config_map: String,
    /// How long an authority is valid. The next one is made after two thirds of it.
    #[serde(default = "ten_years")]
    pub authority_lifetime: HumanDuration,
    /// How long a new authority is told before it signs: pods that are older than that do not know it, and lose the broker.
    #[serde(default = "a_year")]
    pub settle: HumanDuration,
    /// How long a certificate is valid. The next one is made after two thirds of it.
    #[serde(default = "a_month")]
    pub certificate_lifetime: HumanDuration,
    /// How often the objects are looked at.
    #[serde(default = "a_minute")]
    pub interval: HumanDuration,
}

fn ten_years() -> HumanDuration {
    HumanDuration::from_secs(3650 * 86_400)
}

fn a_year() -> HumanDuration {
    HumanDuration::from_secs(365 * 86_400)
}

fn a_month() -> HumanDuration {
    HumanDuration::from_secs(30 * 86_400)
}

fn a_minute() -> HumanDuration {
    HumanDuration::from_secs(60)
}
