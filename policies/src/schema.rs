//! The schema that policies are validated against, with the local times that a configuration names.
//! Not here: validating.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cedar_policy::Schema;
use symbolon_identity::LocalTimeName;

use crate::compile::engine;
use crate::{PolicyErrors, SCHEMA};

/// The lines of the schema that count only if a configuration names local times.
const TYPE: &str = "// type LocalTimes = {};";
const ATTRIBUTE: &str = "// local: LocalTimes,";

/// The schema as text.
pub(crate) fn text(local_times: &BTreeSet<LocalTimeName>) -> String {
    if local_times.is_empty() {
        return SCHEMA.to_owned();
    }
    let mut attributes = String::new();
    for name in local_times {
        // INVARIANT: a name holds neither quotes nor backslashes; writing to a String cannot fail.
        let _ = write!(attributes, " \"{name}\": LocalTime,");
    }
    let with_type = SCHEMA.replacen(TYPE, &format!("type LocalTimes = {{{attributes} }};"), 1);
    with_type.replace(ATTRIBUTE, "local: LocalTimes,")
}

/// The schema as the engine reads it.
pub(crate) fn schema(local_times: &BTreeSet<LocalTimeName>) -> Result<Schema, PolicyErrors> {
    match Schema::from_cedarschema_str(&text(local_times)) {
        Ok((schema, _warnings)) => Ok(schema),
        Err(error) => Err(engine(&error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_schema_stands_for_no_local_times() {
        assert_eq!((SCHEMA.matches(TYPE).count(), SCHEMA.matches(ATTRIBUTE).count()), (1, 4));
        assert!(schema(&BTreeSet::new()).is_ok());
    }

    #[test]
    fn words_of_the_language_are_names_too() {
        let names = ["in", "if", "like", "berlin"].map(|name| LocalTimeName::parse(name).unwrap());
        assert!(schema(&BTreeSet::from(names)).is_ok());
    }
}
