//! The values that conditions read: of the request, of the verified token, of the route.
//! Not here: conditions. What nobody reads is not made.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use symbolon_cel::{Bindings, KeyCase, Shape, Value, ValueError};
use symbolon_http::forward::ending_here;
use symbolon_identity::{ReasonCode, RouteName};
use symbolon_token::{Actor, Claims, VerifiedToken};

use super::When;
use crate::caller::VerifiedCaller;
use crate::headers::passes;
use crate::rejection::Rejection;
use crate::request::RequestView;

/// What `token` is where nobody was verified: reading a field of it has no result, `has(token.sub)` is false.
static NOBODY: LazyLock<Option<Arc<Value>>> =
    LazyLock::new(|| Value::map(std::iter::empty::<(&str, Value)>()).ok().map(Arc::new));

/// What conditions know of a route, made at load.
#[derive(Debug, Default)]
pub struct RouteFacts {
    route: Option<Arc<Value>>,
    headers: bool,
    query: bool,
}

/// What conditions know of one request: made at the first condition, shared by the others.
#[derive(Debug)]
pub struct Facts<'a> {
    request: &'a RequestView<'a>,
    route: &'a RouteFacts,
    bindings: Option<Bindings>,
}

impl RouteFacts {
    /// What these conditions of the named route can read.
    #[must_use]
    pub fn of<'a>(name: &RouteName, conditions: impl Iterator<Item = &'a When>) -> Self {
        let route = Value::map([("name", Value::from(name.as_str()))]).ok().map(Arc::new);
        conditions.fold(Self { route, headers: false, query: false }, |facts, when| Self {
            headers: facts.headers || when.program.reads("request", "headers"),
            query: facts.query || when.program.reads("request", "query"),
            ..facts
        })
    }
}

