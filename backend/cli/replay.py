"""`meteo-score replay`: archived payloads parsed again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from backend.cli.console import AsJson, print_json, print_run, print_text, quiet_on_a_terminal, run_to_the_end
from backend.cli.context import opened
from backend.collectors.transport.payload_archive import ArchivedRun
from backend.core.errors import JobBusyError, NotFoundError
from backend.core.records import WELL
from backend.main import Service
from backend.scheduler.replay import replay as replay_run
from backend.scheduler.runner import heed_stop
from backend.storage.run_records import run_as_dict

app = typer.Typer(add_completion=False)


@app.command()
def replay(
    context: typer.Context,
    run: Annotated[list[int] | None, typer.Option(help="Only this run; repeat the option for more.")] = None,
    as_json: AsJson = False,
) -> None:
    """Parse the archived payloads again and store what differs, after a correction of a parser."""
    quiet_on_a_terminal(opened(context).settings)
    service = opened(context).service
    archived = [one for one in service.archive.runs() if one.sources]
    chosen = [one for one in archived if run is None or one.run_id in run]
    unknown = set(run or ()) - {one.run_id for one in chosen}
    if unknown:
        raise NotFoundError(f"no archived payloads of run {', '.join(map(str, sorted(unknown)))}")
    opened(context).migrated()
    status = run_to_the_end(_replay(service, chosen, as_json))
    raise typer.Exit(0 if status in WELL else 1)


async def _replay(service: Service, chosen: Sequence[ArchivedRun], as_json: bool) -> str:
    try:
        done = []
        for kept_run in chosen:
            done.append(await replay_run(service.runner, service.archive, kept_run))
            heed_stop()
    except JobBusyError as busy:
        print_text(f"meteo-score: {busy}: repeat the command when it has ended", err=True)
        return "already_running"
    finally:
        await service.close()
    if as_json:
        print_json([run_as_dict(run) for run in done])
    elif not done:
        print_text("There are no archived payloads to parse again.")
    else:
        for run in done:
            print_run(run)
    return "success" if all(run.status in WELL for run in done) else "failed"
