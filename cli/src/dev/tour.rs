//! `symbolon dev --check`: a tour over the wire that checks each of its own claims.
//! Not here: the programs' own tests.

mod basics;
mod changed;
mod clients;
mod denied;
mod refused;
mod scene;
mod stolen;

use std::future::Future;

use super::stack::Stack;
use crate::exit::Exit;
use crate::output;
use scene::Scene;

/// Counts and tells the steps.
struct Tour {
    passed: u32,
    failed: u32,
}

/// What a step saw, in a few words; or what it should have seen and did not.
type Seen = anyhow::Result<String>;

impl Tour {
    fn chapter(title: &str) -> anyhow::Result<()> {
        output::line(&format!("\n{title}"))
    }

    async fn step(&mut self, claim: &str, step: impl Future<Output = Seen>) -> anyhow::Result<()> {
        match step.await {
            Ok(seen) => {
                self.passed = self.passed.saturating_add(1);
                output::line(&format!("  ok    {claim}\n          {seen}"))
            }
            Err(error) => {
                self.failed = self.failed.saturating_add(1);
                output::line(&format!("  FAIL  {claim}\n          {error:#}"))
            }
        }
    }
}

/// Walks through all steps; a failed one does not keep the others from running.
pub(crate) async fn run(stack: &Stack) -> anyhow::Result<Exit> {
    let scene = Scene::new(stack);
    let mut tour = Tour { passed: 0, failed: 0 };
    output::line(&format!(
        "Broker, sidecar and gateway run as processes; ready in {} ms.",
        stack.ready.milliseconds
    ))?;

    Tour::chapter("An app calls an API through its sidecar")?;
    tour.step("each program is ready, and the issuer publishes its keys", basics::published(&scene)).await?;
    tour.step("a call through the sidecar is allowed, and the API sees who calls", basics::allowed(&scene))
        .await?;
    tour.step("what the app says of its own identity does not reach the API", basics::own_identity(&scene))
        .await?;
    tour.step("neither the app's credential nor the token reaches the API", basics::no_credential(&scene))
        .await?;

    Tour::chapter("Clients get tokens at the broker")?;
    tour.step("a client that signs with its own key gets a token", clients::by_assertion(&scene)).await?;
    tour.step("the same assertion a second time buys nothing", clients::replayed(&scene)).await?;
    tour.step("a local program gets a token over the socket", clients::over_socket(&scene)).await?;
    tour.step("a resource that binds its tokens gives none without a proof", clients::unproven(&scene))
        .await?;

    Tour::chapter("Wrong credentials at the gateway")?;
    tour.step("no token: 401", refused::no_token(&scene)).await?;
    tour.step("a token signed by somebody else under the issuer's key id: 401", refused::forged(&scene))
        .await?;
    tour.step("a genuine token with one claim changed: 401", refused::altered(&scene)).await?;
    tour.step("a genuine token for another API: 401", refused::other_audience(&scene)).await?;
    tour.step(
        "a token that was good expires, also where its verdict is cached: 401",
        refused::expired(&scene),
    )
    .await?;

    Tour::chapter("A thief on the line between sidecar and gateway")?;
    tour.step("the stolen token without its key: 401", stolen::without_proof(&scene)).await?;
    tour.step("the stolen token as a bearer token: 401", stolen::as_bearer(&scene)).await?;
    tour.step("the stolen token with the stolen proof: 401", stolen::replayed_proof(&scene)).await?;
    tour.step("the stolen token with another key: 401", stolen::other_key(&scene)).await?;

    Tour::chapter("Policy decides, and says why")?;
    tour.step(
        "a call that no policy permits: 403 with reason code and decision id",
        denied::by_policy(&scene),
    )
    .await?;
    tour.step(
        "a sidecar with one byte changed is denied, and `symbolon explain` shows both hashes",
        changed::denied(&scene),
    )
    .await?;
    tour.step("the policy is edited, reloaded, and the denied call is allowed", denied::then_allowed(&scene))
        .await?;

    output::line(&format!("\n{} steps passed, {} failed", tour.passed, tour.failed))?;
    Ok(if tour.failed == 0 { Exit::Ok } else { Exit::Failed })
}
