//! Nor can they be reached through a field.

fn members(token: symbolon_token::UnverifiedToken) {
    let _ = token.members;
    let _ = token.jws;
}

fn main() {
    let _ = members;
}
