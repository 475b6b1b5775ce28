//! How long one decision takes among 10, 1 000 and 10 000 policies, five of which are about it.
//! Not a test: run it by hand, `cargo bench -p symbolon-policies --bench decide`, on a quiet machine.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that is run by hand")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use symbolon_identity::{
    GroupName, IssuerName, ProviderName, ResourceName, RouteName, Scope, Timestamp, TrustDomain, WorkloadId,
};
use symbolon_policies::{
    Action, Assurance, Context, PolicyFile, PolicySet, Principal, Question, RequestFacts, Resource,
    TokenFacts, UnixFacts, Workload,
};

const ROUNDS: u32 = 20_000;
const BATCHES: u32 = 20;

/// Which question is asked, and what the other policies name.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// For a token, by the broker; each other policy is about another resource.
    Issue,
    /// For a token, by the broker; each other policy is about the same resource, and another principal.
    IssueOthers,
    /// For a request, by a gateway; each other policy is about another route.
    Call,
}

fn main() {
    let wanted: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    println!("question       policies   load ms   median µs   smallest µs");
    for kind in [Kind::Issue, Kind::IssueOthers, Kind::Call] {
        for size in [10, 1_000, 10_000] {
            if wanted.is_empty() || wanted.contains(&size) {
                measure(kind, size);
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a measurement needs a clock, and has no runtime to ask for one"
)]
fn measure(kind: Kind, size: usize) {
    let start = Instant::now();
    let text = if matches!(kind, Kind::Call) { call_policies(size) } else { policies(kind, size) };
    let set = PolicySet::from_files(vec![PolicyFile::new("bench.cedar", &text)], &BTreeSet::new()).unwrap();
    let load = start.elapsed();
    assert_eq!(set.len(), size);
    let question = if matches!(kind, Kind::Call) { call() } else { question() };
    assert!(set.decide(&question).is_permit());
    let mut batches: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..ROUNDS / BATCHES {
                black_box(set.decide(black_box(&question)));
            }
            start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS / BATCHES)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    let median = batches[batches.len() / 2];
    println!("{kind:<13?}  {size:>8}  {:>8}  {median:>10.1}  {:>12.1}", load.as_millis(), batches[0]);
}

/// Five policies about the question, as people write them; the rest about something else.
fn policies(kind: Kind, size: usize) -> String {
    let mut text = String::new();
    for (number, head) in [
        "permit (principal in Symbolon::Group::\"shop\"",
        "permit (principal == Symbolon::Workload::\"spiffe://example.com/unix/uid/1000\"",
        "forbid (principal",
        "permit (principal in Symbolon::Group::\"batch\"",
        "forbid (principal in Symbolon::Group::\"shop\"",
    ]
    .into_iter()
    .enumerate()
    {
        let wanted = if head.starts_with("permit") { "orders:read" } else { "orders:write" };
        let _ = writeln!(
            text,
            "@id(\"ours-{number}\") {head}, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"orders\")
             when {{ context.scope == \"{wanted}\" && principal has unix && principal.unix.uid == 1000 }};"
        );
    }
    for number in 5..size {
        let (principal, resource) = if matches!(kind, Kind::IssueOthers) {
            let other = format!("principal == Symbolon::Workload::\"spiffe://example.com/w/{number}\"");
            (other, "orders".to_owned())
        } else {
            ("principal in Symbolon::Group::\"shop\"".to_owned(), format!("api-{number}"))
        };
        let _ = writeln!(
            text,
            "@id(\"other-{number}\") permit ({principal}, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"{resource}\")
             when {{ context.scope == \"orders:read\" && context.key_bound }};"
        );
    }
    text
}

fn question() -> Question {
    let id = WorkloadId::parse("spiffe://example.com/unix/uid/1000").unwrap();
    let mut workload = Workload::new(id, ProviderName::parse("local").unwrap(), Assurance::Connection);
    workload.groups.insert(GroupName::parse("shop").unwrap());
    workload.unix = Some(UnixFacts {
        uid: 1000,
        gid: 1000,
        user: Some("shop".to_owned()),
        executable: Some("/usr/bin/symbolon-sidecar".to_owned()),
        executable_sha256: Some("ab".repeat(32)),
    });
    Question {
        principal: workload.into(),
        action: Action::Issue {
            resource: Resource::new(ResourceName::parse("orders").unwrap()),
            scope: Some(Scope::parse("orders:read").unwrap()),
        },
        context: Context {
            key_bound: true,
            source_ip: Some("10.1.2.3".parse().unwrap()),
            ..Context::at(Timestamp::from_secs(1_800_000_000).unwrap())
        },
    }
}

/// Five policies about the route of the request, the rest about others.
fn call_policies(size: usize) -> String {
    let us = "principal == Symbolon::Workload::\"spiffe://example.com/unix/uid/1000\"";
    let ours = [
        (
            format!("permit ({us}"),
            "context.method == \"GET\" && context.path like \"/orders/*\" && context.scopes.contains(\"orders:read\")",
        ),
        (format!("permit ({us}"), "context.method == \"HEAD\""),
        ("forbid (principal".to_owned(), "context.method == \"DELETE\""),
        ("forbid (principal".to_owned(), "context.path like \"/orders/secret*\""),
        ("forbid (principal".to_owned(), "!context.scopes.contains(\"orders:read\")"),
    ];
    let mut text = String::new();
    for (number, (head, condition)) in ours.iter().enumerate() {
        let about = "action == Symbolon::Action::\"call\", resource == Symbolon::Route::\"orders\"";
        let _ = writeln!(text, "@id(\"ours-{number}\") {head}, {about}) when {{ {condition} }};");
    }
    for number in ours.len()..size {
        let about =
            format!("action == Symbolon::Action::\"call\", resource == Symbolon::Route::\"api-{number}\"");
        let _ = writeln!(
            text,
            "@id(\"other-{number}\") permit ({us}, {about}) when {{ context.method == \"GET\" }};"
        );
    }
    text
}

fn call() -> Question {
    let id = WorkloadId::parse("spiffe://example.com/unix/uid/1000").unwrap();
    let mut token = TokenFacts::new(IssuerName::parse("symbolon").unwrap(), id.as_str());
    token.client_id = Some(id.as_str().to_owned());
    token.scopes = [Scope::parse("orders:read").unwrap()].into_iter().collect();
    let request = RequestFacts {
        method: "GET".to_owned(),
        path: "/orders/1".to_owned(),
        host: "orders.example.com".to_owned(),
    };
    let domain = TrustDomain::parse("example.com").unwrap();
    Question {
        principal: Principal::of_token(&token, Some(&domain)),
        action: Action::Call { route: RouteName::parse("orders").unwrap(), request, token },
        context: Context {
            key_bound: true,
            source_ip: Some("10.1.2.3".parse().unwrap()),
            ..Context::at(Timestamp::from_secs(1_800_000_000).unwrap())
        },
    }
}
