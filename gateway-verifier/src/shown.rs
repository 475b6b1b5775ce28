//! What callers sent, as operators see it: short, and without what a terminal would obey.
//! Not here: what callers see, who are told nothing of it.

use symbolon_jws::visible;

/// The most bytes of one text that are kept; with a path or a scope as long as a request, many of them would fill the
/// memory.
pub(crate) const MOST: usize = 256;

/// The beginning of a text, safe to show.
pub(crate) fn shown(text: &str) -> String {
    let end = (0..=MOST.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    let kept = visible(text.get(..end).unwrap_or_default());
    if end < text.len() { kept + "…" } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_escaped() {
        let long = shown(&"ä".repeat(400));
        assert_eq!((long.len(), long.ends_with('…')), (MOST + '…'.len_utf8(), true), "{long}");
        assert_eq!(shown("/a\u{202e}b\n"), "/a\\u{202e}b\\u{a}");
        assert_eq!(shown(""), "");
    }
}
