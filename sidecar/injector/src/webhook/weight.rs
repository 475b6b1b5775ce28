//! How many values a JSON text has, before any of them is made: a byte of text can cost a hundred bytes of memory.
//! Not here: whether it is JSON; who reads it finds that out.

/// A review of the largest pods that clusters are known for has some ten thousand.
const MOST: usize = 100_000;

/// Whether a text has more values than anybody's pod has.
///
/// Counts what stands between values, outside of texts: there is at most one value for each, and one more.
pub(super) fn is_too_heavy(json: &[u8]) -> bool {
    let (mut count, mut is_text, mut is_escaped) = (0_usize, false, false);
    for byte in json {
        match (is_text, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => is_text = !is_text,
            (false, b',' | b'[' | b'{' | b':') => count = count.saturating_add(1),
            _ => {}
        }
        if count > MOST {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_count_and_texts_do_not() {
        for (part, is_heavy) in
            [("0,", true), ("[],", true), ("{\"\":0},", true), ("\"\",", true), ("x", false)]
        {
            let text = format!("[{}0]", part.repeat(MOST));
            assert_eq!(is_too_heavy(text.as_bytes()), is_heavy, "{part}");
        }
        let text = format!("{{\"a\":\"{}\"}}", ",[{:\\\"".repeat(MOST));
        assert!(!is_too_heavy(text.as_bytes()), "one text");
        assert!(!is_too_heavy(b""));
    }

    #[test]
    fn a_text_that_does_not_end_hides_nothing_that_a_reader_would_make() {
        let text = format!("\"{}", "0,".repeat(MOST * 2));
        assert!(!is_too_heavy(text.as_bytes()));
        serde_json::from_slice::<serde_json::Value>(text.as_bytes()).unwrap_err();
    }
}
