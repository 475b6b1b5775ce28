use std::collections::BTreeSet;

use symbolon_identity::{ClientId, Scope};

use super::decide::{call, exchange};
use super::{issue, question, workload};
use crate::{Action, ClientFacts, Draft, DraftNotes, OidcFacts, PolicyFile, PolicySet, Question, run_tests};

const NOTES: DraftNotes<'_> = DraftNotes { id: "draft", owner: Some("me"), reason: "it was \"denied\"" };

fn drafted(questions: &[Question]) -> PolicySet {
    let draft = Draft::of(questions, NOTES).unwrap().unwrap();
    let files = vec![PolicyFile::new("draft.cedar", &draft.policy)];
    let set =
        PolicySet::from_files(files, &BTreeSet::new()).unwrap_or_else(|e| panic!("{e}\n{}", draft.policy));
    let tests = serde_json::to_string(&draft.tests).unwrap();
    for outcome in run_tests(&set, &tests).unwrap() {
        assert_eq!(outcome.failure, None, "{}\n{}", outcome.name, draft.policy);
    }
    assert!(set.lint().is_empty(), "{:?}", set.lint());
    set
}

#[test]
fn a_draft_permits_what_was_asked_and_nothing_else() {
    let mut asked = question();
    workload(&mut asked).oidc =
        Some(OidcFacts { issuer: "https://i".to_owned(), subject: "a\"b\\\n".to_owned() });
    workload(&mut asked).client = Some(ClientFacts { id: ClientId::parse("c").unwrap() });
    let write = Question { action: issue("orders", "orders:write"), ..asked.clone() };
    let set = drafted(&[asked.clone(), write.clone()]);
    assert!(set.decide(&asked).is_permit() && set.decide(&write).is_permit());
    let mut other = asked.clone();
    other.action = issue("orders", "orders:delete");
    assert!(!set.decide(&other).is_permit());
    other = asked.clone();
    workload(&mut other).unix.as_mut().unwrap().executable_sha256 = None;
    assert!(!set.decide(&other).is_permit());
    other = asked;
    other.context.key_bound = false;
    assert!(!set.decide(&other).is_permit());
}

#[test]
fn a_draft_of_a_delegation_is_for_its_subject_and_depth() {
    let mut asked = question();
    asked.action = exchange("shop");
    let set = drafted(std::slice::from_ref(&asked));
    assert!(set.decide(&asked).is_permit());
    let mut other = asked.clone();
    if let Action::Exchange { subject, .. } = &mut other.action {
        subject.id = "keycloak:bob".to_owned();
    }
    assert!(!set.decide(&other).is_permit());
    if let Action::Exchange { actors, scope, .. } = &mut asked.action {
        actors.push("spiffe://example.com/second".to_owned());
        *scope = Some(Scope::parse("orders:read").unwrap());
    }
    assert!(!set.decide(&asked).is_permit());
}

#[test]
fn a_draft_of_a_call_is_for_its_method_and_path() {
    let mut asked = question();
    asked.action = call("GET", "/orders/1");
    let set = drafted(std::slice::from_ref(&asked));
    asked.action = call("POST", "/orders/1");
    assert!(!set.decide(&asked).is_permit());
}
