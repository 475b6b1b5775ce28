//! `symbolon-sidecar doctor`: would a sidecar with this configuration work here, and if not, what is to be done.
//! It asks for no token, so it changes nothing at the broker; what the broker's policies say is not found out.

mod broker;
mod evidence;
mod key;
mod neighbours;
mod report;
mod upstreams;

use std::path::PathBuf;
use std::time::Duration;

use symbolon_daemon::Clock;

pub(crate) use neighbours::Surroundings;
pub(crate) use report::{Form, Outcome, Report};

use crate::settings::Settings;

/// How long one probe may take. All run at once, so the whole takes hardly longer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Options of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorOptions {
    /// The configuration file.
    #[arg(long)]
    pub(crate) config: PathBuf,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Form,
}

/// Looks at everything.
pub(crate) async fn examine(settings: &Settings, around: &Surroundings, clock: &dyn Clock) -> Report {
    let (source, broker, key, upstreams) = tokio::join!(
        evidence::look(settings),
        broker::look(&settings.broker, clock),
        key::look(&settings.key),
        upstreams::look(settings),
    );
    let now = symbolon_identity::Timestamp::from_secs_saturating(clock.unix_seconds());
    let mut report = Report::new(broker.is_reached());
    report.extend(source.checks(now, broker.issuer(&settings.broker)));
    report.extend(broker.into_checks());
    report.extend([key]);
    report.extend(upstreams);
    report.extend(around.checks());
    report
}
