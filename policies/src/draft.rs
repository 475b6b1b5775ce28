//! A permit that would have allowed recorded questions, and its tests.
//! Not here: whether it should be allowed. It names all that is known of the principal, so that it is as narrow as it
//! can be; a person takes away what is too narrow.

use serde_json::{Value, json};
use symbolon_identity::Scope;

use crate::translate::{Case, Vocabulary};
use crate::{Action, PolicyErrors, Principal, Question, Subject, Workload};

/// A draft.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The policy, in Cedar.
    pub policy: String,
    /// Its tests, in the format of Cedar's `run-tests`: each question, and one that asks for another scope.
    pub tests: Vec<Value>,
}

/// What stands above the policy.
#[derive(Debug, Clone, Copy)]
pub struct DraftNotes<'a> {
    /// `@id`
    pub id: &'a str,
    /// `@owner`
    pub owner: Option<&'a str>,
    /// `@reason`
    pub reason: &'a str,
}

impl Draft {
    /// A permit for the questions of one decision, which differ in nothing but the scope; none without a question.
    ///
    /// # Errors
    /// [`PolicyErrors`] if the engine refuses its own names: a bug of ours.
    pub fn of(questions: &[Question], notes: DraftNotes<'_>) -> Result<Option<Self>, PolicyErrors> {
        let Some(first) = questions.first() else { return Ok(None) };
        let vocabulary = Vocabulary::new()?;
        let Some(case) = vocabulary.case(first) else { return Ok(None) };
        let policy = policy(questions, first, &case, notes);
        let test = |question: &Question, name: String, allowed: bool| {
            let case = vocabulary.case(question)?;
            test(&case, &name, allowed.then_some(notes.id))
        };
        let mut tests: Vec<Value> = Vec::new();
        for question in questions {
            let scope = scope(&question.action).map_or_else(String::new, |scope| format!(" {scope}"));
            tests.extend(test(question, format!("{}{scope} is allowed", notes.id), true));
        }
        if let Some(other) = with_another_scope(first) {
            tests.extend(test(&other, format!("{} allows no other scope", notes.id), false));
        }
        Ok(Some(Self { policy, tests }))
    }
}

fn policy(questions: &[Question], first: &Question, case: &Case, notes: DraftNotes<'_>) -> String {
    let part = |uid: Option<&cedar_policy::EntityUid>| uid.map_or_else(String::new, ToString::to_string);
    let request = &case.request;
    let (principal, action) = (part(request.principal()), part(request.action()));
    let resource = part(request.resource());
    let mut conditions = Vec::new();
    if !matches!(first.action, Action::Call { .. }) {
        let scopes: Vec<String> = questions
            .iter()
            .map(|question| quoted(scope(&question.action).map_or("", AsRef::as_ref)))
            .collect();
        conditions.push(match scopes.as_slice() {
            [one] => format!("context.scope == {one}"),
            many => format!("[{}].contains(context.scope)", many.join(", ")),
        });
    }
    if let Principal::Workload(workload) = &first.principal {
        conditions.extend(platform(workload));
    }
    conditions.extend(particulars(&first.action));
    if first.context.key_bound {
        conditions.push("context.key_bound".to_owned());
    }
    let owner = notes.owner.map_or_else(String::new, |owner| format!("@owner({})\n", quoted(owner)));
    format!(
        "@id({})\n{owner}@reason({})\npermit (\n  principal == {principal},\n  action == {action},\n  resource == {resource}\n)\nwhen {{\n  {}\n}};\n",
        quoted(notes.id),
        quoted(notes.reason),
        conditions.join(" &&\n  ")
    )
}

/// What is known of a workload beside its id.
fn platform(workload: &Workload) -> Vec<String> {
    let mut conditions = Vec::new();
    if let Some(unix) = &workload.unix {
        conditions.push(format!("principal has unix && principal.unix.uid == {}", unix.uid));
        conditions.extend(unix.executable_sha256.as_ref().map(|hash| {
            let hash = quoted(hash);
            format!("principal.unix has executable_sha256 && principal.unix.executable_sha256 == {hash}")
        }));
    }
    if let Some(oidc) = &workload.oidc {
        let (issuer, subject) = (quoted(&oidc.issuer), quoted(&oidc.subject));
        conditions.push(format!(
            "principal has oidc && principal.oidc.issuer == {issuer} && principal.oidc.subject == {subject}"
        ));
    }
    conditions.extend(workload.client.as_ref().map(|client| {
        format!("principal has client && principal.client.id == {}", quoted(client.id.as_str()))
    }));
    conditions
}

fn particulars(action: &Action) -> Vec<String> {
    let exchanged = |subject: &Subject, depth: usize| {
        vec![
            format!("context.subject.issuer == {}", quoted(&subject.issuer)),
            format!("context.subject.id == {}", quoted(&subject.id)),
            format!("context.actor_depth <= {depth}"),
        ]
    };
    match action {
        Action::Issue { .. } | Action::Operate { .. } => Vec::new(),
        Action::Exchange { subject, actors, .. } => exchanged(subject, actors.len() + 1),
        Action::Impersonate { subject, actors, .. } => exchanged(subject, actors.len()),
        Action::Call { request, .. } => {
            let (method, path) = (quoted(&request.method), quoted(&request.path));
            vec![format!("context.method == {method}"), format!("context.path == {path}")]
        }
    }
}

fn scope(action: &Action) -> Option<&Scope> {
    match action {
        Action::Issue { scope, .. } | Action::Exchange { scope, .. } | Action::Impersonate { scope, .. } => {
            scope.as_ref()
        }
        Action::Call { .. } | Action::Operate { .. } => None,
    }
}

fn with_another_scope(question: &Question) -> Option<Question> {
    let mut other = question.clone();
    match &mut other.action {
        Action::Issue { scope, .. } | Action::Exchange { scope, .. } | Action::Impersonate { scope, .. } => {
            *scope = Some(Scope::parse("something-else").ok()?);
            Some(other)
        }
        Action::Call { .. } | Action::Operate { .. } => None,
    }
}

/// One test case; allowed by this policy, or denied.
fn test(case: &Case, name: &str, allowed_by: Option<&str>) -> Option<Value> {
    let request = &case.request;
    Some(json!({
        "name": name,
        "request": {
            "principal": request.principal()?.to_string(),
            "action": request.action()?.to_string(),
            "resource": request.resource()?.to_string(),
            "context": request.context()?.to_json_value().ok()?,
        },
        "entities": case.entities.to_json_value().ok()?,
        "decision": if allowed_by.is_some() { "allow" } else { "deny" },
        "reason": allowed_by.into_iter().collect::<Vec<_>>(),
        "num_errors": 0,
    }))
}

/// A string literal. What Rust escapes, Cedar reads.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}
