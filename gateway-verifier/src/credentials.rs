//! The credential of a request: exactly one token in one place, and at most one proof.
//! Not here: whether it is any good (`stages/verify.rs`).

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use symbolon_identity::ReasonCode;
use symbolon_wire::header::DPOP;

use crate::headers::is_credential_elsewhere;
use crate::rejection::Rejection;

/// How the token was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 6750 §2.1.
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

/// What a request presented; it proves nothing.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The scheme of the `Authorization` header.
    pub scheme: Scheme,
    /// The token.
    pub token: &'a str,
    /// The `DPoP` header.
    pub proof: Option<&'a str>,
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

// Parsed once, rather than on each request.
static PROOF: HeaderName = HeaderName::from_static(DPOP);

impl<'a> Credentials<'a> {
    /// Reads the credential from `Authorization` and `DPoP`; tokens in query or body are not read (RFC 9700 §4.3.2).
    ///
    /// `None` means that there is no credential in any place.
    ///
    /// # Errors
    /// `multiple_tokens` for two credentials, `malformed` for an unreadable one, `proof_invalid` for two proofs,
    /// `token_missing` for a proof without a token or another scheme than ours.
    pub fn read(headers: &'a HeaderMap, query: Option<&str>) -> Result<Option<Self>, Rejection> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let first = values.next();
        let elsewhere = headers.keys().any(is_credential_elsewhere) || query.is_some_and(has_query_token);
        if values.next().is_some() || (first.is_some() && elsewhere) {
            return Err(Rejection::new(ReasonCode::MultipleTokens));
        }
        let Some(value) = first else {
            // INVARIANT: anonymous means that nothing was sent anywhere; a credential in a place that is not read
            // must not make an optional route treat its sender as a stranger.
            let anonymous = !elsewhere && !headers.contains_key(&PROOF);
            return if anonymous { Ok(None) } else { Err(Rejection::new(ReasonCode::TokenMissing)) };
        };
        let (scheme, token) = authorization(value)?;
        Ok(Some(Self { scheme, token, proof: proof(headers)? }))
    }
}

/// RFC 9110 §11.4: scheme, one space, token68.
fn authorization(value: &HeaderValue) -> Result<(Scheme, &str), Rejection> {
    let malformed =
        || Rejection::new(ReasonCode::Malformed).because("the Authorization header is not `scheme token`");
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let scheme = if scheme.eq_ignore_ascii_case("bearer") {
        Scheme::Bearer
    } else if scheme.eq_ignore_ascii_case("dpop") {
        Scheme::Dpop
    } else {
        return Err(
            Rejection::new(ReasonCode::TokenMissing).because("the Authorization scheme is not one of ours")
        );
    };
    let token68 = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
    };
    if token.is_empty() || !token.bytes().all(token68) {
        return Err(malformed());
    }
    Ok((scheme, token))
}

/// RFC 9449 §4.3, check 1: not more than one `DPoP` header.
fn proof(headers: &HeaderMap) -> Result<Option<&str>, Rejection> {
    let mut values = headers.get_all(&PROOF).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let invalid = |why| Rejection::new(ReasonCode::ProofInvalid).because(why);
    if values.next().is_some() {
        return Err(invalid("there is more than one DPoP header"));
    }
    value.to_str().map(Some).map_err(|_| invalid("the DPoP header is not ASCII"))
}

/// RFC 6750 §2.3; the parameter is not read, but beside a header it is a second credential.
fn has_query_token(query: &str) -> bool {
    let name =
        |pair: &str| percent_decode_str(pair.split('=').next().unwrap_or_default()).collect::<Vec<_>>();
    // The usual query has no such letters in a row; only then is it worth decoding.
    query.split(['&', ';']).any(|pair| pair.starts_with(['a', '%']) && name(pair) == b"access_token")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)], query: Option<&str>) -> Result<Option<(Scheme, String)>, ReasonCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let read = Credentials::read(&headers, query).map_err(|rejection| rejection.code())?;
        Ok(read.map(|found| (found.scheme, found.token.to_owned())))
    }

    #[test]
    fn one_token_in_the_header_is_read_whatever_the_case_of_its_scheme() {
        for (value, scheme) in [
            ("Bearer a.b.c", Scheme::Bearer),
            ("bearer a.b.c", Scheme::Bearer),
            ("DPoP a.b.c", Scheme::Dpop),
            ("dpop a.b.c", Scheme::Dpop),
        ] {
            assert_eq!(
                read(&[("authorization", value)], None),
                Ok(Some((scheme, "a.b.c".to_owned()))),
                "{value}"
            );
        }
    }

    #[test]
    fn malformed_values_are_refused() {
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer  a.b.c",
            "Bearer a.b.c d",
            "Bearer a,Bearer b",
            "DPoP \"a\"",
            "Bearer a;b",
        ] {
            assert_eq!(read(&[("authorization", value)], None), Err(ReasonCode::Malformed), "{value}");
        }
        for value in ["Bearer\ta.b.c", "Basic YTpi", "a.b.c", ""] {
            assert_eq!(read(&[("authorization", value)], None), Err(ReasonCode::TokenMissing), "{value}");
        }
    }

    #[test]
    fn two_credentials_are_refused() {
        let one = ("authorization", "Bearer a.b.c");
        assert_eq!(read(&[one, one], None), Err(ReasonCode::MultipleTokens));
        assert_eq!(read(&[one, ("txn-token", "x")], None), Err(ReasonCode::MultipleTokens));
        assert_eq!(read(&[one, ("workload-identity-token", "x")], None), Err(ReasonCode::MultipleTokens));
        assert_eq!(read(&[one], Some("a=b&access_token=x")), Err(ReasonCode::MultipleTokens));
        assert_eq!(read(&[one, ("dpop", "x"), ("dpop", "y")], None), Err(ReasonCode::ProofInvalid));
    }

    #[test]
    fn anonymous_is_who_sent_nothing_anywhere() {
        assert_eq!(read(&[], Some("page=2")), Ok(None));
        assert_eq!(read(&[("dpop", "x")], None), Err(ReasonCode::TokenMissing));
        assert_eq!(read(&[], Some("access_token=x")), Err(ReasonCode::TokenMissing));
        assert_eq!(read(&[], Some("a=b&access%5Ftoken=x")), Err(ReasonCode::TokenMissing));
        assert_eq!(read(&[], Some("%61ccess_token=x")), Err(ReasonCode::TokenMissing));
        for elsewhere in ["txn-token", "Txn_Token", "workload-access-token", "Workload.Identity.Token"] {
            assert_eq!(read(&[(elsewhere, "x")], None), Err(ReasonCode::TokenMissing), "{elsewhere}");
        }
    }
}
