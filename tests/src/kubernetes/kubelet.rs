//! A stand-in for a kubelet: it runs a pod's containers as processes of this machine, and reports to the API server.
//! Not a kubelet: see what is not played at [`Kubelet`].

mod container;
mod fields;
mod probe;
mod volumes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::container::{Container, Mount};
use self::volumes::Volumes;
use super::Cluster;
use super::api::Api;
use super::objects::{name, rfc3339};
use crate::process::{Process, wait_for};

const PATH: &str = "/image:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What runs pods of one node.
///
/// As in a cluster: volumes and how they are swapped, what is mounted where, read-only roots, arguments and variables, the order of
/// starts and ends, restarts, startup probes, tokens that the Node authorizer and `NodeRestriction` give to this node only.
///
/// Otherwise than in a cluster: an image is one executable and this machine's `/usr`; processes and network are the machine's, so pods
/// share `127.0.0.1` and its ports; users, capabilities, limits, readiness and liveness probes and hooks are not played; a probe is
/// asked at once and often, and restarts come without a pause.
#[derive(Debug)]
pub struct Kubelet<'a> {
    cluster: &'a Cluster,
    api: Api,
    images: BTreeMap<String, PathBuf>,
    shown: Vec<PathBuf>,
}

impl<'a> Kubelet<'a> {
    /// That of a node of a cluster.
    #[must_use]
    pub fn new(cluster: &'a Cluster, node: &str) -> Self {
        let api = cluster.admin().acting_as_node(node);
        Self { cluster, api, images: BTreeMap::new(), shown: Vec::new() }
    }

    /// An image is this executable, which is its entry point too.
    #[must_use]
    pub fn image(mut self, image: &str, program: &Path) -> Self {
        self.images.insert(image.to_owned(), program.to_owned());
        self
    }

    /// Every container sees a folder of this machine, where it is and read-only: what a program needs beside itself.
    #[must_use]
    pub fn show(mut self, folder: &Path) -> Self {
        self.shown.push(folder.to_owned());
        self
    }

    /// Takes a pod that is bound to the node, and makes its volumes and containers. Nothing runs yet.
    ///
    /// # Panics
    /// If it asks for what is not played.
    pub async fn take(&self, namespace: &str, pod: &str) -> Pod {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}");
        let mut object = Value::Null;
        wait_for("the node may see its pod", Duration::from_secs(20), async || {
            let answer = self.api.call(crate::http::Call::get(&path)).await.unwrap();
            object = answer.json();
            answer.status == 200
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(self.api.clone(), &folder.path().join("volumes"));
        volumes.write(&object).await;
        let make = |member: &str| -> Vec<Container> {
            let specs = object["spec"][member].as_array().into_iter().flatten();
            specs.map(|spec| self.container(&object, spec, (&volumes, folder.path()))).collect()
        };
        let (init, apps) = (make("initContainers"), make("containers"));
        Pod { api: self.api.clone(), path, init, apps, object, volumes, _folder: folder }
    }

    fn container(&self, pod: &Value, spec: &Value, (volumes, folder): (&Volumes, &Path)) -> Container {
        let image = spec["image"].as_str().unwrap();
        let program = self.images.get(image).unwrap_or_else(|| panic!("no program stands for `{image}`"));
        let entry = Path::new("/image").join(program.file_name().unwrap());
        let mut mounts = vec![read_only(program, &entry)];
        mounts.extend(self.shown.iter().map(|shown| read_only(shown, shown)));
        for mount in spec["volumeMounts"].as_array().into_iter().flatten() {
            let volume = volumes.path(mount["name"].as_str().unwrap());
            let from = mount["subPath"].as_str().map_or_else(|| volume.clone(), |part| volume.join(part));
            let to = PathBuf::from(mount["mountPath"].as_str().unwrap());
            mounts.push(Mount { from, to, is_read_only: mount["readOnly"] == true });
        }
        let (host, port) =
            (self.cluster.address().ip().to_string(), self.cluster.address().port().to_string());
        let given = [
            ("PATH", PATH),
            ("HOSTNAME", name(pod)),
            ("HOME", "/"),
            ("KUBERNETES_SERVICE_HOST", &host),
            ("KUBERNETES_SERVICE_PORT", &port),
            ("KUBERNETES_SERVICE_PORT_HTTPS", &port),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables = fields::environment(pod, spec, &given);
        let mut run = fields::words(spec, "command", &variables);
        if run.is_empty() {
            run.push(entry.display().to_string());
        }
        run.extend(fields::words(spec, "args", &variables));
        let mut words = vec!["/usr/bin/env".to_owned(), "-i".to_owned()];
        words.push(format!("--chdir={}", spec["workingDir"].as_str().unwrap_or("/")));
        words.extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
        words.extend(["/usr/bin/setpriv", "--pdeathsig", "KILL"].map(ToOwned::to_owned));
        Container::new(spec, folder, &mounts, [words, run].concat())
    }
}

fn read_only(from: &Path, to: &Path) -> Mount {
    Mount { from: from.to_owned(), to: to.to_owned(), is_read_only: true }
}

/// What is said of an image that nobody pulled: its own digest, else one that only its name decides.
#[must_use]
pub fn image_id(image: &str) -> String {
    if image.contains("@sha256:") {
        return image.to_owned();
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, image.as_bytes());
    let digest = digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let name = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(image, |(name, _)| name);
    format!("{name}@sha256:{digest}")
}

/// A pod on the node; its processes end with this.
#[derive(Debug)]
pub struct Pod {
    api: Api,
    path: String,
    object: Value,
    volumes: Volumes,
    init: Vec<Container>,
    apps: Vec<Container>,
    _folder: TempDir,
}

impl Pod {
    /// Starts the init containers one after the other, each sidecar once its startup probe passes, then the rest.
    ///
    /// # Panics
    /// If an init container fails, or a startup probe.
    pub async fn start(&mut self) {
        for place in 0..self.init.len() {
            self.init[place].start();
            self.report("Pending").await;
            if self.init[place].is_sidecar() {
                probe::started(&mut self.init[place]).await;
            } else {
                let code = self.init[place].process().unwrap().ended(Duration::from_mins(2)).await;
                self.init[place].has_just_ended().await;
                assert_eq!(code, Some(0), "the init container `{}` failed", self.init[place].name());
            }
        }
        for app in &mut self.apps {
            app.start();
        }
        for app in &mut self.apps {
            probe::started(app).await;
        }
        self.report("Running").await;
    }

    /// Does what is due: starts again what has ended and should not have; ends the sidecars, the last one first, once all
    /// other containers have ended for good. Returns the phase.
    ///
    /// # Panics
    /// If the server does not take the report.
    pub async fn tend(&mut self) -> &'static str {
        let mut is_new = false;
        let policy = self.object["spec"]["restartPolicy"].as_str().unwrap_or("Always").to_owned();
        for container in self.init.iter_mut().filter(|init| init.is_sidecar()) {
            if container.has_just_ended().await {
                container.start();
                is_new = true;
            }
        }
        for container in &mut self.apps {
            if container.has_just_ended().await {
                let again = policy == "Always" || (policy == "OnFailure" && container.ended != Some(0));
                if again {
                    container.start();
                }
                is_new = true;
            }
        }
        if self.apps.iter().all(|app| app.ended.is_some()) {
            self.end_sidecars().await;
            let has_succeeded = self.apps.iter().all(|app| app.ended == Some(0));
            let phase = if has_succeeded { "Succeeded" } else { "Failed" };
            self.report(phase).await;
            return phase;
        }
        if is_new {
            self.report("Running").await;
        }
        "Running"
    }

    /// Tends it until a condition holds.
    ///
    /// # Panics
    /// If it does not hold in time.
    pub async fn until(
        &mut self,
        what: &str,
        within: Duration,
        mut condition: impl AsyncFnMut(&mut Self) -> bool,
    ) {
        wait_for(what, within, async || {
            self.tend().await;
            condition(self).await
        })
        .await;
    }

    /// Tends it until it has ended by itself, and returns its phase.
    ///
    /// # Panics
    /// If it does not end in time.
    pub async fn finished(&mut self, within: Duration) -> &'static str {
        let mut phase = "Running";
        wait_for("the pod has finished", within, async || {
            phase = self.tend().await;
            phase != "Running"
        })
        .await;
        phase
    }

