"""The vendors' sandbox APIs, found by the names of their modules (``paragon_api`` is Paragon's), and their interface."""

from __future__ import annotations

import argparse
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from .paragon_replays import Replays
from .paragon_world import World
from .server import HttpRequest, HttpResponse
from .state import State


class Api(Protocol):
    """One vendor's API over a world. ``evil`` is the origin of the second listener."""

    name: str
    options: tuple[str, ...]
    """Names of options of the command ``sandbox`` that are given to its class."""
    switches: dict[str, Any]
    """What its documentation leaves open, by name, with the default."""
    empty_page: bytes
    world: World
    replays: Replays
    origin: str
    evil: str

    @property
    def client_settings(self) -> dict[str, str]:
        """The settings with which the connector is let in, beside ``base_url``."""
        ...

    def kind(self, request: HttpRequest) -> str:
        """What the request is for."""
        ...

    def once(self, request: HttpRequest, kind: str) -> str | None:
        """The key of what is requested, where one request for it is enough; None where it may be requested again."""
        ...

    def answer(self, request: HttpRequest, kind: str) -> HttpResponse:
        """The answer of an API that works."""
        ...

    def refused(self, status: int, message: str) -> HttpResponse:
        """An error as the API gives it."""
        ...

    def truth(self, *, with_steps: bool = False) -> list[bytes]:
        """What a perfect copy holds now, one JSON text each."""
        ...

    def hold_back(self, number: int) -> None:
        """Hides that many executions until paging lets them go."""
        ...


APIS: dict[str, Any] = {
    name.removesuffix("_api"): import_module(f".{name}", __package__).API
    for _, name, _ in pkgutil.iter_modules([str(Path(__file__).parent)])
    if name.endswith("_api")
}
"""The class of each system's API, which its module ``<system>_api`` states as ``API``."""


def create_api(name: str, world: World, state: State, args: argparse.Namespace) -> Api:
    """The API of that system; ``args`` are the arguments of the command ``sandbox``."""
    options = {option: getattr(args, option) for option in APIS[name].options}
    api: Api = APIS[name](world, state, **options)
    return api
