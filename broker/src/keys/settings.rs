//! From the section `keys` and the resources to a schedule that holds.
//! Not here: following it.

use std::time::Duration;

use symbolon_jws::Algorithm;

use super::schedule::Schedule;
use crate::config::{Config, ResourceConfig, SigningAlgorithm};
use crate::findings::Findings;

/// Keys in the key set at once; our own verifiers read a hundred, and operators may add some.
const MOST_KEYS: u64 = 90;
/// With whole seconds nothing shorter can be told apart from nothing.
const SHORTEST_LEAD: Duration = Duration::from_secs(2);

impl Schedule {
    /// Checks and takes the section.
    pub(crate) fn build(config: &Config, findings: &mut Findings) -> Self {
        let keys = &config.keys;
        let used = config.resources.iter().map(|resource| resource.algorithm);
        let algorithms = used.chain(keys.algorithms.iter().copied()).chain([SigningAlgorithm::default()]);
        let schedule = Self {
            rotate_every: keys.rotate_every.as_duration(),
            lead: keys.lead.as_duration(),
            retain: keys.retain.as_duration(),
            algorithms: algorithms.map(Into::into).collect(),
        };
        schedule.check(&config.resources, findings);
        schedule
    }

    fn check(&self, resources: &[ResourceConfig], findings: &mut Findings) {
        if self.lead < SHORTEST_LEAD {
            findings.add("keys.lead", "verifiers need at least two seconds to fetch a key before it signs");
        }
        if self.lead >= self.rotate_every {
            findings.add("keys.rotate_every", "it is not longer than `keys.lead`, which one rotation takes");
        }
        let keys = |algorithm: &Algorithm| {
            let signed =
                resources.iter().filter(|resource| Algorithm::from(resource.algorithm) == *algorithm);
            let longest = signed.map(|resource| resource.token_ttl.as_duration()).max().unwrap_or_default();
            let stays = longest.saturating_add(self.retain).as_secs();
            let retired = stays.checked_div(self.rotate_every.as_secs()).unwrap_or(MOST_KEYS);
            // The one that signs, and the next one.
            retired.saturating_add(2)
        };
        if self.algorithms.iter().map(keys).fold(0, u64::saturating_add) > MOST_KEYS {
            let message = format!("more than {MOST_KEYS} keys would have to be published at once");
            findings.add("keys.rotate_every", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn findings(rotate_every: u64, lead: u64, retain: u64) -> String {
        let [rotate_every, lead, retain] = [rotate_every, lead, retain].map(Duration::from_secs);
        let algorithms = BTreeSet::from([Algorithm::Es256, Algorithm::Rs256]);
        let mut findings = Findings::default();
        Schedule { rotate_every, lead, retain, algorithms }.check(&[], &mut findings);
        format!("{findings:?}")
    }

    #[test]
    fn a_schedule_that_no_verifier_could_follow_is_refused() {
        let fine = findings(86_400, 7_200, 7_200);
        assert_eq!(fine, findings(5, 3, 5));
        for (said, found) in [
            ("keys.lead", findings(60, 1, 0)),
            ("not longer than `keys.lead`", findings(60, 60, 0)),
            ("more than 90 keys", findings(60, 10, 3600)),
            ("more than 90 keys", findings(0, 10, 3600)),
        ] {
            assert!(found.contains(said), "{found}");
        }
    }
}
