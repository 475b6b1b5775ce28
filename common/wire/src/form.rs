//! The raw form of a request to the token, introspection or revocation endpoint.
//! Not here: whether it asks for something sensible; each grant parses that.

use secrecy::{ExposeSecret, SecretString};

use crate::urlencoded;

/// The parameters of a request as they were sent: well-formed text, nothing more (RFC 6749 §3.2).
#[derive(Debug, Default)]
pub struct TokenForm {
    /// `grant_type`.
    pub grant_type: Option<String>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// `client_assertion_type` (RFC 7521 §4.2).
    pub client_assertion_type: Option<String>,
    /// `client_assertion`: a credential.
    pub client_assertion: Option<SecretString>,
    /// `trust_provider`: disambiguates among providers of one issuer.
    pub trust_provider: Option<String>,
    /// `resource`, in the order sent (RFC 8707 §2).
    pub resources: Vec<String>,
    /// `audience`, in the order sent (RFC 8693 §2.1).
    pub audiences: Vec<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `requested_token_type` (RFC 8693 §2.1).
    pub requested_token_type: Option<String>,
    /// `subject_token`: a credential.
    pub subject_token: Option<SecretString>,
    /// `subject_token_type`.
    pub subject_token_type: Option<String>,
    /// `actor_token`: a credential.
    pub actor_token: Option<SecretString>,
    /// `actor_token_type`.
    pub actor_token_type: Option<String>,
    /// `token`: what is asked about or given back (RFC 7662 §2.1, RFC 7009 §2.1); a credential.
    pub token: Option<SecretString>,
    /// `token_type_hint`.
    pub token_type_hint: Option<String>,
}

/// Why a body is not a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// An escape is malformed, or the decoded text is not UTF-8 or holds a NUL.
    #[error("the form has a malformed escape or text that is not UTF-8")]
    Escape,
    /// A parameter that may stand once stands twice (RFC 6749 §3.2).
    #[error("the parameter `{0}` stands twice")]
    Duplicate(&'static str),
    /// There are more parameters than any request needs.
    #[error("the form has more than {limit} parameters")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl TokenForm {
    /// At most this many parameters make one form.
    pub const LIMIT: usize = 64;

    /// Parses a body of type `application/x-www-form-urlencoded`.
    ///
    /// An empty value counts as absent and an unknown parameter is ignored (RFC 6749 §3.2).
    ///
    /// # Errors
    /// [`FormError`] if the body is malformed, repeats a parameter, or has more than [`TokenForm::LIMIT`] of them.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        if body.split(|byte| *byte == b'&').nth(Self::LIMIT).is_some() {
            return Err(FormError::TooMany { limit: Self::LIMIT });
        }
        let mut form = Self::default();
        let mut seen = Vec::new();
        for (name, value) in urlencoded::pairs(body)? {
            if seen.contains(&name) && !matches!(name.as_str(), "resource" | "audience") {
                return Err(FormError::Duplicate(known(&name)));
            }
            if !value.is_empty() {
                form.set(&name, value);
            }
            seen.push(name);
        }
        Ok(form)
    }

    fn set(&mut self, name: &str, value: String) {
        match name {
            "grant_type" => self.grant_type = Some(value),
            "client_id" => self.client_id = Some(value),
            "client_assertion_type" => self.client_assertion_type = Some(value),
            "client_assertion" => self.client_assertion = Some(value.into()),
            "trust_provider" => self.trust_provider = Some(value),
            "resource" => self.resources.push(value),
            "audience" => self.audiences.push(value),
            "scope" => self.scope = Some(value),
            "requested_token_type" => self.requested_token_type = Some(value),
            "subject_token" => self.subject_token = Some(value.into()),
            "subject_token_type" => self.subject_token_type = Some(value),
            "actor_token" => self.actor_token = Some(value.into()),
            "actor_token_type" => self.actor_token_type = Some(value),
            "token" => self.token = Some(value.into()),
            "token_type_hint" => self.token_type_hint = Some(value),
            _ => {}
        }
    }

    /// Writes the form as a body; it holds credentials, so treat it as a secret.
    #[must_use]
    pub fn to_body(&self) -> SecretString {
        let single = [
            ("grant_type", self.grant_type.as_deref()),
            ("client_id", self.client_id.as_deref()),
            ("client_assertion_type", self.client_assertion_type.as_deref()),
            ("client_assertion", exposed(self.client_assertion.as_ref())),
            ("trust_provider", self.trust_provider.as_deref()),
            ("scope", self.scope.as_deref()),
            ("requested_token_type", self.requested_token_type.as_deref()),
            ("subject_token", exposed(self.subject_token.as_ref())),
            ("subject_token_type", self.subject_token_type.as_deref()),
            ("actor_token", exposed(self.actor_token.as_ref())),
            ("actor_token_type", self.actor_token_type.as_deref()),
            ("token", exposed(self.token.as_ref())),
            ("token_type_hint", self.token_type_hint.as_deref()),
        ];
        let mut pairs: Vec<_> = single.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        pairs.extend(self.resources.iter().map(|value| ("resource", value.as_str())));
        pairs.extend(self.audiences.iter().map(|value| ("audience", value.as_str())));
        urlencoded::encode(pairs).into()
    }
}

fn exposed(secret: Option<&SecretString>) -> Option<&str> {
    secret.map(ExposeSecret::expose_secret)
}

/// The parameter's name as a constant, so that an error never repeats what a stranger sent.
fn known(name: &str) -> &'static str {
    const NAMES: [&str; 13] = [
        "grant_type",
        "client_id",
        "client_assertion_type",
        "client_assertion",
        "trust_provider",
        "scope",
        "requested_token_type",
        "subject_token",
        "subject_token_type",
        "actor_token",
        "actor_token_type",
        "token",
        "token_type_hint",
    ];
    NAMES.into_iter().find(|known| *known == name).unwrap_or("an unknown parameter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_survives_its_body() {
        let form = TokenForm {
            grant_type: Some("client_credentials".into()),
            client_assertion: Some("a.b.c".to_owned().into()),
            resources: vec!["https://a.example".into(), "https://b.example".into()],
            scope: Some("x y".into()),
            ..TokenForm::default()
        };
        let back = TokenForm::parse(form.to_body().expose_secret().as_bytes()).unwrap();
        assert_eq!(back.resources, form.resources);
        assert_eq!(back.scope, form.scope);
        assert_eq!(back.client_assertion.unwrap().expose_secret(), "a.b.c");
    }

    #[test]
    fn a_parameter_may_stand_once_even_if_empty() {
        for bad in ["scope=a&scope=b", "scope=&scope=b", "grant_type=a&grant_type=a", "zzz=1&zzz=2"] {
            assert!(matches!(TokenForm::parse(bad.as_bytes()), Err(FormError::Duplicate(_))), "{bad}");
        }
    }

    #[test]
    fn no_credential_is_shown() {
        let form = TokenForm::parse(
            b"client_assertion=s3cret1&subject_token=s3cret2&actor_token=s3cret3&token=s3cret4",
        );
        let form = form.unwrap();
        assert!(form.token.is_some() && !format!("{form:?}").contains("s3cret"));
    }

    #[test]
    fn too_many_parameters_are_refused() {
        let body = vec!["resource=a"; 65].join("&");
        assert_eq!(TokenForm::parse(body.as_bytes()).unwrap_err(), FormError::TooMany { limit: 64 });
    }
}
