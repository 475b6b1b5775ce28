//! A signed token has no text form that a log line could catch by accident.

fn show(token: &symbolon_token::SignedToken) -> String {
    format!("{token}")
}

fn main() {
    let _ = show;
}
