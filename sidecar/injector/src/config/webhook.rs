//! The `webhook` section: where the API server finds us, and by which certificate it knows us.
//! Which pods it asks about is in the webhook configuration, an object of the cluster.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_kept::ApiConfig;

/// The admission webhook.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where it listens, always with TLS.
    pub listen: SocketAddr,
    /// Health and metrics, without TLS.
    pub admin: SocketAddr,
    /// Its certificate.
    pub tls: TlsConfig,
    /// The API server.
    pub api: ApiConfig,
}

/// Where the certificate comes from.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// `self`, or `files` that somebody else keeps fresh, such as cert-manager.
    pub mode: TlsMode,
    /// For `mode: self`.
    #[serde(rename = "self")]
    pub own: SelfConfig,
    /// For `mode: files`.
    pub files: Option<FilesConfig>,
}

/// Where the certificate comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// From an authority of our own, kept in a Secret, whose certificate we write in the webhook configuration.
    #[default]
    #[serde(rename = "self")]
    Own,
    /// From files, read again when they change. Who makes them also sees to the webhook configuration's `caBundle`.
    Files,
}

/// The authority of our own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SelfConfig {
    /// The namespace of the Secret and the Service.
    pub namespace: String,
    /// The Secret that keeps the authority. It exists, empty at first; we may get and update it.
    pub secret: String,
    /// The `MutatingWebhookConfiguration` whose `caBundle` is ours. It exists; we may get and patch it.
    pub webhook_configuration: String,
    /// The Service by which the API server reaches us; the certificate names `SERVICE.NAMESPACE.svc`.
    pub service: String,
    /// Further names or addresses for the certificate.
    pub names: Vec<String>,
    /// How long an authority is valid. The next one is made after two thirds of it.
    pub authority_lifetime: HumanDuration,
    /// How long a certificate is valid, at most 30 days. The next one is made after two thirds of it.
    pub certificate_lifetime: HumanDuration,
    /// How long a new authority has to stand in the `caBundle` before its certificate is shown: API servers take a
    /// moment to see it.
    pub settle: HumanDuration,
    /// How often Secret and webhook configuration are looked at.
    pub interval: HumanDuration,
}

/// A certificate in files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8743)),
            admin: SocketAddr::from(([127, 0, 0, 1], 8744)),
            tls: TlsConfig::default(),
            api: ApiConfig::default(),
        }
    }
}

impl Default for SelfConfig {
    fn default() -> Self {
        Self {
            namespace: "symbolon-system".to_owned(),
            secret: "symbolon-injector-tls".to_owned(),
            webhook_configuration: "symbolon-injector".to_owned(),
            service: "symbolon-injector".to_owned(),
            names: Vec::new(),
            authority_lifetime: HumanDuration::from_secs(365 * 86_400),
            certificate_lifetime: HumanDuration::from_secs(30 * 86_400),
            settle: HumanDuration::from_secs(60),
            interval: HumanDuration::from_secs(60),
        }
    }
}
