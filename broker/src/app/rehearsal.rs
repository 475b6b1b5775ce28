//! A start that binds nothing and changes nothing: would it succeed on what is there?
//! Not here: mistakes in the configuration; those are found before.

use std::sync::Arc;

use symbolon_daemon::{Clock, SystemClock};
use symbolon_identity::{Audience, Timestamp};
use symbolon_issuers::{Issuers, KeyPolicy};

use super::error::StartError;
use crate::keys::Vault;
use crate::plan::{Plan, surroundings};
use crate::revoke::Revocations;
use crate::store::SqliteStore;

/// Opens the store to read if it is there, unseals the keys in it, and sets up issuers and attestors.
pub(super) async fn rehearse(plan: Plan) -> Result<(), StartError> {
    let now = Timestamp::from_secs_saturating(SystemClock.unix_seconds());
    let path = &plan.config.store.sqlite;
    if path.exists()
        && let Some(store) = SqliteStore::inspect(path).await?
    {
        if let Some(seal) = &plan.seal {
            Vault::new(Arc::clone(seal)).try_all(&store).await?;
        }
        Revocations::open(&store, now).await?;
    }
    let Plan { config, blueprint, foreign, resources, client, .. } = plan;
    let ours = surroundings(&config.issuer);
    let evidence = blueprint.issuer_settings(&ours)?;
    let evidence = Issuers::sharing(evidence, KeyPolicy::default(), client.clone(), now)?;
    blueprint.build(&evidence, &ours, None)?;
    let (resources, ourselves) =
        (resources.of_issuer(&config.issuer)?, Audience::parse(config.issuer.as_str())?);
    Issuers::new(foreign.settings(&ourselves, &resources), KeyPolicy::default(), client, now)?;
    Ok(())
}