impl<'a> Facts<'a> {
    /// Of this request on this route; nothing is made yet.
    #[must_use]
    pub fn new(request: &'a RequestView<'a>, route: &'a RouteFacts) -> Self {
        Self { request, route, bindings: None }
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// `condition_error` if it has no result, `malformed_request` if the request holds more than can be looked at.
    pub fn holds(&mut self, when: &When, caller: Option<&VerifiedCaller>) -> Result<bool, Rejection> {
        let failed = |why: String| {
            Rejection::new(ReasonCode::ConditionError)
                .because(why.clone())
                .compared("a result of the condition", why)
        };
        let mut bindings = match self.bindings.take() {
            Some(bindings) => bindings,
            None => self.bind()?,
        };
        if when.reads_token() {
            let token = match caller {
                Some(caller) => caller.facts(),
                None => NOBODY.as_ref(),
            };
            match token {
                Some(token) => bindings.share("token", token),
                None => return Err(failed("the token's claims cannot be read by a condition".to_owned())),
            }
        }
        let held = when.program.eval_bool(&bindings);
        self.bindings = Some(bindings);
        held.map_err(|error| failed(error.to_string()))
    }

    fn bind(&self) -> Result<Bindings, Rejection> {
        let request = request(self.request, self.route).map_err(|error| {
            Rejection::new(ReasonCode::MalformedRequest).because(format!("for a condition: {error}"))
        })?;
        let mut bindings = Bindings::new().with("request", request);
        if let Some(route) = &self.route.route {
            bindings.share("route", route);
        }
        Ok(bindings)
    }
}

pub(super) fn request_shape() -> Shape {
    Shape::record([
        ("method", Shape::String),
        ("path", Shape::String),
        ("path_segments", Shape::list(Shape::String)),
        ("query", Shape::TotalMap(KeyCase::Exact)),
        ("headers", Shape::TotalMap(KeyCase::Folded)),
        ("content_type", Shape::String),
        ("host", Shape::String),
        ("scheme", Shape::String),
        ("source_ip", Shape::String),
    ])
}

pub(super) fn route_shape() -> Shape {
    Shape::record([("name", Shape::String)])
}

pub(super) fn token_shape() -> Shape {
    let texts = || Shape::list(Shape::String);
    Shape::record([
        ("id", Shape::String),
        ("iss", Shape::String),
        ("sub", Shape::String),
        ("client_id", Shape::String),
        ("jti", Shape::String),
        ("aud", texts()),
        ("scopes", texts()),
        ("actors", texts()),
        ("iat", Shape::Int),
        ("exp", Shape::Int),
        ("key_bound", Shape::Bool),
        ("claims", Shape::map(Shape::Dynamic)),
    ])
}

fn request(view: &RequestView<'_>, reads: &RouteFacts) -> Result<Value, ValueError> {
    let segments = view.path.segments().map(|segment| Value::from(decoded(segment).into_owned()));
    let ending_here = ending_here(view.headers);
    let reaches = |name: &HeaderName| !ending_here.contains(name) && passes(name, true);
    let headers = if reads.headers { headers(view.headers, reaches) } else { Vec::new() };
    let query = if reads.query { query(view.query().unwrap_or_default()) } else { Vec::new() };
    let source = view.source().map(|address| ("source_ip", address.to_canonical().to_string().into()));
    let fields = [
        ("method", view.method.as_str().into()),
        ("path", view.path.judged().into_owned().into()),
        ("path_segments", Value::list(segments)?),
        ("headers", Value::total_map(KeyCase::Folded, headers)?),
        ("query", Value::total_map(KeyCase::Exact, query)?),
        ("content_type", content_type(view.headers, &ending_here).into()),
        ("host", view.host().into_owned().into()),
        ("scheme", view.scheme().into()),
    ];
    Value::map(fields.into_iter().chain(source))
}

/// The header fields; of a repeated one the values as one list (RFC 9110 §5.3), so that none can hide behind another.
///
/// SECURITY: only those that can reach the API. A condition on another would be about something that the API never sees:
/// `Connection: x-dry-run` would pass for a dry run and be none.
fn headers(headers: &HeaderMap, reaches: impl Fn(&HeaderName) -> bool) -> Vec<(String, String)> {
    let texts = |name| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.collect::<Vec<_>>().join(", ")
    };
    let reaching = headers.keys().filter(|name| reaches(name));
    reaching.map(|name| (name.as_str().to_owned(), texts(name))).collect()
}

