"""The home page: for many sites at once, what one public model announces for the next flying day."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from pydantic import Field

from backend.answers.announced import (
    AnnouncedDay,
    AnnouncedModel,
    RunValue,
    UnshownModel,
    announced_days,
    in_fixed_order,
    unshown_models,
    view_of,
)
from backend.answers.base import ApiModel
from backend.answers.freshness import SourceFreshness, freshness
from backend.answers.issued_history import DayChance
from backend.answers.kept_histories import day_chances, prepare_histories
from backend.answers.service import ReadingParts, ServiceParts
from backend.answers.site_records import judged_sites, renew_records
from backend.answers.trust import Judgement, Trust, TrustedModel, trusted
from backend.answers.withholding import Withholding
from backend.core.clock import PARIS
from backend.core.distance import metres_between
from backend.core.local_time import date_of, day_number, local_day, local_moment
from backend.core.records import Site, Station, network_of
from backend.core.registry import THREE_HOUR_GUST_MODELS
from backend.storage import announced as store
from backend.storage.database import from_epoch

HOURS = (10, 12, 14, 16, 18)
"""The hours of the local clock that a row shows."""

TODAY_UNTIL = 12
"""Until this hour of the local clock the page is about today, then about tomorrow."""

SITES_A_PAGE = 30


class HomeHour(ApiModel):
    """An hour of a site's row: mean wind and gust in km/h, and how they lie to the pilot's limits.

    `close` is true if the hour may lie on the other side of the limits: a value is not further from its limit
    than the average error of its model, and none is further above.
    """

    hour: int
    wind: float | None
    gust: float | None
    over: bool = Field(description="the mean wind or the gust is above its limit")
    close: bool


class HomeStation(ApiModel):
    """The station at which the models of a row are judged, and its newest reading."""

    station: str
    name: str
    distance_km: float | None
    is_reference: bool = Field(description="false: the values of the site's reference station are not public")
    newest_reading: datetime | None
    age_seconds: float | None
    stale: bool


class HomeRow(ApiModel):
    """A site with what one public model announces; `trust` is null without any announced mean wind."""

    site: str
    name: str
    latitude: float
    longitude: float
    distance_km: float | None = Field(description="from the asked position")
    trust: Trust | None
    hours: list[HomeHour]
    newest_run: datetime | None = Field(description="of the shown model of the mean wind")
    run_age_seconds: float | None
    run_stale: bool
    station: HomeStation | None = Field(description="null if the site has no public station")
    day_chance: DayChance | None = Field(
        None, description="of more than a limit, where the corrected forecast is shown"
    )


class ShownRun(ApiModel):
    """A model that a page shows, with its newest run at any of the sites."""

    model: str
    name: str
    newest_run: datetime
    age_seconds: float
    stale: bool
    attribution: str | None


class HomeAnswer(ApiModel):
    """A page of sites."""

    day: date
    is_today: bool
    view: str
    hours: list[int]
    rows: list[HomeRow]
    found: int = Field(description="sites on all pages")
    page: int
    pages: int
    runs: list[ShownRun] = Field(description="of the models in the rows, in the order of the registry")
    withheld: list[UnshownModel]


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeQuestion:
    """Which sites a home page lists, and in which order; limits in km/h.

    `chosen` are the pilot's own sites, shown without a search text in this order. `position` is latitude and
    longitude. `within` leaves the sites at which every public model stays within both limits.
    """

    chosen: tuple[str, ...] = ()
    search: str = ""
    position: tuple[float, float] | None = None
    within: bool = False
    page: int = 1
    wind_limit: float
    gust_limit: float
    is_today: bool


def is_about_today(now: datetime) -> bool:
    """Return whether the next flying day is today."""
    return now.astimezone(PARIS).hour < TODAY_UNTIL


def prepare_home(service: ReadingParts) -> int:
    """Make the records and histories of the next home page in advance; return the number of records."""
    now = service.clock()
    ahead = 0 if is_about_today(now) else 1
    prepare_histories(service, date_of(local_day(now) + ahead))
    return renew_records(service, view_of(ahead, now))


@lru_cache(maxsize=4)
def list_version(sites: tuple[Site, ...]) -> str:
    """Return a text that changes with the list of sites; to write a thousand of them takes 10 ms."""
    return hashlib.sha256(repr(sites).encode("utf-8", "surrogatepass")).hexdigest()


def home_answer(service: ServiceParts, question: HomeQuestion, withheld: Withholding) -> HomeAnswer:
    """Return a page of sites, each with what one public model announces for the day."""
    now = service.clock()
    day = date_of(local_day(now) + (not question.is_today))
    found = _found(service, question, day, withheld)
    pages = max(1, -(-len(found) // SITES_A_PAGE))
    page = min(question.page, pages)
    shown = found[(page - 1) * SITES_A_PAGE : page * SITES_A_PAGE]
    announced = announced_days(service, [site for site, _ in shown], day, withheld, hours=HOURS)
    view = view_of(0 if question.is_today else 1, now)
    # Only of the shown page: a record takes tens of milliseconds, and there may be a thousand sites.
    judgements = judged_sites(
        service,
        [site for site, _ in shown],
        view,
        withheld,
        wind_limit=question.wind_limit,
        gust_limit=question.gust_limit,
    )
    chances = day_chances(
        service,
        [site for site, _ in shown],
        day,
        withheld,
        wind_limit=question.wind_limit,
        gust_limit=question.gust_limit,
    )
    ages = _Ages(service, judgements.values())
    rows = [
        _row(site, distance, question, announced[site.id], judgements[site.id], ages).model_copy(
            update={"day_chance": chances.get(site.id)}
        )
        for site, distance in shown
    ]
    used = {each.model for row in rows if row.trust for each in (row.trust.wind, row.trust.gust) if each}
    newest: dict[str, AnnouncedModel] = {}
    for model in (model for each in announced.values() for model in each.models if model.model in used):
        # The sites of a page may have different runs of a model: the page names the newest.
        newest[model.model] = max(newest.get(model.model, model), model, key=lambda each: each.newest_run)
    return HomeAnswer(
        day=day,
        is_today=question.is_today,
        view=view.name,
        hours=list(HOURS),
        rows=rows,
        found=len(found),
        page=page,
        pages=pages,
        runs=[
            ShownRun(
                model=model.model,
                name=model.name,
                newest_run=model.newest_run,
                age_seconds=model.age_seconds,
                stale=ages.run_is_stale(model.model, model.newest_run),
                attribution=model.attribution,
            )
            for model in sorted(newest.values(), key=lambda each: in_fixed_order(each.model))
        ],
        withheld=unshown_models(service, withheld),
    )


# --- The sites ---------------------------------------------------------------------------------------


def _found(
    service: ServiceParts, question: HomeQuestion, day: date, withheld: Withholding
) -> list[tuple[Site, float | None]]:
    """Return the sites of all pages in their order, each with its distance in km from the position."""
    sites = service.sites()
    by_id = {site.id: site for site in sites}
    own = [by_id[name] for name in question.chosen if name in by_id]
    if question.search:
        wanted = plain_text(question.search).split()
        listed = [
            site for site in sites if all(word in plain_text(f"{site.name} {site.id}") for word in wanted)
        ]
    else:
        listed = own or list(sites)
    if question.within:
        likely = likely_within(
            service, day, withheld, wind_limit=question.wind_limit, gust_limit=question.gust_limit
        )
        listed = [site for site in listed if site.id in likely]
    if question.position is not None:
        kilometres = {
            site.id: metres_between(question.position, (site.latitude, site.longitude)) / 1000
            for site in listed
        }
        return [(site, kilometres[site.id]) for site in sorted(listed, key=lambda site: kilometres[site.id])]
    if question.search or not own:
        # By the plain text: in the order of code points "Évian" and "aravis" come after "Zermatt".
        listed.sort(key=lambda site: plain_text(site.name))
    return [(site, None) for site in listed]


def plain_text(text: str) -> str:
    """Return a text without accents and in small letters, for searches and for the order of names."""
    return "".join(
        letter
        for letter in unicodedata.normalize("NFKD", text.casefold())
        if not unicodedata.combining(letter)
    )


def likely_within(
    service: ReadingParts, day: date, withheld: Withholding, *, wind_limit: float, gust_limit: float
) -> set[str]:
    """Return the sites at which every public model stays within both limits at all shown hours.

    At least one of them has a mean wind for each of these hours.
    """
    times = [from_epoch(local_moment(day_number(day), hour)) for hour in HOURS]
    highest = store.highest_values(service.database, times, service.clock(), models_withheld=withheld.models)
    return {
        site
        for site, of_models in highest.items()
        if any(values.hours == len(HOURS) for values in of_models.values())
        and all(
            values.wind <= wind_limit
            and (values.gust is None or values.gust <= gust_limit or model in THREE_HOUR_GUST_MODELS)
            for model, values in of_models.items()
        )
    }


# --- Rows --------------------------------------------------------------------------------------------


class _Ages:
    """How old the newest run of a model and the newest reading of a station are."""

    def __init__(self, service: ServiceParts, judgements: Iterable[Judgement | None]) -> None:
        self.now = service.clock()
        self._source_of = {model: source.name for model, source in service.sources.of_every_model().items()}
        self._sources: dict[str, SourceFreshness] = {
            each.source: each for each in freshness(service, service.ledger.newest_data())
        }
        stations = {each.station for each in judgements if each is not None and each.station is not None}
        self._newest = store.newest_readings(service.database, stations)
        self.stations = store.described_stations(service.database, stations)

    def is_stale(self, source: str | None, newest: datetime) -> bool:
        """Return whether data are older than those of a source that works; False without such a limit."""
        known = self._sources.get(source or "")
        return known is not None and known.last_due - newest > timedelta(seconds=known.max_age_seconds)

    def run_is_stale(self, model: str, run: datetime) -> bool:
        """Return whether the newest run of a model at a site is too old."""
        return self.is_stale(self._source_of.get(model), run)

    def station(self, site: Site, code: str) -> HomeStation:
        """Return a station with its newest reading."""
        station = self.stations.get(code, Station(code))
        metres = metres_between((site.latitude, site.longitude), (station.latitude, station.longitude))
        newest = self._newest.get(code)
        return HomeStation(
            station=code,
            name=station.name or code,
            distance_km=None if metres is None else metres / 1000,
            is_reference=site.reference_on(self.now.astimezone(PARIS).date()) == code,
            newest_reading=newest,
            age_seconds=None if newest is None else max(0.0, (self.now - newest).total_seconds()),
            stale=newest is None or self.is_stale(network_of(code), newest),
        )


def _row(
    site: Site,
    distance: float | None,
    question: HomeQuestion,
    announced: AnnouncedDay,
    judgement: Judgement | None,
    ages: _Ages,
) -> HomeRow:
    trust = None if judgement is None else trusted(judgement, announced.models, HOURS)
    run = None
    if trust is not None:
        run = next(model.newest_run for model in announced.models if model.model == trust.wind.model)
    return HomeRow(
        site=site.id,
        name=site.name,
        latitude=site.latitude,
        longitude=site.longitude,
        distance_km=distance,
        trust=trust,
        hours=[] if trust is None else _hours(question, announced, trust),
        newest_run=run,
        run_age_seconds=None if run is None else (ages.now - run).total_seconds(),
        run_stale=trust is not None and run is not None and ages.run_is_stale(trust.wind.model, run),
        station=None
        if judgement is None or judgement.station is None
        else ages.station(site, judgement.station),
    )


def _hours(question: HomeQuestion, announced: AnnouncedDay, trust: Trust) -> list[HomeHour]:
    by_model = {each.model: {hour.hour: hour for hour in each.hours} for each in announced.models}
    winds = by_model[trust.wind.model]
    gusts = {} if trust.gust is None else by_model[trust.gust.model]

    def beyond(
        value: RunValue | None, limit: float, model: TrustedModel | None
    ) -> tuple[float, float | None]:
        """Return how far a value is above its limit, and the average error of its model, if known (km/h)."""
        if value is None:
            # A missing value is on neither side, so it can be neither over a limit nor close to it.
            return -math.inf, None
        return value.value - limit, None if model is None else model.average_error

    shown = []
    for hour in HOURS:
        wind = winds[hour].wind_speed if hour in winds else None
        gust = gusts[hour].wind_gust if hour in gusts else None
        sides = (
            beyond(wind, question.wind_limit, trust.wind),
            beyond(gust, question.gust_limit, trust.gust),
        )
        shown.append(
            HomeHour(
                hour=hour,
                wind=None if wind is None else wind.value,
                gust=None if gust is None else gust.value,
                over=any(excess > 0 for excess, _ in sides),
                close=any(error is not None and abs(excess) <= error for excess, error in sides)
                and not any(excess > (error or 0.0) for excess, error in sides),
            )
        )
    return shown
