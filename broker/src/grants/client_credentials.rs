//! The client credentials grant (RFC 6749 §4.4) with resource indicators (RFC 8707).
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

/// The one target and the scopes of a form.
pub(super) fn parse(form: &TokenForm) -> Result<(Target, Option<Scopes>), Refusal> {
    let target = match (form.resources.as_slice(), form.audiences.as_slice()) {
        ([], []) => return Err(Refusal::InvalidTarget("missing")),
        ([resource], []) => resource_target(resource)?,
        ([], [audience]) => audience_target(audience)?,
        ([resource], [audience]) if resource == audience => resource_target(resource)?,
        _ => return Err(Refusal::InvalidTarget("more than one")),
    };
    let scopes = form.scope.as_deref().map(Scopes::parse).transpose();
    Ok((target, scopes.map_err(|_| Refusal::InvalidScope("malformed"))?))
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
