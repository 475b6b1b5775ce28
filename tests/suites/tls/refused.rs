//! What a TLS listener does not take: plaintext, old versions, slow handshakes; and files that are no good pair.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};
use symbolon_e2e::certificates::{Authority, Pair, Volume};
use symbolon_e2e::http::raw;
use symbolon_e2e::process::binary;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::Guarded;

/// The version that both sides agree on, if the client offers only this one.
fn agreed(address: SocketAddr, version: SslVersion) -> Result<String, String> {
    let mut client = SslConnector::builder(SslMethod::tls_client()).unwrap();
    client.set_min_proto_version(Some(version)).unwrap();
    client.set_max_proto_version(Some(version)).unwrap();
    // Old versions need what OpenSSL itself no longer does by default.
    client.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    client.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(address).unwrap();
    let session = client.build().connect("localhost", stream).map_err(|error| error.to_string())?;
    Ok(session.ssl().version_str().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plaintext_and_old_versions_are_refused() {
    let guarded = Guarded::start().await;
    let address = guarded.gateway.address;
    let plain = raw(address, b"GET /orders/1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(!plain.contains("HTTP/"), "{plain}");
    let prior_knowledge = raw(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(prior_knowledge.len() < 16, "{prior_knowledge}");
    assert_eq!(agreed(address, SslVersion::TLS1_2).unwrap(), "TLSv1.2");
    assert_eq!(agreed(address, SslVersion::TLS1_3).unwrap(), "TLSv1.3");
    for version in [SslVersion::TLS1, SslVersion::TLS1_1] {
        let refused = agreed(address, version).unwrap_err();
        assert!(refused.contains("SSL alert number"), "the gateway says no, not OpenSSL: {refused}");
    }
    guarded.counts("symbolon_http_tls_handshakes_failed_total{listener=\"proxy\"} 4").await;
    assert_eq!(guarded.ask().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_slow_handshake_is_cut_while_others_are_served() {
    let guarded = Guarded::start().await;
    let begun = Instant::now();
    let mut slow = tokio::net::TcpStream::connect(guarded.gateway.address).await.unwrap();
    slow.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
    assert_eq!(guarded.ask().await.unwrap().status, 200);
    let mut said = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut said)).await;
    let _ = ended.expect("the connection ends");
    assert!(said.is_empty() && begun.elapsed() > Duration::from_secs(9), "{said:?}");
    guarded.counts("symbolon_http_connections_timed_out_total{listener=\"proxy\"} 1").await;
}

/// Exit code and what was said.
fn validate(program: &str, config: &Path) -> (Option<i32>, String) {
    let mut child = Command::new(binary(program));
    let run = child.args(["config", "validate", "--config"]).arg(config).output().unwrap();
    (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
}

/// Small configurations of both programs, with the section `tls`.
fn configurations(folder: &Path, section: &str) -> [(&'static str, &'static str, String); 2] {
    let at = folder.display();
    let broker = format!(
        "issuer: https://broker.test\ntrust_domain: test.example\nlisten: {{ public: \"127.0.0.1:0\", admin: \"127.0.0.1:0\", tls: {section} }}\n\
         store: {{ sqlite: {at}/broker.db, sealing_key: \"${{file:{at}/sealing-key}}\" }}\npolicies: {at}/policies\nresources: []\n"
    );
    let gateway = format!(
        "listen: \"127.0.0.1:0\"\ntls: {section}\nadmin: {{ listen: \"127.0.0.1:0\" }}\nroutes: []\n"
    );
    [("symbolon-broker", "listen.tls", broker), ("symbolon-gateway", "tls", gateway)]
}

#[test]
fn a_bad_pair_of_files_is_a_mistake_in_the_configuration() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("sealing-key"), "07".repeat(32)).unwrap();
    let (ours, other) = (authority.pair(), authority.pair());
    let good = Volume::new(&ours);
    let at = folder.path().join("pair");
    let write = |certificate: &str, key: &str, mode: u32| {
        let _ = fs::remove_dir_all(&at);
        fs::create_dir(&at).unwrap();
        fs::write(at.join("tls.crt"), certificate).unwrap();
        fs::write(at.join("tls.key"), key).unwrap();
        fs::set_permissions(at.join("tls.key"), Permissions::from_mode(mode)).unwrap();
    };
    let section = |certificate: &str, key: &str| {
        format!("{{ certificate_file: {at}/{certificate}, key_file: {at}/{key} }}", at = at.display())
    };
    let pair = section("tls.crt", "tls.key");
    let check = |section: &str, wanted: Option<&str>| {
        for (program, path, config) in configurations(folder.path(), section) {
            let file = folder.path().join(format!("{program}.yaml"));
            fs::write(&file, config).unwrap();
            let (code, said) = validate(program, &file);
            let Some(wanted) = wanted else {
                assert_eq!(code, Some(0), "{said}");
                continue;
            };
            assert_eq!(code, Some(3), "{program}, {wanted}: {said}");
            let is_told =
                said.contains(wanted) && said.contains(path) && said.contains(&at.display().to_string());
            assert!(is_told, "{program}, {wanted}: {said}");
        }
    };
    check(&good.section(), None);
    write(&ours.certificate, &ours.key, 0o600);
    check(&pair, None);
    check(&section("tls.crt", "nothing"), Some("cannot read"));
    check(&section("", "tls.key"), Some("not a regular file"));
    write(&ours.certificate, &other.key, 0o600);
    check(&pair, Some("does not belong to the key"));
    write(&ours.certificate, &ours.key, 0o644);
    check(&pair, Some("give it mode 0600"));
    write("", &ours.key, 0o600);
    check(&pair, Some("holds no certificate"));
    write(&ours.certificate, "", 0o600);
    check(&pair, Some("holds no private key"));
}

#[test]
fn what_contradicts_tls_is_refused_and_what_is_odd_is_told() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("sealing-key"), "07".repeat(32)).unwrap();
    let check = |pair: &Pair, from: &str, to: &str| {
        let volume = Volume::new(pair);
        configurations(folder.path(), &volume.section()).map(|(program, _, config)| {
            let file = folder.path().join(format!("{program}.yaml"));
            fs::write(&file, config.replacen(from, to, 1)).unwrap();
            validate(program, &file)
        })
    };
    let good = authority.pair();
    let [(code, said), _] = check(&good, "https://broker.test", "http://127.0.0.1:8700");
    assert!(code == Some(3) && said.contains("issuer") && said.contains("listen.tls"), "{said}");
    let socket = format!("listen: \"unix:{}/gateway.sock\"\ntls", folder.path().display());
    let [_, (code, said)] = check(&good, "listen: \"127.0.0.1:0\"\ntls", &socket);
    assert!(code == Some(3) && said.contains("Unix socket"), "{said}");
    let [_, (code, said)] = check(&good, "routes: []", "origins: [\"http://orders.test\"]\nroutes: []");
    assert!(
        code == Some(0) && said.contains("warning: ") && said.contains("no origin is `https:`"),
        "{said}"
    );
    for (code, said) in check(&authority.pair_until(2010), "", "") {
        assert!(
            code == Some(0) && said.contains("warning: ") && said.contains("is not valid today"),
            "{said}"
        );
    }
}
