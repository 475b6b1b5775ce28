//! Startup probes: whether a container has started.
//! Not here: readiness and liveness, which nothing here asks for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

use super::container::Container;
use crate::http::Call;
use crate::process::wait_for;

/// Waits until the startup probe of a container passes, as long as it may fail. A container that ends meanwhile is started again.
pub(super) async fn started(container: &mut Container) {
    let Some(probe) = container.spec.get("startupProbe").cloned() else { return };
    let call = probe.get("httpGet").expect("the stand-in for a kubelet has no other probe than `httpGet`");
    assert_ne!(call["scheme"], "HTTPS", "the stand-in for a kubelet has no probe over TLS");
    let (address, path) = (address(&container.spec, call), call["path"].as_str().unwrap_or("/"));
    let seconds = |member: &str, default| probe[member].as_u64().unwrap_or(default);
    let within =
        seconds("initialDelaySeconds", 0) + seconds("periodSeconds", 10) * seconds("failureThreshold", 3);
    let what = format!("the startup probe of `{}` passes", container.name());
    wait_for(&what, Duration::from_secs(within), async || {
        if container.has_just_ended().await {
            container.start();
        }
        let answer = Call::get(path).send(address).await;
        answer.is_ok_and(|answer| (200..400).contains(&answer.status))
    })
    .await;
}

fn address(container: &Value, call: &Value) -> SocketAddr {
    let host = call["host"].as_str().map_or(IpAddr::from(Ipv4Addr::LOCALHOST), |host| host.parse().unwrap());
    let number = call["port"].as_u64().unwrap_or_else(|| {
        let mut ports = container["ports"].as_array().into_iter().flatten();
        ports.find(|port| port["name"] == call["port"]).unwrap()["containerPort"].as_u64().unwrap()
    });
    SocketAddr::new(host, u16::try_from(number).unwrap())
}
