//! Runs the test cases that stand beside policies, in the format of Cedar's own `run-tests` command.
//! Not here: questions from programs; a test case speaks Cedar directly and is checked against the schema.

use std::collections::BTreeSet;
use std::str::FromStr;

use cedar_policy::{Context, Entities, EntityUid, Request, Schema};
use serde::Deserialize;
use serde_json::Value;

use crate::translate::Case;
use crate::{Decision, PolicyId, PolicySet, Shadow};

/// Why a file of tests cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum MalformedTests {
    /// It is not a JSON array of test cases.
    #[error("not a list of test cases: {0}")]
    Json(#[from] serde_json::Error),
    /// It holds no test, so it would prove nothing.
    #[error("holds no test case")]
    Empty,
}

/// How one test case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// Its name, or its number from 1.
    pub name: String,
    /// What went otherwise than expected; none if it passed.
    pub failure: Option<String>,
    /// The policies that decided it, and those that would have if they were enforced.
    pub decided: Vec<PolicyId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestCase {
    #[serde(default)]
    name: Option<String>,
    request: TestRequest,
    entities: Value,
    decision: Expected,
    reason: Vec<String>,
    num_errors: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestRequest {
    principal: String,
    action: String,
    resource: String,
    context: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Deny,
}

/// Runs each test case of a `tests.json` against the set.
///
/// `decision` is what our rules say: where a `forbid` fails to evaluate, it is `deny` here, although Cedar alone would skip it.
///
/// # Errors
/// [`MalformedTests`] if the text is not a non-empty list of test cases. A single case that does not fit the schema fails by itself.
pub fn run_tests(set: &PolicySet, tests: &str) -> Result<Vec<TestOutcome>, MalformedTests> {
    let cases: Vec<TestCase> = serde_json::from_str(tests)?;
    if cases.is_empty() {
        return Err(MalformedTests::Empty);
    }
    let run = |(index, case): (usize, TestCase)| {
        let mut decided = Vec::new();
        TestOutcome {
            failure: run_one(set, &case, &mut decided).err(),
            name: case.name.unwrap_or_else(|| format!("#{}", index + 1)),
            decided,
        }
    };
    Ok(cases.into_iter().enumerate().map(run).collect())
}

/// The policies of the set that decided none of these tests: whether they do what they should, nobody knows.
#[must_use]
pub fn untested(set: &PolicySet, outcomes: &[TestOutcome]) -> Vec<PolicyId> {
    let decided: BTreeSet<&PolicyId> = outcomes.iter().flat_map(|outcome| &outcome.decided).collect();
    set.rules.keys().filter(|id| !decided.contains(id)).cloned().collect()
}

fn run_one(set: &PolicySet, test: &TestCase, decided: &mut Vec<PolicyId>) -> Result<(), String> {
    let case = case(test, &set.schema)?;
    let decision = set.judge(&case);
    decided.extend(decision.shadow().map(Shadow::policies).into_iter().flatten().cloned());
    let (actual, policies, errors) = match decision {
        Decision::Permit(permit) => (Expected::Allow, permit.policies, permit.errors),
        Decision::Denial(denial) => (Expected::Deny, denial.policies, denial.errors),
    };
    decided.extend_from_slice(&policies);
    if actual != test.decision {
        return Err(format!("expected {:?}, got {actual:?} by {policies:?}", test.decision));
    }
    let missing: Vec<_> =
        test.reason.iter().filter(|reason| !policies.iter().any(|id| id.as_str() == *reason)).collect();
    if !missing.is_empty() {
        return Err(format!("expected {missing:?} among the deciding policies, got {policies:?}"));
    }
    if errors.len() != test.num_errors {
        return Err(format!("expected {} evaluation errors, got them in {errors:?}", test.num_errors));
    }
    Ok(())
}

fn case(test: &TestCase, schema: &Schema) -> Result<Case, String> {
    let uid = |text: &str| EntityUid::from_str(text).map_err(|error| format!("`{text}`: {error}"));
    let (principal, action) = (uid(&test.request.principal)?, uid(&test.request.action)?);
    let resource = uid(&test.request.resource)?;
    let context = Context::from_json_value(test.request.context.clone(), Some((schema, &action)))
        .map_err(|error| format!("context: {error}"))?;
    let request = Request::new(principal, action, resource, context, Some(schema))
        .map_err(|error| format!("request: {error}"))?;
    let entities = Entities::from_json_value(test.entities.clone(), Some(schema))
        .map_err(|error| format!("entities: {error}"))?;
    Ok(Case { request, entities })
}
