use sqlx::Connection as _;
use symbolon_jws::Algorithm;

use super::*;
use crate::keys::{KeyChange, KeyLife, KeyTurn, Phase};
use crate::mint::{Bound, TokenNote};

fn id(number: u8) -> Thumbprint {
    Thumbprint::from_bytes([number; 32])
}

fn active(number: u8) -> KeyChange {
    let key = KeyLife::active(id(number), Algorithm::Es256, at(1000));
    KeyChange::Add { key, sealed: format!("sealed {number}") }
}

fn turn(changes: Vec<KeyChange>) -> Vec<Entry> {
    vec![Entry::Keys(KeyTurn { changes, at: at(1000), asked_by: None })]
}

/// The decision that a token was issued, signed by a key.
fn signed(number: u8, key: u8, expires_at: u64) -> Entry {
    let note = TokenNote {
        id: "token".parse().unwrap(),
        expires_at: at(expires_at),
        bounded_by: Bound::Resource,
        key: Some(id(key)),
        claims: symbolon_token::ExtraClaims::new(),
    };
    let record = DecisionRecord { token: Some(note), ..record(number, at(1000)) };
    Entry::Decision { uses: vec![evidence(number)], record: Box::new(record) }
}

async fn lives(store: &SqliteStore) -> Vec<KeyLife> {
    store.keys().await.unwrap().into_iter().map(|key| key.life).collect()
}

#[tokio::test]
async fn a_turn_is_whole_or_not_at_all_and_on_record_with_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    store.commit(turn(vec![active(1)])).await.unwrap();
    assert_eq!(lines(&store).await.len(), 1);
    let strange = KeyChange::Activate { id: id(9), at: at(1000) };
    let changes = vec![KeyChange::Retire { id: id(1), at: at(1000) }, strange];
    assert!(matches!(store.commit(turn(changes)).await, Err(StoreError::KeyChanged)));
    assert_eq!(lives(&store).await.iter().map(KeyLife::phase).collect::<Vec<_>>(), [Phase::Active]);
    assert_eq!(lines(&store).await.len(), 1);
    let changes = vec![KeyChange::Retire { id: id(1), at: at(1001) }, active(2)];
    store.commit(turn(changes)).await.unwrap();
    assert_eq!(
        lives(&store).await.iter().map(KeyLife::phase).collect::<Vec<_>>(),
        [Phase::Retired, Phase::Active]
    );
    let lines = lines(&store).await;
    assert_eq!(lines.len(), 3);
    assert!(lines[1].contains("key.retired") && lines[2].contains("key.activated"), "{lines:?}");
}

#[tokio::test]
async fn the_store_itself_lets_one_key_of_an_algorithm_sign() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    store.commit(turn(vec![active(1)])).await.unwrap();
    assert!(store.commit(turn(vec![active(2)])).await.is_err());
    assert_eq!(lives(&store).await.len(), 1);
}

#[tokio::test]
async fn a_key_is_kept_for_as_long_as_its_tokens_live() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    store.commit(turn(vec![active(1)])).await.unwrap();
    store.commit(vec![signed(1, 1, 1300), signed(2, 1, 1200)]).await.unwrap();
    store.commit(turn(vec![KeyChange::Retire { id: id(1), at: at(1100) }])).await.unwrap();
    let seen = lives(&store).await[0];
    assert_eq!(seen.tokens_until, Some(at(1300)));
    // A token that was signed before the key retired is put on record after it.
    assert_eq!(store.commit(vec![signed(3, 1, 1400)]).await.unwrap(), [Verdict::Recorded]);
    assert!(matches!(store.commit(turn(vec![KeyChange::Remove(seen)])).await, Err(StoreError::KeyChanged)));
    let seen = lives(&store).await[0];
    store.commit(turn(vec![KeyChange::Remove(seen)])).await.unwrap();
    assert!(lives(&store).await.is_empty());
}

#[tokio::test]
async fn a_token_of_a_key_that_was_revoked_meanwhile_is_not_given() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    store.commit(turn(vec![active(1)])).await.unwrap();
    // What was noted for a longer-lived token must not stand in for a look at the key.
    store.commit(vec![signed(4, 1, 1500)]).await.unwrap();
    let revoked = RevokedKey { id: id(1), revoked_at: at(1000), until: at(5000) };
    store.commit(turn(vec![KeyChange::Revoke(revoked), active(2)])).await.unwrap();
    let verdicts = store.commit(vec![signed(1, 1, 1300), signed(2, 2, 1300)]).await.unwrap();
    assert_eq!(verdicts, [Verdict::Conflict(Conflict::SigningKeyGone), Verdict::Recorded]);
    let kept = store.decision(&record(1, at(1000)).id).await.unwrap().unwrap();
    assert_eq!((kept.outcome, kept.reason), (Outcome::Refused, Some(ReasonCode::TokenUnavailable)));
    assert!(kept.token.is_none());
    assert_eq!(
        store.commit(vec![entry(3, vec![evidence(1)])]).await.unwrap(),
        [Verdict::Recorded],
        "nothing was used up"
    );
    assert_eq!(store.revoked_kids(at(5000)).await.unwrap(), [revoked]);
    assert!(store.revoked_kids(at(5001)).await.unwrap().is_empty());
    assert_eq!(
        store.prune(at(5001), at(0)).await.unwrap(),
        1 + 3,
        "the revocation and three pieces of evidence"
    );
}

/// What the first schema held: several keys, of which the newest signed.
#[tokio::test]
async fn an_older_file_keeps_its_keys_and_one_of_them_signs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(schema::FIRST).execute(&mut connection).await.unwrap();
    for (number, made) in [(2_u8, 20), (1, 10)] {
        sqlx::query("INSERT INTO signing_keys (key_id, sealed, created_at) VALUES (?, ?, ?)")
            .bind(id(number).to_string())
            .bind("x")
            .bind(made)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
    let store = open(&folder).await;
    let keys = lives(&store).await;
    assert_eq!(
        keys.iter().map(|key| (key.id, key.phase())).collect::<Vec<_>>(),
        [(id(1), Phase::Retired), (id(2), Phase::Active)]
    );
    assert!(keys.iter().all(|key| key.algorithm == Algorithm::Es256 && key.tokens_until.is_some()));
    assert_eq!(keys[1].published_at, at(20));
}
