//! Issuers against a real key server on this machine.
//! Not here: tests of single functions, which stand beside them.

mod faults;
mod server;
mod sources;
mod unknown_keys;
mod verification;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use server::{Answer, Server};
use symbolon_http::client::{AddressPolicy, GuardedClient};
use symbolon_identity::{Audience, IssuerName, IssuerUrl, Timestamp};
use symbolon_jws::{Algorithm, SigningKey};
use symbolon_token::{
    AudienceRule, Claims, Issuer as Iss, Subject, TokenType, UnverifiedToken, VerifiedToken, sign,
};

use crate::{Issuer, IssuerError, IssuerSettings, Issuers, KeyPolicy, KeySource};

const NOW: u64 = 1_800_000_000;

fn at(seconds_later: u64) -> Timestamp {
    Timestamp::from_secs(NOW + seconds_later).unwrap()
}

fn audience() -> Audience {
    Audience::parse("https://orders.internal").unwrap()
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

/// The published set of these keys.
fn key_set(keys: &[&SigningKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| serde_json::to_value(key.public_jwk()).unwrap()).collect();
    serde_json::json!({ "keys": keys }).to_string()
}

/// A token of this issuer, good for an hour from `now`.
fn token(issuer: &str, key: &SigningKey, now: Timestamp) -> UnverifiedToken {
    let mut claims = Claims::new(
        Iss::parse(issuer).unwrap(),
        Subject::parse("spiffe://example.com/shop").unwrap(),
        audience(),
        now.saturating_add(Duration::from_hours(1)),
    );
    claims.issued_at = Some(now);
    UnverifiedToken::parse(sign(&claims, TokenType::AccessToken, key).unwrap().expose()).unwrap()
}

fn settings(issuer: &str, keys: KeySource) -> IssuerSettings {
    IssuerSettings {
        name: IssuerName::parse("prod").unwrap(),
        issuer: IssuerUrl::parse(issuer).unwrap(),
        audiences: BTreeSet::from([audience()]),
        algorithms: None,
        token_types: vec![TokenType::AccessToken],
        max_lifetime: Duration::from_hours(1),
        keys,
        dev: true,
    }
}

fn client() -> GuardedClient {
    let addresses = AddressPolicy::public().allow_loopback();
    GuardedClient::builder().addresses(addresses).timeout(Duration::from_millis(500)).build().unwrap()
}

fn issuers(settings: IssuerSettings, policy: KeyPolicy) -> Arc<Issuers> {
    Arc::new(Issuers::new(vec![settings], policy, client(), at(0)).unwrap())
}

fn only(issuers: &Issuers) -> &Arc<Issuer> {
    issuers.iter().next().unwrap()
}

async fn verify(
    issuers: &Issuers,
    token: &UnverifiedToken,
    now: Timestamp,
) -> Result<VerifiedToken, IssuerError> {
    issuers.verify(token, AudienceRule::Contains(&audience()), now).await
}

/// A server that publishes one key, and issuers that have fetched it.
struct House {
    server: Server,
    key: SigningKey,
    issuers: Arc<Issuers>,
}

impl House {
    async fn new() -> Self {
        Self::with(KeyPolicy::default()).await
    }

    async fn with(policy: KeyPolicy) -> Self {
        let (server, key) = (Server::start().await, key());
        server.answer(Answer::Keys(key_set(&[&key])));
        let issuers = issuers(settings(&server.url(), KeySource::JwksUri(server.keys_url())), policy);
        assert_eq!(issuers.refresh(at(0)).await, 0);
        Self { server, key, issuers }
    }

    fn token(&self) -> UnverifiedToken {
        self.token_by(&self.key)
    }

    fn token_by(&self, key: &SigningKey) -> UnverifiedToken {
        token(&self.server.url(), key, at(0))
    }

    fn issuer(&self) -> &Arc<Issuer> {
        only(&self.issuers)
    }
}
