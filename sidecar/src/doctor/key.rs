//! Check of the proof key: whether there is one, and where it is kept.
//! It is neither made nor shown.

use symbolon_program::chain;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::PATIENCE;
use super::report::Check;
use crate::config::KeyConfig;

const KEY: &str = "key";
/// `TMPFS_MAGIC` of statfs(2).
const TMPFS: i64 = 0x0102_1994;

pub(super) async fn look(config: &KeyConfig) -> Check {
    let config = config.clone();
    match timeout(PATIENCE, spawn_blocking(move || at(&config))).await {
        Ok(Ok(check)) => check,
        Ok(Err(_)) | Err(_) => Check::failed(KEY, "the key file cannot be read in time", "mend `key.file`"),
    }
}

fn at(config: &KeyConfig) -> Check {
    let Some(path) = &config.file else {
        let found = "in memory: another one after each restart";
        return Check::ok(KEY, found);
    };
    if let Err(error) = crate::key::check(config) {
        let next = "remove the file if nobody else needs it; the next start makes a new key, which the broker sees as a change";
        return Check::failed(KEY, chain(&error), next);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Ok(place) = rustix::fs::statfs(folder.unwrap_or_else(|| ".".as_ref())) else {
        let next = "mount a volume there that no other container mounts, in memory in a pod";
        return Check::failed(KEY, format!("the folder of `{}` is not there", path.display()), next);
    };
    let kept = if place.f_type == TMPFS { "in memory" } else { "on disk" };
    let made = if path.exists() { "kept" } else { "to be made at the first start" };
    Check::ok(KEY, format!("`{}`, {made}, {kept}", path.display()))
}
