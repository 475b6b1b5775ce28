//! The index gives the same answers as the whole set judged by hand, and what we build conforms to the schema.

use std::collections::BTreeSet;
use std::time::Duration;

use cedar_policy::{Entities, Request};
use proptest::prelude::*;
use symbolon_identity::{ClientId, GroupName, RouteName, Scopes};

use super::{issue, question, set};
use crate::compile::schema;
use crate::translate::Vocabulary;
use crate::{Action, Assurance, ClientFacts, Decision, DenialKind, OidcFacts, Question};

/// One generated policy and what it should do, judged without Cedar.
#[derive(Debug, Clone)]
struct Generated {
    forbid: bool,
    resource: usize,
    group: bool,
    condition: usize,
}

const RESOURCES: [&str; 4] = [
    "resource",
    "resource == Symbolon::Resource::\"orders\"",
    "resource == Symbolon::Resource::\"billing\"",
    "resource in Symbolon::ResourceGroup::\"public\"",
];
const CONDITIONS: [&str; 4] = [
    "",
    "when { context.key_bound }",
    "when { principal has unix && principal.unix.uid * 9223372036854775807 > 0 }",
    "when { context.scope == \"never\" }",
];

impl Generated {
    fn text(&self, index: usize) -> String {
        let effect = if self.forbid { "forbid" } else { "permit" };
        let principal = if self.group { "principal in Symbolon::Group::\"shop\"" } else { "principal" };
        format!(
            "@id(\"p{index}\") {effect} ({principal}, action == Symbolon::Action::\"issue\", {}) {};\n",
            RESOURCES[self.resource], CONDITIONS[self.condition]
        )
    }

    /// `None` if it cannot be evaluated.
    fn holds(&self, question: &Question) -> Option<bool> {
        let Action::Issue { resource, .. } = &question.action else { return Some(false) };
        let public = GroupName::parse("public").unwrap();
        let shop = GroupName::parse("shop").unwrap();
        let about = match self.resource {
            0 => true,
            1 => resource.name.as_str() == "orders",
            2 => resource.name.as_str() == "billing",
            _ => resource.groups.contains(&public),
        };
        if !about || self.group && !question.principal.groups.contains(&shop) {
            return Some(false);
        }
        match self.condition {
            0 => Some(true),
            1 => Some(question.context.key_bound),
            2 if question.principal.unix.as_ref().is_some_and(|unix| unix.uid > 1) => None,
            2 => Some(question.principal.unix.as_ref().is_some_and(|unix| unix.uid == 1)),
            _ => Some(false),
        }
    }
}

/// Permitted or not, by which policies, by the rule that a forbid which cannot be evaluated denies.
fn judge(
    policies: &[Generated],
    question: &Question,
) -> Result<BTreeSet<usize>, (DenialKind, BTreeSet<usize>)> {
    let which = |forbid: bool, verdict: Option<bool>| -> BTreeSet<usize> {
        let matching =
            |(_, policy): &(usize, &Generated)| policy.forbid == forbid && policy.holds(question) == verdict;
        policies.iter().enumerate().filter(matching).map(|(index, _)| index).collect()
    };
    let (forbids, failed, permits) = (which(true, Some(true)), which(true, None), which(false, Some(true)));
    match (forbids.is_empty(), failed.is_empty(), permits.is_empty()) {
        (false, _, _) => Err((DenialKind::Forbidden, forbids)),
        (true, false, _) => Err((DenialKind::Error, failed)),
        (true, true, true) => Err((DenialKind::NoPermit, BTreeSet::new())),
        (true, true, false) => Ok(permits),
    }
}

fn generated() -> impl Strategy<Value = Generated> {
    // Forbids and failing conditions are rarer, so that permits are seen too.
    let forbid = prop::bool::weighted(0.2);
    (forbid, 0..RESOURCES.len(), any::<bool>(), prop_oneof![4 => 0..2_usize, 1 => 2..4_usize])
        .prop_map(|(forbid, resource, group, condition)| Generated { forbid, resource, group, condition })
}

