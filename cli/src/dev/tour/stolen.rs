//! Steps: what a thief on the line can do with a bound token. Nothing.
//! Not here: the line (`tap.rs`).

use anyhow::Context as _;
use symbolon_identity::ReasonCode;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};

use super::Seen;
use super::scene::{Echoed, Scene};
use crate::dev::tap::Stolen;

const PATH: &str = "/orders/7";

/// The token alone.
pub(super) async fn without_proof(scene: &Scene<'_>) -> Seen {
    let Stolen { token, .. } = steal(scene).await?;
    let call = scene.at_gateway(PATH)?.header("authorization", &format!("DPoP {token}"));
    scene.unauthorized(call, &[ReasonCode::ProofMissing]).await
}

/// The token under the scheme that asks for no proof.
pub(super) async fn as_bearer(scene: &Scene<'_>) -> Seen {
    let Stolen { token, .. } = steal(scene).await?;
    let call = scene.at_gateway(PATH)?.header("authorization", &format!("Bearer {token}"));
    scene.unauthorized(call, &[ReasonCode::ProofMissing, ReasonCode::BindingMismatch]).await
}

/// The token with the proof that was stolen with it, for the same request.
pub(super) async fn replayed_proof(scene: &Scene<'_>) -> Seen {
    let Stolen { token, proof } = steal(scene).await?;
    let call =
        scene.at_gateway(PATH)?.header("authorization", &format!("DPoP {token}")).header("dpop", &proof);
    scene.unauthorized(call, &[ReasonCode::ProofReplayed]).await
}

/// The token with a fresh proof of the thief's own key.
pub(super) async fn other_key(scene: &Scene<'_>) -> Seen {
    let Stolen { token, .. } = steal(scene).await?;
    let key = ProofKey::generate(Algorithm::Es256)?;
    let target = format!("{}{PATH}", scene.stack.ready.gateway.url);
    let request =
        ProofRequest { method: "GET", target_uri: &target, access_token: Some(&token), nonce: None };
    let proof = key.prove(&request, Scene::now())?;
    let call =
        scene.at_gateway(PATH)?.header("authorization", &format!("DPoP {token}")).header("dpop", &proof);
    scene.unauthorized(call, &[ReasonCode::BindingMismatch]).await
}

/// Lets a good call pass the tap, and takes its credentials.
async fn steal(scene: &Scene<'_>) -> anyhow::Result<Stolen> {
    Echoed::of(&scene.through_sidecar("orders", PATH)?.send().await?)?;
    let tap = scene.stack.tap.as_ref().context("the tour runs with a tap")?;
    tap.stolen().context("no credentials passed the tap")
}
