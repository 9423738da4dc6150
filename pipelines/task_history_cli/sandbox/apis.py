"""Registry of the vendors' sandbox APIs, and their common interface."""

from __future__ import annotations

import argparse
from typing import Any, Protocol

from .b3os_api import B3os
from .paragon_api import Paragon
from .paragon_replays import Replays
from .paragon_world import World
from .sailpoint_api import SailPoint
from .server import HttpRequest, HttpResponse
from .state import State
from .twinit_api import Twinit


class Api(Protocol):
    """One vendor's API over a world. ``evil`` is the origin of the second listener."""

    name: str
    switches: dict[str, Any]
    """What its documentation leaves open, with what it is when nobody says."""
    empty_page: bytes
    world: World
    replays: Replays
    origin: str
    evil: str

    @property
    def told(self) -> dict[str, str]:
        """What somebody has to set who wants to be let in."""
        ...

    def kind(self, request: HttpRequest) -> str:
        """What the request is for."""
        ...

    def once(self, request: HttpRequest, kind: str) -> str | None:
        """What is asked for, if nobody has a reason to ask for it twice."""
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


APIS: dict[str, Any] = {api.name: api for api in (Paragon, SailPoint, B3os, Twinit)}


def made(name: str, world: World, state: State, args: argparse.Namespace) -> Api:
    """The API of that name."""
    if name == Paragon.name:
        return Paragon(world, state, project_id=args.project_id, api_key=args.api_key)
    api: Api = APIS[name](world, state)
    return api
