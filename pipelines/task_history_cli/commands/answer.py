"""``task-history answer SYSTEM RUN USER_INPUT_ID --value field=value``: answers a run that waits for a person.

Shows what it would send until ``--yes``; then it looks whether the run waits for that input, and sends it once.
"""

from __future__ import annotations

import argparse
from typing import Any

import orjson

from task_history.client.client import Client
from task_history.client.urls import without_login
from task_history.core.errors import Rejected, UnusableId, UsageError
from task_history.core.models import Request
from task_history.settings_reader import Settings, load
from task_history.systems.checked_ids import check_id

from ..console import arguments, output
from ..runtime.interactive_client import probing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    parser.add_argument("run_id", metavar="RUN", help="the run that waits")
    parser.add_argument("input_id", metavar="USER_INPUT_ID", help="what it waits for")
    parser.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="one field of the answer; may be repeated",
    )
    parser.add_argument("--part", metavar="NAME", help="the list that shows the run, such as a namespace")
    parser.add_argument("--yes", action="store_true", help="send it, once")


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance, allow_missing=not args.yes)
    output.keep_secret(settings.secrets)
    request = asked(args, settings)
    shown = {
        "command": "answer",
        "system": settings.system.name,
        "method": request.method,
        "path": request.path,
        "parameters": dict(request.params),
        "body": request.body,
        "sent": False,
    }
    if args.yes:
        # One to look and one to answer; the others for tokens and a fault.
        with probing(settings, most=6) as (client, _):
            check_waits(client, args, settings)
            answer = client.send(request)
        shown |= {"sent": True, "status_code": answer.status, "answer": _said(answer.data)}
    if args.json:
        output.emit(shown)
        return 0
    query = "&".join(f"{name}={value}" for name, value in request.params)
    output.say(f"{request.method} {without_login(settings.base_url)}{request.path}?{query}")
    output.say(orjson.dumps(request.body).decode())
    if args.yes:
        output.say(f"Sent. The vendor answered with {shown['status_code']}: {shown['answer']}")
    else:
        output.say("Nothing was sent. Add --yes to send it, once.")
    return 0


def asked(args: argparse.Namespace, settings: Settings) -> Request:
    """The request that the arguments describe. Raises UsageError."""
    system = settings.system
    if not system.answers is not None:
        raise UsageError(f"{system.title} has no executions that wait for an answer over its API.")
    answers: dict[str, str] = {}
    for pair in args.value:
        name, is_given, value = pair.partition("=")
        if not is_given or not name:
            raise UsageError(f"--value {pair} has no value: write it like --value field=value.")
        answers[name] = value
    if not answers:
        raise UsageError("Say what to answer: --value field=value, once for each field.")
    parts = [part for part in system.listing.partitions(settings.values, ()) if part]
    if args.part is None and len(parts) != 1:
        raise UsageError(
            f"Say in which {system.listing.partitioned_by} the run is: --part with one of {', '.join(parts)}."
        )
    if args.part is not None and args.part not in parts:
        raise UsageError(f"--part {args.part} is none of {', '.join(parts)}.")
    try:
        return system.answers.request(
            settings.values, args.run_id, args.input_id, answers, _partition(args, settings)
        )
    except UnusableId as error:
        raise UsageError(str(error)) from None


def _partition(args: argparse.Namespace, settings: Settings) -> str:
    partitions = settings.system.listing.partitions(settings.values, ())
    return args.part or next(filter(None, partitions))


def check_waits(client: Client, args: argparse.Namespace, settings: Settings) -> None:
    """Asks the vendor whether the run waits for that input. Raises UsageError when it does not."""
    system, details = settings.system, settings.system.details
    try:
        request = details.execution_request(settings.values, args.run_id, _partition(args, settings))
        answer = client.send(request)
    except Rejected as error:
        if not details.is_gone(error.status, str(error)):
            raise
        raise UsageError(f"Nothing was sent: the vendor holds no run {args.run_id!r}. {error}") from None
    check_id("execution", details.execution_ids, answer.data, args.run_id)
    detail = details.read_execution(answer.data)
    if system.answers is None or not system.answers.waits_for(detail, args.input_id):
        raise UsageError(
            f"Nothing was sent: the run {args.run_id!r}, which is {detail.execution.get('status')!s:.40}, does not wait "
            f"for an input {args.input_id!r} of a person. Look at its open tasks of the type that asks a person."
        )


def _said(data: Any) -> str:
    message = data.get("message") if isinstance(data, dict) else None
    return str(message)[:200] if message else "without a message"
