//! Evidence of class *connection*: the process at the other end of our Unix socket, by the kernel's word.
//! It proves "this executable, run by this user". The user is the boundary: whoever runs as that user can start the
//! executable and steer it (a debugger, a preloaded library, an exec after the connect), so the hash keeps out
//! altered and other programs, not a hostile owner of the account.

mod digest;
mod passwd;
mod process;
mod turns;

use std::sync::Arc;

use symbolon_cel::{Shape, Value, ValueError};
use symbolon_http::server::{ConnectionInfo, Peer};
use symbolon_identity::{ProviderName, Timestamp, TrustDomain};
use symbolon_policies::UnixFacts;

use super::attested::{Facts, Freshness, Identity};
use super::mapping::{Mapping, MappingError};
use super::{AttestFuture, Attested, Attestor, Evidence, Method, Wanted};
use crate::grants::Credential;
use crate::refusal::Refusal;
pub(crate) use digest::DigestError;
use digest::Digests;
use process::Opened;
pub(crate) use process::ProcessError;
use turns::Turns;

/// Attests the peers of the Unix socket.
#[derive(Debug)]
pub(super) struct UnixAttestor {
    pub(super) provider: ProviderName,
    pub(super) domain: TrustDomain,
    pub(super) mapping: Mapping,
    pub(super) reader: PeerReader,
}

/// Reads who a peer is. Clones share what they have read.
#[derive(Debug, Clone)]
pub(super) struct PeerReader {
    digests: Arc<Digests>,
    turns: Arc<Turns>,
}

/// What the kernel says about a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnixPeer {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) user: Option<String>,
    pub(crate) executable: Option<Executable>,
}

/// The program that a peer runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Executable {
    /// Its path, if that path leads to this very file for us too.
    pub(crate) path: Option<String>,
    /// SHA-256 of its bytes, in hexadecimal.
    pub(crate) sha256: String,
}

impl Attestor for UnixAttestor {
    fn provider(&self) -> &ProviderName {
        &self.provider
    }

    fn is_for(&self, evidence: &Evidence<'_>) -> bool {
        matches!(evidence.credential, Credential::Connection)
            && matches!(evidence.connection.peer(), Peer::Unix(_))
    }

    fn wants(&self) -> Wanted<'_> {
        Wanted { method: Method::Unix, issuer: None, audiences: Vec::new() }
    }

    fn attest<'a>(&'a self, evidence: Evidence<'a>, _now: Timestamp) -> AttestFuture<'a> {
        Box::pin(async move {
            let peer = self.reader.read(evidence.connection).await.map_err(Refusal::Process)?;
            Ok(self.attested(peer.ok_or(Refusal::EvidenceMissing)?)?)
        })
    }
}

impl UnixAttestor {
    fn attested(&self, peer: UnixPeer) -> Result<Attested, Refusal> {
        let refused = |source: MappingError| Refusal::Mapping { provider: self.provider.clone(), source };
        let fields = peer.value().map_err(|error| refused(error.into()))?;
        let workload = self.mapping.workload(&fields, &self.domain).map_err(refused)?;
        let identity = Identity::new(workload, &self.provider, Method::Unix);
        let identity = identity.map_err(|error| refused(error.into()))?;
        // The connection itself is the proof: nothing can be replayed, nothing is used up, nothing grows old.
        Ok(Attested::new(identity, Facts::Unix(peer), fields, Freshness::default()))
    }
}

impl PeerReader {
    /// A reader that has read nothing yet.
    pub(super) fn new() -> Self {
        Self { digests: Arc::default(), turns: Arc::new(Turns::new()) }
    }

    /// Reads who the peer is, off the threads that serve requests; none if it came by TCP.
    ///
    /// # Errors
    /// [`ProcessError`] if the process is gone or was replaced while we looked.
    async fn read(&self, connection: &ConnectionInfo) -> Result<Option<UnixPeer>, ProcessError> {
        let (seen, digests) = (connection.clone(), Arc::clone(&self.digests));
        let Some((mut peer, opened)) = off_thread(move || look(&seen, &digests)).await? else {
            return Ok(None);
        };
        if let Some(Opened { file, path }) = opened {
            let turn = self.turns.wait(peer.uid).await.ok_or(ProcessError::Interrupted)?;
            let digests = Arc::clone(&self.digests);
            // The turn goes along: when the caller hangs up this future is dropped, but the hashing goes on.
            let hashing = move || {
                let _turn = turn;
                Ok(digests.of(&file)?)
            };
            let sha256 = off_thread(hashing).await?;
            peer.executable = Some(Executable { path, sha256 });
        }
        Ok(Some(peer))
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProcessError> + Send + 'static,
) -> Result<T, ProcessError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ProcessError::Interrupted)?
}

/// The peer, and its executable if that still has to be hashed.
fn look(
    connection: &ConnectionInfo,
    digests: &Digests,
) -> Result<Option<(UnixPeer, Option<Opened>)>, ProcessError> {
    let credentials = match connection.peer() {
        Peer::Unix(credentials) => credentials,
        Peer::Tcp(_) => return Ok(None),
    };
    let (uid, gid) = (credentials.uid(), credentials.gid());
    let mut peer = UnixPeer { uid, gid, user: passwd::name_of(uid), executable: None };
    let Some(opened) = process::open(credentials)? else { return Ok(Some((peer, None))) };
    match digests.remembered(&opened.file)? {
        Some(sha256) => {
            peer.executable = Some(Executable { path: opened.path, sha256 });
            Ok(Some((peer, None)))
        }
        None => Ok(Some((peer, Some(opened)))),
    }
}

/// What the expressions of a `unix` provider may name.
pub(super) fn shape() -> Shape {
    Shape::record([
        ("uid", Shape::Int),
        ("gid", Shape::Int),
        ("user", Shape::String),
        ("executable", Shape::String),
        ("executable_sha256", Shape::String),
    ])
}

impl UnixPeer {
    /// The peer as `attested`; what is not known is absent, so that an expression that needs it fails.
    pub(super) fn value(&self) -> Result<Value, ValueError> {
        let mut fields = vec![("uid", i64::from(self.uid).into()), ("gid", i64::from(self.gid).into())];
        fields.extend(self.user.as_deref().map(|user| ("user", user.into())));
        if let Some(executable) = &self.executable {
            fields.extend(executable.path.as_deref().map(|path| ("executable", path.into())));
            fields.push(("executable_sha256", executable.sha256.as_str().into()));
        }
        Value::map(fields)
    }

    /// The peer as policies see it.
    pub(super) fn facts(&self) -> UnixFacts {
        // SECURITY: the user is told also if the executable is not: its owner can make it unreadable, and must not
        // escape in this way what policy forbids to the user.
        UnixFacts {
            uid: self.uid,
            gid: self.gid,
            user: self.user.clone(),
            executable: self.executable.as_ref().and_then(|executable| executable.path.clone()),
            executable_sha256: self.executable.as_ref().map(|executable| executable.sha256.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_told_also_if_the_executable_cannot_be_read() {
        let peer = UnixPeer { uid: 1000, gid: 100, user: Some("alice".to_owned()), executable: None };
        let facts = peer.facts();
        assert_eq!((facts.uid, facts.gid, facts.user.as_deref()), (1000, 100, Some("alice")));
        assert_eq!((facts.executable, facts.executable_sha256), (None, None));
    }
}
