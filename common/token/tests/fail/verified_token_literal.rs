//! A verified token cannot be put together from parts.

use symbolon_token::{Claims, TokenHash, TokenType, VerifiedToken};

fn forge(claims: Claims, hash: TokenHash, key_thumbprint: symbolon_jws::Thumbprint) -> VerifiedToken {
    VerifiedToken { claims, hash, content: None, key_thumbprint, leeway: std::time::Duration::ZERO, token_type: TokenType::Jwt }
}

fn main() {
    let _ = forge;
}
