"""One site in TOML, in CSV or on the command line: its keys and their rules."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, NoReturn

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from backend.core.errors import ConfigError
from backend.core.records import Reference, Site, network_of
from backend.core.registry import NETWORKS, REQUIRED_NETWORKS
from backend.core.source_info import NetworkInfo
from backend.core.units import COMPASS

_NETWORK = re.compile(r"[a-z]+(_[a-z]+)*")
_ANY_NETWORK = NetworkInfo()


def _within(low: float, high: float, unit: str) -> AfterValidator:
    def check(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(f"must be from {low:g} to {high:g} {unit}")
        return value

    return AfterValidator(check)


def _distinct(known: Collection[str], *, stations: bool = False) -> AfterValidator:
    """Accept a list of `known` words, or of `stations` of known networks, without repetitions."""

    def check(words: list[str]) -> list[str]:
        for index, word in enumerate(words):
            name = word
            if stations:
                name, _, number = word.partition(":")
                pattern = NETWORKS.get(name, _ANY_NETWORK).station_number
                if not (_NETWORK.fullmatch(name) and re.fullmatch(pattern, number)):
                    raise ValueError(f"{word!r} is not network:number, such as ffvl:87")
            if name not in known:
                raise ValueError(f"{name!r} is not one of {', '.join(known)}")
            if word in words[:index]:
                raise ValueError(f"names {word!r} twice")
        return words

    return AfterValidator(check)


def _matching(pattern: str, rule: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text, re.DOTALL):
            raise ValueError(rule)
        return text

    return AfterValidator(check)


def _start_of_series(value: object) -> object:
    """Convert a date to its 00:00 UTC; values from a CSV file or the command line are text."""
    rule = "must be a date (00:00 UTC), or a time in UTC such as 2026-05-01T06:00:00Z"
    if isinstance(value, str):
        try:
            value = (
                date.fromisoformat(value)
                if len(value) == len("2026-05-01")
                else datetime.fromisoformat(value)
            )
        except ValueError:
            raise ValueError(rule) from None
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    if not isinstance(value, datetime) or value.utcoffset() != timedelta(0):
        raise ValueError(rule)
    return value.astimezone(UTC)


def _day(value: object) -> object:
    """Accept a date from TOML, or as text from a CSV file."""
    rule = "since must be a date such as 2026-05-01"
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(rule) from None
    if value is not None and (isinstance(value, datetime) or not isinstance(value, date)):
        raise ValueError(rule)
    return value


class _Reference(BaseModel):
    """A reference station, and the local day from which it is used."""

    model_config = ConfigDict(strict=True, extra="forbid")

    station: str
    since: Annotated[date | None, BeforeValidator(_day)] = None


class _Entry(BaseModel):
    """The keys, in the order in which they are written to files."""

    model_config = ConfigDict(strict=True, extra="forbid")

    id: Annotated[
        str,
        _matching(
            r"[a-z0-9]+(-[a-z0-9]+)*",
            "must be a slug: a-z, 0-9 and single hyphens between them, such as dune-du-pilat",
        ),
    ]
    name: Annotated[str, _matching(r".*\S.*", "must not be blank")]
    latitude: Annotated[float, _within(-90, 90, "degrees")]
    longitude: Annotated[float, _within(-180, 180, "degrees")]
    elevation: Annotated[float, _within(-100, 5000, "metres")]
    orientation: Annotated[list[str], _distinct(COMPASS)] = []
    stations: Annotated[list[str], _distinct(NETWORKS, stations=True)] = []
    without: Annotated[list[str], _distinct(NETWORKS)] = []
    valid_from: Annotated[datetime | None, BeforeValidator(_start_of_series)] = None
    references: list[_Reference] = []


KEYS = tuple(_Entry.model_fields)
REQUIRED_KEYS = tuple(key for key, field in _Entry.model_fields.items() if field.is_required())
_NUMBERS = frozenset({"latitude", "longitude", "elevation"})
_LISTS = frozenset({"orientation", "stations", "without"})


def site_from_entry(entry: Mapping[str, object], where: str) -> Site:
    """Check an entry with TOML types; raise ConfigError with `where`, key and rule."""
    try:
        checked = _Entry.model_validate(dict(entry))
    except ValidationError as error:
        _refuse(error, where)
    # Each required network is in `stations` or `without`, so that an omission is never ambiguous.
    present = {network_of(station) for station in checked.stations}
    for network in NETWORKS:
        if network in present and network in checked.without:
            raise ConfigError(f"{where}: without: {network!r} has a station here: drop one of the two")
        if network in REQUIRED_NETWORKS and network not in present and network not in checked.without:
            raise ConfigError(
                f"{where}: stations: none of {network!r}: add one, or, if there is none,"
                f" put {network!r} into without"
            )
    # Only the first reference may be without a day: in ascending order, one holds until the next begins.
    last: date | None = None
    for index, reference in enumerate(checked.references):
        if reference.station not in checked.stations:
            raise ConfigError(
                f"{where}: references: {reference.station!r} is not one of the stations:"
                " add it there, or drop it"
            )
        if index and (reference.since is None or (last is not None and reference.since <= last)):
            raise ConfigError(
                f"{where}: references: {reference.station!r} must have a since later than the one before it"
            )
        last = reference.since
    return Site(
        id=checked.id,
        name=checked.name,
        latitude=checked.latitude,
        longitude=checked.longitude,
        elevation=checked.elevation,
        orientation=tuple(checked.orientation),
        stations=tuple(checked.stations),
        networks_without_station=tuple(checked.without),
        valid_from=checked.valid_from,
        references=tuple(Reference(reference.station, reference.since) for reference in checked.references),
    )


def entry_from_site(site: Site) -> dict[str, object]:
    """Return the keys and values of a site, in the order of the keys: the reverse of `site_from_entry`.

    Whole metres have no decimal point, and a series that starts at 00:00 UTC has a plain date.
    """
    entry: dict[str, object] = {
        "id": site.id,
        "name": site.name,
        "latitude": site.latitude,
        "longitude": site.longitude,
        "elevation": int(site.elevation) if site.elevation == int(site.elevation) else site.elevation,
        "orientation": list(site.orientation),
        "stations": list(site.stations),
        "without": list(site.networks_without_station),
    }
    if site.valid_from:
        starts_at_midnight = site.valid_from.time() == time()
        entry["valid_from"] = site.valid_from.date() if starts_at_midnight else site.valid_from
    if site.references:
        entry["references"] = [
            {"station": reference.station} | ({} if reference.since is None else {"since": reference.since})
            for reference in site.references
        ]
    return entry


def site_from_row(row: Mapping[str, str], where: str) -> Site:
    """Check a row of a CSV file; lists are words separated by spaces, an empty cell is absent.

    A reference is a station, followed by "@" and a date if it is valid only from that day on.
    """
    entry: dict[str, object] = {}
    for key, cell in row.items():
        text = cell.strip()
        if key == "references":
            dated = [word.partition("@") for word in text.split()]
            entry[key] = [
                {"station": station} | ({"since": since} if at else {}) for station, at, since in dated
            ]
        elif key in _LISTS:
            entry[key] = text.split()
        elif text:
            entry[key] = text
            if key in _NUMBERS:
                with suppress(ValueError):  # the type of the key refuses it, with the text in the message
                    entry[key] = float(text)
    return site_from_entry(entry, where)


def _refuse(error: ValidationError, where: str) -> NoReturn:
    first = error.errors(include_url=False)[0]
    key = first["loc"][0]
    if key == "references" and len(first["loc"]) > 1:
        rule = first["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f'{where}: references: {rule}: write {{station = "ffvl:87", since = 2026-05-01}}'
        ) from error
    if first["type"] == "missing":
        raise ConfigError(f"{where}: {key}: is missing") from error
    if first["type"] == "extra_forbidden":
        raise ConfigError(f"{where}: {key}: unknown key: the keys are {', '.join(KEYS)}") from error
    rule = first["msg"].removeprefix("Value error, ")
    raise ConfigError(f"{where}: {key} = {first['input']!r}: {rule}") from error
