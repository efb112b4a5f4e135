"""`meteo-score export`: values, pairs and scores into files, each with its data dictionary.

The room `files/` is imported inside the commands, so that `--help` needs no Polars.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from backend.answers.attribution import own_attribution
from backend.answers.service import ReadingParts
from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import opened
from backend.cli.export_months import export_months
from backend.cli.progress import row_progress
from backend.core.errors import ConfigError
from backend.core.local_time import day_number
from backend.core.parameters import Parameter
from backend.core.registry import OWN_MODEL
from backend.scoring.days.update import update
from backend.scoring.grid import Hours
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.sample import BASELINES, STATION_SEPARATOR
from backend.scoring.views import VIEW_OF, DecisionView, View

if TYPE_CHECKING:
    from backend.answers.reading import ReadingService
    from backend.files.columns import Columns
    from backend.files.dictionary import Origin
    from backend.files.export_filter import Choice

app = typer.Typer(
    name="export",
    add_completion=False,
    help="Export values, pairs and scores to a file, with a data dictionary.",
)

Sites = Annotated[list[str] | None, typer.Option("--site", help="Only this site; may be repeated.")]
Stations = Annotated[
    list[str] | None, typer.Option("--station", help='Only this station ("ffvl:87"); may be repeated.')
]
Models = Annotated[list[str] | None, typer.Option("--model", help="Only this model; may be repeated.")]
Parameters = Annotated[
    list[Parameter] | None, typer.Option("--parameter", help="Only this parameter; may be repeated.")
]
Quantities = Annotated[
    list[Quantity] | None, typer.Option("--parameter", help="Only this quantity; may be repeated.")
]
ViewNames = Annotated[
    list[str] | None, typer.Option("--view", help=f"Only this view ({', '.join(VIEW_OF)}); may be repeated.")
]
First = Annotated[
    datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First local day (Europe/Paris).")
]
Last = Annotated[
    datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last local day, included.")
]
HoursOption = Annotated[
    Hours,
    typer.Option("--hours", help="Hours of the local clock to include: flying is 10 to 18, day 08 to 19."),
]
IssuedFor = Literal["public", "operator"]
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write: .csv or .parquet.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]


@app.command("forecasts")
def export_forecasts(
    context: typer.Context,
    output: Output,
    site: Sites = None,
    model: Models = None,
    parameter: Parameters = None,
    first: First = None,
    last: Last = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write forecasts in the format of `import forecasts`."""
    from backend.files import columns
    from backend.files import export_values as files

    service = opened(context).current()
    choice = _choice(site=site, model=model, first=first, last=last)
    frames = files.forecast_frames(service.database, choice, parameter or ())
    _write(service, "forecasts", output, columns.FORECASTS, frames, force=force, as_json=as_json)