fn asked() -> impl Strategy<Value = Question> {
    let resource = prop::sample::select(vec!["orders", "billing", "other"]);
    (resource, any::<(bool, bool, bool)>(), prop::option::of(0..4_u32)).prop_map(
        |(resource, (public, shop, key_bound), uid)| {
            let mut question = question();
            question.action = issue(resource, "orders:read");
            if let (Action::Issue { resource, .. }, true) = (&mut question.action, public) {
                resource.groups.insert(GroupName::parse("public").unwrap());
            }
            if shop {
                question.principal.groups.insert(GroupName::parse("shop").unwrap());
            }
            question.context.key_bound = key_bound;
            question.principal.unix = match (question.principal.unix.take(), uid) {
                (Some(unix), Some(uid)) => Some(crate::UnixFacts { uid, ..unix }),
                _ => None,
            };
            question
        },
    )
}

fn numbers(ids: &[crate::PolicyId]) -> BTreeSet<usize> {
    ids.iter().map(|id| id.as_str()[1..].parse().unwrap()).collect()
}

/// Any question that the types allow.
fn anything() -> impl Strategy<Value = Question> {
    let texts = || ("\\PC{0,12}", "\\PC{0,12}");
    let tags = prop::collection::btree_map("\\PC{0,8}", "\\PC{0,8}", 0..3);
    let action = prop_oneof![
        Just(issue("orders", "orders:read")),
        ("[A-Z]{1,7}", "/\\PC{0,12}").prop_map(|(method, path)| Action::Call {
            route: RouteName::parse("orders").unwrap(),
            method,
            path,
            scopes: Scopes::parse("a b").unwrap(),
        }),
    ];
    let context = (0..=253_402_300_799_u64, any::<Option<std::net::IpAddr>>(), any::<Option<u64>>());
    (asked(), texts(), tags, action, context).prop_map(|(mut question, (a, b), tags, action, context)| {
        let (now, source_ip, age) = context;
        question.principal.oidc = Some(OidcFacts { issuer: a.clone(), subject: b.clone() });
        question.principal.client = Some(ClientFacts { id: ClientId::parse("c").unwrap() });
        question.principal.assurance = Assurance::Live;
        if let Some(unix) = &mut question.principal.unix {
            unix.executable_sha256 = (!a.is_empty()).then(|| a.clone());
            (unix.user, unix.executable) = (Some(a), Some(b));
        }
        question.principal.tags = tags;
        question.action = action;
        question.context.now = symbolon_identity::Timestamp::from_secs(now).unwrap();
        question.context.source_ip = source_ip;
        question.context.evidence_age = age.map(Duration::from_secs);
        question
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_like_the_whole_set_judged_by_hand(
        policies in prop::collection::vec(generated(), 0..12),
        questions in prop::collection::vec(asked(), 8),
    ) {
        let text: String = policies.iter().enumerate().map(|(index, policy)| policy.text(index)).collect();
        let set = set(&text).unwrap();
        for question in questions {
            let expected = judge(&policies, &question);
            match set.decide(&question) {
                Decision::Permit(permit) => prop_assert_eq!(Ok(numbers(permit.policies())), expected),
                Decision::Denial(denial) => {
                    prop_assert_eq!(Err((denial.kind(), numbers(denial.policies()))), expected);
                }
            }
        }
    }

    #[test]
    fn an_explanation_agrees_with_the_decision(
        policies in prop::collection::vec(generated(), 0..8),
        question in asked(),
    ) {
        let text: String = policies.iter().enumerate().map(|(index, policy)| policy.text(index)).collect();
        let set = set(&text).unwrap();
        let explanation = set.explain(&question);
        prop_assert_eq!(explanation.permitted, set.decide(&question).is_permit());
        for explained in &explanation.policies {
            let index: usize = explained.id.as_str()[1..].parse().unwrap();
            prop_assert_eq!(explained.applies, policies[index].holds(&question) == Some(true));
        }
    }

    #[test]
    fn what_we_build_conforms_to_the_schema(question in anything()) {
        let schema = schema().unwrap();
        let case = Vocabulary::new().unwrap().case(&question);
        prop_assert!(case.is_some(), "the engine refused a value");
        let case = case.unwrap();
        let entities = Entities::from_entities(case.entities.iter().cloned(), Some(&schema));
        prop_assert!(entities.is_ok(), "{:?}", entities.err());
        let part = |uid: Option<&cedar_policy::EntityUid>| uid.cloned().unwrap();
        let request = Request::new(
            part(case.request.principal()),
            part(case.request.action()),
            part(case.request.resource()),
            case.request.context().unwrap().clone(),
            Some(&schema),
        );
        prop_assert!(request.is_ok(), "{:?}", request.err());
    }
}
