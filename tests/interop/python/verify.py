"""Verifies tokens from standard input, one a line, with PyJWT and keys from the broker's JWKS.

usage: verify.py JWKS_URL ISSUER AUDIENCE[,AUDIENCE...] < tokens

One client sees all of them, as a service would. Prints one JSON object a line: {"verified": true, "sub": ..., "alg": ...}
or {"verified": false, "error": ...}.
"""

import json
import sys

import jwt

ALGORITHMS = ["ES256", "EdDSA", "RS256", "PS256"]


def verify(keys: jwt.PyJWKClient, issuer: str, audiences: list[str], token: str) -> dict:
    try:
        key = keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            issuer=issuer,
            audience=audiences,
            options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]},
        )
    except jwt.PyJWTError as error:
        return {"verified": False, "error": type(error).__name__}
    return {"verified": True, "sub": claims["sub"], "alg": jwt.get_unverified_header(token)["alg"]}


if __name__ == "__main__":
    jwks_url, issuer, audiences = sys.argv[1:4]
    # A key that is not known is looked for at most once in this time; the tests' keys are published for longer.
    client = jwt.PyJWKClient(jwks_url, timeout=5, cooldown_duration=1)
    for line in sys.stdin:
        print(json.dumps(verify(client, issuer, audiences.split(","), line.strip())), flush=True)