@app.command("observations")
def export_observations(
    context: typer.Context,
    output: Output,
    site: Sites = None,
    station: Stations = None,
    parameter: Parameters = None,
    first: First = None,
    last: Last = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write observations in the format of `import observations`. `--site` selects the stations of a site."""
    from backend.files import columns
    from backend.files import export_values as files

    service = opened(context).current()
    choice = _choice(site=site, station=station, first=first, last=last)
    frames = files.observation_frames(service.database, choice, parameter or ())
    _write(service, "observations", output, columns.OBSERVATIONS, frames, force=force, as_json=as_json)


@app.command("pairs")
def export_pairs(
    context: typer.Context,
    output: Output,
    site: Sites = None,
    station: Stations = None,
    model: Models = None,
    parameter: Quantities = None,
    view: ViewNames = None,
    first: First = None,
    last: Last = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write pairs of forecast and observation, hour by hour: the values that scores are computed from."""
    from backend.files import columns
    from backend.files import export_scores as files

    service = opened(context).current()
    if Quantity.WIND in (parameter or ()):
        raise ConfigError("--parameter wind: has no pairs: use wind_speed and wind_direction")
    views = _views(view)
    update(service.database, service.clock())
    choice = _choice(site=site, station=station, model=model, first=first, last=last)
    frames = files.pair_frames(service.database, choice, views, parameter or ())
    _write(service, "pairs", output, columns.PAIRS, frames, force=force, as_json=as_json)


@app.command("issued")
def export_issued(
    context: typer.Context,
    output: Output,
    site: Sites = None,
    parameter: Parameters = None,
    view: ViewNames = None,
    first: First = None,
    last: Last = None,
    audience: Annotated[
        IssuedFor, typer.Option(help="operator: those that were made from all sources; do not pass them on.")
    ] = "public",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write issued forecasts from the record, hour by hour, with their quantiles and hashes."""
    from backend.files import columns
    from backend.files.export_issued import issued_frames
    from backend.files.writing import new_file

    service = opened(context).current()
    chosen = [each for each in _views(view) if isinstance(each, DecisionView)]
    choice = _choice(site=site, first=first, last=last)
    contents = _Contents()
    with new_file(output, columns.ISSUED, force=force) as writer, row_progress() as on_rows:
        frames = issued_frames(
            service.database, choice, audience, parameter or (), chosen, inputs=contents.models
        )
        for frame in contents.watch(frames, on_rows):
            writer.write(frame)
    _finish_export(service, "issued forecasts", output, columns.ISSUED, contents, as_json=as_json, raw=True)


@app.command("scores")
def export_scores(
    context: typer.Context,
    output: Output,
    site: Sites = None,
    station: Stations = None,
    model: Models = None,
    parameter: Quantities = None,
    view: ViewNames = None,
    first: First = None,
    last: Last = None,
    hours: HoursOption = Hours.FLYING,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="Exact scores of any days; do not pass them on if raw values are not public."
        ),
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write the scores of every model by site, view and quantity. They may be passed on.

    If raw values of a source are not public, scores are of whole closed months and rounded as on the web.
    """
    from backend.files import columns
    from backend.files import export_scores as files
    from backend.files.dictionary import name_origins, withheld
    from backend.files.writing import new_file

    service = opened(context).current()
    views = _views(view)
    update(service.database, service.clock())
    choice = _choice(site=site, station=station, model=model, first=first, last=last)
    origins, declared, contents = _origins(service), service.settings.public_imports, _Contents()
    waiting: dict[str, None] = {}

    def taking_part(models: Collection[str], stations: Collection[str]) -> None:
        contents.models.update(models)
        contents.stations.update(stations)

    def hidden(models: set[str], stations: set[str]) -> bool:
        return not exact and bool(withheld(name_origins(models, stations, origins, declared)))

    with new_file(output, columns.SCORES, force=force) as writer, row_progress() as on_rows:
        frames = files.score_frames(
            service.database,
            choice,
            views,
            parameter or (),
            hours=hours,
            withheld=hidden,
            taking_part=taking_part,
            on_rows=on_rows,
            left_out=lambda name: waiting.update({name: None}),
        )
        for frame in contents.watch(frames, on_rows):
            writer.write(frame)
    for name in waiting:
        print_text(
            f"{name}: left out: raw values of a source are not public there, and its first calendar month is"
            " not complete",
            err=True,
        )
    _finish_export(service, "scores", output, columns.SCORES, contents, as_json=as_json, raw=exact)


@app.command("verif")
def export_verif(
    context: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .txt file to write.")],
    model: Annotated[str, typer.Option(help="The model.")],
    parameter: Annotated[Parameter, typer.Option(help="The parameter, as forecast by the model.")],
    view: Annotated[str, typer.Option(help=f"The view: {', '.join(VIEW_OF)}.")],
    site: Sites = None,
    first: First = None,
    last: Last = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write the pairs of a model, parameter and view in the text format of verif, an independent check."""
    from backend.files import columns
    from backend.files import export_scores as files
    from backend.files.verif import write_verif
    from backend.files.writing import replacing

    service = opened(context).current()
    if output.suffix.lower() != ".txt":
        raise ConfigError(f"{output}: must end in .txt")
    # verif compares what the model forecast, not the value converted to the height of the station.
    quantity = Quantity.TEMPERATURE_RAW if parameter is Parameter.TEMPERATURE else Quantity(parameter.value)
    views = _views([view])
    update(service.database, service.clock())
    choice = _choice(site=site, model=[model], first=first, last=last)
    places = files.places(service.database, choice)
    contents = _Contents()
    with (
        replacing(output, force=force) as part,
        part.open("w", encoding="utf-8") as file,
        row_progress() as on_rows,
    ):
        frames = contents.watch(files.pair_frames(service.database, choice, views, [quantity]), on_rows)
        write_verif(file, parameter, model, places, frames)
    _finish_export(service, "pairs", output, columns.VERIF, contents, as_json=as_json, raw=True)


app.command("months")(export_months)


class _Contents:
    """The number of rows in a file, and their models and stations."""

    def __init__(self) -> None:
        self.rows = 0
        self.models: set[str] = set()
        self.stations: set[str] = set()

    def watch(self, frames: Iterator[Any], on_rows: Callable[[str, int], None]) -> Iterator[Any]:
        """Yield the frames unchanged, and count their rows."""
        for frame in frames:
            for name, names in (("model", self.models), ("station", self.stations)):
                if name in frame.columns:
                    names |= {
                        code
                        for codes in frame[name].unique().to_list()
                        for code in codes.split(STATION_SEPARATOR)
                    }
            self.rows += len(frame)
            on_rows("written", len(frame))
            yield frame


def _write(
    service: ReadingService,
    what: str,
    output: Path,
    columns: Columns,
    frames: Iterator[Any],
    *,
    force: bool,
    as_json: bool,
) -> None:
    from backend.files.writing import new_file

    contents = _Contents()
    with new_file(output, columns, force=force) as writer, row_progress() as on_rows:
        for frame in contents.watch(frames, on_rows):
            writer.write(frame)
    _finish_export(service, what, output, columns, contents, as_json=as_json, raw=True)


def _finish_export(
    service: ReadingService,
    what: str,
    output: Path,
    columns: Columns,
    contents: _Contents,
    *,
    as_json: bool,
    raw: bool,
) -> None:
    """Write the data dictionary beside a file, and print its contents and terms."""
    from backend.files.dictionary import dictionary, name_origins, withheld
    from backend.files.writing import replacing

    named = name_origins(
        # A baseline is computed from readings: it has no publisher of its own.
        contents.models - set(BASELINES),
        contents.stations,
        _origins(service),
        service.settings.public_imports,
    )
    beside = output.with_name(f"{output.name}.dictionary.md")
    text = dictionary(output, what, columns, named, rows=contents.rows, now=service.clock(), raw=raw)
    with replacing(beside, force=True) as part:
        part.write_text(text, encoding="utf-8")
    not_public = withheld(named) if raw else []
    if as_json:
        print_json(
            {
                "file": str(output),
                "dictionary": str(beside),
                "what": what,
                "rows": contents.rows,
                "attribution": [origin.terms for origin in named],
                "notToBePassedOn": not_public,
            }
        )
        return
    print_text(f"{output}: {contents.rows} {what}; columns are explained in {beside.name}")
    for origin in named:
        print_text(f"{origin.name}: {origin.terms}")
    if not_public:
        holds = "exact scores, from which raw values follow," if what == "scores" else "raw values"
        print_text(
            f"Warning: do not pass this file on: it holds {holds} of {', '.join(not_public)}."
            " Scores may be shown: meteo-score export scores",
            err=True,
        )


def _origins(service: ReadingService) -> list[Origin]:
    from backend.files.dictionary import Origin, source_origins

    credit = own_attribution(cast(ReadingParts, service))
    own = Origin(OWN_MODEL.name, credit, public=True, models=(OWN_MODEL.name,))
    return [*source_origins(service.sources.every()), own]


def _choice(
    *,
    site: list[str] | None = None,
    station: list[str] | None = None,
    model: list[str] | None = None,
    first: datetime | None = None,
    last: datetime | None = None,
) -> Choice:
    from backend.files.export_filter import Choice

    if first is not None and last is not None and first > last:
        raise ConfigError("--from: must not be later than --to")
    days = [None if day is None else day_number(day.replace(tzinfo=UTC).date()) for day in (first, last)]
    return Choice(sites=site or (), stations=station or (), models=model or (), first=days[0], last=days[1])


def _views(names: list[str] | None) -> list[View]:
    for name in names or ():
        if name not in VIEW_OF:
            raise ConfigError(f"--view {name}: must be one of {', '.join(VIEW_OF)}")
    return [VIEW_OF[name] for name in names or VIEW_OF]
