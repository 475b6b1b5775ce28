"""The scenario of an OAuth client with requests-oauthlib: client credentials, a call with the token, and how the bodies of
refusals are read; these are for something altered.

usage: requests_oauthlib_client.py < what.json

Prints one JSON object: what was seen, and under "refused" what came of each altered attempt.
"""

import json
import os
import sys

# The library's own switch for plain HTTP, which the test uses on loopback.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def altered(token: str) -> str:
    header, payload, signature = token.split(".")
    # Not the last letter, some of whose bits mean nothing.
    letter = "A" if signature[40] != "A" else "B"
    return f"{header}.{payload}.{signature[:40]}{letter}{signature[41:]}"


def main() -> None:
    what = json.load(sys.stdin)
    document = requests.get(f"{what['issuer']}/.well-known/oauth-authorization-server", timeout=5).json()

    def buy(assertion: str, resource: str) -> OAuth2Session:
        session = OAuth2Session(client=BackendApplicationClient(client_id=what["client_id"], scope=[what["scope"]]))
        session.fetch_token(
            document["token_endpoint"],
            include_client_id=True,
            client_assertion_type=JWT_BEARER,
            client_assertion=assertion,
            resource=resource,
            timeout=5,
        )
        return session

    def refusal(assertion: str, resource: str) -> list:
        try:
            buy(assertion, resource)
        except OAuth2Error as error:
            return [type(error).__name__, error.error, error.description.split(":")[0]]
        return ["nothing was refused"]

    good, foreign, another = what["assertions"]
    session = buy(good, what["resource"])
    answer = session.get(what["api"], timeout=5)
    token = dict(session.token)
    session.token = {**token, "access_token": altered(token["access_token"])}
    print(
        json.dumps(
            {
                "type": token["token_type"],
                "scope": token["scope"],
                "status": answer.status_code,
                "echoed": answer.json(),
                "refused": {
                    "another_key": refusal(foreign, what["resource"]),
                    "an_assertion_again": refusal(good, what["resource"]),
                    "another_target": refusal(another, "https://unknown.test"),
                    "altered_at_the_api": session.get(what["api"], timeout=5).status_code,
                },
            }
        )
    )


if __name__ == "__main__":
    main()
