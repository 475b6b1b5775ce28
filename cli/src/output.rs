//! How data is printed: `-o table|json|jsonl|yaml`, on stdout; everything else goes to stderr.
//! Not here: the tables themselves, which belong to the commands.

use std::io::{self, Write as _};

use serde::Serialize;

mod yaml;

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// Indented JSON.
    Json,
    /// One JSON document a line.
    Jsonl,
    /// YAML.
    Yaml,
}

/// Prints a document in a form; `table` is the text for people.
pub(crate) fn document<T: Serialize>(format: Format, value: &T, table: &str) -> anyhow::Result<()> {
    let text = match format {
        Format::Table => table.to_owned(),
        Format::Json => serde_json::to_string_pretty(value)?,
        Format::Jsonl => serde_json::to_string(value)?,
        Format::Yaml => yaml::to_string(&serde_json::to_value(value)?),
    };
    line(text.trim_end_matches('\n'))
}

/// Prints one line, or several that belong together, on stdout.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()?;
    Ok(())
}
