"""How a beacon did over the last weeks: calm, flags, moves, and its difference from neighbours and models."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import numpy as np
from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.public_question import public_question
from backend.answers.question import load, make_question
from backend.answers.scores import coverage_of
from backend.answers.service import ReadingParts
from backend.answers.shapes import Coverage
from backend.answers.shown_station import shown_station
from backend.answers.sites import known_stations
from backend.answers.station_flags import StationFlag, flag_entry
from backend.answers.withholding import Withholding
from backend.core.local_time import date_of
from backend.core.parameters import Parameter
from backend.core.records import Site
from backend.scoring.constants import BEACON_DAYS, BEACON_HOURS, BREEZE
from backend.scoring.grid import SCALE, Hours, Values, paired, present, thousandths
from backend.scoring.names import model_name
from backend.scoring.questions.headline import beacon
from backend.scoring.views import NEAREST


class BeaconMove(ApiModel):
    """A move of the station; `confirmed` is whether the readings at its new place count for the site."""

    since: datetime
    metres: float
    confirmed: bool


class BeaconDifference(ApiModel):
    """The mean wind of the beacon minus that of a neighbour or of a model, in km/h; null with few hours."""

    name: str
    station: str | None = Field(description="null for a model")
    n_hours: int
    mean: float | None
    size: float | None = Field(description="mean of the absolute differences")


class BeaconAnswer(ApiModel):
    """A beacon over the last days; every figure is of public values."""

    station: str
    name: str
    instead_of: str | None = Field(description="the reference station, whose values are withheld")
    elevation: float | None
    distance_km: float | None
    height_difference: float | None
    first_day: date
    last_day: date
    coverage: Coverage
    calm_below: float
    calm_share: float | None
    doubted: dict[Parameter, dict[str, int]]
    flags: list[StationFlag]
    moves: list[BeaconMove]
    neighbours: list[BeaconDifference]
    models: list[BeaconDifference]


def beacon_answer(service: ReadingParts, site: Site, withheld: Withholding) -> BeaconAnswer | None:
    """Return how the beacon did that a site is shown at; None if the site has no public station."""
    question = make_question(service, site, view=NEAREST, hours=Hours.ALL, usual=BEACON_DAYS.value)
    last = date_of(question.last)
    code = shown_station(site, last, withheld)
    if code is None:
        return None
    # About this station on every day: without it, the question is also about the reference stations of
    # earlier days, whose values can be withheld.
    question = public_question(service, replace(question, station=code), withheld, only_public=True)
    sample = load(service, question)
    days = sample.stations[code]
    measured = days.observed[Parameter.WIND_SPEED]
    hours = present(measured)
    calm = int((hours & (measured < thousandths(BREEZE.value))).sum())
    place = beacon(sample.site, days.station)
    reference = site.reference_on(last)
    doubted: dict[Parameter, dict[str, int]] = {}
    for (parameter, reason), count in days.doubted.items():
        doubted.setdefault(parameter, {})[reason] = count
    known = known_stations(service, (site,))
    return BeaconAnswer(
        station=code,
        name=place.name or code,
        instead_of=None if reference in {code, None} else known[reference or code].name or reference,
        elevation=days.station.elevation,
        distance_km=place.distance,
        height_difference=place.height,
        first_day=date_of(question.first),
        last_day=last,
        coverage=Coverage.model_validate(coverage_of(service, question, sample).stations[code]),
        calm_below=BREEZE.value,
        calm_share=calm / int(hours.sum()) if hours.any() else None,
        doubted=doubted,
        flags=[flag_entry(flag) for flag in service.store.station_flags() if flag.station == code],
        moves=[
            BeaconMove(since=move.since, metres=move.metres, confirmed=move.confirmed)
            for move in service.store.moves((site,))
            if move.station == code
        ],
        neighbours=[
            _difference(known[other].name or other, other, measured, of_other.observed[Parameter.WIND_SPEED])
            for other, of_other in sample.stations.items()
            if other != code and present(of_other.observed[Parameter.WIND_SPEED]).any()
        ],
        models=[
            _difference(model_name(model), None, measured, values[Parameter.WIND_SPEED])
            for model, values in sample.all_forecasts.items()
            if present(values[Parameter.WIND_SPEED]).any()
        ],
    )


def _difference(name: str, station: str | None, mine: Values, other: Values) -> BeaconDifference:
    both = paired(mine, other)
    differences = (mine[both].astype(np.int64) - other[both]) / SCALE
    enough = len(differences) >= BEACON_HOURS.value
    return BeaconDifference(
        name=name,
        station=station,
        n_hours=len(differences),
        mean=float(differences.mean()) if enough else None,
        size=float(np.abs(differences).mean()) if enough else None,
    )
