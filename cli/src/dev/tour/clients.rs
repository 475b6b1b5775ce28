//! Steps: clients that ask the broker themselves.
//! Not here: the sidecar.

use symbolon_identity::ReasonCode;

use super::Seen;
use super::scene::{Echoed, Scene};

/// `private_key_jwt`.
pub(super) async fn by_assertion(scene: &Scene<'_>) -> Seen {
    let token = scene.client_token("notes").await?;
    let call = scene.at_gateway("/notes/1")?.header("authorization", &format!("Bearer {token}"));
    let echoed = Echoed::of(&call.send().await?)?;
    Ok(format!("200, X-Workload-Id: {}", echoed.header(symbolon_wire::header::WORKLOAD_ID)))
}

/// One-shot evidence is consumed.
pub(super) async fn replayed(scene: &Scene<'_>) -> Seen {
    let assertion = scene.assertion()?;
    scene.token_by_assertion("notes", &assertion).await?.token()?;
    let second = scene.token_by_assertion("notes", &assertion).await?;
    second.refused(401, "invalid_client", ReasonCode::EvidenceReplayed)
}

/// Unix peer credentials.
pub(super) async fn over_socket(scene: &Scene<'_>) -> Seen {
    let token = scene.token_over_socket("notes").await?.token()?;
    let call = scene.at_gateway("/notes/1")?.header("authorization", &format!("Bearer {token}"));
    let echoed = Echoed::of(&call.send().await?)?;
    Ok(format!("200, X-Workload-Id: {}", echoed.header(symbolon_wire::header::WORKLOAD_ID)))
}

/// Binding is a property of the resource, not of the request.
pub(super) async fn unproven(scene: &Scene<'_>) -> Seen {
    let answer = scene.token_over_socket("orders").await?;
    answer.refused(400, "invalid_dpop_proof", ReasonCode::ProofMissing)
}
