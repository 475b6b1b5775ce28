//! The index gives the same answers as the whole set judged by hand, and what we build conforms to the schema.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cedar_policy::{AuthorizationError, Authorizer, Entities, Request};
use proptest::prelude::*;
use symbolon_identity::{ClientId, GroupName, IssuerName, LocalTimeName, ResourceName, WorkloadId};

use super::decide::{alice, call};
use super::{question, set, workload};
use crate::annotations::Mode;
use crate::schema::schema;
use crate::translate::Vocabulary;
use crate::{
    Action, Assurance, ClientFacts, Decision, DenialKind, KubernetesFacts, LocalTimes, OidcFacts, PodFacts,
    PodPosture, Principal, Question, Resource, Shadow, User,
};

/// One generated policy and what it should do, judged without Cedar.
#[derive(Debug, Clone)]
struct Generated {
    forbid: bool,
    shadow: bool,
    principal: usize,
    about: usize,
    condition: usize,
}

const PRINCIPALS: [&str; 6] = [
    "principal",
    "principal == Symbolon::Workload::\"spiffe://example.com/a\"",
    "principal == Symbolon::Workload::\"spiffe://example.com/b\"",
    "principal in Symbolon::Group::\"shop\"",
    "principal is Symbolon::Workload",
    "principal is Symbolon::Workload in Symbolon::Group::\"shop\"",
];
/// Actions and resources that a policy may name together.
const ABOUT: [&str; 11] = [
    "action, resource",
    "action == Symbolon::Action::\"issue\", resource",
    "action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"orders\"",
    "action, resource == Symbolon::Resource::\"billing\"",
    "action in [Symbolon::Action::\"issue\", Symbolon::Action::\"impersonate\"], resource == Symbolon::Resource::\"orders\"",
    "action == Symbolon::Action::\"exchange\", resource in Symbolon::ResourceGroup::\"public\"",
    "action, resource is Symbolon::Resource",
    "action, resource is Symbolon::Resource in Symbolon::ResourceGroup::\"public\"",
    "action == Symbolon::Action::\"call\", resource == Symbolon::Route::\"orders\"",
    "action == Symbolon::Action::\"call\", resource",
    "action in [Symbolon::Action::\"call\", Symbolon::Action::\"issue\", Symbolon::Action::\"issue\"], resource",
];
const CONDITIONS: [&str; 4] = [
    "",
    "when { context.key_bound }",
    "when { principal has unix && principal.unix.uid * 9223372036854775807 > 0 }",
    "when { context.now < datetime(\"1970-01-02\") }",
];

impl Generated {
    fn text(&self, index: usize) -> String {
        let effect = if self.forbid { "forbid" } else { "permit" };
        let mode = if self.shadow { "@mode(\"shadow\")" } else { "" };
        let (principal, about) = (PRINCIPALS[self.principal], ABOUT[self.about]);
        format!("@id(\"p{index}\") {mode} {effect} ({principal}, {about}) {};\n", CONDITIONS[self.condition])
    }

    fn is_about(&self, action: &Action) -> bool {
        let (name, resource) = match action {
            Action::Issue { resource, .. }
            | Action::Exchange { resource, .. }
            | Action::Impersonate { resource, .. }
            | Action::Operate { resource } => (action.name(), Some(resource)),
            Action::Call { .. } => (action.name(), None),
        };
        let is = |name: &str| resource.is_some_and(|resource| resource.name.as_str() == name);
        let public =
            || resource.is_some_and(|resource| resource.groups.iter().any(|g| g.as_str() == "public"));
        match self.about {
            0 => true,
            1 => name == "issue",
            2 => name == "issue" && is("orders"),
            3 => is("billing"),
            4 => (name == "issue" || name == "impersonate") && is("orders"),
            5 => name == "exchange" && public(),
            6 => resource.is_some(),
            7 => public(),
            8 | 9 => name == "call",
            _ => name == "call" || name == "issue",
        }
    }

    /// `None` if it cannot be evaluated.
    fn holds(&self, question: &Question) -> Option<bool> {
        let workload = question.principal.workload();
        let in_shop =
            || workload.is_some_and(|workload| workload.groups.iter().any(|g| g.as_str() == "shop"));
        let fits = match self.principal {
            0 => true,
            1 => question.principal.id() == "spiffe://example.com/a",
            2 => question.principal.id() == "spiffe://example.com/b",
            4 => workload.is_some(),
            _ => in_shop(),
        };
        if !fits || !self.is_about(&question.action) {
            return Some(false);
        }
        let uid = workload.and_then(|workload| workload.unix.as_ref()).map(|unix| unix.uid);
        match self.condition {
            0 => Some(true),
            1 => Some(question.context.key_bound),
            2 if uid.is_some_and(|uid| uid > 1) => None,
            2 => Some(uid == Some(1)),
            _ => Some(false),
        }
    }
}

