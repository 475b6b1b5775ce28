//! What `symbolon dev` prints for people when it is ready.
//! Not here: the object for scripts (`ready.rs`).

use super::configs::{NOBODY, PAYROLL_FILE};
use super::stack::Stack;

/// The text.
pub(crate) fn text(stack: &Stack) -> String {
    let ready = &stack.ready;
    let folder = ready.state_dir.display();
    let uid = rustix::process::getuid().as_raw();
    let us =
        std::env::current_exe().map_or_else(|_| "symbolon".to_owned(), |path| path.display().to_string());
    let upstream = |name: &str| ready.sidecar.upstreams.get(name).cloned().unwrap_or_default();
    format!(
        "DEVELOPMENT ONLY: loopback, no TLS, throw-away keys. Nothing here is for production.

  broker    {broker}   keys at /.well-known/jwks.json
  sidecar   {orders}   the door to `orders`; {payroll} to `payroll`, {notes} to `notes`
  gateway   {gateway}   in front of an API that echoes, at {api}
  state     {folder}
  ready in {milliseconds} ms

The sidecar is attested by its Unix peer credentials: the kernel tells the broker which user runs which
executable (its SHA-256). That proves \"this executable, run by this user\", nothing about what else the user runs.

Three commands to paste:

  # allowed: the sidecar adds the token, the gateway verifies it, the API sees who calls
  curl -s {orders}/orders/1

  # denied by policy, and why
  curl -s {payroll}/payroll/1 | {us} explain - --state-dir {folder}

  # change the policy: the same call is allowed within seconds
  sed -i s/{NOBODY}/{uid}/ {folder}/{PAYROLL_FILE} && curl -s --retry 20 --retry-delay 1 --retry-all-errors -f {payroll}/payroll/1

Ctrl-C ends everything and says what happened.",
        broker = ready.broker.url,
        orders = upstream("orders"),
        payroll = upstream("payroll"),
        notes = upstream("notes"),
        gateway = ready.gateway.url,
        api = ready.api.url,
        milliseconds = ready.milliseconds,
    )
}
