"""How good the issued forecasts were: error, CRPS, interval, PIT, chances, and the references beside them.

A figure is the mean over days, each day one value, with its 95 % interval. Of several sites a day is the mean
of all their hours: days count, and not sites.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal
from zlib import crc32

import numpy as np
from pydantic import Field

from backend.answers.attribution import forecast_attribution, network_attribution
from backend.answers.base import ApiModel
from backend.answers.issued_history import WINDS, cells_of_hours
from backend.answers.service import ReadingParts
from backend.answers.verification_sums import Chances, DayMeans, SiteSums, day_chances, hour_chances, of_site
from backend.answers.verified_days import HISTORY, verified_days
from backend.answers.withholding import Withholding
from backend.core.local_time import date_of
from backend.core.parameters import RULES, Parameter
from backend.core.records import Site, network_of
from backend.forecast.interval import WINDOW
from backend.forecast.verification import BINS, NOMINAL
from backend.scoring.grid import Hours
from backend.scoring.views import DecisionView
from backend.scoring.words.sentences import view_name

USUAL_DAYS = WINDOW
"""The days that are verified unless a caller chooses others: those that an interval is made from."""

ReferenceName = Literal["best_model", "best_model_dressed", "yesterday", "placebo"]


class DayFigure(ApiModel):
    """The mean of so many daily values, with the ends of its 95 % interval; null below 5 days."""

    mean: float
    low: float | None
    high: float | None
    n_days: int


class ReferenceScores(ApiModel):
    """A reference on the hours that it and ours both have. A difference below 0: ours errs less.

    `best_model` is the raw model with the smallest error so far, as it stood at each decision, and
    `best_model_dressed` the same with an interval from its own past errors. `yesterday` is the newest known
    observation of the same hour, and `placebo` the models corrected by what was learned at another station.
    """

    reference: ReferenceName
    mae: DayFigure | None = None
    mae_difference: DayFigure | None = Field(None, description="ours minus the reference")
    crps: DayFigure | None = None
    crps_difference: DayFigure | None = Field(None, description="ours minus the reference")
    interval_score: DayFigure | None = None
    coverage: DayFigure | None = None


class ReliabilityBin(ApiModel):
    """The announced chances from `low` to below `high`: their mean, and how often it happened."""

    low: float
    high: float
    chance: float | None
    happened: DayFigure | None
    n_cases: int


class ChanceVerification(ApiModel):
    """The announced chances of more than a limit, in hours or on days.

    They are those that were announced with at least 30 past days. `same_chance` is the Brier score of always
    announcing the share that happened: a reference that knows that share beforehand.
    """

    brier: DayFigure
    same_chance: float
    share: float = Field(description="of the cases in which it happened")
    n_cases: int
    bins: list[ReliabilityBin] = Field(description="by tenths of the chance")


class ParameterVerification(ApiModel):
    """The issued forecasts of one parameter, in its unit; null where nothing was issued or measured."""

    parameter: Parameter
    unit: str
    n_hours: int = Field(description="hours with an issued value and a reading")
    mae: DayFigure | None
    crps: DayFigure | None = Field(description="null for a direction")
    coverage: DayFigure | None = Field(
        description="share of readings within the 80 % interval, its ends in it"
    )
    coverage_by_pit: DayFigure | None = Field(
        description="share with 0.1 <= PIT <= 0.9, randomised: of calm or rounded readings not too high"
    )
    pit: list[float] = Field(description="shares of the tenths of the PIT; of a calibrated forecast 0.1 each")
    width: DayFigure | None = Field(description="of the 80 % interval")
    interval_score: DayFigure | None
    references: list[ReferenceScores]
    limit: float | None = Field(None, description="in km/h, of `chance`")
    chance: ChanceVerification | None = Field(None, description="of more than the limit, hour by hour")


class VerificationAnswer(ApiModel):
    """The verification of issued forecasts at one site, or at all sites together."""

    site: str | None = Field(description="null for all sites together")
    site_name: str | None
    n_sites: int = Field(description="sites with an issued forecast and a reading")
    view: str
    view_text: str
    hours: Hours
    first_day: date
    last_day: date
    nominal_coverage: float = NOMINAL
    parameters: list[ParameterVerification]
    day_chance: ChanceVerification | None = Field(
        description="of more than the limit of wind or gust in any flying hour of a day"
    )
    generated_at: datetime
    attribution: list[str]


# --- The answer ------------------------------------------------------------------------------------------


def verification_answer(
    service: ReadingParts,
    sites: Sequence[Site],
    view: DecisionView,
    first: int,
    last: int,
    withheld: Withholding,
    *,
    hours: Hours,
    limit: float,
    gust_limit: float,
) -> VerificationAnswer:
    """Return the verification of a site's issued forecasts, or of those of several sites together.

    Days are local day numbers, both included; limits are in km/h. Raises StoreUnavailableError.
    """
    limits = {Parameter.WIND_SPEED: limit, Parameter.WIND_GUST: gust_limit}
    counted = cells_of_hours(hours)
    sums: dict[Parameter, SiteSums] = defaultdict(SiteSums)
    of_days: list[Chances] = []
    used: list[Site] = []
    for site in sites:
        by_parameter = verified_days(service, site, view, first, last, withheld)
        for parameter, days in by_parameter.items():
            found = of_site(days, parameter, counted, crc32(site.id.encode()))
            if parameter in limits:
                found.chances = hour_chances(days, view, limits[parameter], counted)
            sums[parameter].add(found)
        winds = {parameter: by_parameter[parameter] for parameter in WINDS if parameter in by_parameter}
        if Parameter.WIND_SPEED in winds:
            of_days.append(day_chances(winds, view, limits))
        if any((~np.isnan(days.error[HISTORY:])).any() for days in by_parameter.values()):
            used.append(site)
    for other in of_days[1:]:
        of_days[0].add(other)
    alone = sites[0] if len(sites) == 1 else None
    return VerificationAnswer(
        site=None if alone is None else alone.id,
        site_name=None if alone is None else alone.name,
        n_sites=len(used),
        view=view.name,
        view_text=view_name(view),
        hours=hours,
        first_day=date_of(first),
        last_day=date_of(last),
        parameters=[
            _parameter_answer(parameter, sums[parameter], limits.get(parameter))
            for parameter in Parameter
            if parameter in sums
        ],
        day_chance=_chance_answer(of_days[0]) if of_days else None,
        generated_at=service.clock(),
        attribution=[
            *forecast_attribution(service, set(service.sources.of_every_model()) - set(withheld.models)),
            *network_attribution(
                service,
                {network_of(code) for site in used for code in site.stations} - withheld.networks,
            ),
        ],
    )


def _parameter_answer(parameter: Parameter, sums: SiteSums, limit: float | None) -> ParameterVerification:
    means = sums.means

    def of_reference(name: ReferenceName) -> ReferenceScores:
        fields = [each for each in ReferenceScores.model_fields if each != "reference"]
        return ReferenceScores(
            reference=name, **{each: _figure(each, means.get(f"{name}.{each}")) for each in fields}
        )

    names: tuple[ReferenceName, ...] = ("best_model", "best_model_dressed", "yesterday", "placebo")
    of_names = map(of_reference, names)
    total = float(sums.pit.sum())
    return ParameterVerification(
        parameter=parameter,
        unit=RULES[parameter].unit,
        n_hours=int(means["mae"].count.sum()),
        **{each: _figure(each, means.get(each)) for each in _FIGURES},
        pit=[float(count) / total for count in sums.pit] if total else [],
        references=[each for each in of_names if each.mae is not None or each.interval_score is not None],
        limit=limit,
        chance=None if sums.chances is None else _chance_answer(sums.chances),
    )


_FIGURES = ("mae", "crps", "coverage", "coverage_by_pit", "width", "interval_score")


def _figure(name: str, means: DayMeans | None) -> DayFigure | None:
    """Return a mean over days, None without one; the ends of a share stay within 0 and 1."""
    mean, low, high, days = (math.nan, math.nan, math.nan, 0) if means is None else means.mean()
    if not days:
        return None
    least, most = (0.0, 1.0) if name in {"coverage", "coverage_by_pit", "happened"} else (-math.inf, math.inf)
    return DayFigure(
        mean=mean,
        low=None if math.isnan(low) else max(low, least),
        high=None if math.isnan(high) else min(high, most),
        n_days=days,
    )


def _chance_answer(chances: Chances) -> ChanceVerification | None:
    """Return the verification of chances, None without any announced chance."""
    brier = _figure("brier", chances.brier)
    if brier is None:
        return None
    cases = int(chances.brier.count.sum())
    share = float(sum(each.total.sum() for each in chances.happened)) / cases
    bins = []
    for tenth, happened in enumerate(chances.happened):
        n_cases = int(happened.count.sum())
        bins.append(
            ReliabilityBin(
                low=tenth / BINS,
                high=(tenth + 1) / BINS,
                chance=float(chances.chance[tenth]) / n_cases if n_cases else None,
                happened=_figure("happened", happened),
                n_cases=n_cases,
            )
        )
    return ChanceVerification(
        brier=brier, same_chance=share * (1 - share), share=share, n_cases=cases, bins=bins
    )
