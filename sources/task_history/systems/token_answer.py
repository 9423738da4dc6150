"""The answer to a login that gives an OAuth token: https://www.rfc-editor.org/rfc/rfc6749#section-5.1"""

from __future__ import annotations

from ..core.errors import UnexpectedResponse
from ..core.models import Json
from .protocol import Token


def read_token(data: Json) -> Token:
    """The token in the answer. Raises UnexpectedResponse."""
    token = data.get("access_token") if isinstance(data, dict) else None
    if not isinstance(token, str) or not token:
        raise UnexpectedResponse("token: expected an object with the key 'access_token'.")
    life = data.get("expires_in")
    if isinstance(life, bool) or not isinstance(life, int | float) or life <= 0:
        life = None
    return Token(token, life)
