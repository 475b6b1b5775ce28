//! Policy texts to validated rules: everything that can be wrong is found here, at load.
//! Not here: answering questions (`set`).

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{
    Effect as CedarEffect, Expression, Policy, PolicyId as CedarId, PolicySet as CedarSet, Schema,
    ValidationMode, ValidationWarning, Validator,
};

use crate::annotations::Annotations;
use crate::depth;
use crate::source::Places;
use crate::{
    Effect, PolicyError, PolicyErrors, PolicyFile, PolicyId, PolicyWarning, Position, Problem, Warning,
};

/// The most policies in one set.
const MAX_POLICIES: usize = 10_000;

/// One policy with what we know about it.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) effect: Effect,
    pub(crate) annotations: Annotations,
    pub(crate) file: usize,
    pub(crate) position: Position,
    pub(crate) policy: Policy,
    /// Head and conditions as one expression. The engine's own authorizer makes it anew for each policy and question.
    pub(crate) whole: Expression,
}

/// The rules by their ids.
pub(crate) type Rules = BTreeMap<PolicyId, Arc<Rule>>;

/// A refusal by the engine of something that we made: never the policies' fault.
pub(crate) fn engine(error: &dyn std::error::Error) -> PolicyError {
    Problem::Engine(error.to_string()).at("schema.cedarschema", None)
}

/// Parses and validates all files; every error of a phase is reported at once.
pub(crate) fn compile(
    files: &[PolicyFile],
    schema: &Schema,
) -> Result<(Rules, Vec<PolicyWarning>), PolicyErrors> {
    let (mut rules, mut errors) = (Rules::new(), Vec::new());
    for (index, file) in files.iter().enumerate() {
        if let Err((problem, offset)) = depth::check(&file.text) {
            errors.push(problem.at(&file.name, Some(file.position(offset))));
            continue;
        }
        match CedarSet::from_str(&file.text) {
            Ok(parsed) => collect(&parsed, index, files, (&mut rules, &mut errors)),
            Err(problems) => {
                errors.extend(problems.iter().map(|problem| syntax(&DetailedError::from(problem), file)));
            }
        }
    }
    if rules.len() > MAX_POLICIES {
        errors.push(Problem::TooMany { what: "policies", limit: MAX_POLICIES }.at("the folder", None));
    }
    if !errors.is_empty() {
        return Err(PolicyErrors::sorted(errors));
    }
    let warnings = validate(&rules, files, schema)?;
    Ok((rules, warnings))
}

fn syntax(detail: &DetailedError, file: &PolicyFile) -> PolicyError {
    let problem = Problem::Syntax { message: detail.message.clone(), help: help(detail) };
    problem.at(&file.name, position(detail, file))
}

fn help(detail: &DetailedError) -> Option<String> {
    let labels = detail.source_locations.iter().filter_map(|label| label.label.clone());
    let parts: Vec<String> = labels.chain(detail.help.clone()).collect();
    if parts.is_empty() { None } else { Some(parts.join("; ")) }
}

fn position(detail: &DetailedError, file: &PolicyFile) -> Option<Position> {
    detail.source_locations.first().map(|label| file.position(label.loc.start))
}

/// Adds the policies of one parsed file to the rules.
fn collect(
    parsed: &CedarSet,
    index: usize,
    files: &[PolicyFile],
    (rules, errors): (&mut Rules, &mut Vec<PolicyError>),
) {
    let Some(file) = files.get(index) else { return };
    for template in parsed.templates() {
        let place = file.text.find(&template.to_cedar()).map(|offset| file.position(offset));
        errors.push(Problem::Template.at(&file.name, place));
    }
    let (places, mut from) = (Places::of(file), 0);
    for policy in in_order(parsed) {
        let text = policy.to_cedar().unwrap_or_default();
        let start = file.text.get(from..).and_then(|rest| rest.find(&text)).map_or(from, |at| from + at);
        from = start + text.len();
        match rule(policy, index) {
            Ok(rule) => {
                let rule = Rule { position: places.position(start), ..rule };
                insert(rule, files, (rules, errors));
            }
            Err(problems) => errors.extend(problems.into_iter().map(|(problem, name)| {
                let inside = name.and_then(|name| text.find(&format!("@{name}"))).unwrap_or_default();
                problem.at(&file.name, Some(places.position(start + inside)))
            })),
        }
    }
}

