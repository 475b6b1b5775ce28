//! From configuration to attestors: what can be checked before anything listens, and the rest.
//! Not here: checking evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use symbolon_cel::Shape;
use symbolon_evidence::protected_file::{self, Rules};
use symbolon_identity::{Audience, ClientId, IssuerName, IssuerUrl, ProviderName, TrustDomain, WorkloadId};
use symbolon_issuers::{CustomKeys, IssuerSettings, Issuers, KeySource};
use symbolon_jws::JwkSet;
use symbolon_token::TokenType;

use super::clients::{ClientAttestor, LONGEST_ASSERTION, Registered};
use super::kubernetes::{Cluster, ClusterKeySet, Confirmer, KubernetesAttestor};
use super::mapping::{Mapping, Namespace};
use super::oidc::OidcAttestor;
use super::unix::{PeerReader, UnixAttestor};
use super::{Attestor, Attestors};
use crate::config::{
    ApiConfig, ClientConfig, ClusterKeys, Config, KubernetesConfig, Live, OidcConfig, OidcKeys,
    ProviderConfig, Replay,
};
use crate::findings::Findings;
use crate::pins::Pins;

/// The provider name of registered clients, and the first segment of their workloads.
const CLIENTS: &str = "clients";
const CLIENT_NAMESPACE: &str = "client/";
/// Evidence that lives longer would have to be remembered for longer, and a stolen one is good for as long.
const LONGEST_EVIDENCE: Duration = Duration::from_hours(24);

/// Checked configuration of all attestors; becomes [`Attestors`] once our own issuer URL is settled.
#[derive(Debug)]
pub(crate) struct Blueprint {
    domain: TrustDomain,
    unix: Vec<(ProviderName, Mapping)>,
    oidc: Vec<(ProviderName, OidcConfig, Mapping)>,
    kubernetes: Vec<(Arc<Cluster>, KubernetesConfig, Mapping)>,
    clients: BTreeMap<ClientId, Registered>,
}

/// What attestors need to know about ourselves.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// Our issuer URL: the audience of evidence.
    pub(crate) issuer: IssuerUrl,
    /// The URL of our token endpoint.
    pub(crate) token_endpoint: String,
}

/// Why attestors cannot be made of checked configuration: a mistake of ours, or a URL beyond all limits.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlueprintError {
    /// Our own URL is no audience.
    #[error("our own URL cannot be an audience")]
    Url(#[from] symbolon_identity::IdentityError),
    /// An issuer was not set up.
    #[error("the issuer of provider `{0}` was not set up")]
    Issuer(ProviderName),
}

impl Blueprint {
    /// Checks the sections `trust_providers` and `clients`.
    pub(crate) fn draw(config: &Config, findings: &mut Findings) -> Self {
        let mut blueprint = Self {
            domain: config.trust_domain.clone(),
            unix: Vec::new(),
            oidc: Vec::new(),
            kubernetes: Vec::new(),
            clients: BTreeMap::new(),
        };
        let mut names = BTreeSet::from([CLIENTS]);
        for (index, provider) in config.trust_providers.iter().enumerate() {
            let path = format!("trust_providers[{index}]");
            if !names.insert(provider.name.as_str()) {
                findings.add(format!("{path}.name"), format!("the name `{}` is taken", provider.name));
            }
            blueprint.add_provider(config, provider, &path, findings);
        }
        for (index, client) in config.clients.iter().enumerate() {
            blueprint.add_client(client, &format!("clients[{index}]"), findings);
        }
        blueprint.check_namespaces(config, findings);
        blueprint
    }

    fn add_provider(
        &mut self,
        config: &Config,
        provider: &ProviderConfig,
        path: &str,
        findings: &mut Findings,
    ) {
        let mut compile = |shape: Shape| {
            let compiled = Mapping::compile(&provider.workload, shape);
            compiled.map_err(|error| findings.add(format!("{path}.workload"), error)).ok()
        };
        let name = provider.name.clone();
        match (&provider.unix, &provider.oidc, &provider.kubernetes) {
            (Some(_), None, None) => {
                self.unix.extend(compile(super::unix::shape()).map(|mapping| (name, mapping)));
                if config.listen.socket.is_none() {
                    findings.add("listen", "a `unix` provider needs `listen.socket`");
                }
            }
            (None, Some(oidc), None) => {
                let mapping = compile(super::oidc::shape());
                self.check_oidc(config, oidc, path, findings);
                self.oidc.extend(mapping.map(|mapping| (name, oidc.clone(), mapping)));
            }
            (None, None, Some(cluster)) => {
                let mapping = compile(super::kubernetes::shape());
                self.check_kubernetes(config, cluster, path, findings);
                let api = Arc::new(Cluster::new(name, cluster.api.clone()));
                self.kubernetes.extend(mapping.map(|mapping| (api, cluster.clone(), mapping)));
            }
            _ => findings.add(path, "a trust provider has exactly one of `unix`, `oidc` and `kubernetes`"),
        }
    }

