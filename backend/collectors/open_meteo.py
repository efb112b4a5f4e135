"""Open-Meteo's copy of AROME: JSON, many sites in one answer, one run at a time.

Publisher: Open-Meteo.com, from Météo-France's data. Licence: CC BY 4.0, and the free service is for
non-commercial use only: hence `OPEN_METEO_FALLBACK=false` unless the operator says otherwise.
Cadence: follows Météo-France; about 4 h 30 after the run (August 2026). Units: as asked for, km/h,
degrees, °C. Times: UTC ("GMT"). Rounding: 0.1 m/s, whole degrees, 0.05 K: a lesser copy.

Quirks, with the date we saw them described:
- the ordinary forecast service stitches runs together without saying so; the single-runs service (since
  April 2026) gives the run that is asked for;
- `meta.json` tells the newest run and since when it is there; its servers agree about ten minutes later;
- a run that is not archived (4 or 5 in a hundred) is a 400, or for several sites a 200 with plain text;
- what the model does not have is null, its unit then "undefined"; step 0 has no gust;
- temperature is moved to a finer terrain unless `elevation=nan`, and a cell on land is preferred unless
  `cell_selection=nearest`; several sites need as many `nan`;
- the gusts of the fine grid were null for a while (June 2024).
Limits: 10 000 calls a day, where each site of a request counts as one call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from backend.collectors.arome_runs import NAME, AromeGrid, Part, cycles, parts_by_missing_sites, parts_of
from backend.collectors.base import Fetch, Request, as_failure
from backend.collectors.decoding import decode_json
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import Forecast, ForecastBatch, Rejected, Run, Site, Wanted

RANK = 2
SITES_PER_REQUEST = 100
SETTLED_AFTER = timedelta(minutes=10)
FORECAST_DAYS = 4
"""From midnight of the run's day: 51 hours after 21 UTC end on the fourth."""

_MODELS = {"0025": "meteofrance_arome_france", "001": "meteofrance_arome_france_hd"}
_DOMAINS = {"0025": "meteofrance_arome_france0025", "001": "meteofrance_arome_france_hd"}
_NO_DATA = "undefined"
_UNITS = {
    "wind_speed_10m": "km/h",
    "wind_direction_10m": "°",
    "wind_gusts_10m": "km/h",
    "temperature_2m": "°C",
}


_ThisCentury = Annotated[int, msgspec.Meta(ge=946_684_800, lt=4_102_444_800)]  # Unix seconds, 2000 to 2099


class _Meta(msgspec.Struct):
    last_run_initialisation_time: _ThisCentury
    last_run_availability_time: _ThisCentury


class _Hourly(msgspec.Struct):
    time: list[str]
    wind_speed_10m: list[float | None]
    wind_direction_10m: list[float | None]
    wind_gusts_10m: list[float | None]
    temperature_2m: list[float | None]


class _Location(msgspec.Struct):
    utc_offset_seconds: int
    hourly_units: dict[str, str]
    hourly: _Hourly


_META = msgspec.json.Decoder(_Meta)
_ANSWER = msgspec.json.Decoder(list[_Location] | _Location)


