use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use symbolon_identity::ReasonCode;
use symbolon_jws::{Algorithm, SigningHeader, SigningKey};
use symbolon_token::UnverifiedToken;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Answer, House, KeySource, NOW, Server, at, issuers, key, key_set, only, settings, token, verify,
};
use crate::{IssuerError, Issuers, KeyPolicy};

/// The background task, as a program's lifecycle would run it; its clock stands at `now`.
struct Background {
    tasks: JoinSet<()>,
    cancel: CancellationToken,
}

impl Background {
    fn start(issuers: &Arc<Issuers>, now: u64) -> Self {
        let (mut tasks, cancel) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(Arc::clone(issuers).refresh_loop(move || at(now), cancel.clone()));
        Self { tasks, cancel }
    }

    async fn stop(mut self) {
        self.cancel.cancel();
        soon(self.tasks.join_next()).await.unwrap().unwrap();
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_first_tokens_wait_for_the_first_fetch() {
    let (server, key) = (Server::start().await, key());
    server.answer(Answer::Keys(key_set(&[&key])));
    let issuers =
        issuers(settings(&server.url(), KeySource::JwksUri(server.keys_url())), KeyPolicy::default());
    let background = Background::start(&issuers, 0);
    assert!(soon(verify(&issuers, &token(&server.url(), &key, at(0)), at(0))).await.is_ok());
    assert_eq!(server.hits(), 1);
    background.stop().await;
}

#[tokio::test]
async fn a_new_key_is_fetched_when_its_first_token_comes() {
    let house = House::new().await;
    let background = Background::start(&house.issuers, 0);
    until(|| house.server.hits() == 2).await;
    let next = key();
    house.server.answer(Answer::Keys(key_set(&[&house.key, &next])));
    let early = soon(verify(&house.issuers, &house.token_by(&next), at(5))).await;
    assert!(
        matches!(early, Err(IssuerError::KeysUnavailable { retry_after, .. }) if retry_after.as_secs() == 5)
    );
    assert!(soon(verify(&house.issuers, &house.token_by(&next), at(10))).await.is_ok());
    assert!(verify(&house.issuers, &house.token(), at(10)).await.is_ok(), "the old one goes on");
    assert_eq!(house.server.hits(), 3);
    background.stop().await;
}

#[tokio::test]
async fn a_key_is_unknown_only_after_a_fetch_that_succeeded() {
    let house = House::new().await;
    let background = Background::start(&house.issuers, 20);
    until(|| house.server.hits() == 2).await;
    let stranger = house.token_by(&key());
    house.server.answer(Answer::Status(500, String::new()));
    let during = soon(verify(&house.issuers, &stranger, at(40))).await;
    assert!(matches!(during, Err(IssuerError::KeysUnavailable { .. })), "{during:?}");
    house.server.answer(Answer::Keys(key_set(&[&house.key])));
    let after = soon(verify(&house.issuers, &stranger, at(60))).await;
    assert!(matches!(after, Err(IssuerError::UnknownKey { .. })), "{after:?}");
    let hits = house.server.hits();
    let again = verify(&house.issuers, &stranger, at(75)).await;
    assert!(matches!(again, Err(IssuerError::UnknownKey { .. })), "{again:?}");
    assert_eq!(house.server.hits(), hits, "known to be unknown");
    background.stop().await;
}

#[tokio::test]
async fn a_flood_of_unknown_keys_makes_one_fetch_and_disturbs_nobody() {
    let house = House::new().await;
    let background = Background::start(&house.issuers, 0);
    until(|| house.server.hits() == 2).await;
    let good = house.token();
    let mut flood = JoinSet::new();
    for _ in 0..300 {
        let (issuers, stranger) = (Arc::clone(&house.issuers), house.token_by(&key()));
        flood.spawn(async move { verify(&issuers, &stranger, at(30)).await.map(|_| ()) });
    }
    for _ in 0..100 {
        assert!(verify(&house.issuers, &good, at(30)).await.is_ok());
    }
    while let Some(outcome) = soon(flood.join_next()).await {
        let refused = outcome.unwrap().unwrap_err();
        let fitting = matches!(refused, IssuerError::KeysUnavailable { .. } | IssuerError::UnknownKey { .. });
        assert!(fitting, "{refused:?}");
    }
    assert_eq!(house.server.hits(), 3);
    background.stop().await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_end_the_fetch() {
    let house = House::new().await;
    let background = Background::start(&house.issuers, 0);
    until(|| house.server.hits() == 2).await;
    let (next, gate) = (key(), Arc::new(Notify::new()));
    house.server.answer(Answer::Gate(key_set(&[&house.key, &next]), Arc::clone(&gate)));
    let waiting = house.token_by(&next);
    tokio::select! {
        outcome = verify(&house.issuers, &waiting, at(20)) => panic!("{outcome:?}"),
        () = until(|| house.server.hits() == 3) => {}
    }
    gate.notify_one();
    until(|| house.issuer().generation() == 2).await;
    assert!(verify(&house.issuers, &waiting, at(20)).await.is_ok());
    background.stop().await;
}

#[tokio::test]
async fn keys_are_renewed_in_the_background_as_the_server_says() {
    let policy = KeyPolicy { refresh: Duration::from_millis(20), ..KeyPolicy::default() };
    let house = House::with(policy).await;
    let background = Background::start(&house.issuers, 0);
    until(|| house.server.hits() > 3).await;
    let next = key();
    house.server.answer(Answer::With(key_set(&[&next]), "Cache-Control: max-age=3600\r\n"));
    until(|| house.issuer().holds(&next.thumbprint(), at(0))).await;
    let hits = house.server.hits();
    assert!(
        tokio::time::timeout(Duration::from_millis(200), until(|| house.server.hits() > hits)).await.is_err()
    );
    background.stop().await;
}

#[tokio::test]
async fn a_program_that_starts_before_its_issuer_has_keys_soon_after() {
    let (server, key) = (Server::start().await, key());
    let issuers =
        issuers(settings(&server.url(), KeySource::JwksUri(server.keys_url())), KeyPolicy::default());
    let background = Background::start(&issuers, 0);
    until(|| server.hits() == 1 && only(&issuers).status(at(0)).failures == 1).await;
    let early = verify(&issuers, &token(&server.url(), &key, at(0)), at(0)).await;
    let Err(IssuerError::KeysUnavailable { retry_after, .. }) = early else { panic!("{early:?}") };
    assert!(retry_after < Duration::from_secs(5), "{retry_after:?}");
    server.answer(Answer::Keys(key_set(&[&key])));
    let soon = tokio::time::timeout(Duration::from_secs(5), until(|| only(&issuers).status(at(0)).usable));
    soon.await.expect("the keys come long before the least interval is over");
    assert!(verify(&issuers, &token(&server.url(), &key, at(0)), at(0)).await.is_ok());
    background.stop().await;
}

/// A token without `kid`.
fn nameless(issuer: &str, key: &SigningKey) -> UnverifiedToken {
    let claims = serde_json::json!({
        "iss": issuer, "sub": "a", "aud": "https://orders.internal", "iat": NOW, "exp": NOW + 600,
    });
    let signed = key.sign(&SigningHeader::typed("at+jwt"), claims.to_string().as_bytes());
    UnverifiedToken::parse(&signed.unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_without_kid_waits_for_a_fetch_like_one_with_a_new_kid() {
    let (server, first, next) =
        (Server::start().await, SigningKey::generate(Algorithm::EdDsa).unwrap(), key());
    server.answer(Answer::Keys(key_set(&[&first])));
    let issuers =
        issuers(settings(&server.url(), KeySource::JwksUri(server.keys_url())), KeyPolicy::default());
    let background = Background::start(&issuers, 0);
    until(|| only(&issuers).status(at(0)).usable).await;
    server.answer(Answer::Keys(key_set(&[&first, &next])));
    let nameless = nameless(&server.url(), &next);
    let early = soon(verify(&issuers, &nameless, at(5))).await;
    assert!(matches!(early, Err(IssuerError::KeysUnavailable { .. })), "{early:?}");
    let later = soon(verify(&issuers, &nameless, at(10))).await;
    assert!(later.is_ok(), "{later:?}");
    assert_eq!(server.hits(), 2);
    background.stop().await;
}

#[tokio::test]
async fn a_token_that_runs_out_while_its_key_is_fetched_is_refused() {
    let (server, key) = (Server::start().await, key());
    server.answer(Answer::Keys(key_set(&[&key])));
    let issuers =
        issuers(settings(&server.url(), KeySource::JwksUri(server.keys_url())), KeyPolicy::default());
    let token = token(&server.url(), &key, at(0));
    let mut waiting = std::pin::pin!(verify(&issuers, &token, at(3599)));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    // The wait itself is what is tested, so a second of it has to pass.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    only(&issuers).refresh(at(3601)).await.unwrap();
    let refused = soon(waiting).await.unwrap_err();
    assert_eq!(refused.reason_code(), ReasonCode::Expired, "{refused:?}");
}