    /// Brings the volumes up to date as a kubelet does now and then: new tokens, annotations and config maps as they are.
    ///
    /// # Panics
    /// If the pod is gone.
    pub async fn refresh(&mut self) {
        self.object = self.api.get(&self.path).await;
        self.volumes.write(&self.object).await;
    }

    /// Ends it as when it is deleted: containers, then sidecars, the last one first; then the object.
    ///
    /// # Panics
    /// If a container does not end in its grace.
    pub async fn delete(mut self) {
        for app in &mut self.apps {
            end(app, grace(&self.object)).await;
        }
        self.end_sidecars().await;
        self.report("Succeeded").await;
        self.api.delete(&self.path).await;
    }

    /// The folder of a volume.
    #[must_use]
    pub fn volume(&self, name: &str) -> PathBuf {
        self.volumes.path(name)
    }

    /// The process of a container.
    ///
    /// # Panics
    /// If there is none.
    pub fn process(&mut self, container: &str) -> &mut Process {
        let mut all = self.init.iter_mut().chain(&mut self.apps);
        let container = all.find(|other| other.name() == container).expect("a container of the pod");
        container.process().expect("a container that was started")
    }

    async fn end_sidecars(&mut self) {
        let grace = grace(&self.object);
        for sidecar in self.init.iter_mut().rev().filter(|init| init.is_sidecar()) {
            end(sidecar, grace).await;
        }
    }

    async fn report(&self, phase: &str) {
        let statuses =
            |containers: &[Container]| containers.iter().map(Container::status).collect::<Vec<_>>();
        let condition = |kind: &str, holds: bool| {
            let status = if holds { "True" } else { "False" };
            json!({"type": kind, "status": status, "lastTransitionTime": rfc3339()})
        };
        let runs = phase == "Running";
        let status = json!({
            "phase": phase, "hostIP": "127.0.0.1", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}], "startTime": rfc3339(),
            "conditions": [
                condition("PodScheduled", true), condition("Initialized", phase != "Pending"),
                condition("ContainersReady", runs), condition("Ready", runs),
            ],
            "initContainerStatuses": statuses(&self.init), "containerStatuses": statuses(&self.apps),
        });
        self.api.patch(&format!("{}/status", self.path), &json!({"status": status})).await;
    }
}

fn grace(pod: &Value) -> Duration {
    Duration::from_secs(pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30))
}

/// SIGTERM; SIGKILL after the grace.
async fn end(container: &mut Container, grace: Duration) {
    let Some(process) = container.process() else { return };
    if process.is_running() {
        process.signal(Signal::TERM);
        let ended = async {
            while process.is_running() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(grace, ended).await.is_err() {
            process.kill();
        }
    }
    container.has_just_ended().await;
}
