//! A token request as it arrived: the form, the connection, the proof header.
//! It proves nothing; every part of it is parsed or checked before it counts.

use std::net::IpAddr;

use secrecy::SecretString;
use symbolon_http::server::{ConnectionInfo, Peer};
use symbolon_identity::DecisionId;
use symbolon_wire::TokenForm;

/// What was presented at the token endpoint, under the id that its answer will have.
#[derive(Debug)]
pub(crate) struct Presented {
    /// The id of the decision.
    pub(crate) id: DecisionId,
    /// The form.
    pub(crate) form: TokenForm,
    /// The facts about the connection.
    pub(crate) connection: ConnectionInfo,
    /// The address that it comes from, if that can be told.
    pub(crate) source: Option<IpAddr>,
    /// The `DPoP` header, if there was exactly one.
    pub(crate) proof: Option<SecretString>,
}

/// The address of a TCP peer; none on the Unix socket.
pub(crate) fn source_ip(connection: &ConnectionInfo) -> Option<IpAddr> {
    match connection.peer() {
        Peer::Tcp(address) => Some(address.ip().to_canonical()),
        Peer::Unix(_) => None,
    }
}
