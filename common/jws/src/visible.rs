//! Texts of strangers, made safe to show: what could change the look of a terminal or of a line is escaped.
//! Not here: escaping for any format; what comes out is for people.

/// The text with control characters, line ends included, and characters that are invisible or change the direction of
/// writing escaped as `\u{…}`.
#[must_use]
pub fn visible(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same for a text of several lines of our own making.
pub(crate) fn visible_lines(text: &str) -> String {
    escaped(text, |c| c == '\n')
}

/// Whether a terminal shows something else for it than a character in its place.
#[must_use]
pub fn is_unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if is_unsafe_to_show(c) && !keep(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_the_rest_stays() {
        assert_eq!(visible("grün, 日本, \\u"), "grün, 日本, \\u");
        assert_eq!(visible("a\u{1b}[2J\nb\u{9b}"), "a\\u{1b}[2J\\u{a}b\\u{9b}");
        assert_eq!(visible("\u{202e}\u{2066}\u{61c}\u{e0041}"), "\\u{202e}\\u{2066}\\u{61c}\\u{e0041}");
        assert_eq!(visible_lines("a\nb\r"), "a\nb\\u{d}");
    }
}
