"""The status page: the answers of the API as HTML, without scripts, with one stylesheet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from backend import __version__
from backend.answers.durations import in_words
from backend.answers.freshness import last_due
from backend.answers.readiness import reasons, take_snapshot
from backend.answers.service import ServiceParts
from backend.answers.station_flags import flag_text
from backend.answers.withholding import Withholding
from backend.api.status import scheduled_jobs, scheduler_status
from backend.core.clock import PARIS
from backend.core.parameters import Parameter
from backend.core.records import Site, network_of
from backend.core.units import COMPASS
from backend.scheduler.config import FORECASTS, OBSERVATIONS
from backend.storage.value_rows import ForecastRow, ObservationRow, SiteValues

WEB = Path(__file__).parents[1] / "web"

SENSOR_LASTS = timedelta(days=3)
"""Time after its end for which a station flag is still shown."""

MISSING = "–"
NOT_PUBLIC = "not public"

_HEADINGS = {  # with the unit of the values
    Parameter.WIND_SPEED: ("Wind", "km/h"),
    Parameter.WIND_GUST: ("Gust", "km/h"),
    Parameter.WIND_DIRECTION: ("From", ""),
    Parameter.TEMPERATURE: ("Temp.", "°C"),
}


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One row of a site's table: station or model, time, and a text per parameter."""

    who: str
    kind: str
    when: datetime | None
    run: datetime | None
    old: bool
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteCard:
    """A site with its newest observations, each model's values for now, and the flags of sensors."""

    site: Site
    rows: tuple[ValueRow, ...]
    flags: tuple[str, ...] = ()


def status_page(service: ServiceParts, withheld: Withholding) -> str:
    """Return the page. Raises StoreUnavailableError, or ConfigError for the sites file."""
    now = service.clock()
    status = scheduler_status(service)
    last = {
        FORECASTS: status.last_forecast_collection,
        OBSERVATIONS: status.last_observation_collection,
    }
    return _render(
        "status.html",
        now=now,
        notices=tuple(service.notices),
        day_before=now - timedelta(days=1),
        status=status,
        reasons=reasons(take_snapshot(service)),
        jobs=[(job, last[job.id]) for job in scheduled_jobs(service).jobs],
        cards=site_cards(service, withheld, now),
        parameters=[_HEADINGS[parameter] for parameter in Parameter],
    )


def unavailable_page(now: datetime, title: str, explanation: str) -> str:
    """Return the page that explains why there is no status."""
    return _render("unavailable.html", now=now, title=title, explanation=explanation)


def site_cards(service: ServiceParts, withheld: Withholding, now: datetime) -> list[SiteCard]:
    """Return every site with its current values; of a withheld value, only that there is one."""
    sites = service.sites()
    everything = service.reading.newest_values(sites, now)
    shown = service.reading.newest_values(
        sites, now, models_withheld=withheld.models, networks_withheld=withheld.networks
    )
    names = {station.id: station.name for station in service.store.stations()}
    due = last_due(service, OBSERVATIONS, now)
    oldest = {source.name: due - source.max_age for source in service.sources.of(OBSERVATIONS)}
    models = list(service.sources.of_models())
    lasting = [
        flag
        for flag in service.store.station_flags()
        if flag.excludes
        and network_of(flag.station) not in withheld.networks
        and (flag.until is None or flag.until > now - SENSOR_LASTS)
    ]
    return [
        SiteCard(
            site,
            (
                *_observed_rows(site, everything[site.id], shown[site.id], names, oldest),
                *_forecast_rows(models, everything[site.id], shown[site.id]),
            ),
            tuple(flag_text(flag) for flag in lasting if site.id in flag.sites),
        )
        for site in sites
    ]


def _observed_rows(
    site: Site,
    everything: SiteValues,
    shown: SiteValues,
    names: dict[str, str],
    oldest: dict[str, datetime],
) -> Iterable[ValueRow]:
    public = {value.station for value in shown.observed}
    hidden = [value for value in everything.observed if value.station not in public]
    readings: dict[tuple[str, datetime], list[ObservationRow]] = {}
    for value in (*shown.observed, *hidden):
        readings.setdefault((value.station, value.time), []).append(value)
    if not readings:
        yield ValueRow("No observation", "observed", None, None, False, _cells((), public=True))
    for (station, time), values in sorted(readings.items(), key=lambda item: site.stations.index(item[0][0])):
        limit = oldest.get(network_of(station))
        yield ValueRow(
            who=names.get(station) or station,
            kind="observed",
            when=time,
            run=None,
            old=limit is not None and time < limit,
            cells=_cells(values, public=station in public),
        )


def _forecast_rows(models: Sequence[str], everything: SiteValues, shown: SiteValues) -> Iterable[ValueRow]:
    public = {value.model for value in shown.forecast}
    for model in models:
        values = [value for value in everything.forecast if value.model == model]
        yield ValueRow(
            who=model,
            kind="forecast",
            when=values[0].valid_time if values else None,
            run=values[0].reference_time if values else None,
            old=False,
            cells=_cells(values, public=model in public),
        )


def _cells(values: Sequence[ForecastRow] | Sequence[ObservationRow], *, public: bool) -> tuple[str, ...]:
    by_parameter = {value.parameter: value.value for value in values}
    return tuple(
        MISSING
        if parameter not in by_parameter
        else _text(parameter, by_parameter[parameter])
        if public
        else NOT_PUBLIC
        for parameter in Parameter
    )


def _text(parameter: Parameter, value: float) -> str:
    if parameter == Parameter.TEMPERATURE:
        return f"{value:.1f}".replace("-", "−")
    if parameter == Parameter.WIND_DIRECTION:
        return f"{value:.0f}° {COMPASS[round(value / 45) % 8]}"
    return f"{value:.0f}"


# --- Words -------------------------------------------------------------------------------------------


def since_in_words(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, such as "7 h ago"."""
    return f"{in_words((now - moment).total_seconds())} ago"


def iso(moment: datetime) -> str:
    """Return a time as ISO 8601 with Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def day_and_time(moment: datetime) -> str:
    """Return a UTC time such as "Wed 15 Jul 06:00"."""
    return f"{moment:%a} {moment.day} {moment:%b %H:%M}"


def paris_time(moment: datetime) -> str:
    """Return the local time in Paris, with the weekday if it differs from UTC."""
    local = moment.astimezone(PARIS)
    return f"{local:%H:%M}" if local.date() == moment.date() else f"{local:%a %H:%M}"


def breakable(name: str) -> Markup:
    """Allow line breaks after underscores and colons of a long name, for narrow screens."""
    return Markup("<wbr>").join(re.findall(r"[^_:]*[_:]|[^_:]+", name))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "iso": iso,
        "day_and_time": day_and_time,
        "paris": paris_time,
        "in_words": in_words,
        "breakable": breakable,
        "since": since_in_words,
    }
    environment.globals |= {
        "version": __version__,
        "missing": MISSING,
        "not_public": NOT_PUBLIC,
    }
    return environment


_ENVIRONMENT = _environment()


def _render(template: str, **values: object) -> str:
    return _ENVIRONMENT.get_template(template).render(values)
