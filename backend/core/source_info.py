"""What the registry states of a source, a model and a network: the fields of its entries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from backend.core.areas import Area

EVERY_3_HOURS = (0, 3, 6, 9, 12, 15, 18, 21)
EVERY_6_HOURS = (0, 6, 12, 18)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMeteoCopy:
    """How Open-Meteo publishes a model: `id` in its questions, `domain` in the address of its metadata.

    A run reaches `horizon` hours ahead in steps of `step` hours. `delay` is the usual time from the start of
    a run to its publication, rounded up: the availability stamp of a run that is fetched much later.
    """

    id: str
    domain: str
    horizon: int
    delay: timedelta
    step: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A forecast model: `name` in rows and JSON, `display_name` in sentences for pilots.

    A run starts at each of `run_hours` (UTC). A gust is the maximum of the last `gust_hours` hours; only
    gusts of one hour are compared with the gusts that stations measure. `area` is None for a global model.
    `open_meteo` is set for a model that is collected from Open-Meteo as a model of its own.
    """

    name: str
    display_name: str
    run_hours: tuple[int, ...] = EVERY_6_HOURS
    gust_hours: int = 1
    area: Area | None = None
    open_meteo: OpenMeteoCopy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInfo:
    """What is particular to a network of stations.

    Every site accounts for a `required` network: it lists a station of it, or states that there is none.
    `station_number` is the pattern (regular expression) of the number in a station's id. Without `history` a
    collection receives only the present readings, and not those since the collection before. `live_page` is
    the name of the network's public site and the address of a station's page, with {} for its number.
    A gust is the maximum of the `gust_minutes` before its stamp. None: of the time since the report before,
    or not published; then the gust of an hour is the highest of its reports.
    A network of `winds_mobi` is collected by winds.mobi, where its name is the code of the provider.
    """

    required: bool = False
    history: bool = True
    gust_minutes: int | None = None
    winds_mobi: bool = False
    station_number: str = "[1-9][0-9]*"
    live_page: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """A source: its name in rows, settings and JSON, and the terms of its publisher.

    `attribution` is the credit to show beside values and scores. `public` is False where the licence does not
    let raw values be shown; the operator may hold a permission and then sets `PUBLIC_RAW_SOURCES`.
    A source with `default` False is collected only if the operator opts in: for what its licence forbids, or
    for what it costs. A source has either `models` (forecasts) or a `network` (observations). `licence` is
    its name, empty without a published one; `website` is the publisher's page for readers, empty if unknown.
    `access_contact` is where a key is requested, and whom to write to if it is refused; empty: the website.
    """

    name: str
    display_name: str
    attribution: str
    public: bool
    default: bool
    models: tuple[ModelInfo, ...] = ()
    network: NetworkInfo | None = None
    licence: str = ""
    website: str = ""
    access_contact: str = ""
