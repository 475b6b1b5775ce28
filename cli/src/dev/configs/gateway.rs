//! `gateway.yaml` of `symbolon dev`: one route a resource, all to the echo API.
//! Not here: the API.

use std::fmt::Write as _;

use super::{Facts, RESOURCES, quoted};

/// The text of the file.
pub(super) fn text(facts: &Facts<'_>) -> String {
    let file = |name: &str| quoted(&facts.folder.file(name));
    let mut text = format!(
        "# Written by `symbolon dev`, for development only.
listen: \"{gateway}\"
admin:
  listen: \"{admin}\"
  socket: {socket}
origins:
  - http://{gateway}
",
        gateway = facts.ports.gateway,
        admin = facts.ports.gateway_admin,
        socket = file("gateway-admin.sock"),
    );
    if let Some(origin) = facts.tap {
        let _ = writeln!(text, "  - http://{origin}");
    }
    let _ = write!(
        text,
        "issuers:
  - name: symbolon
    issuer: http://{broker}
    dev: true   # an issuer without TLS; refused without this line
    # Tokens with `cnf` are checked against their proof; those of `bearer_allowed` resources have none.
    binding: when_bound
    audiences:
",
        broker = facts.ports.broker
    );
    for resource in RESOURCES {
        let _ = writeln!(text, "      - {}", resource.audience());
    }
    let _ = write!(text, "audit:\n  file: {}\nroutes:\n", file("gateway-audit.jsonl"));
    for resource in RESOURCES {
        let _ = write!(
            text,
            "  - name: {name}
    match: {{ path: /{name}/** }}
    resource: {audience}
    upstream: {{ url: \"http://{api}\" }}
    stages:
      - verify: {{ issuers: [symbolon], scopes: [\"{scope}\"] }}
",
            name = resource.name,
            audience = resource.audience(),
            api = facts.ports.api,
            scope = resource.read_scope(),
        );
    }
    text
}
