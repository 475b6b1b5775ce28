//! The policies of `symbolon dev`: who may have a token for what.
//! Not here: their language, which is Cedar.

use super::{Facts, NOBODY};
use crate::dev::client::CLIENT_ID;

/// The policy that the tour and the printed commands change.
pub(crate) const PAYROLL_FILE: &str = "policies/payroll.cedar";

/// Writes the policies. Those with this machine's facts are written anew; the others are the user's once they exist. The
/// tour begins with a payroll that is shut, also where one before it has opened it.
pub(super) fn write(facts: &Facts<'_>) -> anyhow::Result<()> {
    facts.folder.write("policies/orders.cedar", &orders(facts.sidecar_sha256))?;
    if facts.is_tour() {
        facts.folder.write(PAYROLL_FILE, &payroll(facts.uid))?;
    } else {
        facts.folder.write_once(PAYROLL_FILE, &payroll(facts.uid))?;
    }
    facts.folder.write_once("policies/notes.cedar", &notes(facts.uid))?;
    facts.folder.write_once("policies/short.cedar", &short())?;
    Ok(())
}

fn orders(sidecar_sha256: &str) -> String {
    format!(
        r#"// Written anew by `symbolon dev` at each start: the hash is the one of the sidecar that it runs.
@id("sidecar-may-read-orders")
@reason("only the sidecar as it was built may read orders; a changed copy may not")
permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"orders")
when {{
  principal.provider == "local" &&
  context.scope == "orders:read" &&
  context.key_bound &&
  principal has unix &&
  principal.unix has executable_sha256 &&
  principal.unix.executable_sha256 == "{sidecar_sha256}"
}};
"#
    )
}

fn payroll(uid: u32) -> String {
    format!(
        r#"// Nobody reads the payroll: {NOBODY} is the user `nobody`. Write {uid} instead, which is you, and it opens.
@id("nobody-may-read-payroll")
@reason("the payroll is for the user that this policy names")
permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"payroll")
when {{
  principal.provider == "local" &&
  context.scope == "payroll:read" &&
  principal has unix &&
  principal.unix.uid == {NOBODY}
}};
"#
    )
}

fn notes(uid: u32) -> String {
    format!(
        r#"// Any program of yours over the socket, and the client that signs with its own key.
@id("you-may-read-notes")
permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"notes")
when {{
  principal.provider == "local" &&
  context.scope == "notes:read" &&
  principal has unix &&
  principal.unix.uid == {uid}
}};

@id("{CLIENT_ID}-may-read-notes")
permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"notes")
when {{
  context.scope == "notes:read" &&
  principal has client &&
  principal.client.id == "{CLIENT_ID}"
}};
"#
    )
}

fn short() -> String {
    format!(
        r#"// Tokens that live two seconds, to watch one expire.
@id("{CLIENT_ID}-may-read-short")
permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"short")
when {{
  context.scope == "short:read" &&
  principal has client &&
  principal.client.id == "{CLIENT_ID}"
}};
"#
    )
}
