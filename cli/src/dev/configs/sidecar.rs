//! `sidecar.yaml` of `symbolon dev`: loopback listeners, one an upstream.
//! Not here: which executable runs with it.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::{audience, quoted};
use crate::dev::folder::Folder;

/// What one sidecar serves.
#[derive(Debug)]
pub(crate) struct SidecarPlan<'a> {
    /// The broker's issuer URL.
    pub(crate) broker: String,
    /// The token endpoint for local callers.
    pub(crate) endpoints: SocketAddr,
    pub(crate) health: SocketAddr,
    /// Where the requests go.
    pub(crate) target: SocketAddr,
    pub(crate) upstreams: &'a [Upstream],
}

/// One API that the app calls through the sidecar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upstream {
    /// Also the name of its resource.
    pub(crate) name: &'static str,
    pub(crate) listen: SocketAddr,
    pub(crate) bearer: bool,
}

/// The text of the file.
pub(super) fn text(folder: &Folder, plan: &SidecarPlan<'_>) -> String {
    let mut text = format!(
        "# Written by `symbolon dev`, for development only: on a host, use Unix sockets with a list of uids.
broker:
  url: {broker}
  socket: {socket}
evidence:
  unix: {{}}
listen:
  endpoints: {{ tcp: \"{endpoints}\", allow_any_local_process: true }}
  health: \"{health}\"
upstreams:
",
        broker = plan.broker,
        socket = quoted(&folder.file("attest.sock")),
        endpoints = plan.endpoints,
        health = plan.health,
    );
    for upstream in plan.upstreams {
        let _ = write!(
            text,
            "  - name: {name}
    listen: {{ tcp: \"{listen}\", allow_any_local_process: true }}
    target: http://{target}
    resource: {audience}
    scope: \"{name}:read\"
",
            name = upstream.name,
            listen = upstream.listen,
            target = plan.target,
            audience = audience(upstream.name),
        );
        if upstream.bearer {
            text.push_str("    allow_bearer: true\n");
        }
    }
    text
}
