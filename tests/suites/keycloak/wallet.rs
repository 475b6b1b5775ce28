//! The tokens that the suite presents: of a real Keycloak in the interop tier, otherwise of issuers that sign what a real
//! one was seen to say.
//! Not here: what becomes of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use symbolon_e2e::api::Pages;
use symbolon_e2e::http::Answer;
use symbolon_e2e::issuer::{KEY_ID, TestIssuer};
use symbolon_e2e::keycloak::Keycloak;
use symbolon_e2e::machine::{cache, interop, now};
use tokio::net::TcpListener;

const REALM: &str = include_str!("../../interop/keycloak/realm.json");
const RECORDED: &str = include_str!("../../interop/keycloak/recorded.json");
/// The second is for access tokens as Keycloak makes them by default, the third is unknown to our broker.
const REALMS: [&str; 3] = ["shop", "default", "elsewhere"];

/// Tokens, all of them Alice's unless they say otherwise, and who made them.
pub(super) struct Wallet {
    /// The realm whose access tokens say that they are some.
    pub(super) typed_issuer: String,
    /// The realm that tells its access tokens apart by a claim only.
    pub(super) untyped_issuer: String,
    pub(super) access_token: String,
    pub(super) id_token: String,
    pub(super) refresh_token: String,
    pub(super) bobs_access_token: String,
    /// It lives for a second.
    pub(super) brief_access_token: String,
    pub(super) other_audience: String,
    pub(super) other_realm: String,
    /// Of the first realm, by a client that does not type its access tokens.
    pub(super) untyped_here: String,
    pub(super) untyped_access_token: String,
    pub(super) untyped_id_token: String,
    _source: Source,
}

#[expect(dead_code, reason = "they are kept running, and end with the wallet")]
enum Source {
    Real(Keycloak),
    Recorded(Pages),
}

impl Wallet {
    pub(super) async fn fill() -> Self {
        if interop() { Self::real().await } else { Self::recorded().await }
    }

    async fn real() -> Self {
        let keycloak = Keycloak::start(&cache().join("keycloak")).await;
        let mut realm: Value = serde_json::from_str(REALM).unwrap();
        for name in REALMS {
            realm["realm"] = json!(name);
            keycloak.add_realm(&realm).await;
        }
        let [typed, untyped, elsewhere] = REALMS;
        let access = |answer: Answer| answer.text("access_token");
        let alice = keycloak.log_in(typed, "app", "alice").await;
        let default = keycloak.log_in(untyped, "untyped", "alice").await;
        Self {
            typed_issuer: keycloak.issuer(typed),
            untyped_issuer: keycloak.issuer(untyped),
            access_token: alice.text("access_token"),
            id_token: alice.text("id_token"),
            refresh_token: alice.text("refresh_token"),
            bobs_access_token: access(keycloak.log_in(typed, "app", "bob").await),
            brief_access_token: access(keycloak.log_in(typed, "brief", "alice").await),
            other_audience: access(keycloak.log_in(typed, "other", "alice").await),
            other_realm: access(keycloak.log_in(elsewhere, "app", "alice").await),
            untyped_here: access(keycloak.log_in(typed, "untyped", "alice").await),
            untyped_access_token: default.text("access_token"),
            untyped_id_token: default.text("id_token"),
            _source: Source::Real(keycloak),
        }
    }

    async fn recorded() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let [typed, untyped, elsewhere] =
            REALMS.map(|realm| Realm::new(&format!("http://{address}/realms/{realm}")));
        let same = |_: &mut Value, _: &mut Value| {};
        let no_type = |header: &mut Value, _: &mut Value| header["typ"] = json!("JWT");
        Self {
            typed_issuer: typed.issuer.url.clone(),
            untyped_issuer: untyped.issuer.url.clone(),
            access_token: typed.token("access_token", same),
            id_token: typed.token("id_token", same),
            refresh_token: typed.token("refresh_token", |header, _| header["kid"] = json!("not-published")),
            bobs_access_token: typed
                .token("access_token", |_, claims| claims["preferred_username"] = json!("bob")),
            brief_access_token: typed.token("access_token", |_, claims| claims["exp"] = json!(now() + 1)),
            other_audience: typed
                .token("access_token", |_, claims| claims["aud"] = json!("https://other.test")),
            other_realm: elsewhere.token("access_token", same),
            untyped_here: typed.token("access_token", no_type),
            untyped_access_token: untyped.token("access_token", no_type),
            untyped_id_token: untyped.token("id_token", same),
            _source: Source::Recorded(Pages::serve(
                listener,
                [typed, untyped, elsewhere].iter().flat_map(Realm::pages).collect(),
            )),
        }
    }
}

/// A realm as it was seen, with a key of the test's.
struct Realm {
    issuer: TestIssuer,
    recorded: Value,
}

impl Realm {
    fn new(url: &str) -> Self {
        Self { issuer: TestIssuer::new(url), recorded: serde_json::from_str(RECORDED).unwrap() }
    }

    fn token(&self, shape: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let (mut header, mut claims) =
            (self.recorded[shape]["header"].clone(), self.recorded[shape]["claims"].clone());
        header["kid"] = json!(KEY_ID);
        claims["iss"] = json!(self.issuer.url);
        claims["iat"] = json!(now());
        claims["exp"] = json!(now() + 300);
        change(&mut header, &mut claims);
        self.issuer.sign(&header, &claims)
    }

    /// Discovery and keys, where Keycloak has them.
    fn pages(&self) -> BTreeMap<String, Value> {
        let path = url::Url::parse(&self.issuer.url).unwrap().path().to_owned();
        let keys = format!("{path}/protocol/openid-connect/certs");
        let jwks_uri = format!("{}/protocol/openid-connect/certs", self.issuer.url);
        let mut set = self.recorded["other_keys"].as_array().unwrap().clone();
        set.push(self.issuer.jwk());
        let discovery = json!({"issuer": self.issuer.url, "jwks_uri": jwks_uri});
        [(format!("{path}/.well-known/openid-configuration"), discovery), (keys, json!({"keys": set}))].into()
    }
}
