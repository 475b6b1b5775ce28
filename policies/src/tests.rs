//! Tests of the set as a whole, through its public interface.
//! Not here: tests of single functions, which stand beside them.

mod decide;
mod draft;
mod examples;
mod explain;
mod index;
mod load;

use std::collections::BTreeSet;

use symbolon_identity::{ProviderName, ResourceName, Scope, Timestamp, WorkloadId};

use crate::{
    Action, Assurance, Context, PolicyErrors, PolicyFile, PolicySet, Principal, Question, Resource,
    UnixFacts, Workload,
};

/// A set from one file `p.cedar`.
fn set(text: &str) -> Result<PolicySet, PolicyErrors> {
    PolicySet::from_files(vec![PolicyFile::new("p.cedar", text)], &BTreeSet::new())
}

/// The user 1000 asks for `orders:read` on `orders` over a Unix socket.
fn question() -> Question {
    Question {
        principal: Principal::Workload(Workload {
            unix: Some(UnixFacts {
                uid: 1000,
                gid: 1000,
                user: None,
                executable: Some("/usr/bin/sidecar".to_owned()),
                executable_sha256: Some("ab".repeat(32)),
            }),
            ..Workload::new(
                WorkloadId::parse("spiffe://example.com/unix/uid/1000").unwrap(),
                ProviderName::parse("local").unwrap(),
                Assurance::Connection,
            )
        }),
        action: issue("orders", "orders:read"),
        context: Context { key_bound: true, ..Context::at(Timestamp::from_secs(1_800_000_000).unwrap()) },
    }
}

/// The workload that asks, to be changed.
fn workload(question: &mut Question) -> &mut Workload {
    match &mut question.principal {
        Principal::Workload(workload) => workload,
        Principal::User(user) => panic!("{user:?} is no workload"),
    }
}

fn issue(resource: &str, scope: &str) -> Action {
    Action::Issue {
        resource: Resource::new(ResourceName::parse(resource).unwrap()),
        scope: Some(Scope::parse(scope).unwrap()),
    }
}