    fn check_oidc(&self, config: &Config, oidc: &OidcConfig, path: &str, findings: &mut Findings) {
        if oidc.issuer == config.issuer {
            findings.add(format!("{path}.oidc.issuer"), "our own tokens are no evidence");
        }
        let is_cluster = self.kubernetes.iter().any(|(_, other, _)| other.issuer == oidc.issuer);
        if is_cluster || self.oidc.iter().any(|(_, other, _)| other.issuer == oidc.issuer) {
            findings.add(format!("{path}.oidc.issuer"), "another provider has this issuer");
        }
        if oidc.issuer.is_plaintext() && !oidc.dev {
            findings.add(format!("{path}.oidc.issuer"), "plain http needs `dev: true`");
        }
        if let OidcKeys::JwksFile(file) = &oidc.keys
            && let Err(problem) = read(file)
        {
            findings.add(format!("{path}.oidc.keys.jwks_file"), problem);
        }
        let lifetime = oidc.max_lifetime.as_duration();
        if lifetime.is_zero() || lifetime > LONGEST_EVIDENCE {
            findings.add(
                format!("{path}.oidc.max_lifetime"),
                "evidence lives for up to 24 hours, and not for none",
            );
        }
        if oidc.allow_bearer_evidence && oidc.replay == Replay::OneShot {
            let problem = "one-shot evidence is consumed by its first presentation and needs no proof anyway";
            findings.add(format!("{path}.oidc.allow_bearer_evidence"), problem);
        }
        if oidc.algorithms.as_ref().is_some_and(Vec::is_empty) {
            findings.add(format!("{path}.oidc.algorithms"), "an empty list admits nothing; leave it out");
        }
    }

    fn check_kubernetes(
        &self,
        config: &Config,
        cluster: &KubernetesConfig,
        path: &str,
        findings: &mut Findings,
    ) {
        let path = format!("{path}.kubernetes");
        if cluster.issuer == config.issuer {
            findings.add(format!("{path}.issuer"), "our own tokens are no evidence");
        }
        if self.oidc.iter().any(|(_, other, _)| other.issuer == cluster.issuer) {
            findings.add(format!("{path}.issuer"), "another provider has this issuer");
        }
        if cluster.issuer.is_plaintext() {
            findings.add(format!("{path}.issuer"), "the issuer of a cluster is https");
        }
        if let ClusterKeys::JwksFile(file) = &cluster.keys
            && let Err(problem) = read(file)
        {
            findings.add(format!("{path}.keys.jwks_file"), problem);
        }
        let lifetime = cluster.max_lifetime.as_duration();
        if lifetime.is_zero() || lifetime > LONGEST_EVIDENCE {
            let problem = "evidence lives for up to 24 hours, and not for none";
            findings.add(format!("{path}.max_lifetime"), problem);
        }
        if cluster.algorithms.as_ref().is_some_and(Vec::is_empty) {
            findings.add(format!("{path}.algorithms"), "an empty list admits nothing; leave it out");
        }
        if cluster.sidecar_container.is_empty() {
            findings.add(format!("{path}.sidecar_container"), "it names a container");
        }
        let asks = cluster.live != Live::Off || matches!(cluster.keys, ClusterKeys::Api);
        if let (true, ApiConfig::At(at)) = (asks, &cluster.api) {
            if !at.server.starts_with("https://") {
                findings.add(format!("{path}.api.server"), "the URL of an API server begins with `https://`");
            }
            for (name, file) in [("ca_file", &at.ca_file), ("token_file", &at.token_file)] {
                if let Err(error) = std::fs::File::open(file) {
                    let problem = format!("cannot be read: {error}");
                    findings.add(format!("{path}.api.{name}"), problem);
                }
            }
        }
    }

