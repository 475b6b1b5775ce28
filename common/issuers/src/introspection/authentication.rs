//! How we authenticate at an introspection endpoint: RFC 7662 §2.1 wants it, or anybody could try tokens out.
//! Not here: keys and secrets; the program that asks has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use symbolon_wire::client_assertion_type;
use url::form_urlencoded::byte_serialize;

use super::IntrospectionFailure;

/// Who asks, and how it proves that.
#[derive(Debug)]
pub struct Authentication<'a> {
    /// The id under which the issuer knows us.
    pub client_id: &'a str,
    /// The proof.
    pub credential: Credential,
}

/// What a client authenticates with.
#[derive(Debug)]
pub enum Credential {
    /// An assertion that was signed for this question (`private_key_jwt`, RFC 7523 §2.2).
    Assertion(SecretString),
    /// A shared secret (`client_secret_basic`, RFC 6749 §2.3.1).
    Secret(SecretString),
}

impl Authentication<'_> {
    /// Adds what belongs into the form, and returns the headers.
    pub(super) fn present<'a>(
        &'a self,
        form: &mut Vec<(&'a str, &'a str)>,
    ) -> Result<HeaderMap, IntrospectionFailure> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        match &self.credential {
            Credential::Assertion(assertion) => {
                form.push(("client_assertion_type", client_assertion_type::JWT_BEARER));
                form.push(("client_assertion", assertion.expose_secret()));
            }
            Credential::Secret(secret) => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(self.client_id), encoded(secret.expose_secret()));
                let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
                let mut value = value.map_err(|_| IntrospectionFailure::Credential)?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_into_the_header_encoded_and_an_assertion_into_the_form() {
        let secret = Credential::Secret(SecretString::from("s p:ä"));
        let client = Authentication { client_id: "a:b", credential: secret };
        let mut form = Vec::new();
        let headers = client.present(&mut form).unwrap();
        let sent = STANDARD.encode("a%3Ab:s+p%3A%C3%A4");
        assert_eq!(headers[AUTHORIZATION], format!("Basic {sent}"));
        assert!(headers[AUTHORIZATION].is_sensitive() && form.is_empty());
        let client =
            Authentication { client_id: "a", credential: Credential::Assertion(SecretString::from("x.y.z")) };
        let headers = client.present(&mut form).unwrap();
        assert!(!headers.contains_key(AUTHORIZATION));
        assert_eq!(form[1], ("client_assertion", "x.y.z"));
        assert!(!format!("{client:?}").contains("x.y.z"));
    }
}
