//! Tells when watched files or folders have changed, once things are quiet.
//! It starts no task and reads no configuration: the program polls it in a task of its own.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// How long it must be quiet before a change is reported.
const QUIET: Duration = Duration::from_millis(150);
/// How often quiet is waited for before a change is reported anyway.
const PATIENCE: u32 = 10;
/// How often to look without being told: for file systems that tell nothing, and folders that are replaced.
const LOOK_ANYWAY: Duration = Duration::from_secs(10);
/// What Kubernetes swaps when a mounted `ConfigMap` or `Secret` changes.
const KUBERNETES_LINK: &str = "..data";

/// A watch on files and folders.
#[derive(Debug)]
pub struct Watch {
    paths: Arc<[PathBuf]>,
    seen: Fingerprint,
    hint: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
}

type Fingerprint = Vec<(PathBuf, Option<Stamp>)>;

/// What tells one state of a file from another.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    /// The kernel's own mark of a change, which no program can set back (`cp -p`, an archive that is unpacked).
    changed: (i64, i64),
}

impl Watch {
    /// Watches these files and folders from now on; a path that does not exist yet is watched too.
    ///
    /// Without the kernel's help (no watches left) it looks every ten seconds, and says so in the log.
    #[must_use]
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Arc<[PathBuf]> = paths.into_iter().collect();
        let hint = Arc::new(Notify::new());
        let watcher = watcher(&paths, Arc::clone(&hint));
        let seen = fingerprint(&paths);
        let mut watch = Self { paths, seen, hint, watcher };
        watch.attend();
        watch
    }

    /// Waits until something has changed since the last call and then been quiet for a moment.
    ///
    /// Dropping the future loses nothing: the next call reports the change.
    pub async fn changed(&mut self) {
        loop {
            if self.look().await != self.seen {
                self.wait_for_quiet().await;
                self.seen = self.look().await;
                self.attend();
                return;
            }
            let told = tokio::time::timeout(LOOK_ANYWAY, self.hint.notified()).await;
            if told.is_err() {
                self.attend();
            }
        }
    }

    async fn wait_for_quiet(&self) {
        for _ in 0..PATIENCE {
            if tokio::time::timeout(QUIET, self.hint.notified()).await.is_err() {
                return;
            }
        }
    }

    async fn look(&self) -> Fingerprint {
        let paths = Arc::clone(&self.paths);
        tokio::task::spawn_blocking(move || fingerprint(&paths)).await.unwrap_or_default()
    }

    /// Asks the kernel to tell about the folders, again if they were replaced.
    fn attend(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let folders: BTreeSet<&Path> = self.paths.iter().map(|path| folder_of(path)).collect();
        for folder in folders {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!(
                    event.name = "config.watch_limited",
                    path = %folder.display(),
                    error = %error,
                    "changes here are noticed within ten seconds only"
                );
            }
        }
    }
}

fn watcher(paths: &Arc<[PathBuf]>, hint: Arc<Notify>) -> Option<RecommendedWatcher> {
    let paths = Arc::clone(paths);
    let tell = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !concerns(&event, &paths)) {
            return;
        }
        hint.notify_one();
    };
    let watcher = notify::recommended_watcher(tell);
    if let Err(error) = &watcher {
        tracing::warn!(
            event.name = "config.watch_limited",
            error = %error,
            "changes of configuration are noticed within ten seconds only"
        );
    }
    watcher.ok()
}

/// Whether an event can be about a watched path: other files of the folder may be written all the time.
fn concerns(event: &notify::Event, paths: &[PathBuf]) -> bool {
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    event.need_rescan()
        || event.paths.iter().any(|changed| {
            changed.file_name() == Some(OsStr::new(KUBERNETES_LINK))
                || paths.iter().any(|path| {
                    changed.file_name() == path.file_name()
                        || changed.parent().and_then(Path::file_name) == path.file_name()
                })
        })
}

/// The folder itself, or the one that holds the file.
fn folder_of(path: &Path) -> &Path {
    if path.is_dir() {
        return path;
    }
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn fingerprint(paths: &[PathBuf]) -> Fingerprint {
    let mut found = Vec::new();
    for path in paths {
        if let Ok(entries) = std::fs::read_dir(path) {
            let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
            names.retain(|name| !name.as_bytes().starts_with(b"."));
            names.sort();
            found.extend(names.into_iter().map(|name| stamp(path.join(name))));
        }
        found.push(stamp(path.clone()));
    }
    found
}

fn stamp(path: PathBuf) -> (PathBuf, Option<Stamp>) {
    let stamp = std::fs::metadata(&path).ok().map(|metadata| {
        // A folder's own times change with every file in it; its entries are looked at instead.
        let (length, modified, changed) = if metadata.is_dir() {
            (0, (0, 0), (0, 0))
        } else {
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            (metadata.len(), modified, (metadata.ctime(), metadata.ctime_nsec()))
        };
        Stamp { device: metadata.dev(), inode: metadata.ino(), length, modified, changed }
    });
    (path, stamp)
}
