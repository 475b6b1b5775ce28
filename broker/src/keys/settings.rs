//! From the section `keys` and the resources to a schedule that holds.
//! Not here: following it.

use std::time::Duration;

use super::schedule::Schedule;
use crate::config::Config;
use crate::findings::Findings;

/// Keys of one algorithm in the key set at once; verifiers of ours read a hundred, of four algorithms.
const MOST_KEYS: u64 = 20;
/// With whole seconds nothing shorter can be told apart from nothing.
const SHORTEST_LEAD: Duration = Duration::from_secs(2);

impl Schedule {
    /// Checks and takes the section.
    pub(crate) fn build(config: &Config, findings: &mut Findings) -> Self {
        let keys = &config.keys;
        let used = config.resources.iter().map(|resource| resource.algorithm);
        let algorithms = used.chain(keys.algorithms.iter().copied()).chain([Default::default()]);
        let schedule = Self {
            rotate_every: keys.rotate_every.as_duration(),
            lead: keys.lead.as_duration(),
            retain: keys.retain.as_duration(),
            algorithms: algorithms.map(Into::into).collect(),
        };
        let longest = config.resources.iter().map(|resource| resource.token_ttl.as_duration()).max();
        schedule.check(longest.unwrap_or_default(), findings);
        schedule
    }

    fn check(&self, longest_token: Duration, findings: &mut Findings) {
        if self.lead < SHORTEST_LEAD {
            findings.add("keys.lead", "verifiers need at least two seconds to fetch a key before it signs");
        }
        if self.lead >= self.rotate_every {
            findings.add("keys.rotate_every", "it is not longer than `keys.lead`, which one rotation takes");
        }
        let stays = longest_token.saturating_add(self.retain).as_secs();
        let retired = stays.checked_div(self.rotate_every.as_secs()).unwrap_or(u64::MAX);
        if retired > MOST_KEYS {
            let message = format!("more than {MOST_KEYS} retired keys would have to stay published at once");
            findings.add("keys.rotate_every", message);
        }
    }
}
