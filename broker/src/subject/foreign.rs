//! Subjects and actors of other issuers: verified by their own keys, named in their issuer's namespace.
//! Not here: our own tokens, and evidence (`attest`): a token that is exchanged authenticates nobody.

mod client;
mod opaque;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use symbolon_cel::{Bindings, Environment, EvalError, Program, Shape, Value, ValueError};
use symbolon_http::client::GuardedClient;
use symbolon_identity::{Audience, IssuerName, Timestamp, WorkloadId};
use symbolon_issuers::{Issuer, IssuerSettings, Issuers, SetupError};
use symbolon_token::{AudienceRule, Claims, Subject, TokenHash, TokenType};

use self::opaque::Asked;
use super::party::{VerifiedParty, addressed_to, lineage};
use crate::config::{Config, SubjectIssuerConfig};
use crate::findings::Findings;
use crate::grants::{PresentedToken, TokenKind};
use crate::keys::SigningRing;
use crate::metrics::IntrospectionMetrics;
use crate::refusal::{Party, Refusal};
use crate::resources::Resources;

/// Names that would let a subject pose as something else than `<name>:<sub>`.
const RESERVED: [&str; 5] = ["spiffe", "http", "https", "urn", "mailto"];
/// The longest subject of another issuer, with its namespace.
const LONGEST_SUBJECT: usize = 512;

/// The issuers whose tokens may be exchanged, checked; becomes [`ForeignIssuers`] once their keys are set up.
#[derive(Debug, Default)]
pub(crate) struct ForeignPlan {
    all: Vec<(SubjectIssuerConfig, Rules)>,
}

/// The issuers whose tokens may be exchanged.
#[derive(Debug, Default)]
pub(crate) struct ForeignIssuers {
    all: BTreeMap<String, Foreign>,
}

#[derive(Debug)]
struct Foreign {
    issuer: Arc<Issuer>,
    rules: Rules,
    /// Audiences that mean us.
    ourselves: Vec<Audience>,
    /// The same and those of our resources.
    audiences: Vec<Audience>,
    /// How it is asked about its tokens, if it is.
    asked: Option<Asked>,
}

/// What foreign issuers are set up with.
#[derive(Debug)]
pub(crate) struct ForeignSurroundings<'a> {
    /// Their keys.
    pub(crate) issuers: &'a Issuers,
    /// Our issuer as an audience.
    pub(crate) ourselves: &'a Audience,
    /// Our resources.
    pub(crate) resources: &'a Resources,
    /// What asks them.
    pub(crate) outbound: &'a GuardedClient,
    /// The keys that we sign with when we ask.
    pub(crate) keys: &'a Arc<SigningRing>,
    /// What counts the questions.
    pub(crate) metrics: &'a IntrospectionMetrics,
}

/// What one issuer's tokens have to meet, and what they say.
#[derive(Debug, Clone)]
struct Rules {
    name: IssuerName,
    access_token_type: TokenType,
    id_tokens: bool,
    condition: Option<Program>,
    claims: Vec<(String, Program)>,
}

