//! Routes whose paths differ in upper and lower case only, which many an API behind takes for one path.
//! Not an error: an API may tell them apart, and the gateway does.

use std::fmt;

use symbolon_identity::RouteName;

use crate::config::{GatewayConfig, MatchConfig, RouteConfig};

/// Two routes with the same path in different case, for the same host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseTwins {
    /// One route and its path.
    pub one: (RouteName, String),
    /// The other.
    pub other: (RouteName, String),
}

impl CaseTwins {
    /// All such pairs of a configuration.
    #[must_use]
    pub fn among(config: &GatewayConfig) -> Vec<Self> {
        let mut found = Vec::new();
        for (index, one) in config.routes.iter().enumerate() {
            let after = config.routes.iter().skip(index.saturating_add(1));
            found.extend(
                after
                    .filter(|other| are_twins(&one.matches, &other.matches))
                    .map(|other| Self { one: place(one), other: place(other) }),
            );
        }
        found
    }
}

impl fmt::Display for CaseTwins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((one, path), (other, twin)) = (&self.one, &self.other);
        write!(
            f,
            "the paths `{path}` of route `{one}` and `{twin}` of route `{other}` differ only in upper and lower case: behind an \
             API that takes them for one, who may use either route may use both"
        )
    }
}

fn place(route: &RouteConfig) -> (RouteName, String) {
    (route.name.clone(), route.matches.path.clone())
}

fn are_twins(one: &MatchConfig, other: &MatchConfig) -> bool {
    one.path != other.path
        && one.path.to_lowercase() == other.path.to_lowercase()
        && share_a_host(one.hosts.as_deref(), other.hosts.as_deref())
}

fn share_a_host(one: Option<&[String]>, other: Option<&[String]>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return true };
    one.iter().any(|host| other.iter().any(|twin| host.eq_ignore_ascii_case(twin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(path: &str, hosts: Option<&[&str]>) -> MatchConfig {
        let hosts = hosts.map(|hosts| hosts.iter().map(ToString::to_string).collect());
        MatchConfig { hosts, path: path.to_owned(), methods: None }
    }

    #[test]
    fn twins_differ_in_case_and_share_a_host() {
        let one = matches("/admin/**", Some(&["a.example", "b.example"]));
        for (path, hosts, twins) in [
            ("/Admin/**", Some(&["B.example"][..]), true),
            ("/ADMIN/**", None, true),
            ("/Admin/**", Some(&["c.example"]), false),
            ("/admin/**", None, false),
            ("/Admin/*", None, false),
        ] {
            assert_eq!(are_twins(&one, &matches(path, hosts)), twins, "{path} {hosts:?}");
        }
    }
}
