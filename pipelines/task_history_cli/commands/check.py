"""``task-history check SYSTEM``: is the key right, and what does the API hold; 3 requests where nothing is refused.

With ``--destination`` the warehouse is looked at first: is it there, and could a sync write to it.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from task_history.client.client import Client
from task_history.client.request_forms import FallbackSender
from task_history.client.urls import without_login
from task_history.core.errors import AuthenticationError, ConfigurationError, Rejected, TaskHistoryError
from task_history.core.models import Page, Row, Window, floor_ms, iso_ms
from task_history.extract.counted_window import Pages
from task_history.extract.integrations import read_map, workflow_map_match
from task_history.runs.estimate_formulas import list_requests
from task_history.settings_reader import Settings, load
from task_history.systems.protocol import System
from task_history.warehouse.column_rules import column_rules
from task_history.warehouse.common_tables import listings
from task_history.warehouse.forgotten_people import person_in, person_text
from task_history.warehouse.user_map import UserMap, is_query, map_source, user_map
from task_history.warehouse.user_map_query import Users

from ..console import arguments, output, times
from ..console.failures import described
from ..runtime.interactive_client import CHECK_DEADLINE_S, probing
from ..runtime.reader import probed, queried
from ..runtime.target import find_target
from . import integration_advice, integration_search, status_integrations
from .check_columns import column_entries, column_lines, count_stored

_MAX_ANSWERS = 3
"""Requests where none is refused."""
_MAX_LISTS = 10
"""Lists that may be refused before no other is asked for, and lists that settings name."""
_MAX_CHECK_REQUESTS = 40
"""Requests of a check whose lists are refused in every form."""
_REFUSED_STATUSES = (401, 403)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    arguments.add_warehouse(parser)
    parser.add_argument(
        "--find-integrations",
        action="store_true",
        help=f"ask which common integrations this account uses; at most {integration_search.MAX_REQUESTS} requests more",
    )


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance)
    result = check_all(settings, args.destination)
    if args.find_integrations:
        # What it advises is being done.
        asked = integration_advice.advice(settings)
        result["warnings"] = [warning for warning in result["warnings"] if warning not in asked]
        found, stopped = integration_search.search(settings)
        result["integrations_found"] = found
        show = [*result["warehouse"], *lines(result), *integration_search.lines(found)]
        output.show(result, show, is_json=args.json)
        if stopped is not None:
            code, text = described(stopped)
            output.tell(f"The search for integrations stopped: {text}", level=logging.ERROR, exit_code=code)
            return code
        return 0
    output.show(result, [*result["warehouse"], *lines(result)], is_json=args.json)
    return 0


def check_all(settings: Settings, destination: str | None) -> dict[str, Any]:
    """Checks the files that settings name, the warehouse where it is named, and the API.

    Raises:
        TaskHistoryError: one of them cannot be used as it is configured.
    """
    if settings.system.integrations is not None:
        read_map(settings.system.integrations.map_file(settings.values))
    users = _users(settings, destination)
    column_rules(settings)
    captured = []
    target = None
    if destination is not None:
        output.keep_secret(settings.secrets)
        target = find_target(destination, settings.pipeline_name, dataset=settings.dataset_name)
        captured = probed(target, settings)
    result = {**check(settings, users), "warehouse": captured}
    if target is not None:
        count_stored(result["columns"], target, settings)
    return result


def _users(settings: Settings, destination: str | None) -> UserMap:
    """What ``user_map`` says; a query is run where the warehouse is there already."""
    if not is_query(map_source(settings)):
        return user_map(settings)
    output.keep_secret(settings.secrets)
    target = find_target(destination, settings.pipeline_name, dataset=settings.dataset_name)
    with queried(target, settings) as reader:
        return user_map(settings, None if reader is None else Users(reader.dialect, reader.query))


def check(settings: Settings, users: UserMap = UserMap()) -> dict[str, Any]:  # noqa: B008 - frozen
    """Asks for the lists and for the details of the newest execution, as far as three requests go.

    ``users`` is what ``user_map`` says. Requests that are refused are not counted, nor those for further lists that
    settings name.

    Raises:
        TaskHistoryError: the API cannot be used as it is configured.
    """
    system, values = settings.system, settings.values
    output.keep_secret(settings.secrets)
    with probing(settings, most=_MAX_CHECK_REQUESTS) as (client, _):
        probe = _Probe(settings, client)
        found = probe.counted() if system.listing.is_countable else probe.lists()
        probe.details()
        return {
            "command": "check",
            "system": system.name,
            "base_url": without_login(settings.base_url),
            **found,
            "user_map": users.match(probe.users) if probe.users else None,
            "details": probe.details_outcome,
            "refused": probe.refused,
            "retention_days": values.retention_days or None,
            "clock_offset_s": client.vendor_clock.offset_s,
            "requests": client.requests_sent,
            "rate_limit": {"requests": values.rate_limit_requests, "period_s": values.rate_limit_period_s},
            "columns": column_entries(settings, probe.fields),
            "warnings": [*system.access.warnings(values), *integration_advice.advice(settings)],
        }


class _Probe:
    """The requests of one check, and what they showed."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings = settings
        self._client = client
        self._sender = FallbackSender(client)
        self._left = _MAX_ANSWERS
        """How many more answers are read."""
        self._newest: tuple[Row, str] | None = None
        """The newest execution that was shown, and its partition."""
        self.fields: set[str] = set()
        """The keys of the executions that were shown."""
        self.users: set[str] = set()
        """The users of the executions that were shown, as the vendor names them."""
        self.refused: list[dict[str, Any]] = []
        """What the vendor refuses while it gives other lists: ``list``, ``status`` and ``reason``."""
        self.details_outcome: str | None = None
        """``readable`` or ``refused``; None where none were asked for."""

    def counted(self) -> dict[str, Any]:
        """Asks for the number of executions, the oldest and the newest."""
        settings = self._settings
        pages = Pages(self._client, settings.system, settings.values)
        now = datetime.now(UTC)
        back = settings.retention or timedelta(days=365)
        window = Window(floor_ms(now - back), now + timedelta(days=400))
        newest: Page | None = None
        try:
            everything = pages.one(window)
            self._left -= 1
            if everything.total is not None and everything.total > len(everything.rows):
                newest = pages.one(window, everything.total - 1)
                self._left -= 1
        except Rejected as error:
            raise _refused(settings, "", error) from None
        rows = [*everything.rows, *(newest.rows if newest else ())]
        self._note_users(settings.system, rows)
        starts = self._starts(rows, "")
        return {
            "executions": everything.total,
            "list_requests": None
            if everything.total is None
            else list_requests(everything.total, self._settings.system.listing.page_size),
            "workflow_map": self._workflow_map(rows),
            "looked_at": len(rows),
            "oldest_started_at": starts[0] if starts else None,
            "newest_started_at": starts[-1] if starts and (newest or everything.total is not None) else None,
            "looked_back_days": back / timedelta(days=1),
        }

    def lists(self) -> dict[str, Any]:
        """Asks for the workflows and for the first page of the lists. Raises where every list is refused."""
        settings, system, values = self._settings, self._settings.system, self._settings.values
        names = system.listing.partitions(values, ())
        workflows = None
        # Lists that settings name are all looked at, as far as a check goes.
        self._left = max(self._left, min(len(names), _MAX_LISTS))
        if system.workflows is not None and len(names) <= 1:
            request = system.workflows.request(values, names[0] if names else "", 0)
            try:
                workflows = system.workflows.read(self._sender.send(request).data).rows
            except Rejected as error:
                raise _refused(settings, names[0] if names else "", error, what="workflows") from None
            self._left -= 1
            names = system.listing.partitions(values, workflows)
        shown: Page | None = None
        first: tuple[str, Rejected] | None = None
        newest: list[datetime] = []
        for listing in listings(system):
            for name in names:
                # One is kept for the details.
                is_enough = workflows is not None and bool(newest)
                if is_enough or not self._left or len(self.refused) >= _MAX_LISTS:
                    break
                filters = {system.listing.partitioned_by: name} if system.listing.partitioned_by else {}
                try:
                    page = Pages(self._sender, listing, values, filters=filters).one(None)
                except Rejected as error:
                    first = first or (name, error)
                    self._refuse(name or listing.executions.name, error)
                    continue
                self._left -= 1
                shown = shown or page
                self._note_users(listing, page.rows)
                newest += self._starts(page.rows, name) if listing is system else []
        if first and shown is None:
            name, refusal = first
            raise _refused(settings, name if system.listing.partitioned_by else "", refusal)
        return {
            "executions": shown.total if shown and len(names) == 1 else None,
            "workflows": None if workflows is None else len(workflows),
            "lists": len(names),
            "oldest_started_at": None,
            "newest_started_at": max(newest, default=None),
        }

    def _workflow_map(self, rows: Sequence[Row]) -> dict[str, Any] | None:
        """How many workflows of the mapping file ran in these executions; None without a file."""
        system = self._settings.system
        if system.integrations is None:
            return None
        field = next(
            column.source for column in system.executions.columns if column.name == system.workflow_column
        )
        ran = {str(row[field]) for row in rows if field is not None and row.get(field)}
        return workflow_map_match(read_map(system.integrations.map_file(self._settings.values)), ran)

    def details(self) -> None:
        """Asks for the details of the newest execution, where a sync would."""
        system, values = self._settings.system, self._settings.values
        if self._newest is None or values.steps == "none" or not self._left:
            return
        row, partition = self._newest
        try:
            request = system.details.request(values, system.identity(row), partition)
            request = replace(request, fault_deadline_s=CHECK_DEADLINE_S, is_partial=True)
            system.details.read(values, request, self._sender.send(request).data)
        except Rejected as error:
            if not system.details.is_gone(error.status, str(error)):
                self.details_outcome = "refused"
                self._refuse("details", error)
        else:
            self.details_outcome = "readable"

    def _refuse(self, name: str, error: Rejected) -> None:
        self.refused.append({"list": name, "status": error.status, "reason": str(error)})

    def _note_users(self, listing: System, rows: Sequence[Row]) -> None:
        people = (person_in(listing, row) for row in rows)
        self.users.update(person_text(person) for person in people if person)

    def _starts(self, rows: Sequence[Row], partition: str) -> list[datetime]:
        """The instants at which the executions began, in order; notes the newest execution."""
        system = self._settings.system
        self.fields.update(*rows)
        started = [(start, row) for row in rows if (start := system.started_at(row)) is not None]
        started.sort(key=lambda pair: pair[0])
        if started:
            self._newest = started[-1][1], partition
        return [start for start, _ in started]


