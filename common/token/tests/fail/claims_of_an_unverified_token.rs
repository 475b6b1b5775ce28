//! The claims of a token cannot be read before it is verified.

fn subject(token: &symbolon_token::UnverifiedToken) -> &str {
    token.claims().subject.as_str()
}

fn main() {
    let _ = subject;
}