/// The parser numbers policies in the order of the text but keeps them unordered.
fn in_order(parsed: &CedarSet) -> Vec<&Policy> {
    let number = |policy: &Policy| {
        let id: &str = policy.id().as_ref();
        id.trim_start_matches("policy").parse::<usize>().unwrap_or(usize::MAX)
    };
    let mut policies: Vec<_> = parsed.policies().collect();
    policies.sort_by_key(|policy| number(policy));
    policies
}

fn rule(policy: &Policy, file: usize) -> Result<Rule, Vec<(Problem, Option<String>)>> {
    let effect = match policy.effect() {
        CedarEffect::Permit => Effect::Permit,
        CedarEffect::Forbid => Effect::Forbid,
    };
    let annotations = Annotations::parse(policy.annotations(), effect == Effect::Forbid)?;
    let policy = policy.new_id(CedarId::new(annotations.id.as_str()));
    let whole = policy.as_ref().condition().into();
    Ok(Rule { effect, annotations, file, position: Position { line: 1, column: 1 }, policy, whole })
}

fn insert(rule: Rule, files: &[PolicyFile], (rules, errors): (&mut Rules, &mut Vec<PolicyError>)) {
    let file_name = |index: usize| files.get(index).map_or("", |file| file.name.as_str());
    let id = rule.annotations.id.clone();
    if let Some(taken) = rules.get(&id) {
        let Position { line, column } = taken.position;
        let first = format!("{}:{line}:{column}", file_name(taken.file));
        let problem = Problem::DuplicateId { id: id.to_string(), first };
        errors.push(problem.at(file_name(rule.file), Some(rule.position)));
    } else {
        rules.insert(id, Arc::new(rule));
    }
}

/// Validates all rules against the schema, strictly.
fn validate(
    rules: &Rules,
    files: &[PolicyFile],
    schema: &Schema,
) -> Result<Vec<PolicyWarning>, PolicyErrors> {
    let validator = Validator::new(schema.clone());
    let set = CedarSet::from_policies(rules.values().map(|rule| rule.policy.clone()))
        .map_err(|error| engine(&error))?;
    let result = validator.validate(&set, ValidationMode::Strict);
    let by_id: HashMap<&str, &Arc<Rule>> = rules.iter().map(|(id, rule)| (id.as_str(), rule)).collect();
    let place = |id: &CedarId, detail: &DetailedError| {
        let id: &str = id.as_ref();
        let rule = by_id.get(id)?;
        let file = files.get(rule.file)?;
        Some((file.name.clone(), position(detail, file).unwrap_or(rule.position)))
    };
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for error in result.validation_errors() {
        let detail = DetailedError::from(error);
        errors.push((place(error.policy_id(), &detail), detail));
    }
    for warning in result.validation_warnings() {
        let detail = DetailedError::from(warning);
        let place = place(warning.policy_id(), &detail);
        if is_deceptive(warning) { errors.push((place, detail)) } else { warnings.push((place, detail)) }
    }
    if errors.is_empty() {
        return Ok(warnings.into_iter().map(|(place, detail)| never_applies(place, detail)).collect());
    }
    Err(PolicyErrors::sorted(errors.into_iter().map(|(place, detail)| invalid(place, &detail)).collect()))
}

/// Text that shows a reviewer something else than it says: an error, where Cedar only warns.
fn is_deceptive(warning: &ValidationWarning) -> bool {
    matches!(
        warning,
        ValidationWarning::MixedScriptString(_)
            | ValidationWarning::BidiCharsInString(_)
            | ValidationWarning::BidiCharsInIdentifier(_)
            | ValidationWarning::MixedScriptIdentifier(_)
            | ValidationWarning::ConfusableIdentifier(_)
    )
}

fn invalid(place: Option<(String, Position)>, detail: &DetailedError) -> PolicyError {
    let problem = Problem::Invalid { message: detail.message.clone(), help: help(detail) };
    match place {
        Some((file, position)) => problem.at(&file, Some(position)),
        None => problem.at("the folder", None),
    }
}

fn never_applies(place: Option<(String, Position)>, detail: DetailedError) -> PolicyWarning {
    let (file, position) = place.unzip();
    PolicyWarning { file, position, warning: Warning::NeverApplies(detail.message) }
}
