//! A container as a process of this machine: its own root folder, the volumes where the pod mounts them.
//! Not here: images, other users, limits; it shares processes and network with the machine.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::kubernetes::objects::rfc3339;
use crate::process::Process;

/// Of this machine, as an image brings them along.
const SYSTEM: [&str; 10] =
    ["usr", "bin", "sbin", "lib", "lib64", "dev", "proc", "sys", "etc/ssl", "etc/alternatives"];
const FILES: [&str; 6] = ["passwd", "group", "nsswitch.conf", "hosts", "resolv.conf", "ld.so.cache"];
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What a container sees of this machine.
#[derive(Debug)]
pub(super) struct Mount {
    pub(super) from: PathBuf,
    /// An absolute path in the container.
    pub(super) to: PathBuf,
    pub(super) is_read_only: bool,
}

/// A container that was made, and perhaps runs.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) spec: Value,
    script: PathBuf,
    words: Vec<String>,
    folder: PathBuf,
    process: Option<Process>,
    starts: u32,
    started_at: String,
    /// How it ended: its exit code.
    pub(super) ended: Option<i32>,
}

impl Container {
    /// Makes its root in a folder; `words` are what it runs.
    pub(super) fn new(spec: &Value, folder: &Path, mounts: &[Mount], words: Vec<String>) -> Self {
        let name = spec["name"].as_str().unwrap();
        let root = folder.join("roots").join(name);
        let is_read_only = spec["securityContext"]["readOnlyRootFilesystem"] == true;
        let script = folder.join(format!("{name}.sh"));
        fs::write(&script, script_of(&root, mounts, is_read_only)).unwrap();
        Self {
            spec: spec.clone(),
            script,
            words,
            folder: folder.to_owned(),
            process: None,
            starts: 0,
            started_at: String::new(),
            ended: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.spec["name"].as_str().unwrap()
    }

    /// Whether it is an init container that stays.
    pub(super) fn is_sidecar(&self) -> bool {
        self.spec["restartPolicy"] == "Always"
    }

    /// Starts it, also again.
    pub(super) fn start(&mut self) {
        // A user namespace of its own, in which an ordinary user may mount.
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh"]).arg(&self.script).args(&self.words);
        command.env_clear().env("PATH", PATH);
        self.process = Some(Process::start(self.name(), command, &self.folder));
        (self.ended, self.started_at) = (None, rfc3339());
        self.starts += 1;
    }

    /// The process; none before its first start.
    pub(super) fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Whether it has ended since it was looked at last.
    pub(super) async fn has_just_ended(&mut self) -> bool {
        let Some(process) = self.process.as_mut().filter(|_| self.ended.is_none()) else { return false };
        if process.is_running() {
            return false;
        }
        // As shells say it: whoever was killed by a signal has no code.
        self.ended = Some(process.ended(std::time::Duration::ZERO).await.unwrap_or(137));
        true
    }

    /// What a kubelet says of it.
    pub(super) fn status(&self) -> Value {
        let image = self.spec["image"].as_str().unwrap();
        let is_running = self.process.is_some() && self.ended.is_none();
        let state = match self.ended {
            None if is_running => json!({"running": {"startedAt": self.started_at}}),
            None => json!({"waiting": {"reason": "PodInitializing"}}),
            Some(code) => {
                let reason = if code == 0 { "Completed" } else { "Error" };
                json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": self.started_at, "finishedAt": rfc3339()}})
            }
        };
        json!({
            "name": self.name(), "image": image, "imageID": super::image_id(image), "state": state,
            "ready": is_running, "started": is_running, "restartCount": self.starts.saturating_sub(1),
        })
    }
}

/// What prepares the root and becomes the container.
fn script_of(root: &Path, mounts: &[Mount], is_read_only: bool) -> String {
    let shown = |path: &Path| format!("'{}'", path.display());
    let mut lines = vec![
        "set -e".to_owned(),
        // What a mount of this machine forbids stays forbidden, so it has to be said again.
        "seal() { for more in '' ,nosuid,nodev ,nosuid,nodev,noexec; do mount -o remount,bind,ro$more \"$1\" 2>/dev/null && return; done; exit 125; }".to_owned(),
        "mount --make-rprivate /".to_owned(),
        format!("mount --rbind {0} {0}", shown(root)),
    ];
    for from in base(root) {
        lines.push(format!("mount --rbind {} {}", shown(&from), shown(&inside(root, &from))));
    }
    let mut sorted: Vec<&Mount> = mounts.iter().collect();
    sorted.sort_by_key(|mount| mount.to.components().count());
    for mount in sorted {
        let to = inside(root, &mount.to);
        make_place(&mount.from, &to);
        lines.push(format!("mount --rbind {} {}", shown(&mount.from), shown(&to)));
        lines.extend(mount.is_read_only.then(|| format!("seal {}", shown(&to))));
    }
    lines.extend(is_read_only.then(|| format!("seal {}", shown(root))));
    lines.push(format!("exec chroot {} \"$@\"", shown(root)));
    lines.join("\n") + "\n"
}

/// The part of a root that every container has; returns what is still to be mounted there.
fn base(root: &Path) -> Vec<PathBuf> {
    let mut mounted = Vec::new();
    for folder in ["etc", "tmp", "run", "var/tmp"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    symlink("../run", root.join("var/run")).unwrap();
    for file in FILES {
        let copied = fs::copy(Path::new("/etc").join(file), root.join("etc").join(file));
        assert!(copied.is_ok() || copied.is_err_and(|error| error.kind() == ErrorKind::NotFound), "{file}");
    }
    for place in SYSTEM.map(|place| Path::new("/").join(place)) {
        let to = inside(root, &place);
        if let Ok(target) = fs::read_link(&place) {
            symlink(target, to).unwrap();
        } else if place.exists() {
            fs::create_dir_all(to).unwrap();
            mounted.push(place);
        }
    }
    mounted
}

/// A mount needs something to cover.
fn make_place(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::File::create(to).unwrap();
    }
}

fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap())
}