    fn add_client(&mut self, client: &ClientConfig, path: &str, findings: &mut Findings) {
        let keys = match (&client.jwks_file, &client.jwks) {
            (Some(file), None) => read(file).and_then(|text| parse_keys(text.expose_secret().as_bytes())),
            (None, Some(keys)) => parse_keys(keys.to_string().as_bytes()),
            _ => Err("a client has exactly one of `jwks_file` and `jwks`".to_owned()),
        };
        let workload = WorkloadId::new(&self.domain, &format!("{CLIENT_NAMESPACE}{}", client.client_id));
        match (keys, workload) {
            (Ok(keys), Ok(workload)) => {
                let legacy_audience = client.legacy_audience;
                let max_lifetime = client.max_assertion_lifetime.as_duration();
                if max_lifetime.is_zero() || max_lifetime > LONGEST_ASSERTION {
                    let place = format!("{path}.max_assertion_lifetime");
                    findings.add(place, "assertions live for up to an hour, and not for none");
                }
                let registered = Registered { workload, keys, legacy_audience, max_lifetime };
                if self.clients.insert(client.client_id.clone(), registered).is_some() {
                    findings.add(format!("{path}.client_id"), "another client has this id");
                }
            }
            (Err(problem), _) => findings.add(path, problem),
            (_, Err(error)) => findings.add(format!("{path}.client_id"), error),
        }
    }

    /// Two providers must not be able to name one workload.
    fn check_namespaces(&self, config: &Config, findings: &mut Findings) {
        let mut taken: Vec<(ProviderName, Namespace)> = Vec::new();
        let mappings = self.unix.iter().map(|(name, mapping)| (name, mapping));
        let mappings = mappings.chain(self.oidc.iter().map(|(name, _, mapping)| (name, mapping)));
        let clusters = self.kubernetes.iter().map(|(cluster, _, mapping)| (cluster.name(), mapping));
        let mappings = mappings.chain(clusters);
        let clients = Namespace::literal(CLIENT_NAMESPACE);
        for (name, mapping) in mappings {
            let namespace = mapping.namespace().clone();
            let index = config.trust_providers.iter().position(|provider| provider.name == *name);
            let path = format!("trust_providers[{}].workload", index.unwrap_or_default());
            let begin = "let the expression begin with a text of its own, such as `\"ci/\" + …`";
            if !self.clients.is_empty() && clients.overlaps(&namespace) {
                findings.add(&path, format!("its paths could be those of registered clients; {begin}"));
            }
            if let Some((other, _)) = taken.iter().find(|(_, other)| other.overlaps(&namespace)) {
                findings.add(&path, format!("its paths could be those of provider `{other}`; {begin}"));
            }
            taken.push((name.clone(), namespace));
        }
    }

    /// The registered clients with the names of their workloads.
    pub(crate) fn clients(&self) -> BTreeMap<ClientId, WorkloadId> {
        self.clients.iter().map(|(id, client)| (id.clone(), client.workload.clone())).collect()
    }

    /// The issuers whose tokens are evidence here.
    pub(crate) fn issuer_settings(&self, ours: &Surroundings) -> Result<Vec<IssuerSettings>, BlueprintError> {
        let clusters =
            self.kubernetes.iter().map(|(cluster, config, _)| cluster_settings(cluster, config, ours));
        let others = self.oidc.iter().map(|(name, oidc, _)| {
            Ok(IssuerSettings {
                name: IssuerName::parse(name.as_str())?,
                issuer: oidc.issuer.clone(),
                audiences: BTreeSet::from([audience(oidc.audience.as_ref(), ours)?]),
                algorithms: oidc.algorithms.clone(),
                token_types: vec![TokenType::Jwt, TokenType::Absent],
                max_lifetime: oidc.max_lifetime.as_duration(),
                keys: oidc.keys.source(),
                dev: oidc.dev,
            })
        });
        others.chain(clusters).collect()
    }

