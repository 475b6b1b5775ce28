//! What a token is asked for: `resource` (RFC 8707) and `audience` (RFC 8693 §2.1), as the caller names it.
//! Not here: whether there is such a resource.

use symbolon_identity::Scopes;
use symbolon_wire::TokenForm;
use url::Url;

use crate::refusal::Refusal;

/// What a token is asked for, as the caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `resource`: an absolute URI.
    Resource(String),
    /// `audience`: a URI or a name.
    Audience(String),
}

impl Target {
    /// The name that the caller used.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Resource(text) | Self::Audience(text) => text,
        }
    }
}

/// The longest name of a target.
const LIMIT: usize = 512;

/// The targets of a form, at least one, each named once.
pub(super) fn targets(form: &TokenForm) -> Result<Vec<Target>, Refusal> {
    let mut targets = Vec::new();
    for resource in &form.resources {
        targets.push(resource_target(resource)?);
    }
    for audience in &form.audiences {
        let target = audience_target(audience)?;
        // Clients that know both parameters often send the same in both.
        if !targets.iter().any(|named: &Target| named.as_str() == target.as_str()) {
            targets.push(target);
        }
    }
    if targets.is_empty() { Err(Refusal::InvalidTarget("missing")) } else { Ok(targets) }
}

/// The scopes of a form; none if it names none.
pub(super) fn scopes(form: &TokenForm) -> Result<Option<Scopes>, Refusal> {
    form.scope.as_deref().map(Scopes::parse).transpose().map_err(|_| Refusal::InvalidScope("malformed"))
}

/// RFC 8707 §2: an absolute URI without a fragment.
fn resource_target(text: &str) -> Result<Target, Refusal> {
    let absolute = text.len() <= LIMIT && Url::parse(text).is_ok_and(|url| url.fragment().is_none());
    if absolute && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Target::Resource(text.to_owned()))
    } else {
        Err(Refusal::InvalidTarget("not an absolute URI without a fragment"))
    }
}

fn audience_target(text: &str) -> Result<Target, Refusal> {
    if text.len() <= LIMIT && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Target::Audience(text.to_owned()))
    } else {
        Err(Refusal::InvalidTarget("not a name"))
    }
}
