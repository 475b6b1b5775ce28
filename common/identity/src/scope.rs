//! OAuth scopes.
//! Not here: who may have which scope; policies say that.

use std::collections::BTreeSet;

use crate::IdentityError;
use crate::text::{bounded, text_impls, word};

/// RFC 6749 §3.3: `%x21 / %x23-5B / %x5D-7E`.
fn scope_token(kind: &'static str, text: &str) -> Result<(), IdentityError> {
    bounded(kind, text, 128)?;
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        Ok(())
    } else {
        Err(IdentityError::form(kind, text, "use printable ASCII without spaces, `\"` and `\\`"))
    }
}

word!(
    /// One scope (RFC 6749 §3.3).
    Scope, "scope", scope_token
);

/// A set of scopes, written as one space-separated text (RFC 6749 §3.3).
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Scopes {
    set: BTreeSet<Scope>,
    text: String,
}

impl Scopes {
    /// At most this many scopes make one set.
    pub const LIMIT: usize = 64;

    /// Parses a space-separated list; the empty text is the empty set.
    ///
    /// # Errors
    /// [`IdentityError`] if a scope is malformed, spaces are doubled, or there are more than [`Scopes::LIMIT`].
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let set = text.split(' ').map(Scope::parse).collect::<Result<BTreeSet<_>, _>>()?;
        if set.len() > Self::LIMIT {
            return Err(IdentityError::TooLong { kind: "scope list", length: set.len(), limit: Self::LIMIT });
        }
        Ok(set.into_iter().collect())
    }

    /// The scopes in alphabetical order, separated by one space.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there is no scope in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The number of scopes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether the set holds this scope.
    #[must_use]
    pub fn contains(&self, scope: &Scope) -> bool {
        self.set.contains(scope)
    }

    /// Whether each scope of this set is also in `other`.
    #[must_use]
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.set.is_subset(&other.set)
    }

    /// The scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.set.iter()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let set: BTreeSet<Scope> = scopes.into_iter().collect();
        let text = set.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
        Self { set, text }
    }
}

text_impls!(Scopes, "space-separated scopes");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_ordered_and_has_no_doubles() {
        let scopes = Scopes::parse("b:write a:read b:write").unwrap();
        assert_eq!(scopes.as_str(), "a:read b:write");
        assert_eq!(scopes.len(), 2);
    }

    #[test]
    fn an_empty_text_is_the_empty_set() {
        assert!(Scopes::parse("").unwrap().is_empty());
    }

    #[test]
    fn malformed_lists_are_refused() {
        let many = (0..65).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ");
        for bad in [" ", "a  b", " a", "a ", "a\tb", "a\"", "a\\", "ä", &many] {
            assert!(Scopes::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_subset_is_told_from_a_superset() {
        let (small, large) = (Scopes::parse("a").unwrap(), Scopes::parse("a b").unwrap());
        assert!(small.is_subset_of(&large) && !large.is_subset_of(&small));
    }
}
