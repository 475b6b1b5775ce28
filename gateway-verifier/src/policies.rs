//! The policy folders of the `authorize` stages: each validated whole and swapped at once, the last good set kept.
//! Not here: Cedar (`symbolon-policies`), the question (`stages/authorize.rs`), noticing a change (`policies/reload.rs`).

mod reload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use symbolon_jws::{base64url, sha256};
use symbolon_policies::{LocalTimes, PolicyErrors, PolicySet};

use crate::config::Findings;

pub use reload::Followed;

/// A folder of policies with the set in force.
#[derive(Debug)]
pub struct PolicyFolder {
    path: PathBuf,
    local_times: LocalTimes,
    current: ArcSwap<CurrentSet>,
}

/// One set of policies with a name of its content.
#[derive(Debug)]
pub struct CurrentSet {
    /// The set.
    pub set: PolicySet,
    /// The name of its content.
    pub fingerprint: Arc<str>,
}

/// The folders that one configuration names, each loaded once.
#[derive(Debug)]
pub struct PolicyFolders {
    base: PathBuf,
    local_times: LocalTimes,
    loaded: BTreeMap<PathBuf, Option<Arc<PolicyFolder>>>,
}

impl PolicyFolder {
    fn load(path: PathBuf, local_times: LocalTimes) -> Result<Self, PolicyErrors> {
        let current = ArcSwap::from_pointee(CurrentSet::load(&path, &local_times)?);
        Ok(Self { path, local_times, current })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The places whose time policies may ask for.
    #[must_use]
    pub fn local_times(&self) -> &LocalTimes {
        &self.local_times
    }

    /// The set in force now; one decision uses one set.
    #[must_use]
    pub fn current(&self) -> Guard<Arc<CurrentSet>> {
        self.current.load()
    }

    /// Puts another set in force; says whether it differs from the one before.
    fn replace(&self, set: CurrentSet) -> bool {
        let fingerprint = Arc::clone(&set.fingerprint);
        self.current.swap(Arc::new(set)).fingerprint != fingerprint
    }
}

impl CurrentSet {
    fn load(folder: &Path, local_times: &LocalTimes) -> Result<Self, PolicyErrors> {
        let set = PolicySet::load(folder, &local_times.names())?;
        let mut content = Vec::new();
        for file in set.files() {
            content.extend_from_slice(&sha256(file.name.as_bytes()));
            content.extend_from_slice(&sha256(file.text.as_bytes()));
        }
        Ok(Self { set, fingerprint: base64url::encode(sha256(&content)).into() })
    }
}

impl PolicyFolders {
    /// None yet; relative ones are below `base`, and their policies may ask for these times.
    #[must_use]
    pub fn new(base: &Path, local_times: LocalTimes) -> Self {
        Self { base: base.to_owned(), local_times, loaded: BTreeMap::new() }
    }

    /// The folder that the configuration names at `place`, loaded and validated.
    pub fn get(&mut self, folder: &Path, place: &str, findings: &mut Findings) -> Option<Arc<PolicyFolder>> {
        let path = self.base.join(folder);
        if let Some(known) = self.loaded.get(&path) {
            return known.clone();
        }
        let loaded = match PolicyFolder::load(path.clone(), self.local_times.clone()) {
            Ok(loaded) => {
                for warning in loaded.current().set.warnings() {
                    findings.warn(place, warning.to_string());
                }
                Some(Arc::new(loaded))
            }
            Err(errors) => {
                for error in errors.iter() {
                    findings.add(place, error.to_string());
                }
                None
            }
        };
        self.loaded.insert(path, loaded.clone());
        loaded
    }

    /// All that were loaded.
    #[must_use]
    pub fn into_all(self) -> Vec<Arc<PolicyFolder>> {
        self.loaded.into_values().flatten().collect()
    }
}