@dataclass(frozen=True, slots=True)
class LatestRun:
    """The newest run that Open-Meteo has, and since when (UTC)."""

    reference_time: datetime
    available_at: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """What one answer said; `parts` are the parts of the run that it gave for every site it knows."""

    records: tuple[Forecast, ...]
    rejected: tuple[Rejected, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class OpenMeteo:
    """The route of last resort; `url` has the metadata, `single_runs_url` the forecasts."""

    url: str
    single_runs_url: str
    grid: AromeGrid
    max_lead: int
    hours: Sequence[int]
    name: str = "open_meteo"
    rank: int = RANK

    async def collect(self, wanted: Wanted, fetch: Fetch) -> AsyncIterator[ForecastBatch]:
        """Yield every wanted run up to the newest one that has settled, newest first; see Route."""
        domain = _DOMAINS[self.grid.code]
        payload = await fetch(Request(url=f"{self.url}/data/{domain}/static/meta.json", kind="json"))
        latest = parse_meta(payload.body, url=payload.url)
        runs = [
            self._run(reference_time, latest, wanted.now)
            for reference_time in cycles(wanted, self.hours)
            if _is_there(reference_time, latest, wanted.now)
        ]
        idle = True
        for run in runs:
            missing = parts_by_missing_sites(
                wanted, self.grid.model, run.reference_time, parts_of(self.grid, self.max_lead), self.rank
            )
            for sites, parts in missing.items():
                for first in range(0, len(sites), SITES_PER_REQUEST):
                    idle = False
                    some = sites[first : first + SITES_PER_REQUEST]
                    batch = self._batch(wanted.now, runs[0].reference_time)
                    yield await self._collect_run(batch, run, parts, some, fetch)
        if runs and idle:
            yield self._batch(payload.fetched_at, runs[0].reference_time)

    async def _collect_run(
        self, batch: ForecastBatch, run: Run, parts: Sequence[Part], sites: Sequence[Site], fetch: Fetch
    ) -> ForecastBatch:
        """Return the batch with what one answer says about a run, or why it says nothing."""
        try:
            payload = await fetch(self._request(run.reference_time, sites))
            reading = await asyncio.to_thread(
                parse,
                payload.body,
                model=self.grid.model,
                reference_time=run.reference_time,
                parts=parts,
                sites=sites,
                url=payload.url,
            )
        except CollectorError as error:
            return replace(batch, failures=(as_failure(self.name, error),))
        lacking = [part.name for part in parts if part not in reading.parts]
        gap = ParseError(f"hours without wind in {', '.join(lacking)}", source=NAME, url=payload.url)
        return replace(
            batch,
            collected_at=payload.fetched_at,
            records=reading.records,
            rejected=reading.rejected,
            failures=(as_failure(self.name, gap),) if lacking else (),
            run=run,
            parts=tuple(part.name for part in reading.parts),
            sites=tuple(site.id for site in sites),
        )

    def _run(self, reference_time: datetime, latest: LatestRun, now: datetime) -> Run:
        """Return a run with its stamp: only the newest has one."""
        stamped = reference_time == latest.reference_time
        return Run(self.grid.model, reference_time, latest.available_at if stamped else now, stamped)

    def _request(self, reference_time: datetime, sites: Sequence[Site]) -> Request:
        return Request(
            url=f"{self.single_runs_url}/v1/forecast",
            kind="json",
            params={
                "run": f"{reference_time:%Y-%m-%dT%H:%M}",
                "latitude": ",".join(f"{site.latitude:.5f}" for site in sites),
                "longitude": ",".join(f"{site.longitude:.5f}" for site in sites),
                "hourly": ",".join(_UNITS),
                "models": _MODELS[self.grid.code],
                "forecast_days": str(FORECAST_DAYS),
                "wind_speed_unit": "kmh",
                "timezone": "GMT",
                "elevation": ",".join(["nan"] * len(sites)),
                "cell_selection": "nearest",
            },
        )

    def _batch(self, collected_at: datetime, newest: datetime) -> ForecastBatch:
        return ForecastBatch(
            source=NAME, route=self.name, rank=self.rank, collected_at=collected_at, newest=newest
        )


def _is_there(reference_time: datetime, latest: LatestRun, now: datetime) -> bool:
    """Say whether a run can be asked for: any before the latest, and that one once the servers agree."""
    if reference_time == latest.reference_time:
        return now >= latest.available_at + SETTLED_AFTER
    return reference_time < latest.reference_time


def parse_meta(body: bytes, *, url: str = "") -> LatestRun:
    """Read `meta.json`, whose times are Unix seconds."""
    try:
        meta = decode_json(_META, body)
    except ParseError as error:
        raise ParseError(f"not the metadata of a model: {error.reason}", source=NAME, url=url) from error
    latest = LatestRun(
        datetime.fromtimestamp(meta.last_run_initialisation_time, UTC),
        datetime.fromtimestamp(meta.last_run_availability_time, UTC),
    )
    if latest.available_at < latest.reference_time:
        raise ParseError("a run that was available before it started", source=NAME, url=url)
    return latest


def parse(
    body: bytes,
    *,
    model: str,
    reference_time: datetime,
    parts: Sequence[Part],
    sites: Sequence[Site],
    url: str = "",
) -> Reading:
    """Turn one answer, with its locations in the order of `sites`, into forecasts for the hours of `parts`.

    Null is absent, and a calm has no direction. A site without any wind is rejected and holds up no part.
    Raises ParseError for another shape, zone or unit, or if no site has any wind.
    """
    try:
        answer = decode_json(_ANSWER, body)
    except ParseError as error:
        raise ParseError(f"not an hourly forecast: {error.reason}", source=NAME, url=url) from error
    locations = answer if isinstance(answer, list) else [answer]
    if len(locations) != len(sites):
        raise ParseError(f"{len(locations)} locations for {len(sites)} sites", source=NAME, url=url)
    records: list[Forecast] = []
    rejected: list[Rejected] = []
    leads_with_wind: list[set[int]] = []
    for site, location in zip(sites, locations, strict=True):
        _check_shape(location, url)
        hours = dict(_hours(location.hourly, reference_time, url))
        windy = {lead for lead, values in hours.items() if values[Parameter.WIND_SPEED] is not None}
        if windy:
            leads_with_wind.append(windy)
        else:
            rejected.append(
                Rejected(f"{model} {site.id}", None, None, "null", "no_value: not one wind speed here")
            )
        records += [
            Forecast(model, site.id, parameter, reference_time, reference_time + timedelta(hours=lead), value)
            for part in parts
            for lead in part.leads
            for parameter, value in hours.get(lead, {}).items()
            if value is not None
        ]
    if not leads_with_wind:
        raise ParseError("not one wind speed for any site", source=NAME, url=url)
    everywhere = set.intersection(*leads_with_wind)
    return Reading(
        tuple(records), tuple(rejected), tuple(part for part in parts if everywhere.issuperset(part.leads))
    )


def _check_shape(location: _Location, url: str) -> None:
    if location.utc_offset_seconds:
        raise ParseError(f"times {location.utc_offset_seconds} s off UTC", source=NAME, url=url)
    for name, unit in _UNITS.items():
        column: list[float | None] = getattr(location.hourly, name)
        if len(column) != len(location.hourly.time):
            raise ParseError(
                f"{len(column)} values of {name} for {len(location.hourly.time)} hours", source=NAME, url=url
            )
        told = location.hourly_units.get(name, "")
        empty = all(value is None for value in column)
        if told != unit and not (told == _NO_DATA and empty):
            raise ParseError(f"{name} in {told!r} instead of {unit!r}", source=NAME, url=url)


def _hours(
    hourly: _Hourly, reference_time: datetime, url: str
) -> Iterator[tuple[int, dict[Parameter, float | None]]]:
    """Yield the lead time in hours and the values of every hour; before the run there is nothing to say."""
    columns = zip(
        hourly.time,
        hourly.wind_speed_10m,
        hourly.wind_direction_10m,
        hourly.wind_gusts_10m,
        hourly.temperature_2m,
        strict=True,
    )
    for text, speed, direction, gust, temperature in columns:
        try:
            valid_time = datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
        except ValueError as error:
            raise ParseError(f"an hour called {text!r}", source=NAME, url=url) from error
        lead, rest = divmod(valid_time - reference_time, timedelta(hours=1))
        if rest:
            raise ParseError(f"{text} is not a whole hour after the run", source=NAME, url=url)
        yield (
            lead,
            {
                Parameter.WIND_SPEED: speed,
                Parameter.WIND_DIRECTION: direction if speed else None,
                Parameter.WIND_GUST: gust,
                Parameter.TEMPERATURE: temperature,
            },
        )
