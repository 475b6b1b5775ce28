//! Reading what an introspection endpoint answers (RFC 7662 §2.2).
//! Not here: whether the claims of an active token are good; that is asked like of any token.

use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use symbolon_http::client::Fetched;
use symbolon_identity::TokenId;
use symbolon_jws::strict_json;
use symbolon_token::VerifiedToken;

use super::IntrospectionFailure;

/// The members of the answer; none if the token is not active.
pub(super) fn read(fetched: &Fetched) -> Result<Option<Map<String, Value>>, IntrospectionFailure> {
    if fetched.status.as_u16() != 200 {
        return Err(IntrospectionFailure::Status { status: fetched.status.as_u16() });
    }
    if !is_json(fetched) {
        return Err(IntrospectionFailure::ContentType);
    }
    let members: Map<String, Value> =
        strict_json::from_slice(&fetched.body).map_err(IntrospectionFailure::Json)?;
    match members.get("active") {
        Some(Value::Bool(true)) => Ok(Some(members)),
        Some(Value::Bool(false)) => Ok(None),
        // A text `"false"` is true in some languages; we guess nothing.
        Some(_) | None => Err(IntrospectionFailure::Active),
    }
}

/// Whether the answer about a JWT is about that JWT, as far as it says.
pub(super) fn is_about(
    members: &Map<String, Value>,
    verified: &VerifiedToken,
) -> Result<(), IntrospectionFailure> {
    let claims = verified.claims();
    for (member, said) in [
        ("iss", Some(claims.issuer.as_str())),
        ("sub", Some(claims.subject.as_str())),
        ("jti", claims.token_id.as_ref().map(TokenId::as_str)),
    ] {
        if members.get(member).is_some_and(|found| found.as_str() != said) {
            return Err(IntrospectionFailure::Contradiction { member });
        }
    }
    Ok(())
}

fn is_json(fetched: &Fetched) -> bool {
    let mut types = fetched.headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    fn answer(status: u16, content_type: &[&'static str], body: &str) -> Fetched {
        let types = content_type.iter().map(|text| (CONTENT_TYPE, HeaderValue::from_static(text)));
        let mut headers = HeaderMap::new();
        for (name, value) in types {
            headers.append(name, value);
        }
        Fetched { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_owned().into() }
    }

    #[test]
    fn only_a_boolean_says_whether_a_token_is_active() {
        let json = ["application/json; charset=utf-8"];
        assert!(read(&answer(200, &json, r#"{"active":true,"sub":"a"}"#)).unwrap().is_some());
        assert!(read(&answer(200, &json, r#"{"active":false,"sub":"a"}"#)).unwrap().is_none());
        for body in [r#"{"active":"true"}"#, r#"{"active":1}"#, r#"{"active":null}"#, "{}"] {
            let failed = read(&answer(200, &json, body));
            assert!(matches!(failed, Err(IntrospectionFailure::Active)), "{body}: {failed:?}");
        }
    }

    #[test]
    fn what_is_not_strict_json_says_nothing() {
        for body in ["", "true", "[]", "<html>", r#"{"active":true,"active":true}"#, r#"{"active":true}x"#] {
            let failed = read(&answer(200, &["application/json"], body));
            assert!(matches!(failed, Err(IntrospectionFailure::Json(_))), "{body}: {failed:?}");
        }
    }

    #[test]
    fn another_status_or_type_says_nothing() {
        let body = r#"{"active":true}"#;
        for status in [201, 204, 302, 401, 404, 500] {
            let failed = read(&answer(status, &["application/json"], body));
            assert!(matches!(failed, Err(IntrospectionFailure::Status { .. })), "{failed:?}");
        }
        let types: [&[&'static str]; 5] = [
            &[],
            &["text/html"],
            &["application/jsonp"],
            &["application/token-introspection+jwt"],
            &["application/json", "application/json"],
        ];
        for types in types {
            let failed = read(&answer(200, types, body));
            assert!(matches!(failed, Err(IntrospectionFailure::ContentType)), "{types:?}: {failed:?}");
        }
    }
}
