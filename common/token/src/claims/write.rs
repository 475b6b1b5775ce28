//! From claims to the members of a JSON object.
//! Not here: signing them.

use serde_json::{Map, Value};

use super::Claims;

impl Claims {
    /// The members of the token, for who is entitled to see them all.
    #[must_use]
    pub fn to_members(&self) -> Map<String, Value> {
        self.write()
    }

    /// The members in the order of RFC 9068's examples; extra claims never replace one of ours.
    pub(crate) fn write(&self) -> Map<String, Value> {
        let mut members = Map::new();
        let audiences: Vec<&str> = self.audiences.iter().map(symbolon_identity::Audience::as_str).collect();
        let audience = match audiences.as_slice() {
            [only] => Value::from(*only),
            _ => Value::from(audiences),
        };
        let scope = (!self.scopes.is_empty()).then(|| self.scopes.as_str());
        for (name, value) in [
            ("iss", Some(self.issuer.as_str().into())),
            ("sub", Some(self.subject.as_str().into())),
            ("aud", Some(audience)),
            ("client_id", self.client_id.as_ref().map(|id| id.as_str().into())),
            ("iat", self.issued_at.map(|time| time.as_secs().into())),
            ("nbf", self.not_before.map(|time| time.as_secs().into())),
            ("exp", Some(self.expires_at.as_secs().into())),
            ("jti", self.token_id.as_ref().map(|id| id.as_str().into())),
            ("scope", scope.map(Value::from)),
            ("cnf", self.confirmation.as_ref().map(crate::Confirmation::write)),
            ("act", self.actor.as_ref().map(crate::Actor::write)),
            ("lineage", self.lineage.as_ref().map(|id| id.as_str().into())),
        ] {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        }
        for (name, value) in &self.extra {
            members.entry(name).or_insert_with(|| value.clone());
        }
        members
    }
}
