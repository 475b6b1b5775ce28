//! The configurations in the chart's `ConfigMap`s are ones that the programs themselves accept.
//! Not here: the programs in a pod.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use symbolon_e2e::process::{binary, workspace};
use tempfile::TempDir;

use super::manifests::{Manifests, SETS, list, text};

#[test]
fn the_gateway_accepts_what_the_chart_tells_it() {
    let seen = each("gateway", "gateway.yaml", |file| super::validate("symbolon-gateway", file));
    assert_eq!(seen, 4, "all sets but the one without a gateway");
}

#[test]
fn the_broker_accepts_what_the_chart_tells_it() {
    let seen = each("broker", "broker.yaml", |file| super::validate("symbolon-broker", file));
    assert_eq!(seen, 4, "all sets but the one without a broker");
}

#[test]
fn the_injector_accepts_what_the_chart_tells_it() {
    let seen = each("injector", "injector.yaml", |file| super::validate("symbolon-injector", file));
    assert_eq!(seen, SETS.len());
}

/// How many sets of values have this component.
fn each(component: &str, file: &str, validate: impl Fn(&Path) -> (Option<i32>, String)) -> usize {
    let validated = Manifests::all().into_iter().filter(|manifests| {
        let prefix = if manifests.set == "policy-injection" { "identity" } else { "symbolon" };
        let map = format!("{prefix}-{component}");
        let Some(found) = manifests.find("ConfigMap", &map) else { return false };
        let config = text(&found["data"][file]);
        let pod = PodFiles::new(manifests, &map);
        let path = pod.write(file, config);
        let (code, said) = validate(&path);
        assert_eq!(code, Some(0), "{}: {said}\n{config}", manifests.set);
        true
    });
    validated.count()
}

/// What a pod of the chart has in its volumes, in a folder that stands for its root.
struct PodFiles {
    root: TempDir,
}

impl PodFiles {
    fn new(manifests: &Manifests, map: &str) -> Self {
        let files = Self { root: tempfile::tempdir().unwrap() };
        // Also for a configuration that no pod of this release is given, but an operator.
        fs::create_dir_all(files.path("/etc/symbolon/broker-ca")).unwrap();
        for pod in manifests.pods().iter().filter(|pod| text(&pod.object["metadata"]["name"]) == map) {
            for mount in pod.containers().flat_map(|container| list(&container["volumeMounts"])) {
                fs::create_dir_all(files.path(text(&mount["mountPath"]))).unwrap();
            }
        }
        let policies = manifests.find("ConfigMap", &format!("{map}-policies"));
        for (name, policy) in policies.and_then(|map| map["data"].as_object()).into_iter().flatten() {
            fs::write(files.path("/etc/symbolon/policies").join(name), text(policy)).unwrap();
        }
        for key in ["sealing-key", "key"] {
            files.secret(&format!("/etc/symbolon/sealing/{key}"), &"07".repeat(32));
        }
        files.certificate();
        files
    }

    fn path(&self, inside: &str) -> std::path::PathBuf {
        self.root.path().join(inside.trim_start_matches('/'))
    }

    /// A file in a mounted Secret, if that is mounted.
    fn secret(&self, inside: &str, content: &str) {
        let path = self.path(inside);
        if path.parent().is_some_and(Path::is_dir) {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        }
    }

    /// A certificate that vouches for itself.
    fn certificate(&self) {
        let [certificate, key] = ["tls.crt", "tls.key"].map(|name| self.root.path().join(name));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args([
                "-subj",
                "/CN=symbolon",
                "-addext",
                "subjectAltName=DNS:symbolon-broker.symbolon-system.svc",
            ])
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let [certificate, key] = [certificate, key].map(|path| fs::read_to_string(path).unwrap());
        self.secret("/etc/symbolon/tls/tls.crt", &certificate);
        self.secret("/etc/symbolon/tls/tls.key", &key);
        self.secret("/etc/symbolon/broker-ca/ca.crt", &certificate);
    }

    /// Writes a configuration whose paths are those of this folder.
    fn write(&self, name: &str, config: &str) -> std::path::PathBuf {
        let root = self.root.path().display();
        let mut config = config.to_owned();
        for inside in ["/etc/symbolon", "/run/symbolon", "/var/lib/symbolon", "/var/run/secrets"] {
            config = config.replace(inside, &format!("{root}{inside}"));
        }
        let path = self.path("/etc/symbolon/config").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, config).unwrap();
        path
    }
}

#[test]
fn the_policies_of_the_example_are_what_they_say() {
    let shop = Manifests::rendered("shop");
    for map in ["symbolon-broker", "symbolon-gateway"] {
        let files = PodFiles::new(&shop, map);
        let lint = Command::new(binary("symbolon"))
            .args(["policy", "lint"])
            .arg(files.path("/etc/symbolon/policies"))
            .current_dir(workspace())
            .output()
            .unwrap();
        assert!(lint.status.success(), "{map}: {}", String::from_utf8_lossy(&lint.stderr));
    }
}
