"""The data dictionary beside every exported file: meaning of each column, and terms of each source."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from backend import __version__
from backend.core.parameters import RULES
from backend.core.records import network_of
from backend.files.columns import Columns
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import VIEWS, DecisionView

_QUANTITIES = {
    Quantity.WIND_SPEED: "mean wind",
    Quantity.WIND_GUST: "highest gust of the hour",
    Quantity.WIND_DIRECTION: "where the wind comes from; only with enough wind for a direction",
    Quantity.TEMPERATURE: "the forecast converted to the height of the station",
    Quantity.TEMPERATURE_RAW: "the forecast at the model's own height",
    Quantity.WIND: "speed and direction together, as a vector",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """A source of data: the name it must be credited with, and its models.

    `public` is True if its raw values may be passed on.
    """

    name: str
    attribution: str
    public: bool
    models: tuple[str, ...] = ()


class SourceTerms(Protocol):
    """What a source states about itself."""

    @property
    def name(self) -> str:
        """Return its name."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """Return its models; none for a network of stations."""
        ...

    @property
    def public(self) -> bool:
        """Return whether its raw values may be shown."""
        ...

    @property
    def attribution(self) -> str:
        """Return the credit that its publisher requires."""
        ...


def source_origins(sources: Iterable[SourceTerms]) -> list[Origin]:
    """Return the sources of collected values, with their terms."""
    return [
        Origin(source.name, source.attribution, source.public, tuple(source.models)) for source in sources
    ]


@dataclass(frozen=True, slots=True)
class Named:
    """A model or network in a file, with its source; None for an unknown source.

    `declared` is True if the operator states that the imported values may be passed on.
    """

    name: str
    origin: Origin | None
    declared: bool = False

    @property
    def may_be_passed_on(self) -> bool:
        """Return True if raw values may be passed on: imported ones only by the operator's statement."""
        return self.declared if self.origin is None else self.origin.public

    @property
    def terms(self) -> str:
        """Return the credit line that the publisher requires."""
        if self.origin is None:
            if self.declared:
                return "imported from a file"
            return "from a file, or from a source unknown to this version: its terms are not known here"
        return self.origin.attribution


def name_origins(
    models: Iterable[str],
    stations: Iterable[str],
    origins: Sequence[Origin],
    declared: Collection[str] = (),
) -> list[Named]:
    """Return the models and the networks of the stations, each with its source, by name.

    `declared` are the imported ones in the setting PUBLIC_IMPORTS.
    """
    of_models = {model: origin for origin in origins for model in origin.models}
    of_networks = {origin.name: origin for origin in origins if not origin.models}
    networks = {network_of(station) for station in stations}
    return [
        *(Named(model, of_models.get(model), model in declared) for model in sorted(models)),
        *(Named(network, of_networks.get(network), network in declared) for network in sorted(networks)),
    ]


def withheld(named: Sequence[Named]) -> list[str]:
    """Return the names of models and networks whose raw values may not be passed on."""
    return [name.name for name in named if not name.may_be_passed_on]


def dictionary(
    file: Path,
    what: str,
    columns: Columns,
    named: Sequence[Named],
    *,
    rows: int,
    now: datetime,
    raw: bool,
) -> str:
    """Return the text of a data dictionary, in Markdown. `raw` is True if the file contains raw values."""
    return "\n".join(
        [
            f"# {file.name}",
            "",
            f"{rows} {what} from MétéoScore {__version__}, written {now:%Y-%m-%d %H:%M} UTC.",
            "Times are UTC. An empty cell (CSV) or null (Parquet) is absent, and never 0.",
            "",
            "## Columns",
            "",
            "| Column | Type | Unit | Meaning |",
            "| --- | --- | --- | --- |",
            *(
                f"| `{column.name}` | {column.kind} | {column.unit} | {column.meaning} |"
                for column in columns
            ),
            "",
            *_names_in_cells(columns),
            "## Sources and their terms",
            "",
            "| Model or network | Credit | Raw values may be passed on |",
            "| --- | --- | --- |",
            *(
                f"| {name.name} | {name.terms} | {'yes' if name.may_be_passed_on else '**no**'} |"
                for name in named
            ),
            "",
            *_warning(named, raw=raw),
        ]
    )


def _names_in_cells(columns: Columns) -> Iterator[str]:
    """Yield tables of the parameters, quantities and views that cells name."""
    names = {column.name for column in columns}
    if "parameter" in names:
        yield from ("| Parameter | Unit | Plausible range |", "| --- | --- | --- |")
        for parameter, rule in RULES.items():
            yield f"| `{parameter.value}` | {rule.unit} | {rule.low:g} to {rule.high:g} |"
        yield ""
    if "quantity" in names:
        yield "**Sign.** An error is forecast − observation: above 0, the forecast is too high."
        yield "For directions it is the shorter turn from the observed to the forecast one, positive"
        yield "clockwise."
        yield ""
        yield from ("| Quantity | Unit | Meaning |", "| --- | --- | --- |")
        for quantity, meaning in _QUANTITIES.items():
            yield f"| `{quantity.value}` | {quantity.unit} | {meaning} |"
        yield ""
    if "view" in names:
        yield from ("| View | Run that it chooses for an hour |", "| --- | --- |")
        for view in VIEWS:
            if isinstance(view, DecisionView):
                when = ("the same day", "the day before", "two days before")[view.days_before]
                run = f"the newest run available at {view.hour:02}:00 local time {when}"
            else:
                run = f"the newest run with a lead time of {view.first} to {view.last} whole hours"
            yield f"| `{view.name}` | {run} |"
        yield ""


def _warning(named: Sequence[Named], *, raw: bool) -> Iterator[str]:
    names = withheld(named)
    if names and raw:
        yield f"**Do not pass this file on**: it contains raw values of {', '.join(names)}, or values from"
        yield "which they can be computed. Scores may be shown, with the credits above;"
        yield "`meteo-score export scores` writes them."
        yield ""
    elif names:
        yield "This file contains scores and no raw values: it may be passed on, with the credits above. For"
        yield "sources whose raw values may not be, scores are of whole calendar months, rounded, and without"
        yield "quantiles, so that raw values cannot be derived from them."
        yield ""
