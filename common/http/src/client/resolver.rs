//! Name resolution that leaves out what the policy does not allow.
//! Because the connection is made to what comes out of here, a name cannot change its mind in between.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::egress::{AddressPolicy, is_localhost};

/// What `localhost` is. The port is filled in by who connects.
const LOCALHOST: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];

/// Resolves names with the system's resolver, and filters.
#[derive(Debug)]
pub(super) struct GuardedResolver {
    policy: AddressPolicy,
}

/// A name whose addresses are all refused.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` has no address that may be reached")]
pub(super) struct NoPermittedAddress {
    pub(super) name: String,
}

impl GuardedResolver {
    pub(super) fn new(policy: AddressPolicy) -> Self {
        Self { policy }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        Box::pin(async move {
            let name = name.as_str().to_owned();
            // Not asked of anybody, because plaintext is allowed to this name (RFC 6761 §6.3).
            let found = if is_localhost(&name) {
                LOCALHOST.to_vec()
            } else {
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect()
            };
            let permitted = filter(&policy, &name, found)?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// The addresses among `found` that may be reached.
fn filter(
    policy: &AddressPolicy,
    name: &str,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
    }
    let permitted: Vec<_> = found.into_iter().filter(|address| policy.permits(address.ip())).collect();
    if permitted.is_empty() {
        return Err(NoPermittedAddress { name: name.to_owned() }.into());
    }
    Ok(permitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn a_refused_address_among_others_is_left_out() {
        let found = addresses(&["127.0.0.1", "1.1.1.1", "::ffff:10.0.0.1"]);
        let permitted = filter(&AddressPolicy::public(), "rebind.example", found).unwrap();
        assert_eq!(permitted, addresses(&["1.1.1.1"]));
    }

    #[test]
    fn a_name_with_only_refused_addresses_is_refused() {
        let error = filter(&AddressPolicy::public(), "inner.example", addresses(&["10.0.0.1"])).unwrap_err();
        assert!(error.is::<NoPermittedAddress>());
    }

    #[tokio::test]
    async fn localhost_is_this_machine_without_asking() {
        let resolver = GuardedResolver::new(AddressPolicy::public().allow_loopback());
        for name in ["localhost", "LocalHost."] {
            let found = resolver.resolve(name.parse().unwrap()).await.map(Iterator::collect::<Vec<_>>);
            assert_eq!(found.unwrap(), LOCALHOST);
        }
    }
}
