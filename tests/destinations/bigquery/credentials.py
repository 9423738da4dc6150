"""A service account that opens nothing, whose tokens come from loopback."""

from __future__ import annotations

import json
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@cache
def _private_key() -> str:
    return (
        # Short, for it opens nothing: each client of each command reads it, in a seventh of the time of 2,048 bits.
        rsa.generate_private_key(public_exponent=65537, key_size=1024)
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )


def service_account(project: str, token_uri: str) -> str:
    """A key file as Google gives it (https://cloud.google.com/iam/docs/keys-create-delete); the key is new each time."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": project,
            "private_key_id": "0" * 40,
            "private_key": _private_key(),
            "client_email": f"tests@{project}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": token_uri,
        }
    )
