"""Verifies tokens from standard input, one a line, with joserfc and keys from the broker's JWKS.

usage: verify_joserfc.py JWKS_URL ISSUER AUDIENCE[,AUDIENCE...] < tokens

Prints one JSON object a line: {"verified": true, "sub": ..., "alg": ..., "thumbprint": ...} with the thumbprint of the
key (RFC 7638) as this library computes it, or {"verified": false, "error": ...}.
"""

import json
import sys

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from remote_keys import RemoteKeys

ALGORITHMS = ["ES256", "EdDSA", "RS256", "PS256"]


def parse(document: dict) -> dict:
    return {key.kid: key for key in KeySet.import_key_set(document)}


def verify(keys: RemoteKeys, issuer: str, audiences: list[str], text: str) -> dict:
    def find(token):
        key = keys.find(token.headers().get("kid"))
        if key is None:
            raise InvalidKeyIdError("unknown")
        return key

    try:
        token = jwt.decode(text, find, algorithms=ALGORITHMS)
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "values": audiences},
            **{name: {"essential": True} for name in ("exp", "iat", "sub", "jti")},
        ).validate(token.claims)
    except JoseError as error:
        return {"verified": False, "error": error.error}
    thumbprint = keys.find(token.header["kid"]).thumbprint()
    return {"verified": True, "sub": token.claims["sub"], "alg": token.header["alg"], "thumbprint": thumbprint}


if __name__ == "__main__":
    jwks_url, issuer, audiences = sys.argv[1:4]
    remote = RemoteKeys(jwks_url, parse)
    for line in sys.stdin:
        print(json.dumps(verify(remote, issuer, audiences.split(","), line.strip())), flush=True)
