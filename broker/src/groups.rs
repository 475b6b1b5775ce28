//! Groups of workloads: conditions over attested facts, evaluated for each caller.
//! Not here: what a group may do; policies say that.

use std::collections::{BTreeMap, BTreeSet};

use symbolon_cel::{EvalError, Program};
use symbolon_identity::GroupName;

use crate::attest::{self, Attested};
use crate::findings::Findings;
use crate::refusal::Refusal;

/// All groups with their conditions.
#[derive(Debug)]
pub(crate) struct Groups {
    all: Vec<(GroupName, Program)>,
}

impl Groups {
    /// Compiles the section.
    pub(crate) fn build(section: &BTreeMap<GroupName, String>, findings: &mut Findings) -> Self {
        let language = attest::language();
        let mut all = Vec::with_capacity(section.len());
        for (name, source) in section {
            match language.compile_bool(source) {
                Ok(program) => all.push((name.clone(), program)),
                Err(error) => findings.add(format!("groups.{name}"), error),
            }
        }
        Self { all }
    }

    /// The groups that a caller belongs to.
    ///
    /// # Errors
    /// [`Refusal::GroupUndetermined`] if a condition has no result. Leaving the group out instead would let a caller
    /// escape a policy that forbids something to the group.
    pub(crate) fn of(&self, attested: &Attested) -> Result<BTreeSet<GroupName>, Refusal> {
        let mut groups = BTreeSet::new();
        if self.all.is_empty() {
            return Ok(groups);
        }
        let bindings = attested.bindings();
        for (group, condition) in &self.all {
            let member = match &bindings {
                Ok(bindings) => condition.eval_bool(bindings),
                Err(_) => Err(EvalError::Failed),
            };
            let undetermined = |source| Refusal::GroupUndetermined { group: group.clone(), source };
            if member.map_err(undetermined)? {
                groups.insert(group.clone());
            }
        }
        Ok(groups)
    }
}