/// Why the claims of another issuer's token do not make a subject.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubjectError {
    /// The condition does not hold.
    #[error("the `condition` does not hold")]
    Condition,
    /// An expression has no result.
    #[error("the expression `{0}` has no result")]
    Expression(String, #[source] EvalError),
    /// The claims cannot be handed to an expression.
    #[error("the claims cannot be read by an expression")]
    Claims(#[from] ValueError),
    /// The subject has no place in our tokens.
    #[error("the subject is longer than {LONGEST_SUBJECT} bytes or not printable ASCII")]
    Subject,
}

impl ForeignPlan {
    /// Checks the section.
    pub(crate) fn draw(config: &Config, findings: &mut Findings) -> Self {
        opaque::check(config, findings);
        let (mut plan, mut names, mut urls) = (Self::default(), BTreeSet::new(), BTreeSet::new());
        for (index, issuer) in config.subject_issuers.iter().enumerate() {
            let path = format!("subject_issuers[{index}]");
            if !names.insert(&issuer.name) || RESERVED.contains(&issuer.name.as_str()) {
                findings.add(format!("{path}.name"), format!("the name `{}` is taken", issuer.name));
            }
            if !urls.insert(&issuer.issuer) || issuer.issuer == config.issuer {
                findings.add(format!("{path}.issuer"), "this issuer is known already");
            }
            if issuer.issuer.is_plaintext() && !issuer.dev {
                findings.add(format!("{path}.issuer"), "plain http needs `dev: true`");
            }
            if !matches!(issuer.access_token_type.0, TokenType::AccessToken | TokenType::Jwt) {
                findings.add(format!("{path}.access_token_type"), "an access token is `at+jwt` or `JWT`");
            }
            plan.all.push((issuer.clone(), Rules::compile(issuer, &path, findings)));
        }
        plan
    }

    /// What has to be known of each issuer to fetch its keys.
    pub(crate) fn settings(&self, ourselves: &Audience, resources: &Resources) -> Vec<IssuerSettings> {
        self.all.iter().map(|(config, _)| settings(config, ourselves, resources)).collect()
    }

    /// Puts the plan to work.
    ///
    /// # Errors
    /// [`SetupError`] if an issuer cannot be asked.
    pub(crate) fn build(self, around: &ForeignSurroundings<'_>) -> Result<ForeignIssuers, SetupError> {
        let mut all = BTreeMap::new();
        for (config, rules) in self.all {
            let Some(issuer) = around.issuers.get(&config.name) else { continue };
            let asked = Asked::build(&config, around)?;
            let (ourselves, audiences) = audiences(&config, around.ourselves, around.resources);
            let foreign = Foreign { issuer: Arc::clone(issuer), rules, ourselves, audiences, asked };
            all.insert(config.issuer.as_str().to_owned(), foreign);
        }
        Ok(ForeignIssuers { all })
    }
}

fn settings(config: &SubjectIssuerConfig, ourselves: &Audience, resources: &Resources) -> IssuerSettings {
    let (_, audiences) = audiences(config, ourselves, resources);
    let mut token_types = vec![config.access_token_type.0];
    if config.id_tokens {
        token_types.extend([TokenType::Jwt, TokenType::Absent]);
    }
    IssuerSettings {
        name: config.name.clone(),
        issuer: config.issuer.clone(),
        audiences: audiences.into_iter().collect(),
        algorithms: config.algorithms.clone(),
        token_types,
        max_lifetime: config.max_lifetime.as_duration(),
        keys: config.keys.source(),
        dev: config.dev,
    }
}

/// The audiences of an issuer's tokens that mean us, and all that it may be asked for.
fn audiences(
    config: &SubjectIssuerConfig,
    ourselves: &Audience,
    resources: &Resources,
) -> (Vec<Audience>, Vec<Audience>) {
    let ours: Vec<Audience> = if config.audiences.is_empty() {
        vec![ourselves.clone()]
    } else {
        config.audiences.iter().cloned().collect()
    };
    let all = ours.iter().chain(resources.audiences()).cloned().collect();
    (ours, all)
}

impl Rules {
    fn compile(config: &SubjectIssuerConfig, path: &str, findings: &mut Findings) -> Self {
        let environment = Environment::builder()
            .declare("subject", Shape::String)
            .declare("claims", Shape::map(Shape::Dynamic))
            .whole_matches()
            .build();
        let condition = config.condition.as_ref().and_then(|source| {
            let compiled = environment.compile_bool(source);
            compiled.map_err(|error| findings.add(format!("{path}.condition"), error)).ok()
        });
        let mut claims = Vec::new();
        for (name, source) in &config.claims {
            match environment.compile_string(source) {
                Ok(program) => claims.push((name.clone(), program)),
                Err(error) => findings.add(format!("{path}.claims.{name}"), error),
            }
        }
        Self {
            name: config.name.clone(),
            access_token_type: config.access_token_type.0,
            id_tokens: config.id_tokens,
            condition,
            claims,
        }
    }

    /// Whether the token is what the caller says it is: an ID token is no access token, whoever presents it.
    fn is_kind(&self, claimed: TokenKind, found: TokenType) -> bool {
        match claimed {
            TokenKind::AccessToken => found == self.access_token_type,
            TokenKind::IdToken => self.id_tokens && matches!(found, TokenType::Jwt | TokenType::Absent),
            TokenKind::Jwt => found == self.access_token_type || self.id_tokens,
        }
    }

    /// The claims as policies see them; a condition that does not hold, or has no result, refuses.
    fn map(&self, claims: &Claims) -> Result<BTreeMap<String, String>, SubjectError> {
        if self.condition.is_none() && self.claims.is_empty() {
            return Ok(BTreeMap::new());
        }
        let own = claims.extra.iter().map(|(name, value)| Ok((name.as_str(), Value::from_json(value)?)));
        let own = Value::map(own.collect::<Result<Vec<_>, ValueError>>()?)?;
        let bindings = Bindings::new().with("subject", claims.subject.as_str()).with("claims", own);
        if let Some(condition) = &self.condition {
            let holds = condition.eval_bool(&bindings);
            if !holds.map_err(|error| SubjectError::Expression("condition".to_owned(), error))? {
                return Err(SubjectError::Condition);
            }
        }
        let tag = |(name, program): &(String, Program)| {
            let text = program.eval_string(&bindings);
            Ok((name.clone(), text.map_err(|error| SubjectError::Expression(name.clone(), error))?))
        };
        self.claims.iter().map(tag).collect()
    }

    /// The subject in its issuer's namespace.
    fn subject(&self, claims: &Claims) -> Result<Subject, SubjectError> {
        let id = format!("{}:{}", self.name, claims.subject);
        let plain = id.len() <= LONGEST_SUBJECT && id.bytes().all(|byte| byte.is_ascii_graphic());
        plain.then(|| Subject::parse(&id).ok()).flatten().ok_or(SubjectError::Subject)
    }
}

impl ForeignIssuers {
    /// Verifies a token by the issuer that it names.
    ///
    /// # Errors
    /// [`Refusal`] if no issuer has its `iss`, or it is refused by that issuer's keys and rules.
    pub(super) async fn verify(
        &self,
        (party, caller): (Party, &WorkloadId),
        presented: &PresentedToken,
        resources: &Resources,
        now: Timestamp,
    ) -> Result<VerifiedParty, Refusal> {
        let refused =
            |source: symbolon_issuers::IssuerError| Refusal::Presented { party, source: source.into() };
        let named = presented.token.issuer_hint().and_then(|url| self.all.get(url));
        let foreign = named.ok_or_else(|| refused(symbolon_issuers::IssuerError::UnknownIssuer))?;
        let rule = AudienceRule::ContainsAny(&foreign.audiences);
        let token = foreign.issuer.verify(&presented.token, rule, now).await.map_err(refused)?;
        if !foreign.rules.is_kind(presented.claimed, token.token_type()) {
            return Err(Refusal::PresentedKind { party });
        }
        // An ID token is nothing that its issuer could be asked about, and an actor of its is refused whatever it says.
        let is_asked_about = party == Party::Subject && token.token_type() == foreign.rules.access_token_type;
        if let Some(asked) = foreign.asked.as_ref().filter(|asked| asked.jwts && is_asked_about) {
            asked.confirm((party, caller), (&presented.text, &token), now).await?;
        }
        foreign.party(
            party,
            (token.claims(), token.content_hash().unwrap_or_else(|| token.hash())),
            resources,
        )
    }
}

impl Foreign {
    fn party(
        &self,
        party: Party,
        (claims, hash): (&Claims, TokenHash),
        resources: &Resources,
    ) -> Result<VerifiedParty, Refusal> {
        let mapped = |source| Refusal::PresentedMapping { party, source };
        Ok(VerifiedParty {
            party,
            id: self.rules.subject(claims).map_err(mapped)?,
            issuer: Some(claims.issuer.clone()),
            tags: self.rules.map(claims).map_err(mapped)?,
            lineage: lineage(claims, hash, Some(self.rules.name.as_str()))?,
            addressed_to: addressed_to(&claims.audiences, &self.ourselves, resources),
            claims: claims.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(access_token_type: TokenType, id_tokens: bool) -> Rules {
        let name = "idp".parse().unwrap();
        Rules { name, access_token_type, id_tokens, condition: None, claims: Vec::new() }
    }

    #[test]
    fn x8_an_id_token_is_no_access_token() {
        let rules = rules(TokenType::AccessToken, true);
        assert!(rules.is_kind(TokenKind::AccessToken, TokenType::AccessToken));
        assert!(rules.is_kind(TokenKind::IdToken, TokenType::Jwt));
        assert!(!rules.is_kind(TokenKind::AccessToken, TokenType::Jwt));
        assert!(!rules.is_kind(TokenKind::IdToken, TokenType::AccessToken));
    }

    #[test]
    fn id_tokens_are_taken_only_where_the_configuration_says_so() {
        let rules = rules(TokenType::AccessToken, false);
        for claimed in [TokenKind::IdToken, TokenKind::Jwt, TokenKind::AccessToken] {
            assert!(!rules.is_kind(claimed, TokenType::Jwt), "{claimed:?}");
        }
    }
}
