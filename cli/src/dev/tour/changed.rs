//! Step: a copy of the sidecar with one byte changed is another program, and is told so.
//! Not here: how the broker hashes executables.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use symbolon_identity::{DecisionId, ReasonCode};
use tokio::process::Command;

use super::Seen;
use super::scene::Scene;
use crate::dev::configs::{SidecarPlan, Upstream, write_sidecar};
use crate::dev::ports::Ports;
use crate::dev::programs::{Launch, Program};
use crate::dev::stack::{healthy, sha256_of_file};
use crate::exit::Exit;
use crate::http::Call;

/// Starts the copy beside the genuine one, calls through it, and asks why it was denied.
pub(super) async fn denied(scene: &Scene<'_>) -> Seen {
    let executable = changed_copy(scene)?;
    let ports = Ports::free(scene.stack.ports.gateway.ip()).await?;
    let upstreams = [Upstream { name: "orders", listen: ports.orders, bearer: false }];
    let plan = SidecarPlan {
        broker: scene.stack.ready.broker.url.clone(),
        endpoints: ports.sidecar,
        health: ports.sidecar_health,
        target: scene.stack.ports.gateway,
        upstreams: &upstreams,
    };
    let folder = &scene.stack.folder;
    let config = write_sidecar(folder, "sidecar-changed.yaml", &plan)?;
    let launch = Launch {
        name: "sidecar-changed",
        executable: &executable,
        verb: "run",
        config: &config,
        folder: folder.path(),
    };
    let mut copy = Program::start(&launch)?;
    let seen = async {
        copy.ready().await?;
        healthy(ports.sidecar_health, "/startupz").await?;
        let call = Call::get_url(&format!("http://{}/orders/1", ports.orders))?;
        let problem = scene.refused(call, 403, &[ReasonCode::Denied]).await?;
        let id = problem.decision_id.context("the denial has no decision id")?;
        explained(scene, &id, &sha256_of_file(&executable)?).await
    };
    let seen = seen.await;
    copy.stop().await;
    seen
}

fn changed_copy(scene: &Scene<'_>) -> anyhow::Result<PathBuf> {
    let copy = scene.stack.folder.file("symbolon-sidecar-changed");
    std::fs::copy(&scene.stack.sidecar_executable, &copy).context("copying the sidecar")?;
    let mut file = std::fs::OpenOptions::new().append(true).open(&copy)?;
    file.write_all(b"\n")?;
    Ok(copy)
}

/// Runs `symbolon explain` as a user would.
async fn explained(scene: &Scene<'_>, id: &DecisionId, actual: &str) -> Seen {
    let run = Command::new(std::env::current_exe()?)
        .args(["explain", id.as_str(), "--state-dir"])
        .arg(scene.stack.folder.path())
        .stdin(Stdio::null())
        .output()
        .await?;
    let page = String::from_utf8_lossy(&run.stdout);
    let expected = &scene.stack.sidecar_sha256;
    let line = |word: &str, hash: &str| page.lines().any(|line| line.contains(word) && line.contains(hash));
    anyhow::ensure!(line("expected", expected), "the expected hash {expected} is not in\n{page}");
    anyhow::ensure!(line("actual", actual), "the actual hash {actual} is not in\n{page}");
    anyhow::ensure!(
        run.status.code() == Some(i32::from(Exit::Denied.code())),
        "explain ended with {}",
        run.status
    );
    Ok(format!("403 denied, decision {id}\n          expected {expected}\n          actual   {actual}"))
}
