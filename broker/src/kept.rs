//! What the broker keeps in a Secret and a `ConfigMap` of its cluster: the key that seals its signing keys, made once, and
//! the authority of its certificate. Not here: sealing (`keys`), TLS (`symbolon-http`), the objects' client (`symbolon-kept`).

mod certificate;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use symbolon_config::Secret;
use symbolon_http::tls::TlsError;
use symbolon_jws::random_bytes;
use symbolon_kept::{ApiError, ApiServer, IssueError};
use zeroize::Zeroizing;

use crate::config::KeptConfig;
use crate::keys::{Seal, SealError};

pub(crate) use certificate::Certificate;

/// The key of the Secret's data that holds the sealing key.
const SEALING_KEY: &str = "sealing-key";
/// How often in a row somebody else may be faster.
const ATTEMPTS: usize = 5;

/// The two objects.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    config: KeptConfig,
    api: ApiServer,
}

/// Why what is kept cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptError {
    /// The API server does not do what it was asked.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The sealing key is gone, and what it sealed is not.
    #[error(
        "the store has signing keys that were sealed, and the Secret `{0}` has no `sealing-key` any more: put it back from your copy. \
         Without it, start with an empty store; every token and key of before is then worth nothing"
    )]
    Lost(String),
    /// What is kept as the sealing key is none.
    #[error("`sealing-key` of the Secret `{secret}` is not one; it is not replaced")]
    NotAKey {
        /// The Secret.
        secret: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// It is not base64.
    #[error("`sealing-key` of the Secret `{0}` is not base64; it is not replaced")]
    NotBase64(String),
    /// There is no randomness.
    #[error("no key could be made")]
    Random,
    /// No certificate can be made: a name is none.
    #[error("no certificate can be made for the names in `kept.certificate.names`")]
    Issue(#[from] IssueError),
    /// It cannot be served.
    #[error("the certificate cannot be served")]
    Tls(#[from] TlsError),
    /// Somebody else changes the objects all the time.
    #[error("others changed the objects {ATTEMPTS} times in a row")]
    Busy,
}

impl Kept {
    pub(crate) fn new(config: KeptConfig) -> Self {
        let api = ApiServer::new(config.api.clone());
        Self { config, api }
    }

    /// The seal: the one that is kept, or a new one, which is kept before anything is sealed by it.
    ///
    /// # Errors
    /// [`KeptError`]. A key that is kept is never replaced, and none is made if something `is_sealed` already.
    pub(crate) async fn seal(&self, is_sealed: bool) -> Result<Seal, KeptError> {
        for _ in 0..ATTEMPTS {
            let mut secret = self.api.get(&self.secret_path()).await?;
            if let Some(text) = self.sealing_key(&secret)? {
                let wrong = |source| KeptError::NotAKey { secret: self.config.secret.clone(), source };
                return Seal::from_key(&text).map_err(wrong);
            }
            if is_sealed {
                return Err(KeptError::Lost(self.config.secret.clone()));
            }
            let text = new_key()?;
            put(&mut secret, SEALING_KEY, &STANDARD.encode(text.expose()));
            match self.api.put(&self.secret_path(), &secret).await {
                // What is there now counts, whoever was faster.
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    tracing::info!(
                        event.name = "sealing_key.made",
                        secret = self.config.secret,
                        "a sealing key was made; keep a copy of it"
                    );
                }
            }
        }
        Err(KeptError::Busy)
    }

    fn sealing_key(&self, secret: &Value) -> Result<Option<Secret>, KeptError> {
        let kept = secret.pointer("/data/sealing-key").and_then(Value::as_str).unwrap_or_default();
        if kept.is_empty() {
            return Ok(None);
        }
        let unreadable = || KeptError::NotBase64(self.config.secret.clone());
        let bytes = Zeroizing::new(STANDARD.decode(kept).map_err(|_| unreadable())?);
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| unreadable())?;
        Ok(Some(Secret::from(text)))
    }

    fn secret_path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets/{}", self.config.namespace, self.config.secret)
    }
}

/// 32 random bytes in hexadecimal, as an operator would write them.
fn new_key() -> Result<Secret, KeptError> {
    let bytes = Zeroizing::new(random_bytes::<32>().map_err(|_| KeptError::Random)?);
    Ok(Secret::from(bytes.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))))
}

/// Puts a value into the `data` of an object, which keeps its version and all else.
fn put(object: &mut Value, key: &str, value: &str) {
    if !object.get("data").is_some_and(Value::is_object) {
        object["data"] = json!({});
    }
    object["data"][key] = json!(value);
}
