//! What a cluster's `TokenReview` has to say before a token counts.
//! Not here: asking (`cluster`), or for how long its word is remembered (`confirm`).

use std::collections::BTreeMap;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewStatus};
use symbolon_identity::Audience;
use symbolon_token::Claims;

use super::claims::PodRef;

const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
const CREDENTIAL: &str = "authentication.kubernetes.io/credential-id";

/// Whether the review confirms this token of this pod for this audience; says what is wrong if not.
pub(super) fn confirms(
    review: &TokenReview,
    pod: &PodRef,
    claims: &Claims,
    audience: &Audience,
) -> Result<(), &'static str> {
    let Some(status) = &review.status else { return Err("it has no status") };
    if status.authenticated != Some(true) || status.error.as_deref().is_some_and(|error| !error.is_empty()) {
        return Err("it does not authenticate the token");
    }
    // SECURITY: a server that does not know about audiences leaves the list out and would take any token.
    if !status.audiences.iter().flatten().any(|one| one == audience.as_str()) {
        return Err("it does not name our audience");
    }
    names(status, pod, claims)
}

fn names(status: &TokenReviewStatus, pod: &PodRef, claims: &Claims) -> Result<(), &'static str> {
    let Some(user) = &status.user else { return Err("it names nobody") };
    if user.username.as_deref() != Some(claims.subject.as_str())
        || user.uid.as_deref() != Some(pod.service_account_uid.as_str())
    {
        return Err("it names another service account");
    }
    let none = BTreeMap::new();
    let extra = user.extra.as_ref().unwrap_or(&none);
    let says = |key: &str| match extra.get(key).map(Vec::as_slice) {
        Some([only]) => Some(only.as_str()),
        _ => None,
    };
    if says(POD_UID) != Some(pod.pod_uid.as_str()) || says(POD_NAME) != Some(pod.pod.as_str()) {
        return Err("it names another pod");
    }
    let differs = |key: &str, ours: Option<&str>| says(key).is_some_and(|theirs| ours != Some(theirs));
    if differs(NODE_NAME, pod.node.as_deref()) {
        return Err("it names another node");
    }
    let credential = claims.token_id.as_ref().map(|id| format!("JTI={}", id.as_str()));
    if differs(CREDENTIAL, credential.as_deref()) {
        return Err("it names another credential");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use symbolon_identity::{Timestamp, TokenId};
    use symbolon_token::{Issuer, Subject};

    use super::*;

    const SUBJECT: &str = "system:serviceaccount:shop:cart";

    fn pod() -> PodRef {
        PodRef {
            namespace: "shop".to_owned(),
            service_account: "cart".to_owned(),
            service_account_uid: "sa-1".to_owned(),
            pod: "cart-7d9f".to_owned(),
            pod_uid: "pod-1".to_owned(),
            node: Some("node-1".to_owned()),
        }
    }

    fn good() -> Value {
        json!({ "spec": {}, "status": {
            "authenticated": true,
            "audiences": ["https://broker.test"],
            "user": { "username": SUBJECT, "uid": "sa-1", "extra": {
                POD_NAME: ["cart-7d9f"], POD_UID: ["pod-1"], NODE_NAME: ["node-1"], CREDENTIAL: ["JTI=j1"],
            } },
        } })
    }

    fn judge(review: Value) -> Result<(), &'static str> {
        let audience = Audience::parse("https://broker.test").unwrap();
        let mut claims = Claims::new(
            Issuer::parse("https://kubernetes.default.svc").unwrap(),
            Subject::parse(SUBJECT).unwrap(),
            audience.clone(),
            Timestamp::from_secs(2_000_000_000).unwrap(),
        );
        claims.token_id = Some(TokenId::parse("j1").unwrap());
        confirms(&serde_json::from_value(review).unwrap(), &pod(), &claims, &audience)
    }

    #[test]
    fn a_review_that_says_all_of_it_confirms() {
        assert_eq!(judge(good()), Ok(()));
    }

    #[test]
    fn anything_less_confirms_nothing() {
        for (path, value) in [
            ("/status", Value::Null),
            ("/status/authenticated", json!(false)),
            ("/status/authenticated", Value::Null),
            ("/status/error", json!("token has been invalidated")),
            ("/status/audiences", json!([])),
            ("/status/audiences", Value::Null),
            ("/status/audiences", json!(["https://kubernetes.default.svc"])),
            ("/status/user", Value::Null),
            ("/status/user/username", json!("system:serviceaccount:shop:other")),
            ("/status/user/username", json!("system:serviceaccount:shop:cart:x")),
            ("/status/user/uid", json!("sa-2")),
            ("/status/user/uid", Value::Null),
            ("/status/user/extra", Value::Null),
            ("/status/user/extra/authentication.kubernetes.io~1pod-uid", json!(["pod-2"])),
            ("/status/user/extra/authentication.kubernetes.io~1pod-uid", json!(["pod-1", "pod-2"])),
            ("/status/user/extra/authentication.kubernetes.io~1pod-name", json!(["cart-0000"])),
            ("/status/user/extra/authentication.kubernetes.io~1node-name", json!(["node-2"])),
            ("/status/user/extra/authentication.kubernetes.io~1credential-id", json!(["JTI=j2"])),
        ] {
            let mut review = good();
            *review.pointer_mut(path).unwrap_or(&mut Value::Null) = value.clone();
            if path == "/status/error" {
                review["status"]["error"] = value.clone();
            }
            assert!(judge(review).is_err(), "{path} {value}");
        }
    }
}
