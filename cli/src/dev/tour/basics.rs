//! Steps: the allowed call, and what the API sees of it.
//! Not here: anything that is refused.

use symbolon_wire::{ServerMetadata, header, paths};

use super::Seen;
use super::scene::{Echoed, Scene};
use crate::dev::configs::{TRUST_DOMAIN, audience};
use crate::http::Call;

/// Health of the three programs, discovery and keys of the broker.
pub(super) async fn published(scene: &Scene<'_>) -> Seen {
    let ready = &scene.stack.ready;
    for base in [&ready.broker.admin, &ready.sidecar.health, &ready.gateway.admin] {
        for path in [paths::LIVEZ, paths::READYZ, paths::METRICS] {
            let answer = Call::get_url(&format!("{base}{path}"))?.send().await?;
            anyhow::ensure!(answer.status == 200, "{base}{path} answered {}", answer.status);
        }
    }
    let discovery = format!("{}{}", ready.broker.url, paths::OPENID_CONFIGURATION);
    let metadata: ServerMetadata = Call::get_url(&discovery)?.send().await?.json()?;
    anyhow::ensure!(metadata.issuer.as_str() == ready.broker.url, "the issuer is {}", metadata.issuer);
    let keys = Call::get_url(&metadata.jwks_uri)?.send().await?;
    let keys = symbolon_jws::JwkSet::parse(&keys.body)?;
    let shown: Vec<String> = keys.keys().iter().map(|key| key.algorithm().to_string()).collect();
    anyhow::ensure!(!shown.is_empty(), "no key is published");
    Ok(format!("issuer {}, keys {}", metadata.issuer, shown.join(" ")))
}

/// The main job.
pub(super) async fn allowed(scene: &Scene<'_>) -> Seen {
    let answer = scene.through_sidecar("orders", "/orders/1?full=yes")?.send().await?;
    let echoed = Echoed::of(&answer)?;
    let workload = echoed.header(header::WORKLOAD_ID);
    anyhow::ensure!(workload == expected_workload(), "X-Workload-Id is `{workload}`");
    for (name, expected) in [
        (header::WORKLOAD_SUBJECT, workload.to_owned()),
        (header::WORKLOAD_ISSUER, scene.stack.ready.broker.url.clone()),
        (header::WORKLOAD_AUDIENCE, audience("orders")),
        (header::WORKLOAD_SCOPE, "orders:read".to_owned()),
    ] {
        anyhow::ensure!(echoed.header(name) == expected, "{name} is `{}`", echoed.header(name));
    }
    anyhow::ensure!(!echoed.header(header::REQUEST_ID).is_empty(), "X-Request-Id is missing");
    Ok(format!("200, X-Workload-Id: {workload}"))
}

/// The header firewall.
pub(super) async fn own_identity(scene: &Scene<'_>) -> Seen {
    const LIE: &str = "spiffe://dev.symbolon.local/somebody/else";
    let spellings =
        ["X-Workload-Id", "x_workload_id", "X.Workload.Id", "X-Workload_Subject", "x_workload-actors"];
    for route in ["through the sidecar", "at the gateway"] {
        let mut call = if route == "at the gateway" {
            let token = scene.client_token("notes").await?;
            scene.at_gateway("/notes/1")?.header("authorization", &format!("Bearer {token}"))
        } else {
            scene.through_sidecar("orders", "/orders/1")?
        };
        for spelling in spellings {
            call = call.header(spelling, LIE);
        }
        let echoed = Echoed::of(&call.send().await?)?;
        anyhow::ensure!(!echoed.holds(LIE), "{route}, the API saw the client's own value");
        let ids = echoed.names_like("x-workload-id");
        anyhow::ensure!(ids == ["x-workload-id"], "{route}, the API saw {ids:?}");
    }
    Ok(format!("of {} nothing arrived, through the sidecar nor at the gateway", spellings.join(", ")))
}

/// Credentials stop where they are for.
pub(super) async fn no_credential(scene: &Scene<'_>) -> Seen {
    let call = scene.through_sidecar("orders", "/orders/1")?;
    let call =
        call.header("authorization", "Bearer the-apps-own-secret").header("dpop", "the-apps-own-proof");
    let echoed = Echoed::of(&call.send().await?)?;
    anyhow::ensure!(!echoed.holds("the-apps-own"), "the app's own credential reached the API");
    for name in ["authorization", "dpop"] {
        anyhow::ensure!(echoed.names_like(name).is_empty(), "{name} reached the API");
    }
    Ok("the API saw no Authorization and no DPoP header".to_owned())
}

fn expected_workload() -> String {
    format!("spiffe://{TRUST_DOMAIN}/local/uid/{}", rustix::process::getuid().as_raw())
}
