//! The claims that a resource adds to its tokens: attested facts in the words of who reads the tokens.
//! Not here: what a caller asserts about itself; no expression can name it.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use symbolon_cel::{Bindings, EvalError, Program, Shape};
use symbolon_token::{ClaimName, ExtraClaims};

use crate::attest::{self, Attested};
use crate::findings::Findings;
use crate::refusal::Refusal;

/// The most claims of one resource.
const MOST_CLAIMS: usize = 16;
/// The most elements of one list.
const MOST_ELEMENTS: usize = 32;
/// The most bytes of all values together, so that a token stays small enough for a header.
const MOST_BYTES: usize = 2048;

/// The section `claims` of a resource.
#[derive(Debug, Default)]
pub(crate) struct ClaimMapping {
    all: Vec<(ClaimName, Program)>,
}

/// Why a claim cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimError {
    /// The expression has no result.
    #[error("the expression has no result")]
    Evaluation(#[from] EvalError),
    /// The result is of a kind that no claim has.
    #[error("the result is not a string, bool, int or list of at most {MOST_ELEMENTS} strings")]
    Kind,
    /// The values are too long for a token.
    #[error("the values are longer than {MOST_BYTES} bytes together")]
    TooLong,
    /// The facts cannot be handed to an expression.
    #[error("the facts cannot be read by an expression")]
    Facts,
}

impl ClaimMapping {
    /// Compiles the section at `path`.
    pub(crate) fn build(section: &BTreeMap<String, String>, path: &str, findings: &mut Findings) -> Self {
        if section.len() > MOST_CLAIMS {
            findings.add(path, format!("a resource has at most {MOST_CLAIMS} claims of its own"));
        }
        let language = attest::language();
        let mut all = Vec::with_capacity(section.len());
        for (name, source) in section {
            let path = format!("{path}.{name}");
            let name = ClaimName::parse(name).map_err(|error| findings.add(&path, error));
            let program = language.compile(source).map_err(|error| findings.add(&path, error));
            if let (Ok(name), Ok(program)) = (name, program) {
                if !could_be_a_claim(program.shape()) {
                    let found = program.shape();
                    findings.add(
                        &path,
                        format!("a claim is a string, bool, int or list of strings, this is {found}"),
                    );
                }
                all.push((name, program));
            }
        }
        Self { all }
    }

    /// The claims of a token for a caller, which is for all that have these mappings.
    ///
    /// # Errors
    /// [`Refusal::ClaimUndetermined`] if one cannot be told: a token without it could mean something else to its reader.
    /// [`Refusal::InvalidTarget`] if two mappings give one claim different values: one reader would believe the other's.
    pub(crate) fn together<'a>(
        mappings: impl IntoIterator<Item = &'a Self>,
        attested: &Attested,
    ) -> Result<ExtraClaims, Refusal> {
        let mut claims = ExtraClaims::new();
        let all: Vec<&(ClaimName, Program)> = mappings.into_iter().flat_map(|mapping| &mapping.all).collect();
        if all.is_empty() {
            return Ok(claims);
        }
        let bindings = attested.bindings();
        let mut room = MOST_BYTES;
        for (name, program) in all {
            let bindings = bindings.as_ref().map_err(|_| ClaimError::Facts);
            let value = bindings.and_then(|bindings| evaluate(program, bindings, &mut room));
            let value = value.map_err(|source| Refusal::ClaimUndetermined { claim: name.clone(), source })?;
            if claims.get(name.as_str()).is_some_and(|other| *other != value) {
                return Err(Refusal::InvalidTarget("one of several that differ in a claim"));
            }
            claims.insert(name.as_str().to_owned(), value);
        }
        Ok(claims)
    }
}

fn could_be_a_claim(shape: &Shape) -> bool {
    match shape {
        Shape::String | Shape::Bool | Shape::Int | Shape::Dynamic => true,
        Shape::List(element) => matches!(**element, Shape::String | Shape::Dynamic),
        Shape::Double | Shape::Record(_) | Shape::Map(_) | Shape::TotalMap(_) => false,
    }
}

fn evaluate(program: &Program, bindings: &Bindings, room: &mut usize) -> Result<Json, ClaimError> {
    let value = program.eval(bindings)?.to_json().ok_or(ClaimError::Kind)?;
    let length = match &value {
        Json::String(text) => text.len(),
        Json::Bool(_) => 0,
        Json::Number(number) if number.is_i64() => 0,
        Json::Array(elements) if elements.len() <= MOST_ELEMENTS => {
            let lengths = elements.iter().map(|element| element.as_str().map(str::len));
            lengths.sum::<Option<usize>>().ok_or(ClaimError::Kind)?
        }
        Json::Null | Json::Number(_) | Json::Array(_) | Json::Object(_) => return Err(ClaimError::Kind),
    };
    *room = room.checked_sub(length).ok_or(ClaimError::TooLong)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use symbolon_cel::{Environment, Value};

    use super::*;

    fn value(source: &str) -> Result<Json, ClaimError> {
        let language = Environment::builder().declare("attested", Shape::Dynamic).build();
        let attested = Value::from_json(&serde_json::json!({
            "user": "alice", "uid": 7, "long": "a".repeat(3000), "groups": ["a", "b"], "ratio": 0.5,
            "many": vec!["a"; 33], "mixed": ["a", 1], "nothing": null,
        }));
        let bindings = Bindings::new().with("attested", attested.unwrap());
        evaluate(&language.compile(source).unwrap(), &bindings, &mut MOST_BYTES.clone())
    }

    #[test]
    fn a_claim_is_a_string_bool_int_or_list_of_strings() {
        for (source, expected) in [
            ("attested.user", serde_json::json!("alice")),
            ("attested.uid + 1", serde_json::json!(8)),
            ("attested.uid == 7", serde_json::json!(true)),
            ("attested.groups", serde_json::json!(["a", "b"])),
            ("has(attested.zone) ? attested.zone : \"none\"", serde_json::json!("none")),
        ] {
            assert_eq!(value(source), Ok(expected), "{source}");
        }
        for source in
            ["attested", "attested.ratio", "attested.many", "attested.mixed", "attested.nothing", "[[\"a\"]]"]
        {
            assert_eq!(value(source), Err(ClaimError::Kind), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_told_or_is_too_long_is_an_error() {
        assert!(matches!(value("attested.zone"), Err(ClaimError::Evaluation(_))));
        assert_eq!(value("attested.long"), Err(ClaimError::TooLong));
    }

    #[test]
    fn names_expressions_and_shapes_are_checked_at_load() {
        let section: BTreeMap<String, String> = [
            ("sub", "attested.user"),
            ("tenant", "attested.usr"),
            ("score", "1.5"),
            ("whole", "workload"),
            ("fine", "workload.provider"),
        ]
        .into_iter()
        .map(|(name, source)| (name.to_owned(), source.to_owned()))
        .collect();
        let mut findings = Findings::default();
        let mapping = ClaimMapping::build(&section, "resources[0].claims", &mut findings);
        let found = format!("{findings:?}");
        for part in [
            "resources[0].claims.sub\", \"this claim has a meaning",
            "did you mean `user`",
            "this is a double",
            "this is a record",
        ] {
            assert!(found.contains(part), "{part} is not in {found}");
        }
        assert!(!found.contains("claims.fine"), "{found}");
        assert!(mapping.all.iter().any(|(name, _)| name.as_str() == "fine"));
    }
}
