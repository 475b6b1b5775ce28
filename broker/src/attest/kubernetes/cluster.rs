//! One cluster's API server: what we ask it, with limits on time, size and number of questions.
//! Not here: what its answers mean (`review`, `mirror`, `pods`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::client::Body;
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use symbolon_identity::{Audience, ProviderName};
use symbolon_issuers::{FetchKeys, KeysFuture};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use super::claims::PodRef;
use crate::config::{ApiConfig, ApiServer};

/// So many questions are under way at one cluster.
const QUESTIONS: usize = 16;
/// So long may one wait for its turn, and then for its answer.
const TURN: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(4);
const CONNECT: Duration = Duration::from_secs(3);
/// A watch of a few seconds ends before this, so that only a dead connection is silent for longer.
const SILENCE: Duration = Duration::from_secs(12);
/// The largest answer about one object, and the largest page of a list.
const OBJECT_BYTES: usize = 2 << 20;
pub(super) const PAGE_BYTES: usize = 64 << 20;

/// The way to an API server. It is not connected before the first question.
pub(crate) struct Cluster {
    name: ProviderName,
    api: ApiConfig,
    client: OnceCell<Client>,
    turns: Semaphore,
}

/// Why a cluster did not answer a question.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// There is no way to it: files or addresses that cannot be used.
    #[error("the API server cannot be asked: {0}")]
    Setup(String),
    /// Too many questions wait.
    #[error("too many questions wait for the API server")]
    Busy,
    /// It does not answer in time.
    #[error("the API server does not answer in time")]
    TimedOut,
    /// It does not answer.
    #[error("the API server does not answer: {0}")]
    Away(String),
    /// It answers with a status that is no answer.
    #[error("the API server answers with status {0}; check what our service account may do there")]
    Status(StatusCode),
    /// Its answer is larger than what we read, or was cut off.
    #[error("the answer of the API server is too large, or was cut off")]
    TooLarge,
    /// Its answer is none.
    #[error("the answer of the API server cannot be read: {0}")]
    Garbage(&'static str),
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name).field("api", &self.api).finish_non_exhaustive()
    }
}

impl Cluster {
    pub(crate) fn new(name: ProviderName, api: ApiConfig) -> Self {
        Self { name, api, client: OnceCell::new(), turns: Semaphore::new(QUESTIONS) }
    }

    /// The name of its provider.
    pub(crate) fn name(&self) -> &ProviderName {
        &self.name
    }

    /// Its key set, as JSON.
    pub(super) async fn keys(&self) -> Result<Vec<u8>, ClusterError> {
        match self.ask(get("/openid/v1/jwks")?, OBJECT_BYTES).await? {
            (StatusCode::OK, body) => Ok(body),
            (status, _) => Err(ClusterError::Status(status)),
        }
    }

    /// What it says about a token for this audience.
    pub(super) async fn review(&self, token: &str, audience: &Audience) -> Result<TokenReview, ClusterError> {
        let spec = TokenReviewSpec {
            token: Some(token.to_owned()),
            audiences: Some(vec![audience.as_str().to_owned()]),
        };
        let review = TokenReview { spec, ..TokenReview::default() };
        let body = serde_json::to_vec(&review).map_err(|_| ClusterError::Garbage("the question"))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri("/apis/authentication.k8s.io/v1/tokenreviews")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .map_err(|_| ClusterError::Garbage("the question"))?;
        match self.ask(request, OBJECT_BYTES).await? {
            (StatusCode::OK | StatusCode::CREATED, body) => parse(&body),
            (status, _) => Err(ClusterError::Status(status)),
        }
    }

    /// A pod by its name; none if there is none.
    pub(super) async fn pod(&self, pod: &PodRef) -> Result<Option<Pod>, ClusterError> {
        let path = format!("/api/v1/namespaces/{}/pods/{}", pod.namespace, pod.pod);
        match self.ask(get(&path)?, OBJECT_BYTES).await? {
            (StatusCode::OK, body) => parse(&body).map(Some),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, _) => Err(ClusterError::Status(status)),
        }
    }

    /// One page of a list.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<T, ClusterError> {
        match self.ask(request.map(Body::from), PAGE_BYTES).await? {
            (StatusCode::OK, body) => parse(&body),
            (status, _) => Err(ClusterError::Status(status)),
        }
    }

    /// The client, for watches.
    pub(super) async fn client(&self) -> Result<&Client, ClusterError> {
        self.client.get_or_try_init(|| async { connect(&self.api) }).await
    }

    async fn ask(&self, request: Request<Body>, limit: usize) -> Result<(StatusCode, Vec<u8>), ClusterError> {
        let client = self.client().await?;
        let turn = timeout(TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(ClusterError::Busy) };
        let answered = timeout(PATIENCE, async {
            let away = |error: kube::Error| ClusterError::Away(crate::error_chain(&error));
            let (head, body) = client.send(request).await.map_err(away)?.into_parts();
            let body = Limited::new(body, limit).collect().await;
            let body = body.map_err(|_| ClusterError::TooLarge)?;
            Ok((head.status, body.to_bytes().to_vec()))
        });
        answered.await.map_err(|_| ClusterError::TimedOut)?
    }
}

/// The key set of a cluster, by the word of its API server.
#[derive(Debug)]
pub(crate) struct ClusterKeySet(pub(crate) Arc<Cluster>);

impl FetchKeys for ClusterKeySet {
    fn place(&self) -> String {
        match &self.0.api {
            ApiConfig::InCluster => "in_cluster".to_owned(),
            ApiConfig::At(at) => at.server.clone(),
        }
    }

    fn fetch(&self) -> KeysFuture<'_> {
        Box::pin(async move { self.0.keys().await.map_err(|error| crate::error_chain(&error)) })
    }
}

fn get(path: &str) -> Result<Request<Body>, ClusterError> {
    Request::get(path).body(Body::empty()).map_err(|_| ClusterError::Garbage("the question"))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClusterError> {
    serde_json::from_slice(body).map_err(|_| ClusterError::Garbage("it is not the object that was asked for"))
}

fn connect(api: &ApiConfig) -> Result<Client, ClusterError> {
    let mut config = match api {
        ApiConfig::InCluster => Config::incluster().map_err(|error| setup(&error))?,
        ApiConfig::At(at) => elsewhere(at)?,
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.default_retry = false;
    Client::try_from(config).map_err(|error| setup(&error))
}

fn setup(error: &(dyn std::error::Error + 'static)) -> ClusterError {
    ClusterError::Setup(crate::error_chain(error))
}

fn elsewhere(at: &ApiServer) -> Result<Config, ClusterError> {
    let url = at.server.parse().map_err(|_| ClusterError::Setup("`server` is not a URL".to_owned()))?;
    let mut config = Config::new(url);
    config.root_cert_file = Some(at.ca_file.clone());
    config.auth_info.token_file = Some(at.token_file.display().to_string());
    Ok(config)
}
