"""Inputs and outputs of steps, with secrets of every kind in them: nothing of those may ever be stored."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_ERRORS = (
    "no auth mechanism defined",
    "request failed with status 429",
    "request failed with status 503",
    "field Email is required",
    "record not found",
)
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Payload:
    """What the API gives, and the secrets in it."""

    body: dict[str, Any]
    secrets: list[str]


def payload(seed: int, index: int, step: int, *, is_failed: bool) -> Payload:
    """The payload of that step of that execution."""
    rng = random.Random(f"{seed}/{index}/{step}/payload")
    secrets: list[str] = []

    def word(length: int) -> str:
        made = "".join(rng.choice(_LETTERS) for _ in range(length))
        secrets.append(made)
        return made

    kinds: tuple[Callable[[], dict[str, Any]], ...] = (
        lambda: {"headers": {"Authorization": f"Bearer {word(40)}", "Accept": "application/json"}},
        lambda: {"headers": {"Cookie": f"session={word(24)}; csrf={word(24)}", "X-Api-Key": word(32)}},
        lambda: {"auth": {"username": "bot", "password": word(16)}},
        lambda: {"config": json.dumps({"clientId": "app", "client_secret": word(36)})},
        lambda: {"token": _jwt(rng, secrets)},
        lambda: {"note": "use " + _shaped(rng, secrets) + " for this"},
        lambda: {"url": f"https://api.example.com/v1/items?access_token={word(30)}&page=2"},
        lambda: {"url": f"https://bot:{word(20)}@files.example.com/x"},
        lambda: {
            "variables": [{"name": "DB_PASSWORD", "value": word(18)}, {"name": "REGION", "value": "eu"}]
        },
        lambda: {"body": f"grant_type=client_credentials&client_secret={word(28)}"},
    )
    inputs: dict[str, Any] = {"method": "GET", "items": [index % 7, step, 12345678901234567890]}
    for kind in rng.sample(kinds, 3):
        inputs |= kind()
    output: Any
    if is_failed:
        reason = _ERRORS[(index // 3 + step) % len(_ERRORS)]
        output = f"Error: {reason}; sent with Authorization: Bearer {word(40)}"
    else:
        output = rng.choice(
            (
                {
                    "response": {
                        "statusCode": 200,
                        "headers": {"set-cookie": [f"sid={word(26)}"]},
                        "body": {"n": index},
                    }
                },
                ["a", {"b": None}, 1.5],
                "done",
                42,
                True,
                None,
            )
        )
    is_large = rng.random() < 0.02
    body = {
        "isLargeInput": False,
        "isLargeOutput": is_large,
        "input": inputs,
        "output": None if is_large else output,
    }
    return Payload(body, [secret for secret in secrets if secret in json.dumps(body)])


def _jwt(rng: random.Random, secrets: list[str]) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    signature = "".join(rng.choice(_LETTERS) for _ in range(43))
    secrets.append(signature)
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': str(rng.random())})}.{signature}"


def _shaped(rng: random.Random, secrets: list[str]) -> str:
    """A key that is known by its shape; put together here so that no scanner takes this file for a leak."""
    upper = string.ascii_uppercase + string.digits
    made = rng.choice(
        (
            "AK" + "IA" + "".join(rng.choice(upper) for _ in range(16)),
            "sk_" + "live_" + "".join(rng.choice(_LETTERS) for _ in range(24)),
            "gh" + "p_" + "".join(rng.choice(_LETTERS) for _ in range(36)),
            "xo"
            "xb-"
            + "".join(rng.choice(string.digits) for _ in range(12))
            + "-"
            + "".join(rng.choice(_LETTERS) for _ in range(24)),
        )
    )
    secrets.append(made)
    return made