/// The query as a form. A repeated name has no value: APIs differ in which of several they take.
fn query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let plain = |text: &str| decoded(&text.replace('+', " ")).into_owned();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (plain(name), plain(value))
    };
    pairs.map(pair).collect()
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The media type without its parameters, in lower case; `""` if there is none.
fn content_type(headers: &HeaderMap, ending_here: &[HeaderName]) -> String {
    if ending_here.contains(&http::header::CONTENT_TYPE) {
        return String::new();
    }
    let mut values = headers.get_all(http::header::CONTENT_TYPE).iter();
    let first = values.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Two of them are none: servers differ in which one they believe.
    let only = if values.next().is_some() { "" } else { first };
    only.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What conditions read of a verified token.
///
/// # Errors
/// [`ValueError`] if a claim cannot be looked at: a list that is too long, a number out of range.
pub(crate) fn token(token: &VerifiedToken, id: &str) -> Result<Value, ValueError> {
    let claims = token.claims();
    let texts = |texts: Vec<&str>| Value::list(texts.into_iter().map(Value::from));
    let seconds = |second: symbolon_identity::Timestamp| i64::try_from(second.as_secs()).unwrap_or(i64::MAX);
    let fields = [
        ("id", id.into()),
        ("iss", claims.issuer.as_str().into()),
        ("sub", claims.subject.as_str().into()),
        ("aud", texts(claims.audiences.iter().map(AsRef::as_ref).collect())?),
        ("scopes", texts(claims.scopes.iter().map(AsRef::as_ref).collect())?),
        ("actors", texts(actors(claims))?),
        ("exp", seconds(claims.expires_at).into()),
        ("key_bound", claims.confirmation.is_some().into()),
        ("claims", Value::from_json(&serde_json::Value::Object(claims.extra.clone()))?),
    ];
    let optional = [
        ("client_id", claims.client_id.as_ref().map(|client| client.as_str().into())),
        ("jti", claims.token_id.as_ref().map(|id| id.as_str().into())),
        ("iat", claims.issued_at.map(|time| seconds(time).into())),
    ];
    let present = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Value::map(fields.into_iter().chain(present))
}

fn actors(claims: &Claims) -> Vec<&str> {
    claims.actor.iter().flat_map(Actor::chain).map(|actor| actor.subject.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::when::Language;
    use http::Request;

    fn holds(source: &str, headers: &[(&str, &str)], target: &str) -> Result<bool, ReasonCode> {
        let mut request =
            Request::builder().method("POST").uri(target).header("host", "Orders.example.com:80");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let view = RequestView::read(&head).unwrap();
        let when = Language::new().compile(source, true).unwrap();
        let route = RouteFacts::of(&RouteName::parse("orders").unwrap(), [&when].into_iter());
        Facts::new(&view, &route).holds(&when, None).map_err(|rejection| rejection.code())
    }

    #[test]
    fn a_condition_reads_the_request() {
        let headers =
            [("x-tenant", "a"), ("x-tenant", "b"), ("content-type", "Application/JSON; charset=utf-8")];
        for condition in [
            "request.method == \"POST\" && request.path == \"/orders/7/a b\"",
            "request.path_segments == [\"orders\", \"7\", \"a b\"]",
            "request.headers[\"X-Tenant\"] == \"a, b\" && request.headers[\"x-absent\"] == \"\"",
            "request.query[\"plan\"] == \"pro max\" && request.query.none == \"\"",
            "request.content_type == \"application/json\"",
            "request.host == \"orders.example.com\" && request.scheme == \"http\" && route.name == \"orders\"",
            "!has(request.source_ip) && !has(token.sub)",
        ] {
            assert_eq!(
                holds(condition, &headers, "/orders/7/a%20b?plan=pro+max&twice=1&twice=2"),
                Ok(true),
                "{condition}"
            );
        }
    }

    #[test]
    fn what_has_no_result_is_an_error_and_never_false() {
        for condition in
            ["token.sub == \"a\"", "request.source_ip == \"\"", "request.path_segments[9] == \"\""]
        {
            assert_eq!(holds(condition, &[], "/orders"), Err(ReasonCode::ConditionError), "{condition}");
        }
    }

    #[test]
    fn a_repeated_parameter_has_no_value_where_it_is_read() {
        let held = |condition: &str, target: &str| holds(condition, &[], target);
        let condition = "request.query[\"dry_run\"] != \"true\"";
        for query in ["dry_run=true&dry_run=false", "dry_run=true&dry%5Frun=true", "dry_run&a=b&dry_run"] {
            assert_eq!(held(condition, &format!("/?{query}")), Err(ReasonCode::ConditionError), "{query}");
            assert_eq!(held("has(request.query.dry_run)", &format!("/?{query}")), Ok(true), "{query}");
        }
        assert_eq!(held(condition, "/?dry_run=true&a=1&a=2"), Ok(false));
    }

    #[test]
    fn two_content_types_are_none() {
        let twice = [("content-type", "text/plain"), ("content-type", "application/json")];
        assert_eq!(holds("request.content_type == \"\"", &twice, "/"), Ok(true));
    }

    #[test]
    fn a_query_of_more_than_can_be_looked_at_is_refused_only_where_it_is_read() {
        let long = (0..1100).map(|number| format!("a{number}=1&")).collect::<Vec<_>>().concat();
        let target = format!("/orders?{long}");
        assert_eq!(holds("request.query.a == \"\"", &[], &target), Err(ReasonCode::MalformedRequest));
        assert_eq!(holds("request.path == \"/orders\"", &[], &target), Ok(true));
    }
}
