"""`meteo-score status`: the state of the service in one line and an exit code, for cron and Nagios."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any, Literal, NamedTuple, cast

import httpx2
import typer

from backend.answers.durations import in_words
from backend.answers.readiness import BLOCKING, reasons, take_snapshot
from backend.answers.service import ServiceParts
from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import CliContext, opened
from backend.core.errors import ConfigError, StoreUnavailableError
from backend.core.text import printable
from backend.storage.instances import Instances

app = typer.Typer(add_completion=False)

PATIENCE_SECONDS = 10.0
"""How long the service may take to answer: its readiness needs a few queries, and Nagios waits for 10 s."""

State = Literal["ready", "degraded", "down"]

EXIT_CODES: dict[State, int] = {"ready": 0, "degraded": 1, "down": 2}
"""Those of Nagios for OK, WARNING and CRITICAL."""


class _Report(NamedTuple):
    """The state, the reasons in the form of the API, and why the service did not answer (empty: it did)."""

    state: State
    reasons: list[dict[str, Any]]
    no_answer: str = ""


@app.command()
def status(
    context: typer.Context,
    store: Annotated[
        bool,
        typer.Option("--store", help="Read the store alone, where cron collects and no service runs."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show whether the service is well. Exit 0: well; 1: degraded; 2: down, or it cannot be examined."""
    used = opened(context)
    settings = used.settings
    address = f"http://{_reachable(settings.host)}:{settings.port}{settings.root_path}"
    report = _of_the_store(used) if store else _of_the_service(address)
    if report.no_answer:
        report = _Report("down", _of_the_store(used).reasons, report.no_answer)
    source = "store" if store or report.no_answer else "service"
    try:
        instances = Instances(used.service_without_store.database).all()
    except (ConfigError, StoreUnavailableError):  # it is among the reasons
        instances = None
    if as_json:
        print_json(
            {
                "status": report.state,
                "address": None if store else address,
                "noAnswer": report.no_answer or None,
                "reasonsFrom": source,
                "reasons": report.reasons,
                "instances": None if instances is None else [one.as_dict() for one in instances],
            }
        )
    else:
        _print(report, "" if store else address)
        for one in instances or ():
            if one.state != "stopped":
                print_text(
                    f"instance {one.id}: {one.role}, {one.state}, process {one.pid} on {one.host},"
                    f" version {one.version}, last heartbeat {in_words(one.age.total_seconds())} ago"
                )
    raise typer.Exit(EXIT_CODES[report.state])


def _reachable(host: str) -> str:
    """Return the host to connect to, in the form of an address: a service on 0.0.0.0 is also on loopback."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        address = ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"[{address}]" if address.version == 6 else f"{address}"


def _of_the_service(address: str) -> _Report:
    try:
        answer = httpx2.get(f"{address}/api/ready", timeout=PATIENCE_SECONDS, trust_env=False)
        body = answer.json()
    except httpx2.TimeoutException:
        return _Report("down", [], f"no answer within {PATIENCE_SECONDS:g} s")
    except httpx2.HTTPError as error:
        return _Report("down", [], printable(str(error) or type(error).__name__))
    except ValueError:
        body = None
    if isinstance(body, dict) and isinstance(body.get("reasons"), list):
        if answer.status_code == 503:
            return _Report("down", body["reasons"])
        if answer.status_code == 200 and body.get("status") in {"ready", "degraded"}:
            return _Report(body["status"], body["reasons"])
    return _Report(
        "down", [], f"HTTP {answer.status_code}, and not the answer of MétéoScore: another program is there"
    )


def _of_the_store(used: CliContext) -> _Report:
    service = used.service_without_store
    try:
        service.database.require_current()
    except (ConfigError, StoreUnavailableError) as error:
        code = "store_unusable" if isinstance(error, ConfigError) else "store_unreachable"
        # The message of a store of another version, or of none, contains what to do.
        return _Report("down", [{"code": code, "sentence": f"{error}.", "since": None, "whatToDo": ""}])
    snapshot = take_snapshot(cast(ServiceParts, service))  # a frozen class does not match the protocol
    # The schedule runs in the process of the service, not in this one.
    found = [reason for reason in reasons(snapshot) if reason.code != "scheduler_dead"]
    down = any(reason.code in BLOCKING for reason in found)
    return _Report(
        "down" if down else "degraded" if found else "ready",
        [reason.model_dump(mode="json", by_alias=True) for reason in found],
    )


def _print(report: _Report, address: str) -> None:
    count = len(report.reasons)
    number = f"{count} reason{'' if count == 1 else 's'}"
    if report.no_answer:
        head = f"down: no answer of the service at {address}: {report.no_answer}"
    else:
        where = f" ({address})" if address else " (the store alone)"
        head = f"{report.state}{f': {number}' if count else ''}{where}"
    lines = [head]
    if report.no_answer:
        lines.append(
            "The store alone was read. Start the service, or use --store where none is meant to run."
            f"{f' The store has {number}:' if count else ''}"
        )
    for reason in report.reasons:
        since = f" Since {reason['since']}." if reason["since"] else ""
        lines.append(f"{reason['code']}: {reason['sentence']}{since} {reason['whatToDo']}".rstrip())
    print_text(printable("\n".join(lines), keep="\n"))
