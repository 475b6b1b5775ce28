//! `broker.yaml` of `symbolon dev`.
//! Not here: the policies.

use std::fmt::Write as _;

use super::{Facts, RESOURCES, TRUST_DOMAIN, quoted};
use crate::dev::client::{CLIENT_ID, JWKS_FILE};

/// The text of the file.
pub(super) fn text(facts: &Facts<'_>) -> String {
    let file = |name: &str| quoted(&facts.folder.file(name));
    let sealing_key =
        serde_json::Value::from(format!("${{file:{}}}", facts.folder.file("sealing-key").display()));
    let mut text = format!(
        "# Written by `symbolon dev`, for development only.
issuer: http://{public}
trust_domain: {TRUST_DOMAIN}
listen:
  public: \"{public}\"
  admin: \"{admin}\"
  admin_socket: {admin_socket}
  socket: {socket}
store:
  sqlite: {database}
  sealing_key: {sealing_key}
trust_providers:
  # What the kernel says of the peer of the socket: which user runs which executable.
  - name: local
    unix: {{}}
    workload: '\"local/uid/\" + string(attested.uid)'
clients:
  # Its private key is beside this file: curl-client.pem.
  - client_id: {CLIENT_ID}
    jwks_file: {jwks}
policies: {policies}
resources:
",
        public = facts.ports.broker,
        admin = facts.ports.broker_admin,
        admin_socket = file("admin.sock"),
        socket = file("attest.sock"),
        database = file("broker.db"),
        jwks = file(JWKS_FILE),
        policies = file("policies"),
    );
    for resource in RESOURCES {
        let _ = write!(
            text,
            "  - name: {name}
    audience: {audience}
    scopes: [{scopes}]
    default_scopes: [\"{read}\"]
    binding: {binding}
    token_ttl: {ttl}
",
            name = resource.name,
            audience = resource.audience(),
            scopes =
                resource.scopes.iter().map(|scope| format!("\"{scope}\"")).collect::<Vec<_>>().join(", "),
            read = resource.read_scope(),
            binding = resource.binding,
            ttl = resource.ttl,
        );
    }
    text
}
