//! The chain of actors: who may be added to it, and when it is too long (RFC 8693 §4.1, §4.4).
//! Not here: verifying the tokens that name them.

use serde_json::{Map, Value};
use symbolon_token::{Actor, Subject};

use super::party::VerifiedParty;
use super::{PassedOn, VerifiedSubject};
use crate::attest::Attested;
use crate::inquiry::Caller;
use crate::refusal::Refusal;

/// The most actors that a token may name; a policy may say less.
const MAX_ACTORS: usize = 4;

/// Who is to be added to the chain.
#[derive(Debug)]
struct NewActor<'a> {
    id: Subject,
    /// The caller goes by two names.
    caller: &'a Attested,
}

/// Joins what was presented.
pub(super) fn pass_on(
    subject: VerifiedParty,
    actor: Option<&VerifiedParty>,
    caller: &Caller,
) -> Result<VerifiedSubject, Refusal> {
    let new = new_actor(actor, caller)?;
    may_act(&subject, &new)?;
    let earlier = subject.actors();
    let chain = extended(&subject, earlier.as_ref(), &new)?;
    let ends = [Some(subject.claims.expires_at), actor.map(|actor| actor.claims.expires_at)];
    let addressed_to = [Some(&subject), actor].into_iter().flatten();
    let addressed_to = addressed_to.filter_map(|party| Some((party.party, party.addressed_to.clone()?)));
    Ok(VerifiedSubject {
        passed_on: Some(PassedOn {
            facts: facts(&subject),
            addressed_to: addressed_to.collect(),
            expires_at: ends.into_iter().flatten().min().unwrap_or_default(),
            lineage: subject.lineage,
            earlier,
            chain,
        }),
        subject: subject.id,
    })
}

/// The actor is the caller; an actor token has to be its own, and bounds the life of what is made.
///
/// SECURITY: whoever is called gets the tokens of its callers, and would otherwise name any of them as the actor. A key that
/// both hold does not help: of a workload that only a token names policies know nothing, so that a `forbid` on facts
/// would not reach it.
fn new_actor<'a>(actor: Option<&VerifiedParty>, caller: &'a Caller) -> Result<NewActor<'a>, Refusal> {
    let id = Subject::from(caller.attested.workload());
    // An actor for whom somebody acts is not the one who acts; and our tokens name actors of our own only.
    let is_own =
        |actor: &VerifiedParty| actor.id == id && actor.claims.actor.is_none() && actor.issuer.is_none();
    if actor.is_some_and(|actor| !is_own(actor)) {
        return Err(Refusal::MayAct);
    }
    Ok(NewActor { id, caller: &caller.attested })
}

/// If the subject's token says who may act, nobody else may (RFC 8693 §4.4).
fn may_act(subject: &VerifiedParty, new: &NewActor<'_>) -> Result<(), Refusal> {
    match subject.claims.extra.get("may_act") {
        None => Ok(()),
        Some(Value::Object(named)) if names(named, new) => Ok(()),
        Some(_) => Err(Refusal::MayAct),
    }
}

/// Each member has to be the actor's; one that we do not know could be the one that excludes it.
fn names(named: &Map<String, Value>, new: &NewActor<'_>) -> bool {
    let is_called = |name: &str| name == new.id.as_str() || new.caller.is_called(name);
    named.contains_key("sub") | named.contains_key("client_id")
        && named.iter().all(|(member, value)| match (member.as_str(), value) {
            ("sub" | "client_id", Value::String(name)) => is_called(name),
            _ => false,
        })
}

/// The chain with the new actor in front. A workload that acts for itself adds nobody.
fn extended(
    subject: &VerifiedParty,
    earlier: Option<&Actor>,
    new: &NewActor<'_>,
) -> Result<Option<Actor>, Refusal> {
    let is_subject = subject.issuer.is_none() && subject.id == new.id;
    // Who impersonates leaves no actor behind, and must not get by a detour what it does not get at once.
    let passed_it_on = subject.issuer.is_none()
        && subject.claims.lineage.is_some()
        && subject.claims.client_id.as_ref().is_some_and(|client| client.as_str() == new.id.as_str());
    if is_subject && earlier.is_none() && !passed_it_on {
        return Ok(None);
    }
    let acts_already = earlier
        .iter()
        .flat_map(|chain| chain.chain())
        .any(|actor| actor.issuer.is_none() && actor.subject == new.id);
    if is_subject || acts_already || passed_it_on {
        return Err(Refusal::ActorLoop);
    }
    let chain = Actor { subject: new.id.clone(), issuer: None, earlier: earlier.cloned().map(Box::new) };
    let depth = chain.chain().count();
    if depth > MAX_ACTORS {
        return Err(Refusal::TooManyActors { depth, limit: MAX_ACTORS });
    }
    Ok(Some(chain))
}

fn facts(subject: &VerifiedParty) -> symbolon_policies::Subject {
    symbolon_policies::Subject {
        issuer: subject.claims.issuer.as_str().to_owned(),
        id: subject.id.as_str().to_owned(),
        audiences: subject.claims.audiences.iter().map(|audience| audience.as_str().to_owned()).collect(),
        scopes: subject.claims.scopes.clone(),
        claims: subject.tags.clone(),
    }
}
