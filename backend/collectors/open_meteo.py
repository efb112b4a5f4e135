"""Open-Meteo's copies of many models: JSON, many sites in one answer, one run at a time, never stitched.

Publisher: Open-Meteo.com, from the data of national services. Licence: CC BY 4.0, and the free service is
for non-commercial use only: hence nothing is asked of it unless the operator says so.
Cadence: follows the publishers; AROME about 4 h 30 after the run (August 2026). Units: as asked for, km/h,
degrees, °C. Times: UTC ("GMT"). Rounding: 0.1 m/s, whole degrees, 0.05 K: a lesser copy.
Used twice: as a third route to AROME (arome.py), and for other models (open_meteo_models.py).

Quirks, with the date we saw them described:
- the ordinary forecast service stitches runs together without saying so; the single-runs service (since
  April 2026) gives the run that is asked for;
- `meta.json` tells the newest run and since when it is there; its servers agree about ten minutes later;
- a run that is not archived (4 or 5 in a hundred) is a 400, or for several sites a 200 with plain text;
- what the model does not have is null, its unit then "undefined"; step 0 has no gust;
- temperature is moved to a finer terrain unless `elevation=nan`, and a cell on land is preferred unless
  `cell_selection=nearest`; several sites need as many `nan`;
- a place that the model does not cover has empty columns, or none, beside places that it covers; alone it
  is a 400 (September 2026);
- the hours between those that a model has are interpolated: only those of its own step are taken;
- an `elevation` of 0 is what it says where it does not know the ground of the cell (December 2024);
- the gusts of the fine grid of AROME were null for a while (June 2024).
Limits: 10 000 calls a day, 5 000 an hour, 600 a minute, 300 000 a month, where each site of a request
counts as one call (up to ten variables and two weeks): the HTTP client counts, and refuses in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

import msgspec

from backend.collectors.arome_runs import Part, cycles, parts_by_missing_sites
from backend.collectors.base import Fetch, Request, as_failure
from backend.collectors.decoding import decode_json
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import Forecast, ForecastBatch, GridPoint, Rejected, Run, Site, Wanted

SITES_PER_REQUEST = 100
SETTLED_AFTER = timedelta(minutes=10)
ARCHIVE_SINCE = datetime(2026, 4, 2, tzinfo=UTC)
"""The first runs that the single-runs service keeps of most models."""


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


_Column = list[float | None] | msgspec.UnsetType


class _Hourly(msgspec.Struct):
    time: list[str]
    wind_speed_10m: _Column = msgspec.UNSET
    wind_direction_10m: _Column = msgspec.UNSET
    wind_gusts_10m: _Column = msgspec.UNSET
    temperature_2m: _Column = msgspec.UNSET

    def column(self, name: str) -> list[float | None]:
        """Return the values of a variable; none where it is left out."""
        values: _Column = getattr(self, name)
        return [] if values is msgspec.UNSET else values


class _Location(msgspec.Struct):
    latitude: float
    longitude: float
    utc_offset_seconds: int
    hourly: _Hourly
    hourly_units: dict[str, str] = {}
    elevation: float | None = None


_META = msgspec.json.Decoder(_Meta)
_ANSWER = msgspec.json.Decoder(list[_Location] | _Location)


class Area(NamedTuple):
    """Where a model answers, in degrees."""

    south: float
    west: float
    north: float
    east: float

    def holds(self, site: Site) -> bool:
        """Say whether a site lies within it."""
        return self.south <= site.latitude <= self.north and self.west <= site.longitude <= self.east


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as Open-Meteo has it: `name` in our records, `id` in its questions, `domain` of its metadata.

    It is run at `hours` (UTC), and reaches `horizon` hours ahead. `parts` are what a run is counted by, and
    hold the hours that the model itself has. `usual_delay` is when a run can be had as a rule, rounded up:
    the stamp of a run fetched long after. `area` is None for a model that covers all of France.
    """

    name: str
    id: str
    domain: str
    hours: Sequence[int]
    horizon: int
    parts: Sequence[Part]
    usual_delay: timedelta
    area: Area | None = None

    @property
    def days(self) -> int:
        """Return how many days to ask for, from midnight of the run's day."""
        return (23 + self.horizon) // 24 + 1

    @property
    def max_age(self) -> timedelta:
        """Return how old the newest run may be: one may be missing."""
        return self.usual_delay + timedelta(hours=2 * 24 / len(self.hours))


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
    grid_points: tuple[GridPoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMeteo:
    """The runs of some models; `url` has the metadata, `single_runs_url` the forecasts."""

    source: str
    url: str
    single_runs_url: str
    models: Sequence[Model]
    name: str = "open_meteo"
    rank: int = 0

    async def collect(self, wanted: Wanted, fetch: Fetch) -> AsyncIterator[ForecastBatch]:
        """Yield every wanted run of every model, up to its newest one that has settled; see Route.

        A model that fails costs itself only.
        """
        for model in self.models:
            if wanted.until is not None and not self._lacks(model, wanted):
                continue
            try:
                latest, asked_at = await self._latest(model, fetch)
            except CollectorError as error:
                yield self._failed(error, wanted.now)
                continue
            async for batch in self._collect_model(model, latest, asked_at, wanted, fetch):
                yield batch

    def _lacks(self, model: Model, wanted: Wanted) -> bool:
        return any(
            parts_by_missing_sites(_within(model, wanted), model.name, run, model.parts, self.rank)
            for run in cycles(wanted, model.hours)
        )

    async def _latest(self, model: Model, fetch: Fetch) -> tuple[LatestRun, datetime]:
        request = Request(url=f"{self.url}/data/{model.domain}/static/meta.json", kind="json")
        payload = await fetch(request)
        return parse_meta(payload.body, url=payload.url), payload.fetched_at

    async def _collect_model(
        self, model: Model, latest: LatestRun, asked_at: datetime, wanted: Wanted, fetch: Fetch
    ) -> AsyncIterator[ForecastBatch]:
        wanted = _within(model, wanted)
        runs = [
            _run(model, reference_time, latest, wanted)
            for reference_time in cycles(wanted, model.hours)
            if _is_there(reference_time, latest, wanted.now)
        ]
        # One source is as new as its newest model: that another one stands still has to be told apart.
        several = len(self.models) > 1 and wanted.until is None
        if several and wanted.now - latest.reference_time > model.max_age:
            yield self._failed(_stands_still(model, latest, self.source), wanted.now)
        idle = True
        for run in runs:
            missing = parts_by_missing_sites(wanted, model.name, run.reference_time, model.parts, self.rank)
            for sites, parts in missing.items():
                for first in range(0, len(sites), SITES_PER_REQUEST):
                    idle = False
                    some = sites[first : first + SITES_PER_REQUEST]
                    batch = self._batch(wanted.now, runs[0].reference_time)
                    yield await self._collect_run(batch, model, run, parts, some, fetch)
        if runs and idle:
            yield self._batch(asked_at, runs[0].reference_time)

    async def _collect_run(
        self,
        batch: ForecastBatch,
        model: Model,
        run: Run,
        parts: Sequence[Part],
        sites: Sequence[Site],
        fetch: Fetch,
    ) -> ForecastBatch:
        """Return the batch with what one answer says about a run, or why it says nothing."""
        try:
            payload = await fetch(self._request(model, run.reference_time, sites))
            reading = await asyncio.to_thread(
                parse,
                payload.body,
                model=model.name,
                reference_time=run.reference_time,
                parts=parts,
                sites=sites,
                source=self.source,
                url=payload.url,
            )
        except CollectorError as error:
            return replace(batch, failures=(as_failure(self.name, error),))
        lacking = [part.name for part in parts if part not in reading.parts]
        gap = ParseError(f"hours without wind in {', '.join(lacking)}", source=self.source, url=payload.url)
        return replace(
            batch,
            collected_at=payload.fetched_at,
            records=reading.records,
            rejected=reading.rejected,
            failures=(as_failure(self.name, gap),) if lacking else (),
            run=run,
            parts=tuple(part.name for part in reading.parts),
            sites=tuple(site.id for site in sites),
            grid_points=reading.grid_points,
        )

    def _request(self, model: Model, reference_time: datetime, sites: Sequence[Site]) -> Request:
        return Request(
            url=f"{self.single_runs_url}/v1/forecast",
            kind="json",
            params={
                "run": f"{reference_time:%Y-%m-%dT%H:%M}",
                "latitude": ",".join(f"{site.latitude:.5f}" for site in sites),
                "longitude": ",".join(f"{site.longitude:.5f}" for site in sites),
                "hourly": ",".join(_UNITS),
                "models": model.id,
                "forecast_days": str(model.days),
                "wind_speed_unit": "kmh",
                "timezone": "GMT",
                "elevation": ",".join(["nan"] * len(sites)),
                "cell_selection": "nearest",
            },
            calls=len(sites),
        )

    def _batch(self, collected_at: datetime, newest: datetime | None = None) -> ForecastBatch:
        return ForecastBatch(
            source=self.source, route=self.name, rank=self.rank, collected_at=collected_at, newest=newest
        )

    def _failed(self, error: CollectorError, now: datetime) -> ForecastBatch:
        return replace(self._batch(now), failures=(as_failure(self.name, error),))


def _within(model: Model, wanted: Wanted) -> Wanted:
    """Return what is wanted, for the sites that the model reaches."""
    if model.area is None:
        return wanted
    return replace(wanted, sites=tuple(site for site in wanted.sites if model.area.holds(site)))


def _run(model: Model, reference_time: datetime, latest: LatestRun, wanted: Wanted) -> Run:
    """Return a run with its stamp: only the newest has one.

    Any other could be had when we first see it; one of the past, after its usual delay, which is an estimate.
    """
    if reference_time == latest.reference_time:
        return Run(model.name, reference_time, latest.available_at, published=True)
    seen = wanted.now
    if wanted.until is not None:
        seen = min(seen, reference_time + model.usual_delay)
    return Run(model.name, reference_time, seen, published=False)


def _stands_still(model: Model, latest: LatestRun, source: str) -> CollectorError:
    hours = model.max_age / timedelta(hours=1)
    return CollectorError(
        f"the newest run of {model.name} is that of {latest.reference_time:%Y-%m-%d %H:%M} UTC, and"
        f" {hours:g} h is the most for its cadence",
        source=source,
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
        raise ParseError(f"not the metadata of a model: {error.reason}", url=url) from error
    latest = LatestRun(
        datetime.fromtimestamp(meta.last_run_initialisation_time, UTC),
        datetime.fromtimestamp(meta.last_run_availability_time, UTC),
    )
    if latest.available_at < latest.reference_time:
        raise ParseError("a run that was available before it started", url=url)
    return latest


def parse(
    body: bytes,
    *,
    model: str,
    reference_time: datetime,
    parts: Sequence[Part],
    sites: Sequence[Site],
    source: str = "",
    url: str = "",
) -> Reading:
    """Turn one answer, with its locations in the order of `sites`, into forecasts for the hours of `parts`.

    Null is absent, and a calm has no direction. A site without any wind, as where the model does not
    reach, is rejected and holds up no part. Raises ParseError for another shape, zone or unit, for a wind
    from before the run (then runs were stitched together), or if no site has any wind.
    """
    try:
        return _read(body, model, reference_time, parts, sites)
    except ParseError as error:
        raise ParseError(error.reason, source=source, url=url) from error


def _read(
    body: bytes, model: str, reference_time: datetime, parts: Sequence[Part], sites: Sequence[Site]
) -> Reading:
    records: list[Forecast] = []
    rejected: list[Rejected] = []
    points: list[GridPoint] = []
    leads_with_wind: list[set[int]] = []
    for site, location in zip(sites, _locations(body, len(sites)), strict=True):
        hours = dict(_hours(location, reference_time))
        windy = {lead for lead, values in hours.items() if values[Parameter.WIND_SPEED] is not None}
        if not windy:
            nothing = "no_value: not one wind speed here"
            rejected.append(Rejected(f"{model} {site.id}", None, None, "null", nothing))
        elif min(windy) < 0:
            raise ParseError("wind from before the run: other runs are mixed into the answer")
        else:
            leads_with_wind.append(windy)
            points.append(_grid_point(model, site, location))
        records += [
            Forecast(model, site.id, parameter, reference_time, reference_time + timedelta(hours=lead), value)
            for part in parts
            for lead in part.leads
            for parameter, value in hours.get(lead, {}).items()
            if value is not None
        ]
    if not leads_with_wind:
        raise ParseError("not one wind speed for any site")
    everywhere = set.intersection(*leads_with_wind)
    complete = tuple(part for part in parts if everywhere.issuperset(part.leads))
    return Reading(tuple(records), tuple(rejected), complete, tuple(points))


def _locations(body: bytes, expected: int) -> list[_Location]:
    try:
        answer = decode_json(_ANSWER, body)
    except ParseError as error:
        raise ParseError(f"not an hourly forecast: {error.reason}") from error
    locations = answer if isinstance(answer, list) else [answer]
    if len(locations) != expected:
        raise ParseError(f"{len(locations)} locations for {expected} sites")
    return locations


def _grid_point(model: str, site: Site, location: _Location) -> GridPoint:
    # 0 is said of a ground that is not known; a cell at sea loses its own by that.
    ground = location.elevation or None
    return GridPoint(model, site.id, f"{location.latitude:g},{location.longitude:g}", ground)


def _columns(location: _Location) -> list[list[float | None]]:
    """Return the columns in the order of `_UNITS`; none for a place that the model does not cover."""
    if location.utc_offset_seconds:
        raise ParseError(f"times {location.utc_offset_seconds} s off UTC")
    hours = len(location.hourly.time)
    columns = [location.hourly.column(name) for name in _UNITS]
    if not any(columns):
        return []
    for (name, unit), column in zip(_UNITS.items(), columns, strict=True):
        if len(column) != hours:
            raise ParseError(f"{len(column)} values of {name} for {hours} hours")
        told = location.hourly_units.get(name, "")
        empty = all(value is None for value in column)
        if told != unit and not (told == _NO_DATA and empty):
            raise ParseError(f"{name} in {told!r} instead of {unit!r}")
    return columns


def _hours(
    location: _Location, reference_time: datetime
) -> Iterator[tuple[int, dict[Parameter, float | None]]]:
    """Yield the lead time in hours and the values of every hour."""
    if not (columns := _columns(location)):
        return
    for text, speed, direction, gust, temperature in zip(location.hourly.time, *columns, strict=True):
        try:
            valid_time = datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
        except ValueError as error:
            raise ParseError(f"an hour called {text!r}") from error
        lead, rest = divmod(valid_time - reference_time, timedelta(hours=1))
        if rest:
            raise ParseError(f"{text} is not a whole hour after the run")
        yield (
            lead,
            {
                Parameter.WIND_SPEED: speed,
                Parameter.WIND_DIRECTION: direction if speed else None,
                Parameter.WIND_GUST: gust,
                Parameter.TEMPERATURE: temperature,
            },
        )