def _refused(settings: Settings, name: str, error: Rejected, *, what: str = "executions") -> TaskHistoryError:
    """The error for a list that is refused as a whole."""
    base_url, hint = without_login(settings.base_url), settings.system.access.hint(error.status)
    if error.status not in _REFUSED_STATUSES:
        return ConfigurationError(f"{error} {hint}".rstrip()) if 400 <= error.status < 500 else error
    of = f" of {settings.system.listing.partitioned_by} {name}" if name else ""
    return AuthenticationError(
        f"The credentials are accepted by {base_url}, and the list of {what}{of} is not given: {error} {hint}",
        status=error.status,
    )


def lines(result: dict[str, Any]) -> list[str]:
    """The result as text."""
    count = "an unknown number of" if result["executions"] is None else f"{result['executions']:,}"
    found = [f"The key is accepted by {result['base_url']}."]
    if "lists" in result:
        return [*found, *_lists_lines(result), *_notes(result)]
    if result["executions"] == 0:
        days = result["looked_back_days"]
        found.append(f"The API holds no executions of the last {days:g} days for this project.")
    else:
        found.append(f"The API holds {count} executions.")
    for name, label in (("oldest_started_at", "Oldest"), ("newest_started_at", "Newest")):
        if result[name]:
            found.append(f"{label}: {iso_ms(result[name])}")
    if result["executions"]:
        limit, pages = result["rate_limit"], result["list_requests"]
        pace = ""
        if limit["requests"]:
            pace = f", about {times.duration(max(1, pages * limit['period_s'] / limit['requests']))} at the budget"
        found.append(f"Listing all of them takes {pages:,} requests{pace}.")
    if match := result["workflow_map"]:
        found.append(
            f"{match['matched']:,} of the {match['workflows']:,} workflows in workflow_map are among those of the "
            f"{result['looked_at']:,} executions looked at."
        )
    found += _users_lines(result)
    offset = result["clock_offset_s"]
    if offset is not None and abs(offset) > 300:
        found.append(
            f"Note: the vendor's clock differs from this machine's by {times.duration(abs(offset))}."
        )
    return found + _notes(result)


