//! How data is printed: `-o table|json|jsonl|yaml`, on stdout; everything else goes to stderr.
//! Not here: the tables themselves, which belong to the commands.

use std::fmt::Write as _;
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
    let text = if format == Format::Table { text } else { escaped(&text) };
    line(text.trim_end_matches('\n'))
}

/// The same JSON, or YAML with its texts quoted as in JSON, without characters that a terminal would obey. They stand in
/// quoted texts only, where `\u` means the character itself.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if c != '\n' && symbolon_jws::is_unsafe_to_show(c) {
            // INVARIANT: writing to a String cannot fail.
            let _ = c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(shown, "\\u{unit:04x}"));
        } else {
            shown.push(c);
        }
        shown
    })
}

/// Prints one line, or several that belong together, on stdout.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_without_what_a_terminal_would_obey_is_the_same_json() {
        let value = serde_json::json!({"a": "x\u{202e}\u{9b}\u{e0041}\n", "b": "grün"});
        let text = escaped(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.contains(['\u{202e}', '\u{9b}', '\u{e0041}']) && text.contains("grün"), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
