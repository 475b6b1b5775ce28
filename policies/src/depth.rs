//! A bound on how deeply one policy may nest, checked before the parser sees it.
//! Not here: the language; this only tells strings and comments from the rest.
//!
//! Cedar walks a condition recursively. Without a bound, a file of a few kilobytes overflows the stack of the thread
//! that loads it, and with it ends the whole program.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::Problem;

/// The deepest nesting of brackets.
const MAX_NESTING: usize = 32;
/// The most operators in one policy, counted by their characters; `a.b == c && d` counts six.
const MAX_OPERATORS: usize = 2000;
/// The engine needs far more stack for `if … then … else` than for an operator.
const WEIGHT_OF_IF: usize = 32;

/// Checks one file.
///
/// # Errors
/// [`Problem::TooComplex`] with the byte offset where a policy exceeds a limit.
pub(crate) fn check(text: &str) -> Result<(), (Problem, usize)> {
    let (mut nesting, mut operators) = (0_usize, 0_usize);
    let mut tokens = text.char_indices().peekable();
    while let Some((offset, token)) = tokens.next() {
        match token {
            '"' => skip_string(&mut tokens),
            '/' if tokens.next_if(|(_, next)| *next == '/').is_some() => {
                while tokens.next_if(|(_, inside)| *inside != '\n').is_some() {}
            }
            '(' | '[' | '{' => nesting += 1,
            ')' | ']' | '}' => nesting = nesting.saturating_sub(1),
            ';' => (nesting, operators) = (0, 0),
            '&' | '|' | '=' | '<' | '>' | ':' => operators += 1,
            '!' | '+' | '-' | '*' | '.' => operators += 2,
            'i' if text.get(offset..).is_some_and(|rest| rest.starts_with("if")) => operators += WEIGHT_OF_IF,
            _ => {}
        }
        if nesting > MAX_NESTING {
            return Err((Problem::TooComplex { what: "levels of brackets", limit: MAX_NESTING }, offset));
        }
        if operators > MAX_OPERATORS {
            return Err((Problem::TooComplex { what: "operators", limit: MAX_OPERATORS }, offset));
        }
    }
    Ok(())
}

/// Skips to behind the closing quote; a backslash takes the next character with it.
fn skip_string(tokens: &mut Peekable<CharIndices<'_>>) {
    while let Some((_, inside)) = tokens.next() {
        match inside {
            '"' => return,
            '\\' => drop(tokens.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_do_not_count() {
        let many = "(&".repeat(5000);
        assert_eq!(check(&format!("a \"{many}\\\"{many}\" // {many}\n b")), Ok(()));
        assert!(check(&many).is_err());
    }

    #[test]
    fn each_policy_is_counted_by_itself() {
        let policy = format!("permit () when {{ {} }};", vec!["a"; 900].join(" && "));
        assert_eq!(check(&policy.repeat(3)), Ok(()));
        assert!(check(&policy.replace(';', "").repeat(3)).is_err());
    }
}