type Judged = Result<BTreeSet<usize>, (DenialKind, BTreeSet<usize>)>;

/// Permitted or not, by which policies, by the rule that a forbid which cannot be evaluated denies.
fn judge(policies: &[Generated], question: &Question, with_shadow: bool) -> Judged {
    let which = |forbid: bool, verdict: Option<bool>| -> BTreeSet<usize> {
        let matching = |(_, policy): &(usize, &Generated)| {
            (with_shadow || !policy.shadow) && policy.forbid == forbid && policy.holds(question) == verdict
        };
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
    let kind = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    let condition = prop_oneof![4 => 0..2_usize, 1 => 2..4_usize];
    (kind, 0..PRINCIPALS.len(), 0..ABOUT.len(), condition).prop_map(
        |((forbid, shadow), principal, about, condition)| Generated {
            forbid,
            shadow,
            principal,
            about,
            condition,
        },
    )
}

fn asked() -> impl Strategy<Value = Question> {
    let resource = prop::sample::select(vec!["orders", "billing", "other"]);
    let id = prop::sample::select(vec!["spiffe://example.com/a", "spiffe://example.com/b"]);
    (resource, id, 0..6_usize, any::<(bool, bool, bool)>(), prop::option::of(0..4_u32)).prop_map(
        |(name, id, action, (public, shop, key_bound), uid)| {
            let mut question = question();
            let mut resource = Resource::new(ResourceName::parse(name).unwrap());
            if public {
                resource.groups.insert(GroupName::parse("public").unwrap());
            }
            question.action = match action {
                0 | 1 => Action::Issue { resource, scope: None },
                2 => Action::Exchange { resource, scope: None, subject: alice("shop"), actors: Vec::new() },
                3 => {
                    Action::Impersonate { resource, scope: None, subject: alice("shop"), actors: Vec::new() }
                }
                4 => call("GET", "/"),
                _ => Action::Operate { resource },
            };
            question.context.key_bound = key_bound;
            let asking = workload(&mut question);
            asking.id = WorkloadId::parse(id).unwrap();
            if shop {
                asking.groups.insert(GroupName::parse("shop").unwrap());
            }
            asking.unix = match (asking.unix.take(), uid) {
                (Some(unix), Some(uid)) => Some(crate::UnixFacts { uid, ..unix }),
                _ => None,
            };
            if action == 4 && public {
                let issuer = IssuerName::parse("keycloak").unwrap();
                question.principal = User { issuer, subject: id.to_owned() }.into();
            }
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
    let named = (texts(), tags, prop::collection::vec("\\PC{0,8}", 0..3));
    let context = (0..=253_402_300_799_u64, any::<Option<std::net::IpAddr>>(), any::<Option<u64>>());
    (asked(), named, "(/\\PC{0,6}){0,20}", context).prop_map(
        |(mut question, ((a, b), tags, names), path, context)| {
            let (now, source_ip, age) = context;
            match &mut question.principal {
                Principal::Workload(workload) => {
                    workload.oidc = Some(OidcFacts { issuer: a.clone(), subject: b.clone() });
                    workload.client = Some(ClientFacts { id: ClientId::parse("c").unwrap() });
                    workload.assurance = Assurance::Live;
                    workload.kubernetes = age.map(|age| Box::new(pod_of((&a, &b), &tags, age)));
                    if let Some(unix) = &mut workload.unix {
                        (unix.user, unix.executable) = (Some(a.clone()), Some(b.clone()));
                        unix.executable_sha256 = unix.executable_sha256.take().filter(|_| a.is_empty());
                    }
                    workload.tags.clone_from(&tags);
                }
                Principal::User(user) => user.subject.clone_from(&a),
            }
            match &mut question.action {
                Action::Issue { .. } | Action::Operate { .. } => {}
                Action::Exchange { subject, actors, .. } | Action::Impersonate { subject, actors, .. } => {
                    (subject.issuer, subject.id, subject.claims) = (a, b, tags);
                    subject.audiences = names.iter().cloned().collect();
                    *actors = names;
                }
                Action::Call { request, token, .. } => {
                    (request.method, request.host, request.path) = (a.clone(), b.clone(), path);
                    (token.subject, token.client_id, token.claims, token.actors) = (a, Some(b), tags, names);
                }
            }
            question.context.now = symbolon_identity::Timestamp::from_secs(now).unwrap();
            question.context.source_ip = source_ip;
            question.context.evidence_age = age.map(Duration::from_secs);
            let is_pinned = age.is_some() && !matches!(question.action, Action::Call { .. });
            question.context.key_changed = is_pinned.then_some(source_ip.is_some());
            if age.is_some() {
                question.context.local = local_times().at(question.context.now);
            }
            question
        },
    )
}

/// A pod with everything that a pod can have, or with as little as it can.
fn pod_of((a, b): (&str, &str), labels: &BTreeMap<String, String>, age: u64) -> KubernetesFacts {
    let posture = PodPosture {
        created_at: symbolon_identity::Timestamp::from_secs(age).ok(),
        owner: age.is_multiple_of(3).then(|| a.to_owned()),
        image_digests: labels.keys().cloned().collect(),
        node_ready: age.is_multiple_of(5).then_some(age.is_multiple_of(7)),
        privileged: age.is_multiple_of(11),
        ..PodPosture::default()
    };
    KubernetesFacts {
        cluster: "prod".to_owned(),
        namespace: a.to_owned(),
        service_account: b.to_owned(),
        pod: PodFacts {
            name: b.to_owned(),
            uid: a.to_owned(),
            labels: labels.clone(),
            posture: age.is_multiple_of(2).then_some(posture),
        },
        node: age.is_multiple_of(13).then(|| b.to_owned()),
    }
}

fn local_times() -> LocalTimes {
    let section = [("utc", "UTC"), ("berlin", "Europe/Berlin")];
    let section = section.map(|(name, zone)| (LocalTimeName::parse(name).unwrap(), zone.to_owned()));
    LocalTimes::new(&BTreeMap::from(section)).unwrap()
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
            let expected = judge(&policies, &question, false);
            let decision = set.decide(&question);
            let otherwise = judge(&policies, &question, true);
            let would = (expected.is_ok() != otherwise.is_ok()).then_some(otherwise);
            let shadow = decision.shadow().map(|shadow| match shadow {
                Shadow::WouldPermit { policies } => Ok(numbers(policies)),
                Shadow::WouldDeny { kind, policies } => Err((*kind, numbers(policies))),
            });
            prop_assert_eq!(shadow, would);
            match decision {
                Decision::Permit(permit) => prop_assert_eq!(Ok(numbers(permit.policies())), expected),
                Decision::Denial(denial) => {
                    prop_assert_eq!(Err((denial.kind(), numbers(denial.policies()))), expected);
                }
            }
        }
    }

    #[test]
    fn the_index_answers_like_the_engines_own_authorizer(
        policies in prop::collection::vec(generated(), 0..12),
        question in asked(),
    ) {
        let text: String = policies.iter().enumerate().map(|(index, policy)| policy.text(index)).collect();
        let set = set(&text).unwrap();
        let enforced = set.rules.values().filter(|rule| rule.annotations.mode == Mode::Enforce);
        let whole = cedar_policy::PolicySet::from_policies(enforced.map(|rule| rule.policy.clone())).unwrap();
        let case = set.vocabulary.case(&question).unwrap();
        let response = Authorizer::new().is_authorized(&case.request, &whole, &case.entities);
        let number = |id: &cedar_policy::PolicyId| AsRef::<str>::as_ref(id)[1..].parse::<usize>().unwrap();
        let reasons: BTreeSet<usize> = response.diagnostics().reason().map(number).collect();
        let failing = |error: &AuthorizationError| {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            number(error.policy_id())
        };
        let errors: BTreeSet<usize> = response.diagnostics().errors().map(failing).collect();
        let failed: BTreeSet<usize> = errors.iter().copied().filter(|error| policies[*error].forbid).collect();
        match set.decide(&question) {
            Decision::Permit(permit) => {
                prop_assert_eq!(response.decision(), cedar_policy::Decision::Allow);
                prop_assert_eq!((numbers(permit.policies()), numbers(permit.errors())), (reasons, errors));
            }
            Decision::Denial(denial) if denial.kind() == DenialKind::Error => {
                prop_assert_eq!(numbers(denial.policies()), failed);
            }
            Decision::Denial(denial) => {
                prop_assert_eq!(response.decision(), cedar_policy::Decision::Deny);
                prop_assert_eq!((numbers(denial.policies()), numbers(denial.errors())), (reasons, errors));
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
        let schema = schema(&question.context.local.keys().cloned().collect()).unwrap();
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
