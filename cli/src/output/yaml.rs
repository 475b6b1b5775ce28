//! Writes a JSON value as block YAML; strings are always quoted as in JSON, which YAML 1.2 reads alike.
//! Not here: reading YAML (`symbolon-config`).

use std::fmt::Write as _;

use serde_json::Value;

/// The value as a YAML document.
pub(super) fn to_string(value: &Value) -> String {
    let mut text = String::new();
    write_block(&mut text, value, 0);
    text
}

fn write_block(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let _ = write!(text, "{indent}{}:", plain_or_quoted(name));
                write_member(text, member, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(text, "{indent}-");
                write_member(text, item, depth);
            }
        }
        scalar => {
            let _ = writeln!(text, "{indent}{scalar}");
        }
    }
}

fn write_member(text: &mut String, member: &Value, depth: usize) {
    let nested = match member {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if nested {
        text.push('\n');
        write_block(text, member, depth + 1);
    } else {
        let _ = writeln!(text, " {member}");
    }
}

/// A key without quotes where YAML cannot mistake it for a number, a boolean or an indicator.
fn plain_or_quoted(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !matches!(name, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if plain { name.to_owned() } else { Value::from(name).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_written_in_blocks() {
        let value = json!({"a": {"b": [1, {"c": "x: y"}], "off": []}, "d": null, "e-f": {}});
        let expected = "a:\n  b:\n    - 1\n    -\n      c: \"x: y\"\n  \"off\": []\nd: null\n\"e-f\": {}\n";
        assert_eq!(to_string(&value), expected);
    }
}
