"""The data dictionary beside every exported file: what each column means, and whose data it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backend import __version__
from backend.core.parameters import RULES
from backend.core.records import network_of
from backend.files.columns import Columns
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import VIEWS, DecisionView, View

_QUANTITIES = {
    Quantity.WIND_SPEED: "mean wind",
    Quantity.WIND_GUST: "highest gust of the hour",
    Quantity.WIND_DIRECTION: "where the wind comes from; only where it blows enough to tell",
    Quantity.TEMPERATURE: "the forecast brought to the height of the station",
    Quantity.TEMPERATURE_RAW: "the forecast as the model said it",
    Quantity.WIND: "speed and direction in one, as a vector",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose data it is: a source, what it asks to be named as, and the models it speaks for.

    `public` says whether its raw values may be passed on.
    """

    name: str
    attribution: str
    public: bool
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """A model or a network that a file has values of, and its origin; None where we do not know it.

    `declared` says that the operator knows the terms of what was imported, and that it may be passed on.
    """

    name: str
    origin: Origin | None
    declared: bool = False

    @property
    def may_be_passed_on(self) -> bool:
        """Say whether raw values may be: of what was only imported, only where somebody says so."""
        return self.declared if self.origin is None else self.origin.public

    @property
    def terms(self) -> str:
        """Say in words what its publisher asks for."""
        if self.origin is None:
            if self.declared:
                return "imported from a file"
            return "from a file, or a source that this version does not have: its terms are not known here"
        return self.origin.attribution


def name_origins(
    models: Iterable[str],
    stations: Iterable[str],
    origins: Sequence[Origin],
    declared: Collection[str] = (),
) -> list[Named]:
    """Return the models and the networks of the stations, each with its origin, by name.

    `declared` are the imported ones that the setting PUBLIC_IMPORTS names.
    """
    of_models = {model: origin for origin in origins for model in origin.models}
    of_networks = {origin.name: origin for origin in origins if not origin.models}
    networks = {network_of(station) for station in stations}
    return [
        *(Named(model, of_models.get(model), model in declared) for model in sorted(models)),
        *(Named(network, of_networks.get(network), network in declared) for network in sorted(networks)),
    ]


def withheld(named: Sequence[Named]) -> list[str]:
    """Return the names of what may not be passed on as raw values."""
    return [each.name for each in named if not each.may_be_passed_on]


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
    """Return the text of a data dictionary, in Markdown. `raw` says whether the file holds raw values."""
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
            *(f"| `{each.name}` | {each.kind} | {each.unit} | {each.meaning} |" for each in columns),
            "",
            *_units(columns),
            *_views(columns),
            "## Whose data it is",
            "",
            "| Model or network | Name it so | Raw values may be passed on |",
            "| --- | --- | --- |",
            *(f"| {each.name} | {each.terms} | {_yes(each)} |" for each in named),
            "",
            *_warning(named, raw=raw),
        ]
    )


def _units(columns: Columns) -> Iterator[str]:
    names = {column.name for column in columns}
    if "parameter" in names:
        yield from ("| Parameter | Unit | Plausible range |", "| --- | --- | --- |")
        for parameter, rule in RULES.items():
            yield f"| `{parameter.value}` | {rule.unit} | {rule.low:g} to {rule.high:g} |"
        yield ""
    if "quantity" in names:
        yield "**Sign.** An error is forecast − observation: above 0, the model said too much."
        yield "Of directions it is the shorter turn from what was observed to what was forecast, positive"
        yield "clockwise."
        yield ""
        yield from ("| Quantity | Unit | What it is |", "| --- | --- | --- |")
        for quantity, meaning in _QUANTITIES.items():
            yield f"| `{quantity.value}` | {quantity.unit} | {meaning} |"
        yield ""


def _views(columns: Columns) -> Iterator[str]:
    if "view" in {column.name for column in columns}:
        yield from ("| View | Which run speaks for an hour |", "| --- | --- |")
        for view in VIEWS:
            yield f"| `{view.name}` | {_meaning(view)} |"
        yield ""


def _meaning(view: View) -> str:
    if isinstance(view, DecisionView):
        when = ("the same day", "the day before", "two days before")[view.days_before]
        return f"the newest that could be had at {view.hour:02}:00 local time {when}"
    return f"the newest that looks {view.first} to {view.last} whole hours ahead"


def _yes(named: Named) -> str:
    return "yes" if named.may_be_passed_on else "**no**"


def _warning(named: Sequence[Named], *, raw: bool) -> Iterator[str]:
    kept = withheld(named)
    if kept and raw:
        yield f"**Do not pass this file on**: raw values of {', '.join(kept)} are in it, or follow from it."
        yield "Scores may be shown, with the names above; `meteo-score export scores` writes them."
        yield ""
    elif kept:
        yield "It holds scores and no raw value: it may be passed on, with the names above. Where raw values"
        yield "may not be, scores are of whole calendar months, coarse, and without quantiles, so that none"
        yield "follows from them."
        yield ""
