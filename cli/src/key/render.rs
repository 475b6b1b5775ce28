//! Signing keys as a table for people.
//! Not here: the JSON and YAML forms, which are the document itself.

use std::fmt::Write as _;

use symbolon_wire::{KeyDocument, KeyList, KeyState};

/// The table: one line a key, the revoked ones last.
pub(super) fn table(list: &KeyList) -> String {
    let mut rows = vec![["KID", "ALGORITHM", "STATE", "SINCE", "NEXT"].map(str::to_owned)];
    rows.extend(list.keys.iter().map(row));
    rows.extend(list.revoked.iter().map(|revoked| {
        let told = format!("verifiers are told until {}", revoked.until);
        [revoked.kid.clone(), String::new(), "revoked".to_owned(), revoked.revoked_at.to_string(), told]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            // INVARIANT: writing to a String cannot fail.
            let _ = write!(text, "{cell:<width$}  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn row(key: &KeyDocument) -> [String; 5] {
    let (since, next) = match key.state {
        KeyState::Published => (Some(key.published_at), "signs"),
        KeyState::Active => (key.activated_at, "retires"),
        KeyState::Retired => (key.retired_at, "goes"),
    };
    let since = since.unwrap_or(key.published_at).to_string();
    let next = format!("{next} {}", key.next_change_at);
    [key.kid.clone(), key.algorithm.clone(), key.state.as_str().to_owned(), since, next]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_key_is_a_line_with_what_comes_next() {
        let list: KeyList = serde_json::from_value(json!({
            "keys": [
                {"kid": "aaaa", "algorithm": "ES256", "state": "active", "published_at": 1_700_000_000,
                 "activated_at": 1_700_000_100, "next_change_at": 1_700_086_500},
                {"kid": "b", "algorithm": "ES256", "state": "published", "published_at": 1_700_000_000,
                 "next_change_at": 1_700_007_200},
            ],
            "revoked": [{"kid": "c", "revoked_at": 1_700_000_000, "until": 1_700_007_200}],
        }))
        .unwrap();
        let expected = [
            "KID   ALGORITHM  STATE      SINCE                 NEXT",
            "aaaa  ES256      active     2023-11-14T22:15:00Z  retires 2023-11-15T22:15:00Z",
            "b     ES256      published  2023-11-14T22:13:20Z  signs 2023-11-15T00:13:20Z",
            "c                revoked    2023-11-14T22:13:20Z  verifiers are told until 2023-11-15T00:13:20Z",
        ];
        assert_eq!(table(&list).lines().collect::<Vec<_>>(), expected);
    }
}
