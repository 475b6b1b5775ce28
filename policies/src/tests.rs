//! Tests of the set as a whole, through its public interface.
//! Not here: tests of single functions, which stand beside them.

mod decide;
mod examples;
mod explain;
mod index;
mod load;

use symbolon_identity::{ProviderName, ResourceName, Scope, Timestamp, WorkloadId};

use crate::{
    Action, Assurance, Context, PolicyErrors, PolicyFile, PolicySet, Question, Resource, UnixFacts, Workload,
};

/// A set from one file `p.cedar`.
fn set(text: &str) -> Result<PolicySet, PolicyErrors> {
    PolicySet::from_files(vec![PolicyFile::new("p.cedar", text)])
}

/// The user 1000 asks for `orders:read` on `orders` over a Unix socket.
fn question() -> Question {
    Question {
        principal: Workload {
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
        },
        action: issue("orders", "orders:read"),
        context: Context {
            now: Timestamp::from_secs(1_800_000_000).unwrap(),
            source_ip: None,
            evidence_age: None,
            key_bound: true,
        },
    }
}

fn issue(resource: &str, scope: &str) -> Action {
    Action::Issue {
        resource: Resource::new(ResourceName::parse(resource).unwrap()),
        scope: Some(Scope::parse(scope).unwrap()),
    }
}
