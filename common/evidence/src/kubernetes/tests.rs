//! Projected tokens in volumes as the kubelet lays them out: links, modes and groups.
//! Owners other than our own need root, and are left out without it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use tempfile::TempDir;

use super::*;

/// A projected volume: a memory-backed folder that everybody may write into and only owners may take out of (the mode of a
/// fresh tmpfs), with what the kubelet writes in it.
struct Volume {
    folder: TempDir,
    fs_group: Option<u32>,
}

impl Volume {
    fn new(fs_group: Option<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = if fs_group.is_some() { 0o3777 } else { 0o1777 };
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        symlink("..data/token", folder.path().join("token")).unwrap();
        Self { folder, fs_group }
    }

    /// What the kubelet's atomic writer does: a fresh folder beside the old one, then the link is exchanged.
    fn publish(&self, stamp: &str, token: &str, mode: u32) {
        let root = self.folder.path();
        let (fresh, file) = (root.join(stamp), root.join(stamp).join("token"));
        fs::create_dir(&fresh).unwrap();
        fs::write(&file, token).unwrap();
        let folder_mode = if self.fs_group.is_some() { 0o2755 } else { 0o755 };
        fs::set_permissions(&fresh, Permissions::from_mode(folder_mode)).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        if rustix::process::geteuid().is_root() {
            for path in [root, fresh.as_path(), file.as_path()] {
                chown(path, None, self.fs_group).unwrap();
            }
        }
        symlink(stamp, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    }

    async fn collect(&self) -> Result<Evidence, TokenFileError> {
        let token_file = self.folder.path().join("token");
        ProjectedToken::new(KubernetesConfig { token_file, provider: None }).collect().await
    }
}

#[tokio::test]
async fn a_token_is_read_with_each_mode_that_the_kubelet_gives_it() {
    // The default; 0600 for one user of all containers; 0640 after the group of the volumes was given the file.
    for (mode, fs_group) in [(0o644, None), (0o600, None), (0o640, Some(2000)), (0o644, Some(2000))] {
        let volume = Volume::new(fs_group);
        volume.publish("..2026_11_25_10_00_00.1", "a.b.c", mode);
        let evidence = volume.collect().await.unwrap();
        assert_eq!(evidence.assertion().unwrap().expose(), "a.b.c", "{mode:o}");
    }
}

#[tokio::test]
async fn a_rotated_token_is_seen_at_the_next_use() {
    let volume = Volume::new(Some(2000));
    for (stamp, token) in [("..2026_11_25_10_00_00.1", "a.b.one"), ("..2026_11_25_10_48_00.2", "a.b.two")] {
        volume.publish(stamp, token, 0o640);
        assert_eq!(volume.collect().await.unwrap().assertion().unwrap().expose(), token);
    }
}

#[tokio::test]
async fn a_token_that_the_group_could_have_written_is_refused() {
    let volume = Volume::new(Some(2000));
    volume.publish("..2026_11_25_10_00_00.1", "a.b.c", 0o660);
    let error = volume.collect().await.unwrap_err().to_string();
    assert!(error.contains("group or others can write it"), "{error}");
}

#[tokio::test]
async fn a_token_that_another_user_has_put_there_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let volume = Volume::new(None);
    volume.publish("..2026_11_25_10_00_00.1", "a.b.c", 0o644);
    let file = volume.folder.path().join("..2026_11_25_10_00_00.1/token");
    chown(&file, Some(12_345), None).unwrap();
    assert!(volume.collect().await.unwrap_err().to_string().contains("another user"));
    // Nor may the folder be theirs, whoever the file belongs to.
    chown(&file, Some(0), None).unwrap();
    chown(volume.folder.path(), Some(12_345), None).unwrap();
    assert!(volume.collect().await.unwrap_err().to_string().contains("another user"));
}

#[test]
fn the_configuration_has_defaults() {
    let config: crate::SourceConfig = serde_json::from_str(r#"{"kubernetes":{}}"#).unwrap();
    assert_eq!(config, crate::SourceConfig::Kubernetes(KubernetesConfig::default()));
    assert_eq!(serde_json::from_str::<crate::SourceConfig>(r#""auto""#).unwrap(), crate::SourceConfig::Auto);
}