def _lists_lines(result: dict[str, Any]) -> list[str]:
    """What the lists show, for a person."""
    found = []
    if result["workflows"] is not None:
        found.append(f"The API shows {result['workflows']:,} workflows.")
    if result["newest_started_at"]:
        shown = iso_ms(result["newest_started_at"])
        found.append(f"The newest of the executions on the first page began at {shown}.")
    found += _users_lines(result)
    refused = [entry for entry in result["refused"] if entry["list"] != "details"]
    if refused:
        names = ", ".join(f"{entry['list']} (HTTP {entry['status']})" for entry in refused)
        found.append(
            f"{len(refused)} of {result['lists']} lists are refused: {names}. A sync loads the others. "
            f"{refused[0]['reason']}"
        )
    return found


def _users_lines(result: dict[str, Any]) -> list[str]:
    match = result["user_map"]
    return [f"Of the executions looked at, {status_integrations.described_users(match)}."] if match else []


def _notes(result: dict[str, Any]) -> list[str]:
    """What the details show, and warnings, for a person."""
    found = []
    if result["details"] == "readable":
        found.append("The details of the newest execution can be read.")
    elif result["details"] == "refused":
        found.append(
            f"The details of the newest execution are refused: a sync loads executions without their steps. "
            f"{result['refused'][-1]['reason']}"
        )
    return [*found, *column_lines(result["columns"]), *(f"Note: {text}" for text in result["warnings"])]
