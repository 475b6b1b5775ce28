//! From attested facts to the path of a SPIFFE ID.
//! Not here: the expression language; `symbolon-cel` checks that no attribute can pose as another.

use symbolon_cel::{Bindings, CompileError, Environment, EvalError, Program, Shape, Value};
use symbolon_identity::{IdentityError, TrustDomain, WorkloadId};

/// A provider's `workload:` expression with the namespace that is its own.
#[derive(Debug)]
pub(super) struct Mapping {
    program: Program,
    namespace: Namespace,
}

/// The literal text that every path of a provider begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Namespace(String);

/// Why evidence does not map to a workload.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MappingError {
    /// The expression has no result: an attribute is absent or does not fit.
    #[error("the expression `workload` has no result")]
    Evaluation(#[from] EvalError),
    /// The result is no path.
    #[error("the result is not a path of a SPIFFE ID")]
    Path(#[from] IdentityError),
    /// The result lies outside of the provider's own namespace.
    #[error("the result lies outside of the provider's namespace")]
    OutsideNamespace,
    /// The attributes cannot be handed to an expression.
    #[error("the attributes cannot be read by an expression")]
    Attributes(#[from] symbolon_cel::ValueError),
}

impl Mapping {
    /// Compiles the expression over `attested`.
    ///
    /// # Errors
    /// Where and why the expression is refused.
    pub(super) fn compile(source: &str, attested: Shape) -> Result<Self, CompileError> {
        let environment = Environment::builder().declare("attested", attested).whole_matches().build();
        let program = environment.compile_path(source)?;
        Ok(Self { program, namespace: Namespace::of(source) })
    }

    /// The namespace of this mapping.
    pub(super) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The workload of these attributes.
    ///
    /// # Errors
    /// [`MappingError`] if the expression has no result, or one that is not a path of its own namespace.
    pub(super) fn workload(
        &self,
        attested: &Value,
        domain: &TrustDomain,
    ) -> Result<WorkloadId, MappingError> {
        let path = self.program.eval_string(&Bindings::new().with("attested", attested.clone()))?;
        // SECURITY: the namespace was read off the text of the expression. Only because each result is held against
        // it can no expression, however it is written, name a workload of another provider.
        if !path.starts_with(&self.namespace.0) {
            return Err(MappingError::OutsideNamespace);
        }
        Ok(WorkloadId::new(domain, &path)?)
    }
}

impl Namespace {
    /// A namespace of our own making.
    pub(super) fn literal(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text literal that the expression begins with, or the whole tree if it begins otherwise.
    fn of(source: &str) -> Self {
        let source = source.trim_start();
        let literal = ['"', '\''].into_iter().find_map(|quote| {
            let (text, _) = source.strip_prefix(quote)?.split_once(quote)?;
            (!text.contains('\\')).then(|| text.to_owned())
        });
        Self(literal.unwrap_or_default())
    }

    /// Whether some path could lie in both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(source: &str, user: &str) -> Result<String, MappingError> {
        let mapping = Mapping::compile(source, Shape::record([("user", Shape::String)])).unwrap();
        let attested = Value::map([("user", user.into())]).unwrap();
        let domain = TrustDomain::parse("example.com").unwrap();
        mapping.workload(&attested, &domain).map(|workload| workload.as_str().to_owned())
    }

    #[test]
    fn a_workload_is_named_by_its_attributes() {
        assert_eq!(map("\"unix/\" + attested.user", "alice").unwrap(), "spiffe://example.com/unix/alice");
    }

    #[test]
    fn an_attribute_cannot_add_or_leave_a_segment() {
        for user in ["", "..", "a/b", "a b", "a%2fb", "ä", "a\n"] {
            assert!(map("\"unix/\" + attested.user", user).is_err(), "{user:?}");
        }
    }

    #[test]
    fn an_unknown_attribute_is_refused_at_load() {
        let error = Mapping::compile("attested.usr", Shape::record([("user", Shape::String)])).unwrap_err();
        assert!(error.to_string().contains("did you mean `user`"), "{error}");
    }

    #[test]
    fn the_namespace_is_the_leading_literal() {
        for (source, namespace) in [
            ("\"k8s/ns/\" + attested.user", "k8s/ns/"),
            (" 'unix/' + attested.user", "unix/"),
            ("attested.user", ""),
            ("\"a\\x62/\" + attested.user", ""),
        ] {
            assert_eq!(Namespace::of(source).0, namespace, "{source}");
        }
    }

    #[test]
    fn namespaces_overlap_if_one_continues_the_other() {
        let namespace = |text: &str| Namespace(text.to_owned());
        assert!(namespace("k8s/a").overlaps(&namespace("k8s/ab/")));
        assert!(namespace("").overlaps(&namespace("unix/")));
        assert!(!namespace("k8s/a/").overlaps(&namespace("k8s/b/")));
    }
}
