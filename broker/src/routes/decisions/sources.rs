//! Who vouched for the value that a condition saw, and how old it was.
//! Not here: the value.

use symbolon_policies::Question;

use crate::record::DecisionRecord;

/// Where a value came from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Who said it.
    pub(super) name: String,
    /// How old it was at the decision, in seconds, if it is known.
    pub(super) age: Option<u64>,
}

impl Source {
    /// The source of an attribute such as `principal.unix.uid`.
    pub(super) fn of(about: &str, question: &Question, record: &DecisionRecord) -> Self {
        let provider = || format!("trust provider `{}`", record.caller.provider);
        let evidence = || question.context.evidence_age.map(|age| age.as_secs());
        let within = |part: &str| {
            about.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let (name, age) = if within("principal.unix") {
            ("the kernel, at the attestation socket".to_owned(), Some(0))
        } else if within("principal.oidc") {
            (format!("the evidence, verified by {}", provider()), evidence())
        } else if within("principal.kubernetes") {
            let asked = matches!(record.caller.assurance, symbolon_policies::Assurance::Live);
            let said =
                if asked { "the API server, asked by" } else { "the service account token, verified by" };
            (format!("{said} {}", provider()), if asked { Some(0) } else { evidence() })
        } else if within("context.key_changed") {
            ("the pins of the broker".to_owned(), Some(0))
        } else if within("principal.client") {
            ("the registered client's assertion".to_owned(), evidence())
        } else if about == "principal" {
            (format!("{} and `groups:` of the configuration", provider()), evidence())
        } else if within("principal") {
            (provider(), evidence())
        } else if within("context.now") || within("context.local") {
            ("the broker's clock".to_owned(), Some(0))
        } else if within("context.source_ip") {
            ("the connection".to_owned(), Some(0))
        } else if within("context.scope") {
            ("the request".to_owned(), Some(0))
        } else if within("context.key_bound") {
            ("the proof of possession".to_owned(), Some(0))
        } else if within("context.evidence_age") {
            ("the evidence".to_owned(), None)
        } else if within("context.subject") || within("context.actors") || within("context.actor_depth") {
            ("the subject token".to_owned(), None)
        } else {
            ("the configuration".to_owned(), None)
        };
        Self { name, age }
    }
}
