//! Keys in files: kept, lost, raced for, and ones that others have put there.
//! What a key proves is tested in `symbolon-proof`.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, symlink};

use super::*;

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?.write_all(bytes)
}

fn at(path: PathBuf) -> KeyConfig {
    KeyConfig { algorithm: KeyAlgorithm::Es256, file: Some(path) }
}

#[test]
fn a_kept_key_is_the_same_after_a_restart_and_only_ours_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let config = at(folder.path().join("key.json"));
    let first = load_or_generate(&config).unwrap().thumbprint();
    assert_eq!(load_or_generate(&config).unwrap().thumbprint(), first);
    let mode = fs::metadata(folder.path().join("key.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_key_in_memory_is_another_at_each_start() {
    let config = KeyConfig::default();
    let (one, two) = (load_or_generate(&config).unwrap(), load_or_generate(&config).unwrap());
    assert_ne!(one.thumbprint(), two.thumbprint());
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    load_or_generate(&at(path.clone())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    let error = load_or_generate(&at(path.clone())).unwrap_err();
    assert!(matches!(error, KeyError::File(ProtectedFileError::Unsafe { .. })), "{error}");
    assert!(check(&at(path)).is_err());
}

#[test]
fn a_file_with_something_else_is_neither_used_nor_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    write_private(&path, b"{}").unwrap();
    assert!(matches!(load_or_generate(&at(path.clone())), Err(KeyError::Content { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"{}");
}

#[test]
fn a_start_that_was_killed_half_way_does_not_stop_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    // The same process id, as in a container, and any other.
    for number in [std::process::id().to_string(), "1".to_owned(), "00ff00ff00ff00ff".to_owned()] {
        write_private(&folder.path().join(format!("key.json.{number}.new")), b"{").unwrap();
    }
    let first = load_or_generate(&at(path.clone())).unwrap().thumbprint();
    assert_eq!(load_or_generate(&at(path)).unwrap().thumbprint(), first);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_draft_beside_a_key_is_removed_and_other_files_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    load_or_generate(&at(path.clone())).unwrap();
    for name in ["key.json.1.new", "key.json.new", "key.json.old.new", "other.json.1.new"] {
        write_private(&folder.path().join(name), b"{").unwrap();
    }
    load_or_generate(&at(path)).unwrap();
    let mut left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["key.json", "key.json.new", "key.json.old.new", "other.json.1.new"]);
}

#[test]
fn processes_that_start_at_once_end_up_with_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = at(folder.path().join("key.json"));
    let start = std::sync::Barrier::new(8);
    let prints: Vec<_> = std::thread::scope(|scope| {
        let begin = || {
            start.wait();
            load_or_generate(&config).unwrap().thumbprint()
        };
        let started: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(prints.windows(2).all(|pair| pair[0] == pair[1]), "{prints:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// An `emptyDir`: the kubelet makes it root's, open to all, and gives it to the group of the pod's volumes. In memory it is
/// sticky, on disk it is not.
fn empty_dir(mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if rustix::process::geteuid().is_root() {
        chown(folder.path(), Some(0), Some(2000)).unwrap();
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    folder
}

#[test]
fn a_key_in_an_empty_dir_outlives_the_process_and_a_lost_one_is_made_anew() {
    for mode in [0o777, 0o1777, 0o2777, 0o3777] {
        let folder = empty_dir(mode);
        let path = folder.path().join("key.pem");
        let first = load_or_generate(&at(path.clone())).unwrap().thumbprint();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400, "{mode:o}");
        assert_eq!(load_or_generate(&at(path.clone())).unwrap().thumbprint(), first, "{mode:o}");
        fs::remove_file(&path).unwrap();
        assert_ne!(load_or_generate(&at(path)).unwrap().thumbprint(), first, "{mode:o}");
    }
}

#[test]
fn a_link_in_the_place_of_the_key_is_neither_followed_nor_replaced() {
    let (folder, elsewhere) = (empty_dir(0o777), tempfile::tempdir().unwrap());
    let (path, target) = (folder.path().join("key.pem"), elsewhere.path().join("target"));
    // One that leads nowhere would be created by a careless writer, one that leads to a key of ours believed by a careless reader.
    symlink(&target, &path).unwrap();
    assert!(load_or_generate(&at(path.clone())).is_err());
    assert!(!target.exists());
    load_or_generate(&at(target)).unwrap();
    assert!(matches!(load_or_generate(&at(path.clone())), Err(KeyError::File(_))));
    assert!(path.symlink_metadata().unwrap().is_symlink());
}

#[test]
fn a_key_that_another_user_has_put_there_is_not_used() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = empty_dir(0o777);
    let path = folder.path().join("key.pem");
    load_or_generate(&at(path.clone())).unwrap();
    chown(&path, Some(12_345), None).unwrap();
    assert!(matches!(load_or_generate(&at(path)), Err(KeyError::File(ProtectedFileError::Unsafe { .. }))));
}
