//! A token that the broker issued to us, as far as we know it: opaque, for one audience, for a while.
//! Nobody here can read it. It leaves only inside an `Armed` request or by the token endpoint.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use symbolon_identity::Audience;
use symbolon_wire::{TokenAnswer, TokenType};
use tokio::time::Instant;

use crate::dice::Dice;
use crate::time::{End, Now};

/// The earliest part of its life at which a token is renewed; the latest is half.
const EARLIEST_REFRESH_PERCENT: u32 = 80;

/// So long before its end a token is not used any more: on its way to the API it must not run out, or an outage of the
/// broker would look like the API's 401. Of a very short life it is a quarter.
const SPARE: Duration = Duration::from_secs(2);

/// A token for one audience.
pub(crate) struct Credential {
    secret: SecretString,
    scheme: TokenType,
    audience: Audience,
    scope: String,
    end: End,
    refresh_at: Instant,
}

impl Credential {
    /// What the broker's answer to a request sent at `asked` is worth: nothing if it is over already.
    ///
    /// Its life counts from when we asked, so that it ends a little earlier for us than for its verifiers.
    pub(crate) fn new(answer: TokenAnswer, audience: Audience, asked: Now, dice: &mut Dice) -> Option<Self> {
        // INVARIANT: the cap keeps the sum of an instant and a stranger's number in range.
        let life = Duration::from_secs(answer.expires_in.min(MAX_LIFE_SECS));
        if life.is_zero() {
            return None;
        }
        Some(Self {
            secret: answer.access_token,
            scheme: answer.token_type,
            audience,
            scope: answer.scope,
            end: End::after(asked, life.saturating_sub(SPARE.min(life / 4))),
            refresh_at: asked.tick + dice.between(EARLIEST_REFRESH_PERCENT, life / 2),
        })
    }

    /// The token itself, for the request to its audience and for nothing else.
    pub(crate) fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    pub(crate) const fn scheme(&self) -> TokenType {
        self.scheme
    }

    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// How long it can still be used; zero when it is over.
    pub(crate) fn left(&self, now: Now) -> Duration {
        self.end.left(now)
    }

    /// When a new one should be asked for.
    pub(crate) const fn refresh_at(&self) -> Instant {
        self.refresh_at
    }
}

/// No token of ours lives longer than a day.
const MAX_LIFE_SECS: u64 = 24 * 60 * 60;

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("audience", &self.audience).finish_non_exhaustive()
    }
}
