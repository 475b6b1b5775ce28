//! The watch through the public interface, on real folders.

use std::{fs, os::unix::fs::symlink, time::Duration};

use symbolon_config::Watch;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_written_and_a_replaced_file_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.yaml");
    fs::write(&file, "a").unwrap();
    let mut watch = Watch::new([file.clone()]);
    fs::write(&file, "ab").unwrap();
    timeout(LONG, watch.changed()).await.unwrap();
    let other = folder.path().join("new");
    fs::write(&other, "xy").unwrap();
    fs::rename(&other, &file).unwrap();
    timeout(LONG, watch.changed()).await.unwrap();
}

#[tokio::test]
async fn a_swapped_kubernetes_link_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for (version, text) in [("..1", "old"), ("..2", "new")] {
        fs::create_dir(folder.path().join(version)).unwrap();
        fs::write(folder.path().join(version).join("broker.yaml"), text).unwrap();
    }
    symlink("..1", folder.path().join("..data")).unwrap();
    symlink("..data/broker.yaml", folder.path().join("broker.yaml")).unwrap();
    let mut watch = Watch::new([folder.path().join("broker.yaml")]);
    symlink("..2", folder.path().join("..data_tmp")).unwrap();
    fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    timeout(LONG, watch.changed()).await.unwrap();
}

#[tokio::test]
async fn a_new_a_changed_and_a_removed_file_of_a_folder_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.cedar");
    let mut watch = Watch::new([folder.path().to_owned()]);
    fs::write(&file, "a").unwrap();
    timeout(LONG, watch.changed()).await.unwrap();
    fs::write(&file, "ab").unwrap();
    timeout(LONG, watch.changed()).await.unwrap();
    fs::remove_file(&file).unwrap();
    timeout(LONG, watch.changed()).await.unwrap();
}

#[tokio::test]
async fn other_files_beside_it_are_not_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.yaml");
    fs::write(&file, "a").unwrap();
    let mut watch = Watch::new([file]);
    fs::write(folder.path().join("broker.db"), "x").unwrap();
    assert!(timeout(Duration::from_millis(600), watch.changed()).await.is_err());
}

#[tokio::test]
async fn a_change_before_the_call_and_a_dropped_call_are_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.yaml");
    fs::write(&file, "a").unwrap();
    let mut watch = Watch::new([file.clone()]);
    assert!(timeout(Duration::from_millis(1), watch.changed()).await.is_err());
    fs::write(&file, "abc").unwrap();
    let dropped = timeout(Duration::ZERO, watch.changed()).await;
    assert!(dropped.is_err());
    timeout(LONG, watch.changed()).await.unwrap();
}

#[tokio::test]
async fn a_changed_file_whose_old_time_was_put_back_is_noticed() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.cedar");
    fs::write(&file, "a").unwrap();
    let before = fs::metadata(&file).unwrap();
    let mut watch = Watch::new([folder.path().to_owned()]);
    let change = |metadata: &fs::Metadata| (metadata.ctime(), metadata.ctime_nsec());
    // The clock of a file system is coarse: write until it has gone on.
    while change(&fs::metadata(&file).unwrap()) == change(&before) {
        fs::write(&file, "b").unwrap();
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(before.modified().unwrap())
            .unwrap();
    }
    timeout(LONG, watch.changed()).await.unwrap();
}