    /// The attestors, over issuers that were made of [`Blueprint::issuer_settings`]; without pins all but those of
    /// clusters, to see whether they can be made.
    pub(crate) fn build(
        self,
        issuers: &Issuers,
        ours: &Surroundings,
        pins: Option<&Arc<Pins>>,
    ) -> Result<Attestors, BlueprintError> {
        let Self { domain, unix, oidc, kubernetes, clients } = self;
        let reader = PeerReader::new();
        let mut all: Vec<Box<dyn Attestor>> = Vec::new();
        for (provider, mapping) in unix {
            let (domain, reader) = (domain.clone(), reader.clone());
            all.push(Box::new(UnixAttestor { provider, domain, mapping, reader }));
        }
        for (provider, oidc, mapping) in oidc {
            let issuer = issuers.get(&IssuerName::parse(provider.as_str())?).cloned();
            all.push(Box::new(OidcAttestor {
                issuer: issuer.ok_or_else(|| BlueprintError::Issuer(provider.clone()))?,
                audience: audience(oidc.audience.as_ref(), ours)?,
                replay: oidc.replay,
                allow_bearer: oidc.allow_bearer_evidence,
                domain: domain.clone(),
                provider,
                mapping,
            }));
        }
        let mut confirmers = Vec::new();
        for (pins, (cluster, config, mapping)) in pins.into_iter().cycle().zip(kubernetes) {
            let provider = cluster.name().clone();
            let issuer = issuers.get(&IssuerName::parse(provider.as_str())?).cloned();
            let audience = audience(config.audience.as_ref(), ours)?;
            let confirmer = (config.live != Live::Off)
                .then(|| Arc::new(Confirmer::new(Arc::clone(&cluster), audience.clone())));
            confirmers.extend(confirmer.clone());
            all.push(Box::new(KubernetesAttestor {
                issuer: issuer.ok_or_else(|| BlueprintError::Issuer(provider.clone()))?,
                domain: domain.clone(),
                live: config.live,
                sidecar: config.sidecar_container,
                allow_bearer: config.allow_bearer_evidence,
                pins: Arc::clone(pins),
                provider,
                audience,
                mapping,
                confirmer,
            }));
        }
        let audiences = [Audience::parse(ours.issuer.as_str())?, Audience::parse(&ours.token_endpoint)?];
        all.push(Box::new(ClientAttestor { provider: ProviderName::parse(CLIENTS)?, clients, audiences }));
        Ok(Attestors { all, confirmers })
    }
}

/// The issuer of a cluster's tokens. Several may have the same URL; each has its own name and its own keys.
fn cluster_settings(
    cluster: &Arc<Cluster>,
    config: &KubernetesConfig,
    ours: &Surroundings,
) -> Result<IssuerSettings, BlueprintError> {
    let keys = match &config.keys {
        ClusterKeys::Api => KeySource::Custom(CustomKeys(Arc::new(ClusterKeySet(Arc::clone(cluster))))),
        ClusterKeys::Discovery => KeySource::Discovery,
        ClusterKeys::JwksUri(url) => KeySource::JwksUri(url.clone()),
        ClusterKeys::JwksFile(path) => KeySource::JwksFile(path.clone()),
        ClusterKeys::Jwks(keys) => KeySource::Inline(keys.to_string()),
    };
    Ok(IssuerSettings {
        name: IssuerName::parse(cluster.name().as_str())?,
        issuer: config.issuer.clone(),
        audiences: BTreeSet::from([audience(config.audience.as_ref(), ours)?]),
        algorithms: config.algorithms.clone(),
        token_types: vec![TokenType::Jwt, TokenType::Absent],
        max_lifetime: config.max_lifetime.as_duration(),
        keys,
        dev: false,
    })
}

fn audience(configured: Option<&Audience>, ours: &Surroundings) -> Result<Audience, BlueprintError> {
    Ok(configured.cloned().map_or_else(|| Audience::parse(ours.issuer.as_str()), Ok)?)
}

/// Reads a key set that nobody but root and we ourselves could have written: it decides whom we believe.
fn read(path: &Path) -> Result<SecretString, String> {
    let contents = protected_file::read(path, Rules::integrity(JwkSet::MAX_BYTES));
    contents.map(|contents| contents.text).map_err(|error| crate::error_chain(&error))
}

fn parse_keys(text: &[u8]) -> Result<JwkSet, String> {
    let keys = JwkSet::parse(text).map_err(|error| error.to_string())?;
    match keys.skipped().first() {
        Some(skipped) => Err(format!("a key of the set is not usable: {}", skipped.reason)),
        None if keys.keys().is_empty() => Err("the key set is empty".to_owned()),
        None => Ok(keys),
    }
}
