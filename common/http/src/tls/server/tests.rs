//! Pairs of files that are taken and that are refused, on a real file system.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::*;

/// A folder with `tls.crt` and `tls.key`.
fn folder() -> (TempDir, ServerTlsConfig) {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    write(&files, &made((2020, 2100)));
    (folder, files)
}

fn files(folder: &Path) -> ServerTlsConfig {
    ServerTlsConfig { certificate_file: folder.join("tls.crt"), key_file: folder.join("tls.key") }
}

/// A certificate that is valid between the beginnings of two years, and its key.
fn made((from, until): (i32, i32)) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn write(files: &ServerTlsConfig, (certificate, key): &(String, String)) {
    fs::write(&files.certificate_file, certificate).unwrap();
    write_key(files, key, 0o600);
}

fn write_key(files: &ServerTlsConfig, key: &str, mode: u32) {
    fs::write(&files.key_file, key).unwrap();
    fs::set_permissions(&files.key_file, Permissions::from_mode(mode)).unwrap();
}

fn problem(files: &ServerTlsConfig) -> String {
    let error = ServerTls::of(files).unwrap_err();
    let path = [&files.certificate_file, &files.key_file].map(|file| file.display().to_string());
    let told = error.to_string();
    assert!(path.iter().any(|path| told.contains(path.as_str())), "{told}");
    told
}

#[test]
fn a_good_pair_is_taken_and_its_end_is_known() {
    let (_folder, files) = folder();
    let tls = ServerTls::of(&files).unwrap();
    assert_eq!(tls.expiry(), 4_102_444_800);
    assert!(tls.warning().is_none());
    assert!(!tls.reload().unwrap(), "nothing has changed");
}

#[test]
fn a_pair_of_texts_is_replaced_by_the_program() {
    let (certificate, key) = made((2020, 2100));
    let tls = ServerTls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let mut replacements = tls.replacements();
    assert!(!tls.reload().unwrap(), "there are no files");
    let (next, next_key) = made((2020, 2090));
    for (certificate, key) in [("", ""), (&next, &key), (&certificate, "x")] {
        assert!(tls.replace_pem(certificate.as_bytes(), key.as_bytes()).is_err());
    }
    assert!(!replacements.has_changed().unwrap());
    assert!(tls.replace_pem(next.as_bytes(), next_key.as_bytes()).unwrap());
    assert!(replacements.has_changed().unwrap());
    assert_eq!(tls.expiry(), 3_786_912_000);
    replacements.mark_unchanged();
    assert!(!tls.replace_pem(next.as_bytes(), next_key.as_bytes()).unwrap());
    assert!(!replacements.has_changed().unwrap());
}

#[test]
fn a_new_pair_replaces_the_old_one_and_its_sessions() {
    let (_folder, files) = folder();
    let tls = ServerTls::of(&files).unwrap();
    let (before, clone) = (tls.config(), tls.clone());
    write(&files, &made((2020, 2090)));
    assert!(clone.reload().unwrap());
    assert!(!Arc::ptr_eq(&before, &tls.config()));
    assert_eq!(tls.expiry(), 3_786_912_000);
}

#[test]
fn a_bad_pair_keeps_the_old_one_and_says_file_and_reason() {
    let (_folder, files) = folder();
    let tls = ServerTls::of(&files).unwrap();
    let before = tls.config();
    let bad = [("", "holds no certificate"), ("-----BEGIN CERTIFICATE-----\nAA", "as PEM")];
    for (text, reason) in bad {
        fs::write(&files.certificate_file, text).unwrap();
        let told = tls.reload().unwrap_err().to_string();
        assert!(told.contains(reason) && told.contains("tls.crt"), "{told}");
    }
    fs::remove_file(&files.certificate_file).unwrap();
    assert!(tls.reload().unwrap_err().to_string().contains("tls.crt"));
    assert!(Arc::ptr_eq(&before, &tls.config()));
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (_folder, files) = folder();
    let ours = fs::read_to_string(&files.certificate_file).unwrap();
    let (other, key) = made((2020, 2100));
    write_key(&files, &key, 0o600);
    assert!(problem(&files).contains("does not belong to the key"));
    // The right certificate, but not at its place.
    fs::write(&files.certificate_file, format!("{ours}{other}")).unwrap();
    assert!(problem(&files).contains("the server's own comes first"));
    fs::write(&files.certificate_file, format!("{other}{ours}")).unwrap();
    assert!(ServerTls::of(&files).is_ok());
}

#[test]
fn a_key_that_everybody_can_read_is_refused() {
    let (_folder, files) = folder();
    let key = fs::read_to_string(&files.key_file).unwrap();
    for mode in [0o644, 0o604] {
        write_key(&files, &key, mode);
        let told = problem(&files);
        assert!(told.contains("everybody can read it: give it mode 0600"), "{told}");
    }
}

#[test]
fn what_is_no_pair_of_files_is_refused() {
    let (folder, files) = folder();
    let key = fs::read_to_string(&files.key_file).unwrap();
    // What needs a passphrase goes by another label (RFC 7468 §11).
    let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for text in ["", "nonsense\n", &locked] {
        write_key(&files, text, 0o600);
        assert!(problem(&files).contains("holds no private key"), "{text}");
    }
    fs::remove_file(&files.key_file).unwrap();
    assert!(problem(&files).contains("cannot read"));
    write_key(&files, &key, 0o600);
    // Each taken for the other.
    let swapped = ServerTlsConfig {
        certificate_file: files.key_file.clone(),
        key_file: files.certificate_file.clone(),
    };
    assert!(problem(&swapped).contains("holds no certificate"));
    let of_folder = ServerTlsConfig { certificate_file: folder.path().to_owned(), ..files.clone() };
    assert!(problem(&of_folder).contains("not a regular file"));
    fs::write(&files.certificate_file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    assert!(problem(&files).contains("cannot be used"));
}

#[test]
fn a_certificate_out_of_date_is_served_and_told_but_takes_no_good_ones_place() {
    let (_folder, files) = folder();
    let tls = ServerTls::of(&files).unwrap();
    let before = tls.config();
    for years in [(2000, 2010), (2098, 2100)] {
        let pair = made(years);
        write(&files, &pair);
        let told = tls.reload().unwrap_err().to_string();
        assert!(told.contains("is not valid today") && told.contains("tls.crt"), "{told}");
        assert!(Arc::ptr_eq(&before, &tls.config()));
        let started = ServerTls::of(&files).unwrap();
        assert!(started.warning().unwrap().to_string().contains("is not valid today"));
        // Among those of no use the latest is as good as any.
        write(&files, &made((2001, 2011)));
        assert!(started.reload().unwrap());
    }
}

#[test]
fn a_secret_that_kubernetes_swaps_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path();
    let publish = |stamp: &str, pair: &(String, String)| {
        fs::create_dir(volume.join(stamp)).unwrap();
        write(&files(&volume.join(stamp)), pair);
        symlink(stamp, volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    };
    publish("..1", &made((2020, 2100)));
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), volume.join(name)).unwrap();
    }
    let tls = ServerTls::of(&files(volume)).unwrap();
    publish("..2", &made((2020, 2090)));
    assert!(tls.reload().unwrap());
}
