"""Verifies a token from standard input with PyJWT, with keys from the broker's JWKS.

usage: verify.py JWKS_URL ISSUER AUDIENCE < token

Prints one JSON object: {"verified": true, "sub": ...} or {"verified": false, "error": ...}.
"""

import json
import sys

import jwt


def verify(jwks_url: str, issuer: str, audience: str, token: str) -> dict:
    keys = jwt.PyJWKClient(jwks_url, timeout=5)
    try:
        key = keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            issuer=issuer,
            audience=audience,
            options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]},
        )
    except jwt.PyJWTError as error:
        return {"verified": False, "error": type(error).__name__}
    return {"verified": True, "sub": claims["sub"]}


if __name__ == "__main__":
    print(json.dumps(verify(*sys.argv[1:4], sys.stdin.read().strip())))
