//! What is read and what is refused, on a real file system.
//! Ownership by a third user needs root and is skipped without it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

const LIMIT: usize = 64;

fn folder_with(mode: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "a.b.c").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

fn reason(path: &Path, rules: Rules) -> &'static str {
    match read(path, rules) {
        Err(ProtectedFileError::Unsafe { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

/// A volume as the kubelet writes it.
fn kubelet_volume(stamp: &str, token: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), stamp, token);
    symlink("..data/token", folder.path().join("token")).unwrap();
    let path = folder.path().join("token");
    (folder, path)
}

fn publish(volume: &Path, stamp: &str, token: &str) {
    fs::create_dir(volume.join(stamp)).unwrap();
    fs::write(volume.join(stamp).join("token"), token).unwrap();
    symlink(stamp, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}

#[test]
fn a_file_that_only_we_can_write_is_read() {
    let (_folder, path) = folder_with(0o644);
    let contents = read(&path, Rules::integrity(LIMIT)).unwrap();
    assert_eq!(contents.text.expose_secret(), "a.b.c");
    assert!(contents.modified_secs > 0);
}

#[test]
fn a_file_that_group_or_others_can_write_is_refused() {
    for mode in [0o660, 0o602, 0o666] {
        let (_folder, path) = folder_with(mode);
        assert_eq!(reason(&path, Rules::integrity(LIMIT)), "group or others can write it");
    }
}

#[test]
fn a_private_file_that_others_can_read_is_refused() {
    let (_folder, path) = folder_with(0o440);
    assert_eq!(reason(&path, Rules::private(LIMIT)), "group or others can read it");
    let (_folder, path) = folder_with(0o400);
    assert!(read(&path, Rules::private(LIMIT)).is_ok());
}

#[test]
fn only_what_belongs_to_root_may_be_read_by_its_group() {
    let rules = Rules::private_to_group(LIMIT);
    for (mode, is_roots, is_taken) in [
        (0o400, false, true),
        (0o600, true, true),
        (0o640, true, true),
        (0o440, true, true),
        (0o640, false, false),
        (0o644, true, false),
        (0o604, false, false),
    ] {
        assert_eq!(rules.indiscretion(mode, is_roots).is_none(), is_taken, "{mode:o} {is_roots}");
    }
    let (_folder, path) = folder_with(0o644);
    assert!(reason(&path, rules).contains("mode 0600"));
}

#[test]
fn a_symbolic_link_to_a_file_is_refused() {
    let (folder, path) = folder_with(0o600);
    let link = folder.path().join("link");
    for target in [path.as_path(), Path::new("token"), Path::new("./token")] {
        symlink(target, &link).unwrap();
        assert_eq!(reason(&link, Rules::integrity(LIMIT)), "it is a symbolic link");
        fs::remove_file(&link).unwrap();
    }
}

#[test]
fn the_links_of_the_kubelet_are_followed_also_after_a_swap() {
    let (folder, path) = kubelet_volume("..2026_11_22_10_00_00.1", "a.b.old");
    assert_eq!(read(&path, Rules::integrity(LIMIT)).unwrap().text.expose_secret(), "a.b.old");
    publish(folder.path(), "..2026_11_22_11_00_00.2", "a.b.new");
    assert_eq!(read(&path, Rules::integrity(LIMIT)).unwrap().text.expose_secret(), "a.b.new");
}

#[test]
fn a_link_that_only_resembles_the_kubelets_is_refused() {
    let (elsewhere, _) = folder_with(0o600);
    let (folder, path) = kubelet_volume("..stamp", "a.b.c");
    for target in [elsewhere.path().to_str().unwrap(), "..", "plain", "..stamp/../..stamp"] {
        fs::remove_file(folder.path().join("..data")).unwrap();
        symlink(target, folder.path().join("..data")).unwrap();
        assert_eq!(
            reason(&path, Rules::integrity(LIMIT)),
            "its symbolic link is not one that the kubelet makes",
            "{target}"
        );
    }
}

#[test]
fn a_second_link_behind_the_kubelets_is_refused() {
    let (folder, path) = kubelet_volume("..stamp", "a.b.c");
    let inner = folder.path().join("..stamp").join("token");
    fs::rename(&inner, folder.path().join("..stamp").join("real")).unwrap();
    symlink("real", &inner).unwrap();
    assert!(matches!(read(&path, Rules::integrity(LIMIT)), Err(ProtectedFileError::Unreadable { .. })));
}

#[test]
fn a_folder_that_others_can_write_is_refused_unless_it_is_sticky() {
    let (folder, path) = folder_with(0o600);
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    assert_eq!(reason(&path, Rules::integrity(LIMIT)), "others can write in its folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).unwrap();
    assert!(read(&path, Rules::integrity(LIMIT)).is_ok());
}

#[test]
fn a_secret_of_our_own_may_lie_in_a_folder_that_others_can_write() {
    let (folder, path) = folder_with(0o400);
    for mode in [0o700, 0o777, 0o2777, 0o3777] {
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        assert!(read(&path, Rules::own_secret(LIMIT)).is_ok(), "{mode:o}");
    }
    for (mode, why) in [(0o440, "group or others can read it"), (0o620, "group or others can write it")] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(reason(&path, Rules::own_secret(LIMIT)), why);
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    symlink("token", folder.path().join("link")).unwrap();
    assert_eq!(reason(&folder.path().join("link"), Rules::own_secret(LIMIT)), "it is a symbolic link");
    if rustix::process::geteuid().is_root() {
        chown(&path, Some(12345), None).unwrap();
        assert_eq!(reason(&path, Rules::own_secret(LIMIT)), "it belongs to another user");
    }
}

#[test]
fn a_file_of_a_third_user_is_refused() {
    let (_folder, path) = folder_with(0o644);
    if rustix::process::geteuid().is_root() {
        chown(&path, Some(12345), None).unwrap();
        assert_eq!(reason(&path, Rules::integrity(LIMIT)), "it belongs to another user");
    }
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let (_folder, path) = folder_with(0o600);
    fs::write(&path, "x".repeat(LIMIT)).unwrap();
    assert!(read(&path, Rules::integrity(LIMIT)).is_ok());
    fs::write(&path, "x".repeat(LIMIT + 1)).unwrap();
    assert_eq!(reason(&path, Rules::integrity(LIMIT)), "it is larger than the limit");
}

#[test]
fn a_pipe_is_refused_without_waiting_for_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    rustix::fs::mkfifoat(CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
    assert_eq!(reason(&path, Rules::integrity(LIMIT)), "it is not a regular file");
}

#[test]
fn a_missing_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = read(&folder.path().join("token"), Rules::integrity(LIMIT)).unwrap_err();
    assert!(error.to_string().starts_with("cannot read"));
}
