//! `when`: a condition over the request, the verified token and the route, compiled at load.
//! Not here: the values that it reads (`when/facts.rs`), and what a skipped stage means (`judge.rs`).

mod facts;

use symbolon_cel::{Bindings, CompileError, Environment, Problem, Program};

pub(crate) use facts::token as token_facts;
pub use facts::{Facts, RouteFacts};

/// The fields of `request` that are the client's own words and choose nothing else than its answer.
const CLIENTS_WORDS: [&str; 3] = ["headers", "query", "content_type"];

/// The language of conditions: what may be named at a place in the list of stages.
#[derive(Debug)]
pub struct Language {
    before_verify: Environment,
    after_verify: Environment,
}

/// A condition.
#[derive(Debug)]
pub struct When {
    program: Program,
}

/// Why a condition is refused at load.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// It is not a condition, or names what is not there.
    #[error(transparent)]
    Expression(CompileError),
    /// It reads a token that nobody has verified yet.
    #[error("`token` is known only to stages after a `verify`")]
    TokenBeforeVerify,
}

impl Language {
    /// The language.
    #[must_use]
    pub fn new() -> Self {
        let declared = || {
            let environment = Environment::builder().declare("request", facts::request_shape());
            environment.declare("route", facts::route_shape())
        };
        Self {
            before_verify: declared().build(),
            after_verify: declared().declare("token", facts::token_shape()).build(),
        }
    }

    /// Compiles a condition at a place where a token may have been verified, or cannot have been.
    ///
    /// # Errors
    /// [`WhenError`] if it is not a condition over what is known at that place.
    pub fn compile(&self, source: &str, after_verify: bool) -> Result<When, WhenError> {
        let environment = if after_verify { &self.after_verify } else { &self.before_verify };
        let compiled = environment.compile_bool(source);
        compiled.map(|program| When { program }).map_err(|error| match &error.problem {
            Problem::UnknownVariable { name, .. } if name == "token" => WhenError::TokenBeforeVerify,
            _ => WhenError::Expression(error),
        })
    }
}

impl Default for Language {
    fn default() -> Self {
        Self::new()
    }
}

impl When {
    /// The condition as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        self.program.source()
    }

    /// Its value if it has the same for every request; none if it has none.
    #[must_use]
    pub fn constant(&self) -> Option<Option<bool>> {
        self.program.variables().is_empty().then(|| self.program.eval_bool(&Bindings::new()).ok())
    }

    /// What it reads of the client's own words, such as `headers`.
    pub fn clients_words(&self) -> impl Iterator<Item = &'static str> {
        CLIENTS_WORDS.into_iter().filter(|field| self.program.reads("request", field))
    }

    /// Whether it reads the token, and so needs one, without asking `has(token.…)` anywhere.
    #[must_use]
    pub fn needs_token(&self) -> bool {
        self.reads_token() && !self.source().contains("has(token.")
    }

    fn reads_token(&self) -> bool {
        self.program.variables().contains("token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_at_a_place_is_refused_there() {
        let language = Language::new();
        let refused = |source: &str, after| language.compile(source, after).unwrap_err().to_string();
        for (source, message) in [
            ("request.pth == \"/\"", "unknown field `pth` of `request`, did you mean `path`?"),
            ("rout.name == \"a\"", "unknown variable `rout`, did you mean `route`?"),
            ("request.path.startWith(\"/\")", "did you mean `startsWith`?"),
            ("request.path.startsWith()", "is called as"),
            ("request.path", "needs a bool"),
            ("token.clientid == \"a\"", "did you mean `client_id`?"),
            ("unverified.sub == \"a\"", "unknown variable `unverified`"),
        ] {
            assert!(refused(source, true).contains(message), "{source}: {}", refused(source, true));
        }
        assert!(language.compile("token.sub == \"a\"", true).is_ok());
        assert_eq!(language.compile("token.sub == \"a\"", false).unwrap_err(), WhenError::TokenBeforeVerify);
    }

    #[test]
    fn a_constant_is_told_from_a_condition() {
        let language = Language::new();
        let constant = |source: &str| language.compile(source, false).unwrap().constant();
        assert_eq!(constant("1 == 1"), Some(Some(true)));
        assert_eq!(constant("false"), Some(Some(false)));
        assert_eq!(constant("1 / 0 == 1"), Some(None));
        assert_eq!(constant("request.method == \"GET\""), None);
    }

    #[test]
    fn the_clients_own_words_are_told_from_what_it_asks_for() {
        let language = Language::new();
        let words =
            |source: &str| language.compile(source, false).unwrap().clients_words().collect::<Vec<_>>();
        assert_eq!(words("request.path == \"/a\""), Vec::<&str>::new());
        assert_eq!(
            words("request.headers[\"x-a\"] == \"\" && request.query.b == \"\""),
            ["headers", "query"]
        );
    }
}
