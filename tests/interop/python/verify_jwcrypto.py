"""Verifies tokens from standard input, one a line, with jwcrypto and keys from the broker's JWKS.

usage: verify_jwcrypto.py JWKS_URL ISSUER AUDIENCE[,AUDIENCE...] < tokens

Prints one JSON object a line: {"verified": true, "sub": ..., "alg": ..., "thumbprint": ...} with the thumbprint of the
key (RFC 7638) as this library computes it, or {"verified": false, "error": ...}.
"""

import json
import sys

from jwcrypto.common import JWException
from jwcrypto.jwk import JWKSet
from jwcrypto.jws import JWS
from jwcrypto.jwt import JWT, JWTMissingKey

from remote_keys import RemoteKeys

ALGORITHMS = ["ES256", "EdDSA", "RS256", "PS256"]


def parse(document: dict) -> dict:
    return {key["kid"]: key for key in JWKSet.from_json(json.dumps(document))}


def verify(keys: RemoteKeys, issuer: str, audiences: list[str], text: str) -> dict:
    try:
        parsed = JWS()
        parsed.deserialize(text)
        key = keys.find(parsed.jose_header.get("kid"))
        if key is None:
            raise JWTMissingKey("unknown")
        # A claim that is none has to be there; the others have to be so.
        wanted = {"iss": issuer, "aud": audiences, "exp": None, "iat": None, "sub": None, "jti": None}
        token = JWT(jwt=text, key=key, algs=ALGORITHMS, check_claims=wanted)
    except (JWException, ValueError) as error:
        return {"verified": False, "error": type(error).__name__}
    claims, header = json.loads(token.claims), json.loads(token.header)
    return {"verified": True, "sub": claims["sub"], "alg": header["alg"], "thumbprint": key.thumbprint()}


if __name__ == "__main__":
    jwks_url, issuer, audiences = sys.argv[1:4]
    remote = RemoteKeys(jwks_url, parse)
    for line in sys.stdin:
        print(json.dumps(verify(remote, issuer, audiences.split(","), line.strip())), flush=True)
