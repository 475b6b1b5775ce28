//! What a `verify` stage wants, made at load.
//! Not here: comparing a token with it (`verify.rs`).

use http::HeaderValue;
use symbolon_identity::{Audience, IssuerName, IssuerUrl, Scopes, TrustDomain};

use crate::challenge::Challenge;
use crate::config::{Binding, Findings, IssuerConfig, Origin, VerifyConfig};
use crate::metadata::{self, Described};
use crate::plan::StagePlace;
use crate::routes::Place;

/// What a token has to be.
#[derive(Debug)]
pub struct VerifyRule {
    /// What its `aud` must hold.
    pub resource: Audience,
    /// The same as a header for the upstream.
    pub audience_header: HeaderValue,
    /// The issuers it may come from.
    pub issuers: Vec<TrustedIssuer>,
    /// The scopes it must have.
    pub scopes: Scopes,
    /// How a caller without a good token is told what to bring.
    pub challenge: Challenge,
    /// The protected resource metadata (RFC 9728).
    pub metadata: bytes::Bytes,
}

/// An issuer that a route trusts.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    /// Its configured name.
    pub name: IssuerName,
    /// The exact `iss` of its tokens.
    pub url: IssuerUrl,
    /// The most that it is trusted for.
    pub audiences: Vec<Audience>,
    /// Whether its tokens must be bound.
    pub binding: Binding,
    /// The trust domain that it speaks for.
    pub trust_domain: Option<TrustDomain>,
}

impl VerifyRule {
    /// The rule of a stage as it is written.
    pub(crate) fn plan(
        verify: &VerifyConfig,
        place: &StagePlace<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let issuers = trusted(verify, place, findings);
        let Some(resource) = &place.route.resource else {
            findings.add(place.route_path, "`verify` needs `resource`: what the token's `aud` must hold");
            return None;
        };
        let resource_path = format!("{}.resource", place.route_path);
        for issuer in &issuers {
            if !issuer.audiences.contains(resource) {
                let message =
                    format!("`{resource}` is not among the `audiences` of issuer `{}`", issuer.name);
                findings.add(&resource_path, message);
            }
        }
        if place.config.origins.is_empty() {
            findings.add(
                "origins",
                "proofs are compared with `origins`: name at least one, such as `https://api.example.com`",
            );
        }
        let scopes: Scopes = verify.scopes.iter().cloned().collect();
        let accepts_bearer = issuers.iter().any(|issuer| issuer.binding == Binding::WhenBound);
        let url = place.matched.and_then(|matched| {
            Some(metadata::url(origin(&place.config.origins, matched)?, &matched.pattern))
        });
        let audience_header = findings.keep(&resource_path, HeaderValue::try_from(resource.as_str()))?;
        let described =
            Described { resource, issuers: &issuers, scopes: &scopes, bound_only: !accepts_bearer };
        let algorithms = metadata::proof_algorithms().join(" ");
        Some(Self {
            audience_header,
            issuers: issuers.iter().map(|issuer| issuer.trusted()).collect(),
            challenge: Challenge::new(&algorithms, accepts_bearer, &scopes, url.as_deref()),
            metadata: metadata::document(&described),
            resource: Audience::clone(resource),
            scopes,
        })
    }
}

fn trusted<'a>(
    verify: &VerifyConfig,
    place: &StagePlace<'a>,
    findings: &mut Findings,
) -> Vec<&'a IssuerConfig> {
    let path = format!("{}.verify.issuers", place.path);
    if verify.issuers.is_empty() {
        findings.add(&path, "a route without issuers admits nobody; name at least one");
    }
    let mut trusted = Vec::new();
    for (index, name) in verify.issuers.iter().enumerate() {
        match place.config.issuers.iter().find(|issuer| issuer.name == *name) {
            Some(issuer) => trusted.push(issuer),
            None => findings.add(format!("{path}[{index}]"), unknown(name, &place.config.issuers)),
        }
    }
    trusted
}

fn unknown(name: &IssuerName, issuers: &[IssuerConfig]) -> String {
    let known = issuers.iter().map(|issuer| issuer.name.as_str());
    match symbolon_config::nearest(name.as_str(), known) {
        Some(nearest) => format!("there is no issuer `{name}`, did you mean `{nearest}`?"),
        None => format!("there is no issuer `{name}`"),
    }
}

/// What clients call a route: the origin of one of its hosts, else the first.
fn origin<'a>(origins: &'a [Origin], matched: &Place) -> Option<&'a Origin> {
    let hosts = matched.hosts.as_deref().unwrap_or_default();
    let own = origins.iter().find(|origin| hosts.iter().any(|host| host == origin.host()));
    own.or_else(|| origins.first())
}
