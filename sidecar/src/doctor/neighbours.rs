//! Checks of what else in this place gives or takes credentials: variables of SDKs, proxies, what other injectors mount.
//! Only names are looked at: no value is read into the report, and no file is opened.

use std::path::{Path, PathBuf};

use super::report::Check;

/// Environment variables that make an SDK or an HTTP client go past the sidecar, and what to do about each.
const VARIABLES: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "static AWS keys come before everything else in the SDKs: remove them"),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS SDKs use this token instead of ours: remove the role annotation of the service account",
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS SDKs ask this endpoint: remove the EKS pod identity association",
    ),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS SDKs ask this endpoint: remove the task role"),
    (
        "AZURE_FEDERATED_TOKEN_FILE",
        "Azure SDKs use this token instead of ours: remove the label `azure.workload.identity/use`",
    ),
    ("GOOGLE_APPLICATION_CREDENTIALS", "Google SDKs use this file instead of ours: unset it"),
    ("SPIFFE_ENDPOINT_SOCKET", "SPIFFE clients ask this agent instead of us: unset it if that is not meant"),
    ("HTTP_PROXY", PROXY),
    ("http_proxy", PROXY),
    ("HTTPS_PROXY", PROXY),
    ("https_proxy", PROXY),
    ("ALL_PROXY", PROXY),
    ("all_proxy", PROXY),
];
const PROXY: &str = "an app that obeys it sends its calls past our listeners: put `127.0.0.1,localhost` into NO_PROXY; the sidecar itself uses no proxy";

/// What other injectors mount, relative to the root.
const MOUNTS: &[(&str, &str)] = &[
    ("var/run/secrets/eks.amazonaws.com/serviceaccount", "EKS IRSA"),
    ("var/run/secrets/pods.eks.amazonaws.com", "EKS Pod Identity"),
    ("var/run/secrets/azure/tokens", "Azure Workload Identity"),
    ("var/run/secrets/tokens/gcp-ksa", "GKE Workload Identity Federation"),
    ("var/run/secrets/istio", "Istio"),
    ("var/run/secrets/tokens/istio-token", "Istio"),
    ("var/run/secrets/workload-spiffe-credentials", "Istio"),
    ("var/run/linkerd", "Linkerd"),
    ("var/run/secrets/vault", "Vault"),
    ("vault/secrets", "Vault Agent"),
    ("consul/connect-inject", "Consul"),
    ("spiffe-workload-api", "the SPIFFE CSI driver"),
    ("run/spire/sockets", "SPIRE"),
];

/// Where we are: names of environment variables, and a root folder.
#[derive(Debug)]
pub(crate) struct Surroundings {
    variables: Vec<String>,
    root: PathBuf,
}

impl Surroundings {
    /// Those of this process. Variables that are set to nothing do nothing.
    pub(crate) fn of_process() -> Self {
        let set = std::env::vars_os().filter(|(_, value)| !value.is_empty());
        let variables = set.filter_map(|(name, _)| name.into_string().ok()).collect();
        Self { variables, root: Path::new("/").to_owned() }
    }

    /// One check for each thing that competes, or one that says there is none.
    pub(super) fn checks(&self) -> Vec<Check> {
        let mut checks: Vec<Check> = VARIABLES
            .iter()
            .filter(|(name, _)| self.variables.iter().any(|set| set == name))
            .map(|(name, next)| Check::warning("competing.variable", format!("`{name}` is set"), next))
            .collect();
        checks.extend(MOUNTS.iter().filter(|(path, _)| self.root.join(path).exists()).map(|(path, whose)| {
            let next = format!(
                "two injectors in one pod: if the calls of our upstreams should not go through {whose}, exclude the pod or their ports there"
            );
            Check::warning("competing.injector", format!("`/{path}` is mounted, as {whose} does"), next)
        }));
        if checks.is_empty() {
            checks.push(Check::ok("competing", "no other credentials, proxies or injectors are seen here"));
        }
        checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_named_each_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("vault/secrets")).unwrap();
        let variables = ["AWS_WEB_IDENTITY_TOKEN_FILE", "PATH", "https_proxy"].map(str::to_owned).to_vec();
        let around = Surroundings { variables, root: root.path().to_owned() };
        let found: Vec<String> = around.checks().into_iter().map(|check| check.found).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].contains("AWS_WEB")
                && found[1].contains("https_proxy")
                && found[2].contains("/vault/secrets")
        );
    }

    #[test]
    fn alone_is_fine() {
        let root = tempfile::tempdir().unwrap();
        let around = Surroundings { variables: vec!["PATH".to_owned()], root: root.path().to_owned() };
        assert_eq!(around.checks().len(), 1);
    }
}
