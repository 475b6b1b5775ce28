//! Why the broker does not start.
//! Not here: mistakes in the configuration; they are found before anything starts.

use std::io;
use std::path::PathBuf;

use symbolon_daemon::ready_file::ReadyFileError;
use symbolon_http::server::BindError;
use symbolon_identity::IdentityError;
use symbolon_issuers::SetupError;

use crate::attest::BlueprintError;
use crate::kept::KeptError;
use crate::keys::KeyError;
use crate::store::{LedgerError, StoreError};

/// Why the broker does not start. Its message and its sources say it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StartError(Cause);

#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error("signals cannot be listened to")]
    Signals(#[source] io::Error),
    #[error("a listener cannot be opened")]
    Bind(#[from] BindError),
    #[error("the issuer URL with its real port is not one")]
    Issuer(#[from] IdentityError),
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    #[error("the signing keys cannot be had")]
    Keys(#[from] KeyError),
    #[error("what is kept in the cluster cannot be had")]
    Kept(#[from] KeptError),
    #[error("nothing says what seals the signing keys")]
    NoSeal,
    #[error("the start cannot be put on record")]
    Ledger(#[from] LedgerError),
    #[error("the folder for issuers' keys `{path}` cannot be made")]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("an issuer cannot be set up")]
    Issuers(#[from] SetupError),
    #[error("the attestors cannot be set up")]
    Attestors(#[from] BlueprintError),
    #[error("the ready file cannot be written")]
    ReadyFile(#[from] ReadyFileError),
}

impl<C: Into<Cause>> From<C> for StartError {
    fn from(cause: C) -> Self {
        Self(cause.into())
    }
}
