//! Nor can it be constructed outside the crate: it is only ever the result of a verification.

use symbolon_token::{Claims, TokenHash, TokenType, VerifiedToken};

fn construct(claims: Claims, hash: TokenHash, key: symbolon_jws::Thumbprint) -> VerifiedToken {
    VerifiedToken::new(claims, (hash, None), key, (TokenType::Jwt, std::time::Duration::ZERO))
}

fn main() {
    let _ = construct;
}
