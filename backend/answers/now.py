"""The newest readings at a site, and how they compare with what was announced the evening before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from pydantic import Field

from backend.answers.attribution import network_attribution
from backend.answers.base import ApiModel
from backend.answers.beacon_place import BeaconPlace, beacon_place
from backend.answers.question import load, make_question
from backend.answers.service import ReadingParts
from backend.answers.shown_station import shown_station
from backend.answers.sites import known_stations
from backend.answers.station_flags import FLAG_LASTS, StationFlag, flag_entry
from backend.answers.withholding import Withholding
from backend.core.clock import PARIS
from backend.core.local_time import date_of, local_day
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site, network_of
from backend.scoring.constants import WITHIN_WIND
from backend.scoring.grid import SCALE
from backend.scoring.names import model_name
from backend.scoring.public.windows import with_public_values
from backend.scoring.sample.sample import Sample
from backend.scoring.views import EVENING_BEFORE
from backend.storage.queries import ObservationRow

STALE_AFTER = timedelta(hours=1)
"""Age from which a reading is no longer the wind of now."""

Side = Literal["above", "below", "among"]


class StationNow(ApiModel):
    """The newest reading of a station. Speeds in km/h; null if the reading has no such value."""

    place: BeaconPlace
    time: datetime | None = Field(description="null without a stored reading of the wind")
    age_seconds: float | None
    stale: bool
    wind_speed: float | None
    wind_gust: float | None
    wind_direction: float | None
    temperature: float | None
    flags: list[StationFlag] = Field(description="suspect periods of its sensors that last until now")


class AnnouncedNow(ApiModel):
    """What a model announced the evening before for the hour of the reading, in km/h."""

    model: str
    name: str
    wind_speed: float
    within: bool = Field(description="whether the reading differs by at most the tolerance")


class AgainstAnnounced(ApiModel):
    """The reading against the announcements of the evening before.

    It is above (below) if it is above (below) every model by more than the tolerance. `difference` is reading
    minus nearest announcement. `since` is the first hour of the unbroken row in which the side is the same.
    """

    hour: int = Field(description="o'clock of the local day, the nearest to the reading")
    models: list[AnnouncedNow]
    side: Side
    difference: float = Field(description="km/h")
    since: int | None = Field(description="null if `side` is among, or if the row has no hour before `hour`")
    tolerance: float


class NowAnswer(ApiModel):
    """The stations of a site with public values, the one that the page is about first."""

    site: str
    stations: list[StationNow]
    against: AgainstAnnounced | None = Field(description="null for a stale reading, and without a forecast")
    station_withheld: str | None = Field(description="the reference station, if its values are not public")
    withheld_stations: int = Field(description="stations of the site with values that are not public")
    attribution: list[str]


def now_answer(service: ReadingParts, site: Site, withheld: Withholding) -> NowAnswer:
    """Return the newest readings of the public stations of a site. Raises StoreUnavailableError."""
    now = service.clock()
    today = date_of(local_day(now))
    reference = site.reference_on(today)
    first = shown_station(site, today, withheld)
    codes = [code for code in site.stations if network_of(code) not in withheld.networks]
    if first is not None:
        codes = [first, *(code for code in codes if code != first)]
    known = known_stations(service, (site,))
    # One question for all stations: each as a place of its own, without forecasts.
    places = [replace(site, id=code, stations=(code,)) for code in codes]
    newest = service.reading.newest_values(places, now, networks_withheld=withheld.networks)
    flags = [
        flag
        for flag in service.store.station_flags()
        if site.id in flag.sites
        and flag.since <= now
        and (flag.until is None or flag.until > now - FLAG_LASTS)
    ]
    stations = [
        _station_now(
            beacon_place(site, known[code], reference),
            newest[code].observed,
            now,
            [flag_entry(flag) for flag in flags if flag.station == code],
        )
        for code in codes
    ]
    against = None
    if stations and not stations[0].stale:
        question = make_question(
            service, site, view=EVENING_BEFORE, first=today, last=today, station=codes[0]
        )
        sample = with_public_values(load(service, question), withheld.models, withheld.networks)
        against = _against(sample, stations[0], local_day(now))
    return NowAnswer(
        site=site.id,
        stations=stations,
        against=against,
        station_withheld=reference
        if reference is not None and network_of(reference) in withheld.networks
        else None,
        withheld_stations=len(site.stations) - len(codes),
        attribution=network_attribution(service, {network_of(code) for code in codes}),
    )


def _station_now(
    place: BeaconPlace, newest: Sequence[ObservationRow], now: datetime, flags: list[StationFlag]
) -> StationNow:
    time = next((row.time for row in newest if row.parameter is Parameter.WIND_SPEED), None)
    # Values of other times would be shown as if they belonged to the same reading.
    values = {row.parameter: row.value for row in newest if row.time == time}
    age = None if time is None else max((now - time).total_seconds(), 0.0)
    return StationNow(
        place=place,
        time=time,
        age_seconds=age,
        stale=age is None or age > STALE_AFTER.total_seconds(),
        flags=flags,
        **{parameter.value: values.get(parameter) for parameter in Parameter},
    )


def _against(sample: Sample, station: StationNow, today: int) -> AgainstAnnounced | None:
    """Compare the newest reading, and the hours before it, with the announcements of the evening before."""
    if station.time is None or station.wind_speed is None or local_day(station.time) != today:
        return None
    local = station.time.astimezone(PARIS)
    hour = min(local.hour + (local.minute >= 30), 23)
    columns = np.flatnonzero(sample.clock[0] == hour).tolist()
    if not columns:
        return None  # the hour that the change of the clocks leaves out
    announced = {model: of_model[Parameter.WIND_SPEED][0] for model, of_model in sample.all_forecasts.items()}

    def compared(column: int, observed: float) -> tuple[Side, float] | None:
        """Return the side of a wind, and its difference from the nearest announcement; None without one."""
        differences = [
            observed - values[column] / SCALE for values in announced.values() if values[column] != ABSENT
        ]
        if not differences:
            return None
        nearest = min(differences, key=abs)
        if min(differences) > WITHIN_WIND.value:
            return "above", nearest
        return ("below" if max(differences) < -WITHIN_WIND.value else "among"), nearest

    found = compared(columns[0], station.wind_speed)
    if found is None:
        return None
    side, difference = found
    since = columns[0]
    measured = sample.measured[Parameter.WIND_SPEED][0]
    while side != "among" and since > 0 and measured[since - 1] != ABSENT:
        earlier = compared(since - 1, measured[since - 1] / SCALE)
        if earlier is None or earlier[0] != side:
            break
        since -= 1
    return AgainstAnnounced(
        hour=hour,
        models=[
            AnnouncedNow(
                model=model,
                name=model_name(model),
                wind_speed=value,
                within=abs(station.wind_speed - value) <= WITHIN_WIND.value,
            )
            for model, values in announced.items()
            if values[columns[0]] != ABSENT
            for value in [values[columns[0]] / SCALE]
        ],
        side=side,
        difference=difference,
        # The hour of the reading itself may be later than the reading: 15:00 for 14:35.
        since=None if since == columns[0] else int(sample.clock[0, since]),
        tolerance=WITHIN_WIND.value,
    )
