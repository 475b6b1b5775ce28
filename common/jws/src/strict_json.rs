//! JSON that can be read in one way only: no duplicate members, bounded depth and size, valid UTF-8, nothing after it.
//! Not here: what the members mean.

mod walk;

use serde::de::DeserializeOwned;

/// How deep and how large a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most containers inside one another.
    pub depth: usize,
    /// The most object members and array elements together.
    pub members: usize,
}

impl Limits {
    /// The limits of a header, a claims set or a single key.
    pub const TOKEN: Self = Self { depth: 32, members: 512 };
    /// The limits of a key set of up to a hundred keys.
    pub const KEY_SET: Self = Self { depth: 32, members: 8192 };
}

/// Why a document was refused. The message holds no value of the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrictJsonError {
    /// A member stands twice in one object, perhaps once in an escaped spelling (RFC 7515 §4, RFC 7519 §4).
    #[error("the member `{member}` stands twice")]
    DuplicateMember {
        /// The beginning of its name, escaped.
        member: String,
    },
    /// Containers are nested deeper than the limit.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// There are more members and elements than the limit.
    #[error("more than {limit} members")]
    TooManyMembers {
        /// The limit.
        limit: usize,
    },
    /// It is not JSON in UTF-8, or something follows it.
    #[error("not JSON at line {line}, column {column}")]
    Syntax {
        /// The line, counted from one.
        line: usize,
        /// The column, counted from one.
        column: usize,
    },
    /// It is JSON, but not of the expected form.
    #[error("unexpected JSON value at line {line}, column {column}")]
    Shape {
        /// The line, counted from one; zero if unknown.
        line: usize,
        /// The column, counted from one; zero if unknown.
        column: usize,
    },
}

/// Reads a document within [`Limits::TOKEN`].
///
/// # Errors
/// [`StrictJsonError`] if the document is not strict JSON or not a `T`.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StrictJsonError> {
    from_slice_within(bytes, Limits::TOKEN)
}

/// Reads a document within the given limits.
///
/// The walk that finds duplicates reads the same bytes that `T` is then made from, so both see one document.
///
/// # Errors
/// [`StrictJsonError`] if the document is not strict JSON or not a `T`.
pub fn from_slice_within<T: DeserializeOwned>(bytes: &[u8], limits: Limits) -> Result<T, StrictJsonError> {
    walk::check(bytes, limits)?;
    serde_json::from_slice(bytes)
        .map_err(|error| StrictJsonError::Shape { line: error.line(), column: error.column() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn read(text: &str) -> Result<Value, StrictJsonError> {
        from_slice(text.as_bytes())
    }

    #[test]
    fn plain_documents_are_read() {
        let value = read(r#"{"a":[1,-2,3.5,null,true],"b":{"a":"x"}}"#).unwrap();
        assert_eq!(value, serde_json::json!({"a": [1, -2, 3.5, null, true], "b": {"a": "x"}}));
    }

    #[test]
    fn j21_duplicate_members_are_refused_at_any_level_and_in_any_spelling() {
        for text in [
            r#"{"alg":"ES256","alg":"none"}"#,
            r#"{"sub":"a","\u0073ub":"b"}"#,
            r#"{"a":{"b":1,"c":2,"b":1}}"#,
            r#"[[{"a":1,"a":1}]]"#,
            r#"{"":1,"":2}"#,
        ] {
            assert!(matches!(read(text), Err(StrictJsonError::DuplicateMember { .. })), "{text}");
        }
    }

    #[test]
    fn j25_deep_and_wide_documents_are_refused() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&deep(32)).is_ok());
        for levels in [33, 5_000, 1_000_000] {
            assert_eq!(read(&deep(levels)), Err(StrictJsonError::TooDeep { limit: 32 }), "{levels}");
        }
        let wide = |members: usize| {
            let members: Vec<String> = (0..members).map(|n| format!("\"m{n}\":{n}")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(read(&wide(512)).is_ok());
        assert_eq!(read(&wide(2_000)), Err(StrictJsonError::TooManyMembers { limit: 512 }));
        let list = format!("[{}1]", "1,".repeat(512));
        assert_eq!(read(&list), Err(StrictJsonError::TooManyMembers { limit: 512 }));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "{}x",
            "{} {}",
            "{\"a\":1,}",
            "[1,]",
            "{a:1}",
            "{'a':1}",
            "NaN",
            "Infinity",
            "1e309",
            "\u{feff}{}",
            "\"\\ud800\"",
            "01",
            "+1",
            ".5",
            "// x\n{}",
        ] {
            assert!(matches!(read(text), Err(StrictJsonError::Syntax { .. })), "{text:?}");
        }
        assert!(matches!(from_slice::<Value>(b"\"\xff\""), Err(StrictJsonError::Syntax { .. })));
    }

    #[test]
    fn another_shape_is_refused_without_repeating_the_value() {
        let error = from_slice::<u64>(b"\"hunter2\"").unwrap_err();
        assert!(matches!(error, StrictJsonError::Shape { .. }));
        assert!(!error.to_string().contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = from_slice::<Value>(&bytes);
        }
    }
}
