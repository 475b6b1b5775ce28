//! Steps: credentials that the gateway refuses.
//! Not here: stolen ones.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use symbolon_identity::ReasonCode;
use symbolon_jws::{Algorithm, SigningHeader, SigningKey, base64url, inspect};
use tokio::time::{Instant, sleep};

use super::Seen;
use super::scene::Scene;
use crate::http::Call;

/// Nothing presented.
pub(super) async fn no_token(scene: &Scene<'_>) -> Seen {
    let seen = scene.unauthorized(scene.at_gateway("/orders/1")?, &[ReasonCode::TokenMissing]).await?;
    let answer = scene.at_gateway("/orders/1")?.send().await?;
    let challenge = answer.header("www-authenticate");
    anyhow::ensure!(!challenge.is_empty() && !challenge.contains("error="), "the challenge is `{challenge}`");
    Ok(format!("{seen}, WWW-Authenticate: {challenge}"))
}

/// Somebody else's signature over the same claims.
pub(super) async fn forged(scene: &Scene<'_>) -> Seen {
    let genuine = inspect::inspect(&scene.client_token("notes").await?);
    let header = genuine.header.context("the genuine token has a header")?;
    let claims = genuine.claims.context("the genuine token has claims")?;
    let key_id = header.get("kid").and_then(Value::as_str).context("the genuine token has a key id")?;
    let key = SigningKey::generate(Algorithm::Es256)?;
    let forged =
        key.sign(&SigningHeader::typed("at+jwt").with_key_id(key_id), claims.to_string().as_bytes())?;
    scene.unauthorized(bearer(scene, &forged)?, &[ReasonCode::BadSignature]).await
}

/// The genuine signature over other claims.
pub(super) async fn altered(scene: &Scene<'_>) -> Seen {
    let genuine = scene.client_token("notes").await?;
    let mut claims = inspect::inspect(&genuine).claims.context("the genuine token has claims")?;
    *claims.get_mut("sub").context("the genuine token has a subject")? =
        Value::from("spiffe://dev.symbolon.local/root");
    let mut parts = genuine.split('.');
    let header = parts.next().context("no header")?;
    let signature = parts.next_back().context("no signature")?;
    let altered = format!("{header}.{}.{signature}", base64url::encode(claims.to_string()));
    scene.unauthorized(bearer(scene, &altered)?, &[ReasonCode::BadSignature]).await
}

/// What opens `notes` does not open `orders` behind the same gateway.
pub(super) async fn other_audience(scene: &Scene<'_>) -> Seen {
    let token = scene.client_token("notes").await?;
    let call = scene.at_gateway("/orders/1")?.header("authorization", &format!("Bearer {token}"));
    scene.unauthorized(call, &[ReasonCode::WrongAudience]).await
}

/// A token of two seconds, used until it is refused.
pub(super) async fn expired(scene: &Scene<'_>) -> Seen {
    let token = scene.client_token("short").await?;
    let call =
        || anyhow::Ok(scene.at_gateway("/short/1")?.header("authorization", &format!("Bearer {token}")));
    let first = call()?.send().await?;
    anyhow::ensure!(first.status == 200, "while it was good it was answered {}", first.status);
    let deadline = Instant::now() + Duration::from_secs(10);
    while call()?.send().await?.status == 200 {
        anyhow::ensure!(Instant::now() < deadline, "it is still good after 10 s");
        sleep(Duration::from_millis(50)).await;
    }
    let seen = scene.unauthorized(call()?, &[ReasonCode::Expired]).await?;
    Ok(format!("200 at first, then {seen}"))
}

fn bearer(scene: &Scene<'_>, token: &str) -> anyhow::Result<Call> {
    Ok(scene.at_gateway("/notes/1")?.header("authorization", &format!("Bearer {token}")))
}
