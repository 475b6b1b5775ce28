//! The API server, as far as we talk to it: three verbs on objects whose paths we know.
//! Not a client of Kubernetes: there is no discovery, no watch and no type.

use std::path::PathBuf;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use symbolon_http::client::{AddressPolicy, ClientError, ClientSetupError, Fetched, GuardedClient};
use url::Url;

/// A webhook configuration or a Secret is a few KiB; the kubelet and others write to neither.
const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// How the API server is reached. The defaults are right inside a pod.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Its URL.
    #[schemars(with = "String")]
    pub server: Url,
    /// The only certificate authorities (PEM) that may vouch for it.
    pub ca_file: PathBuf,
    /// Our bearer token, read again for each request.
    pub token_file: PathBuf,
}

impl Default for ApiConfig {
    fn default() -> Self {
        let account = PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount");
        Self { server: in_cluster(), ca_file: account.join("ca.crt"), token_file: account.join("token") }
    }
}

#[expect(clippy::expect_used, reason = "the text is a constant, and a test reads it")]
fn in_cluster() -> Url {
    Url::parse("https://kubernetes.default.svc").expect("a URL")
}

/// The API server and our account there.
#[derive(Clone, Debug)]
pub struct ApiServer {
    config: ApiConfig,
}

/// Why the API server did not do what we asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Our token cannot be read.
    #[error("cannot read the token `{}`", path.display())]
    Token {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The token is not one line.
    #[error("`{}` does not hold a token", path.display())]
    NoToken {
        /// Where it should be.
        path: PathBuf,
    },
    /// The certificates of the API server cannot be used.
    #[error(transparent)]
    Setup(#[from] ClientSetupError),
    /// The path does not fit the server's URL.
    #[error("`{path}` cannot be asked for")]
    Path {
        /// The path.
        path: String,
    },
    /// It does not answer.
    #[error("the API server does not answer")]
    Away(#[from] ClientError),
    /// It answered, and did not do it.
    #[error("the API server answers {status} to `{path}`: {message}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// What was asked.
        path: String,
        /// What it says.
        message: String,
    },
    /// It answered with something else than an object.
    #[error("the API server's answer to `{path}` is not an object")]
    NotAnObject {
        /// What was asked.
        path: String,
    },
}

impl ApiError {
    /// Whether somebody else was faster, and what we know is out of date. A failed `test` of a patch is a 422.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409 | 422, .. })
    }
}

impl ApiServer {
    /// The one of this configuration. Nothing is asked yet.
    #[must_use]
    pub const fn new(config: ApiConfig) -> Self {
        Self { config }
    }

    /// An object.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        let (client, url, headers) = self.request(path, None)?;
        understood(path, &client.get(&url, headers).await?)
    }

    /// Replaces an object; only if it is still of the version that `object` names.
    ///
    /// # Errors
    /// [`ApiError`]; a conflict if it is not.
    pub async fn put(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        let (client, url, headers) = self.request(path, Some("application/json"))?;
        understood(path, &client.put(&url, object.to_string().into_bytes(), headers).await?)
    }

    /// Changes an object by operations of a JSON patch (RFC 6902), if it is still of this version.
    ///
    /// # Errors
    /// [`ApiError`]; a conflict if it is not.
    pub async fn patch(&self, path: &str, version: &str, operations: &[Value]) -> Result<Value, ApiError> {
        let (client, url, headers) = self.request(path, Some("application/json-patch+json"))?;
        let test = json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version });
        let mut changes = vec![test];
        changes.extend(operations.iter().cloned());
        understood(path, &client.patch(&url, json!(changes).to_string().into_bytes(), headers).await?)
    }

    /// Token and authority are read each time: the kubelet renews both.
    fn request(
        &self,
        path: &str,
        kind: Option<&'static str>,
    ) -> Result<(GuardedClient, Url, HeaderMap), ApiError> {
        let url = self.config.server.join(path).map_err(|_| ApiError::Path { path: path.to_owned() })?;
        let mut builder = GuardedClient::builder()
            .addresses(AddressPolicy::public().allow_private().allow_loopback())
            .max_body(MAX_ANSWER)
            .timeout(Duration::from_secs(10));
        if url.scheme() == "https" {
            builder = builder.ca_file(&self.config.ca_file);
        }
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.bearer()?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        Ok((builder.build()?, url, headers))
    }

    fn bearer(&self) -> Result<HeaderValue, ApiError> {
        let path = || self.config.token_file.clone();
        let token = std::fs::read_to_string(&self.config.token_file)
            .map_err(|source| ApiError::Token { path: path(), source })?;
        let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        let mut value = value.map_err(|_| ApiError::NoToken { path: path() })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn understood(path: &str, answer: &Fetched) -> Result<Value, ApiError> {
    let object: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if !answer.status.is_success() {
        let message = object.as_ref().and_then(|status| status.get("message")).and_then(Value::as_str);
        let message = message.unwrap_or("no message").chars().take(256).collect();
        return Err(ApiError::Refused { status: answer.status.as_u16(), path: path.to_owned(), message });
    }
    object.filter(Value::is_object).ok_or_else(|| ApiError::NotAnObject { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_a_pod_nothing_needs_to_be_said() {
        assert_eq!(ApiConfig::default().server.as_str(), "https://kubernetes.default.svc/");
    }
}
