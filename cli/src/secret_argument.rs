//! Tokens that were given as arguments by mistake: where other users can read them, they are at least not repeated.
//! Not here: reading tokens, which come from standard input or a file.

/// So long a word is rather a secret than the name of a file beside us.
const LONG: usize = 64;

/// Whether an argument looks like a token: a JWT, with or without its scheme, or a long word that is no path.
pub(crate) fn is_a_token(argument: &str) -> bool {
    let word = argument.rsplit(['=', ' ']).next().unwrap_or(argument);
    // A JSON object in base64url begins like this.
    (word.starts_with("eyJ") && word.len() > "eyJ".len() && !word.contains('/'))
        || (word.len() >= LONG && !word.contains('/'))
}

/// The message about a wrong command line without the tokens in it; none if there were no tokens.
pub(crate) fn without_tokens(message: &str, arguments: impl Iterator<Item = String>) -> Option<String> {
    let tokens: Vec<String> = arguments.filter(|argument| is_a_token(argument)).collect();
    let redacted = || tokens.iter().fold(message.to_owned(), |text, token| text.replace(token, "[redacted]"));
    (!tokens.is_empty()).then(redacted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_from_names_of_files() {
        for token in
            ["eyJhbGciOiJFUzI1NiJ9.e30.AA", "Bearer eyJhbGciOiJFUzI1NiJ9", "--token=eyJh", &"x".repeat(64)]
        {
            assert!(is_a_token(token), "{token}");
        }
        for name in [
            "-",
            "token.jwt",
            "/var/run/secrets/tokens/symbolon",
            "--upstream",
            "eyJ",
            &format!("/{}", "x".repeat(99)),
        ] {
            assert!(!is_a_token(name), "{name}");
        }
    }

    #[test]
    fn a_message_is_repeated_without_them() {
        let message = "error: unexpected argument 'eyJhbGci.e30.AA' found";
        let arguments = || ["symbolon", "eyJhbGci.e30.AA"].map(str::to_owned).into_iter();
        let said = without_tokens(message, arguments()).unwrap();
        assert_eq!(said, "error: unexpected argument '[redacted]' found");
        assert_eq!(without_tokens(message, arguments().take(1)), None);
    }
}
