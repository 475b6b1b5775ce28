//! Evidence for the broker's `unix` attestor: the process at the other end of the socket.
//! Nothing is collected and nothing is sent: the broker reads the kernel's word about the connection.

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_identity::ProviderName;

use crate::Evidence;

/// Settings of the `unix` source.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct UnixConfig {
    /// Which of the broker's `unix` providers is meant, if it has several.
    pub provider: Option<ProviderName>,
}

/// This process, as the kernel describes it to the broker.
#[derive(Clone, Debug)]
pub struct UnixPeer {
    provider: Option<ProviderName>,
}

impl UnixPeer {
    /// The source for these settings.
    #[must_use]
    pub fn new(config: UnixConfig) -> Self {
        Self { provider: config.provider }
    }

    /// The evidence: the connection that the request will use.
    #[must_use]
    pub fn collect(&self) -> Evidence {
        Evidence::connection(self.provider.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_peer_sends_no_assertion() {
        assert!(UnixPeer::new(UnixConfig::default()).collect().assertion().is_none());
    }
}
