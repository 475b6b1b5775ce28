//! What was verified cannot be changed afterwards.

fn widen(token: &mut symbolon_token::VerifiedToken) {
    token.claims().scopes = symbolon_identity::Scopes::default();
}

fn main() {
    let _ = widen;
}
