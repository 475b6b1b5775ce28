use std::fs;

use symbolon_identity::IssuerName;

use super::{Answer, KeySource, Server, at, client, issuers, key, key_set, only, settings, token, verify};
use crate::{FetchError, IssuerError, IssuerSettings, Issuers, KeyPolicy, SetupError};

async fn discovering(server: &Server, document: &str) -> Result<(), FetchError> {
    server.metadata(document);
    let issuers = issuers(settings(&server.url(), KeySource::Discovery), KeyPolicy::default());
    only(&issuers).refresh(at(0)).await.map(|_| ())
}

fn document(issuer: &str, keys: &str) -> String {
    format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}","response_types_supported":[]}}"#)
}

#[tokio::test]
async fn discovery_finds_the_keys_by_either_document() {
    let key = key();
    for oauth in [false, true] {
        let server = Server::start().await;
        server.answer(Answer::Keys(key_set(&[&key])));
        let publish = if oauth { Server::oauth_metadata } else { Server::metadata };
        publish(&server, &document(&server.url(), &server.keys_url()));
        let issuers = issuers(settings(&server.url(), KeySource::Discovery), KeyPolicy::default());
        assert_eq!(issuers.refresh(at(0)).await, 0, "oauth: {oauth}");
        assert!(verify(&issuers, &token(&server.url(), &key, at(0)), at(0)).await.is_ok());
    }
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let server = Server::start().await;
    server.answer(Answer::Keys(key_set(&[&key()])));
    let (url, keys) = (server.url(), server.keys_url());
    for other in ["https://evil.example".to_owned(), format!("{url}/"), url.to_uppercase(), String::new()] {
        let refused = discovering(&server, &document(&other, &keys)).await;
        assert!(matches!(refused, Err(FetchError::OtherIssuer)), "{other}: {refused:?}");
    }
    for malformed in ["{}", "[]", "<html>", "{\"issuer\":1}", "{\"issuer\":\"x\",\"issuer\":\"y\"}"] {
        assert!(discovering(&server, malformed).await.is_err(), "{malformed}");
    }
    assert_eq!(server.hits(), 0);
}

#[tokio::test]
async fn discovery_cannot_send_us_anywhere() {
    let server = Server::start().await;
    for place in [
        "http://198.51.100.1/keys",
        "http://metadata.example/keys",
        "file:///etc/passwd",
        "ftp://127.0.0.1/keys",
        "//keys",
        "unix:/run/x",
        "data:application/json,{}",
    ] {
        let refused = discovering(&server, &document(&server.url(), place)).await;
        assert!(matches!(refused, Err(FetchError::Url { member: "jwks_uri" })), "{place}: {refused:?}");
    }
    for place in ["https://169.254.169.254/keys", "https://10.0.0.1/keys", "https://[fe80::1]/keys"] {
        let refused = discovering(&server, &document(&server.url(), place)).await;
        assert!(matches!(refused, Err(FetchError::Http { .. })), "{place}: {refused:?}");
    }
}

#[tokio::test]
async fn keys_of_the_configuration_and_of_a_file_serve_without_a_network() {
    let (old, new) = (key(), key());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    fs::write(&path, key_set(&[&old])).unwrap();
    let url = "https://issuer.example";
    let inline = issuers(settings(url, KeySource::Inline(key_set(&[&old]))), KeyPolicy::default());
    assert_eq!(inline.refresh(at(0)).await, 0);
    assert!(verify(&inline, &token(url, &old, at(0)), at(0)).await.is_ok());
    let unknown = verify(&inline, &token(url, &new, at(0)), at(0)).await;
    assert!(matches!(unknown, Err(IssuerError::UnknownKey { .. })), "nothing to wait for: {unknown:?}");
    let year = 365 * 24 * 3600;
    assert!(only(&inline).holds(&old.thumbprint(), at(year)), "keys of the configuration do not age");

    let file = issuers(settings(url, KeySource::JwksFile(path.clone())), KeyPolicy::default());
    assert_eq!(file.refresh(at(0)).await, 0);
    assert!(verify(&file, &token(url, &old, at(0)), at(0)).await.is_ok());
    fs::write(&path, "{").unwrap();
    assert_eq!(file.refresh(at(1)).await, 1);
    assert!(only(&file).holds(&old.thumbprint(), at(1)));
    fs::write(&path, key_set(&[&new])).unwrap();
    assert_eq!(file.refresh(at(2)).await, 0);
    assert!(only(&file).holds(&new.thumbprint(), at(2)) && !only(&file).holds(&old.thumbprint(), at(2)));
}

