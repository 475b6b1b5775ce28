//! Logs: where they go and in which form.
//! Not the audit trail, which is a record of its own, and not metrics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::util::SubscriberInitExt;

/// How a program logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// One JSON object a line, or text for people.
    pub format: LogFormat,
    /// The least important events that are still written.
    pub level: LogLevel,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// One readable line an event.
    Text,
}

/// The importance of an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something failed and an operator should look.
    Error,
    /// Something is wrong and was survived.
    Warn,
    /// What a running program does, in few lines.
    #[default]
    Info,
    /// What it decides on the way.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The filter for this level.
    ///
    /// SECURITY: crates that are not ours stay at `warn`. hyper, h2 and rustls write header fields and bytes
    /// at their debug and trace levels, which would put tokens in the log.
    const fn directives(self) -> &'static str {
        match self {
            Self::Error => "error,symbolon=error",
            Self::Warn => "warn,symbolon=warn",
            Self::Info => "warn,symbolon=info",
            Self::Debug => "warn,symbolon=debug",
            Self::Trace => "warn,symbolon=trace",
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Somebody in this process has already set it up.
    #[error("logging is already set up in this process")]
    AlreadySetUp,
}

/// Sets up logging to stderr for the whole process, panics included.
///
/// # Errors
/// When it was already set up.
pub fn init(config: TelemetryConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::new(config.level.directives());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        .with_target(true);
    match config.format {
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).finish().try_init(),
        LogFormat::Text => lines.with_ansi(false).finish().try_init(),
    }
    .map_err(|_already| TelemetryError::AlreadySetUp)?;
    log_panics();
    Ok(())
}

/// Logs where a panic happened. Its message stays out: it may quote the value that caused it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tracing::error!(event.name = "panic", location = place, "a panic happened");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_crates_never_log_below_warn() {
        for level in [LogLevel::Info, LogLevel::Debug, LogLevel::Trace] {
            assert!(level.directives().starts_with("warn,symbolon="), "{level:?}");
        }
    }

    #[test]
    fn each_level_is_a_filter_that_parses() {
        for level in [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace] {
            EnvFilter::builder().parse(level.directives()).unwrap();
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<TelemetryConfig>(r#"{"fromat":"json"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `fromat`"), "{error}");
    }
}
