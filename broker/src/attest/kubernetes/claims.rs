//! What a service account token says about its pod (`kubernetes.io`), read strictly.
//! Not here: whether the cluster still knows that pod.

use serde::Deserialize;
use symbolon_token::Claims;

/// The claim that Kubernetes puts its own into.
const KUBERNETES: &str = "kubernetes.io";
/// The longest name of an object (a DNS subdomain, RFC 1123).
const LONGEST_NAME: usize = 253;
/// Uids are UUIDs; a little more room costs nothing.
const LONGEST_UID: usize = 64;

/// A pod as its token names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodRef {
    pub(super) namespace: String,
    pub(super) service_account: String,
    pub(super) service_account_uid: String,
    pub(super) pod: String,
    pub(super) pod_uid: String,
    pub(super) node: Option<String>,
}

/// Why a token does not name a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimsError {
    /// There is no `kubernetes.io`, or it is not what a cluster writes.
    #[error("`kubernetes.io` is not what a cluster writes")]
    Malformed,
    /// It is bound to a secret or a node, or to nothing.
    #[error("the token is not bound to a pod")]
    NoPod,
    /// A name is none that an object can have.
    #[error("a name in `kubernetes.io` is none that an object can have")]
    Name,
    /// `sub` names another service account.
    #[error("`sub` is not the service account of `kubernetes.io`")]
    Subject,
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: String,
    serviceaccount: Named,
    pod: Option<Named>,
    node: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    uid: String,
}

impl PodRef {
    /// The pod of a verified token.
    pub(super) fn of(claims: &Claims) -> Result<Self, ClaimsError> {
        let own = claims.extra.get(KUBERNETES).ok_or(ClaimsError::Malformed)?;
        let own = Kubernetes::deserialize(own).map_err(|_| ClaimsError::Malformed)?;
        let account = own.serviceaccount;
        let pod = own.pod.ok_or(ClaimsError::NoPod)?;
        let names = [&own.namespace, &account.name, &pod.name];
        let node = own.node.map(|node| node.name);
        if !names.into_iter().chain(&node).all(|name| is_name(name))
            || !is_uid(&pod.uid)
            || !is_uid(&account.uid)
        {
            return Err(ClaimsError::Name);
        }
        let subject = format!("system:serviceaccount:{}:{}", own.namespace, account.name);
        if claims.subject.as_str() != subject {
            return Err(ClaimsError::Subject);
        }
        Ok(Self {
            namespace: own.namespace,
            service_account: account.name,
            service_account_uid: account.uid,
            pod: pod.name,
            pod_uid: pod.uid,
            node,
        })
    }
}

/// A DNS subdomain (RFC 1123), which is what the names of these objects are: no quote, no line end, no wildcard.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && part.bytes().all(inside) && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= LONGEST_NAME && name.split('.').all(is_part)
}

fn is_uid(uid: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !uid.is_empty() && uid.len() <= LONGEST_UID && uid.bytes().all(inside)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use symbolon_identity::{Audience, Timestamp};
    use symbolon_token::{Issuer, Subject};

    use super::*;

    fn read(subject: &str, own: Value) -> Result<PodRef, ClaimsError> {
        let mut claims = Claims::new(
            Issuer::parse("https://kubernetes.default.svc").unwrap(),
            Subject::parse(subject).unwrap(),
            Audience::parse("https://broker.test").unwrap(),
            Timestamp::from_secs(2_000_000_000).unwrap(),
        );
        claims.extra.insert(KUBERNETES.to_owned(), own);
        PodRef::of(&claims)
    }

    fn bound() -> Value {
        json!({
            "namespace": "shop",
            "serviceaccount": { "name": "cart", "uid": "5e9c1b1e-0000-4000-8000-000000000001" },
            "pod": { "name": "cart-7d9f", "uid": "5e9c1b1e-0000-4000-8000-000000000002" },
            "node": { "name": "node-1", "uid": "5e9c1b1e-0000-4000-8000-000000000003" },
            "warnafter": 1_800_000_000
        })
    }

    #[test]
    fn a_bound_token_names_its_pod() {
        let pod = read("system:serviceaccount:shop:cart", bound()).unwrap();
        assert_eq!(
            (pod.namespace.as_str(), pod.pod.as_str(), pod.node.as_deref()),
            ("shop", "cart-7d9f", Some("node-1"))
        );
    }

    #[test]
    fn a_token_that_is_not_bound_to_a_pod_names_none() {
        let mut own = bound();
        own.as_object_mut().unwrap().remove("pod");
        own["secret"] = json!({ "name": "old", "uid": "1" });
        assert_eq!(read("system:serviceaccount:shop:cart", own), Err(ClaimsError::NoPod));
        assert_eq!(read("system:serviceaccount:shop:cart", json!("shop")), Err(ClaimsError::Malformed));
    }

    #[test]
    fn the_subject_is_the_service_account() {
        for other in [
            "system:serviceaccount:shop:other",
            "system:serviceaccount:shop:cart:x",
            "cart",
            "system:node:shop",
        ] {
            assert_eq!(read(other, bound()), Err(ClaimsError::Subject), "{other}");
        }
    }

    #[test]
    fn names_hold_nothing_that_a_name_cannot() {
        for bad in ["", "a\"b", "a\nb", "*", "A", "a/b", "a b", "-a", "a..b", "é", &"a".repeat(254)] {
            let mut own = bound();
            own["namespace"] = json!(bad);
            assert!(
                read(
                    &format!("system:serviceaccount:{}:cart", if bad.is_empty() { "x" } else { "shop" }),
                    own
                )
                .is_err(),
                "{bad:?}"
            );
            let mut own = bound();
            own["pod"]["name"] = json!(bad);
            assert_eq!(read("system:serviceaccount:shop:cart", own), Err(ClaimsError::Name), "{bad:?}");
        }
        let mut own = bound();
        own["pod"]["uid"] = json!("");
        assert_eq!(read("system:serviceaccount:shop:cart", own), Err(ClaimsError::Name));
    }
}
