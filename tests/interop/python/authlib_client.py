"""The scenario of an OAuth client and of a resource server with authlib: discovery, private_key_jwt, token exchange,
introspection, revocation, and its validator of access tokens (RFC 9068) on our JWKS; then the same with something
altered, which has to be refused.

usage: authlib_client.py < what.json

Prints one JSON object: what was seen, and under "refused" what came of each altered attempt.
"""

import base64
import json
import sys

import httpx
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from authlib.integrations.base_client.errors import OAuthError
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import serialization
from joserfc.jwk import ECKey

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def discover(issuer: str) -> AuthorizationServerMetadata:
    document = httpx.get(get_well_known_url(issuer, external=True), timeout=5).json()
    metadata = AuthorizationServerMetadata(document)
    if metadata["issuer"] != issuer:
        raise ValueError("another issuer")
    return metadata


class Validator(JWTBearerTokenValidator):
    """The library leaves fetching the keys to its user."""

    def __init__(self, metadata: AuthorizationServerMetadata, resource: str):
        super().__init__(issuer=metadata["issuer"], resource_server=resource)
        self.metadata = metadata

    def get_jwks(self):
        return httpx.get(self.metadata["jwks_uri"], timeout=5).json()


def validate(metadata: AuthorizationServerMetadata, token: str, resource: str, scope: str) -> dict:
    validator = Validator(metadata, resource)
    claims = validator.authenticate_token(token)
    validator.validate_token(claims, [scope], None)
    return claims


def session(what: dict, metadata: AuthorizationServerMetadata, key: str) -> OAuth2Client:
    # The assertion is for the issuer, which is what this method calls the token endpoint.
    method = PrivateKeyJWT(metadata["issuer"], headers={"kid": what["kid"]}, alg="ES256")
    client = OAuth2Client(
        what["client_id"],
        ECKey.import_key(key),
        token_endpoint_auth_method="private_key_jwt",
        revocation_endpoint_auth_method="private_key_jwt",
    )
    client.register_client_auth_method(method)
    return client


def altered(token: str) -> str:
    header, payload, signature = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[40] ^= 1
    return ".".join([header, payload, base64.urlsafe_b64encode(raw).rstrip(b"=").decode()])


def refusal(attempt) -> str:
    try:
        attempt()
    except (OAuthError, InvalidTokenError) as error:
        return error.error
    return "nothing was refused"


def main() -> None:
    what = json.load(sys.stdin)
    metadata = discover(what["issuer"])
    client = session(what, metadata, what["client_key"])

    def exchange(subject: str) -> dict:
        return client.fetch_token(
            metadata["token_endpoint"],
            grant_type=EXCHANGE,
            subject_token=subject,
            subject_token_type=ACCESS_TOKEN,
            resource=what["target"],
        )

    def introspect(token: str) -> dict:
        return client.introspect_token(metadata["introspection_endpoint"], token=token).json()

    def buy(which: OAuth2Client) -> dict:
        return which.fetch_token(
            metadata["token_endpoint"],
            grant_type="client_credentials",
            resource=what["resource"],
            scope=what["scope"],
        )

    subject = buy(client)
    claims = validate(metadata, subject["access_token"], what["resource"], what["scope"])
    passed_on = exchange(what["subject"])
    active = introspect(passed_on["access_token"])
    revoked = client.revoke_token(metadata["revocation_endpoint"], token=passed_on["access_token"])
    assert revoked.status_code == 200, revoked.text
    inactive = introspect(passed_on["access_token"])

    own = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    stranger = session(what, metadata, own.decode())
    token = subject["access_token"]
    print(
        json.dumps(
            {
                "sub": claims["sub"],
                "types": [subject["token_type"], passed_on["issued_token_type"]],
                "introspected": {name: active[name] for name in ("active", "sub", "act")},
                "after_revocation": inactive,
                "refused": {
                    "altered_token": refusal(lambda: validate(metadata, altered(token), what["resource"], what["scope"])),
                    "another_audience": refusal(lambda: validate(metadata, token, what["target"], what["scope"])),
                    "another_client_key": refusal(lambda: buy(stranger)),
                    "altered_subject": refusal(lambda: exchange(altered(what["subject"]))),
                    "altered_introspected": introspect(altered(what["subject"]))["active"],
                },
            }
        )
    )


if __name__ == "__main__":
    main()
