//! What the steps of the tour share: addresses, calls, and checks on the answers.
//! Not here: the claims that they check.

use anyhow::Context as _;
use serde_json::Value;
use symbolon_daemon::{Clock as _, SystemClock};
use symbolon_identity::{ReasonCode, Timestamp};
use symbolon_wire::{Problem, client_assertion_type, grant_type, paths};

use crate::dev::configs::audience;
use crate::dev::stack::Stack;
use crate::http::{Answer, Call, Place};

/// The running set-up as the steps see it.
pub(super) struct Scene<'a> {
    pub(super) stack: &'a Stack,
}

/// An answer of the token endpoint. It may hold a token, so no `Debug`.
pub(super) struct TokenAnswer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl<'a> Scene<'a> {
    pub(super) fn new(stack: &'a Stack) -> Self {
        Self { stack }
    }

    /// The time, from the one clock.
    pub(super) fn now() -> Timestamp {
        Timestamp::from_secs_saturating(SystemClock.unix_seconds())
    }

    /// A call through the sidecar.
    pub(super) fn through_sidecar(&self, upstream: &str, path: &str) -> anyhow::Result<Call> {
        let base = self.stack.ready.sidecar.upstreams.get(upstream).context("no such upstream")?;
        Call::get_url(&format!("{base}{path}"))
    }

    /// A call straight to the gateway.
    pub(super) fn at_gateway(&self, path: &str) -> anyhow::Result<Call> {
        Call::get_url(&format!("{}{path}", self.stack.ready.gateway.url))
    }

    /// Sends a call that must not reach the API, and checks status and reason code of the refusal.
    pub(super) async fn refused(
        &self,
        call: Call,
        status: u16,
        codes: &[ReasonCode],
    ) -> anyhow::Result<Problem> {
        let before = self.stack.echo.requests();
        let answer = call.send().await?;
        let problem: Problem = answer.json()?;
        anyhow::ensure!(answer.status.as_u16() == status, "answered {} {}", answer.status, problem.code);
        anyhow::ensure!(codes.contains(&problem.code), "the reason is `{}`", problem.code);
        anyhow::ensure!(self.stack.echo.requests() == before, "the API was reached");
        Ok(problem)
    }

    /// Like [`Scene::refused`] with 401; in a few words.
    pub(super) async fn unauthorized(&self, call: Call, codes: &[ReasonCode]) -> super::Seen {
        let problem = self.refused(call, 401, codes).await?;
        Ok(format!("401 {}", problem.code))
    }

    /// The form of a request for a token.
    pub(super) fn form(resource: &str) -> Vec<(&'static str, String)> {
        vec![("grant_type", grant_type::CLIENT_CREDENTIALS.to_owned()), ("resource", audience(resource))]
    }

    /// A fresh assertion of the registered client.
    pub(super) fn assertion(&self) -> anyhow::Result<String> {
        self.stack.client.assertion(&self.stack.ready.broker.url, Self::now())
    }

    /// Asks the broker with an assertion.
    pub(super) async fn token_by_assertion(
        &self,
        resource: &str,
        assertion: &str,
    ) -> anyhow::Result<TokenAnswer> {
        let mut form = Self::form(resource);
        form.push(("client_assertion_type", client_assertion_type::JWT_BEARER.to_owned()));
        form.push(("client_assertion", assertion.to_owned()));
        self.token(&Place::Tcp(self.stack.ports.broker.to_string()), &form).await
    }

    /// Asks the broker over its socket, where the kernel says who we are.
    pub(super) async fn token_over_socket(&self, resource: &str) -> anyhow::Result<TokenAnswer> {
        self.token(&Place::Unix(self.stack.ready.broker.socket.clone()), &Self::form(resource)).await
    }

    /// A good token of the registered client.
    pub(super) async fn client_token(&self, resource: &str) -> anyhow::Result<String> {
        let answer = self.token_by_assertion(resource, &self.assertion()?).await?;
        answer.token()
    }

    async fn token(&self, place: &Place, form: &[(&'static str, String)]) -> anyhow::Result<TokenAnswer> {
        let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer: Answer = Call::post_form(place, paths::TOKEN, &pairs).send().await?;
        Ok(TokenAnswer { status: answer.status.as_u16(), body: answer.json()? })
    }
}

impl TokenAnswer {
    /// The token of a successful answer.
    pub(super) fn token(&self) -> anyhow::Result<String> {
        anyhow::ensure!(
            self.status == 200,
            "the broker answered {} {}",
            self.status,
            self.text("error_description")
        );
        Ok(self.text("access_token").to_owned())
    }

    /// Checks a refusal; in a few words.
    pub(super) fn refused(&self, status: u16, error: &str, code: ReasonCode) -> super::Seen {
        let description = self.text("error_description");
        let seen = format!("{} {}: {description}", self.status, self.text("error"));
        anyhow::ensure!(self.status == status && self.text("error") == error, "answered {seen}");
        anyhow::ensure!(description.starts_with(code.as_str()), "answered {seen}");
        Ok(seen)
    }

    pub(super) fn text(&self, member: &str) -> &str {
        self.body.get(member).and_then(Value::as_str).unwrap_or_default()
    }
}

/// What the API saw of a request, from its echo.
pub(super) struct Echoed {
    body: Value,
}

impl Echoed {
    /// Reads a 200 of the API.
    pub(super) fn of(answer: &Answer) -> anyhow::Result<Self> {
        if answer.status.as_u16() != 200 {
            let body = String::from_utf8_lossy(&answer.body);
            anyhow::bail!("answered {} {}", answer.status, body.chars().take(200).collect::<String>());
        }
        Ok(Self { body: answer.json()? })
    }

    /// A header that came exactly once; empty otherwise.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers().and_then(|headers| headers.get(name)).and_then(Value::as_str).unwrap_or_default()
    }

    /// The names of the headers that contain a text when `-`, `_` and `.` count the same.
    pub(super) fn names_like(&self, folded: &str) -> Vec<&str> {
        let names = self.headers().into_iter().flat_map(|headers| headers.keys());
        names.filter(|name| name.replace(['_', '.'], "-").contains(folded)).map(String::as_str).collect()
    }

    /// Whether any header holds a text.
    pub(super) fn holds(&self, text: &str) -> bool {
        self.body.get("headers").is_some_and(|headers| headers.to_string().contains(text))
    }

    fn headers(&self) -> Option<&serde_json::Map<String, Value>> {
        self.body.get("headers").and_then(Value::as_object)
    }
}
