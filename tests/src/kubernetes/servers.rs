//! The processes of a cluster: found where `scripts/setup kubernetes` put them, and with their flags.
//! Not here: what is asked of them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::files::Files;
use crate::machine::{cache, free_address};

/// A program that was installed.
pub(super) fn program(name: &str) -> PathBuf {
    let path = cache().join("kubernetes").join(name);
    assert!(path.is_file(), "{} is missing: run `scripts/setup kubernetes`", path.display());
    path
}

/// A store that forgets everything if the machine stops: nobody waits for its disk.
pub(super) fn etcd(folder: &Path, client: SocketAddr) -> Command {
    let mut command = server("etcd");
    let peer = free_address();
    command.arg(format!("--data-dir={}", folder.join("etcd").display())).arg("--unsafe-no-fsync");
    command.arg(format!("--listen-client-urls=http://{client}"));
    command.arg(format!("--advertise-client-urls=http://{client}"));
    command.arg(format!("--listen-peer-urls=http://{peer}"));
    command.arg(format!("--initial-advertise-peer-urls=http://{peer}"));
    command.arg(format!("--initial-cluster=default=http://{peer}"));
    command.args(["--log-level=warn", "--snapshot-count=5000"]);
    command
}

/// Feature gates and groups of the API are those of the release.
pub(super) fn api_server(files: &Files, address: SocketAddr, etcd: SocketAddr) -> Command {
    let mut command = server("kube-apiserver");
    command.arg(format!("--etcd-servers=http://{etcd}"));
    command.args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"]);
    command.arg("--endpoint-reconciler-type=none").arg(format!("--secure-port={}", address.port()));
    command.args([
        files.flag("cert-dir", "."),
        files.flag("tls-cert-file", "server.pem"),
        files.flag("tls-private-key-file", "server.key"),
        files.flag("token-auth-file", "tokens.csv"),
        files.flag("service-account-key-file", "accounts.pub"),
        files.flag("service-account-signing-key-file", "accounts.key"),
    ]);
    command.arg(format!("--service-account-jwks-uri=https://{address}/openid/v1/jwks"));
    command.args(["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"]);
    // Only so that the admission of a namespace is what refuses a privileged pod.
    command.arg("--allow-privileged=true");
    command.args(["--service-cluster-ip-range=10.0.0.0/24", "--profiling=false"]);
    command
}

/// All controllers but the one that would find the made-up nodes dead, and evict their pods.
pub(super) fn controller_manager(files: &Files) -> Command {
    let mut command = server("kube-controller-manager");
    command.args([
        files.flag("kubeconfig", "kubeconfig"),
        files.flag("service-account-private-key-file", "accounts.key"),
        files.flag("root-ca-file", "ca.pem"),
        files.flag("cert-dir", "."),
    ]);
    command.args(["--leader-elect=false", "--secure-port=0", "--controllers=*,-node-lifecycle-controller"]);
    command
}

/// It ends when the tests do, however they do.
fn server(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program(name)).env_clear();
    command
}
