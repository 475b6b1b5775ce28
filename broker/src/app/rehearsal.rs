//! A start that binds nothing and changes nothing: would it succeed on what is there?
//! Not here: mistakes in the configuration; those are found before.

use symbolon_daemon::{Clock, SystemClock};
use symbolon_identity::Timestamp;
use symbolon_issuers::{Issuers, KeyPolicy};

use super::error::StartError;
use crate::keys::SigningRing;
use crate::plan::{Plan, surroundings};
use crate::store::SqliteStore;

/// Opens the store to read if it is there, unseals the keys in it, and sets up issuers and attestors.
pub(super) async fn rehearse(plan: Plan) -> Result<(), StartError> {
    let path = &plan.config.store.sqlite;
    if path.exists()
        && let Some(store) = SqliteStore::inspect(path).await?
    {
        SigningRing::try_seal(&store, &plan.seal).await?;
    }
    let Plan { config, blueprint, client, .. } = plan;
    let ours = surroundings(&config.issuer);
    let now = Timestamp::from_secs_saturating(SystemClock.unix_seconds());
    let issuers = Issuers::new(blueprint.issuer_settings(&ours)?, KeyPolicy::default(), client, now)?;
    blueprint.build(&issuers, &ours)?;
    Ok(())
}