fn refused(settings: Vec<IssuerSettings>) -> SetupError {
    Issuers::new(settings, KeyPolicy::default(), client(), at(0)).unwrap_err()
}

#[test]
fn contradictions_are_found_at_set_up() {
    let good = || settings("https://issuer.example", KeySource::Discovery);
    let other = || IssuerSettings { name: IssuerName::parse("other").unwrap(), ..good() };
    let plain = || IssuerSettings { dev: false, ..settings("http://127.0.0.1:1", KeySource::Discovery) };
    let keys = |url: &str| settings("https://issuer.example", KeySource::JwksUri(url.to_owned()));
    assert!(matches!(refused(vec![good(), good()]), SetupError::DuplicateName { .. }));
    assert!(matches!(refused(vec![good(), other()]), SetupError::DuplicateIssuer { .. }));
    assert!(matches!(refused(vec![plain()]), SetupError::Plaintext { .. }));
    assert!(matches!(refused(vec![keys("http://keys.example")]), SetupError::Plaintext { .. }));
    assert!(matches!(refused(vec![keys("file:///keys")]), SetupError::Url { .. }));
    assert!(matches!(refused(vec![keys("keys")]), SetupError::Url { .. }));
    let inline = |json: &str| settings("https://issuer.example", KeySource::Inline(json.to_owned()));
    assert!(matches!(refused(vec![inline("{}")]), SetupError::InlineKeys { .. }));
    assert!(matches!(refused(vec![inline("{\"keys\":[]}")]), SetupError::InlineKeys { .. }));
    for (settings, list) in [
        (IssuerSettings { audiences: [].into(), ..good() }, "audiences"),
        (IssuerSettings { token_types: vec![], ..good() }, "token types"),
        (IssuerSettings { algorithms: Some(vec![]), ..good() }, "algorithms"),
    ] {
        assert!(matches!(refused(vec![settings]), SetupError::Empty { what, .. } if what == list));
    }
}

#[test]
fn clusters_that_share_an_issuer_are_found_by_name_only_and_told_apart_by_their_keys() {
    let (first, another) = (key(), key());
    let named = |name: &str, url: &str, key: &symbolon_jws::SigningKey| IssuerSettings {
        name: IssuerName::parse(name).unwrap(),
        ..settings(url, KeySource::Inline(key_set(&[key])))
    };
    let shared = "https://kubernetes.default.svc";
    let all = vec![
        named("prod", shared, &first),
        named("test", shared, &another),
        named("copy", shared, &first),
        named("ci", "https://ci.example", &another),
    ];
    let issuers = Issuers::sharing(all, KeyPolicy::default(), client(), at(0)).unwrap();
    let get = |name: &str| issuers.get(&IssuerName::parse(name).unwrap()).unwrap();
    assert!(issuers.find(shared).is_none(), "nobody can say which is meant");
    assert!(issuers.find("https://ci.example").is_some());
    assert!(get("prod").shares_key(get("copy"), at(0)));
    assert!(!get("prod").shares_key(get("test"), at(0)));
    let twice = vec![named("prod", shared, &first), named("prod", shared, &another)];
    let refused = Issuers::sharing(twice, KeyPolicy::default(), client(), at(0)).unwrap_err();
    assert!(matches!(refused, SetupError::DuplicateName { .. }));
}
