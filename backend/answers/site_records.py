"""Records of the public models at each site, kept in the process: what its days show in a view."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from weakref import WeakKeyDictionary

from backend.answers.models import collected_models
from backend.answers.question import Question, load, make_question
from backend.answers.service import ReadingParts
from backend.answers.shown_station import shown_question
from backend.answers.trust import NOT_JUDGED, GoDays, Judged, Judgement
from backend.answers.withholding import Withholding, withheld_from_public
from backend.core.local_time import local_day
from backend.core.records import Site
from backend.core.registry import OWN_MODEL
from backend.scoring.public.figures import public_verdict
from backend.scoring.questions.flyability import FlyableRuns, flyable_runs
from backend.scoring.questions.scorecard import Scorecard
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import DecisionView
from backend.storage import announced as store
from backend.storage.database import Database


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """What the days of a site show about its public models in a view, before a pilot chooses limits.

    `runs` is None where no figure may depend on the limits.
    """

    station: str | None
    wind: Judged
    gust: Judged
    runs: FlyableRuns | None = None

    def judgement(self, wind_limit: float, gust_limit: float) -> Judgement:
        """Return the record for a pilot's limits, in km/h."""
        counts = {}
        if self.runs is not None and self.runs.size.label.shows_values:
            counts = self.runs.go_days(wind_limit, gust_limit)
        go_days = {model: GoDays(wrong=wrong, of=of) for model, (wrong, of) in counts.items()}
        return Judgement(self.station, self.wind, self.gust, go_days)


def site_record(service: ReadingParts, question: Question) -> SiteRecord:
    """Return what the sample of a page's question shows.

    Without a public station the figures are those of the published months.
    """
    # Our own forecast is shown by itself: here stands the model to trust among those that it is made from.
    sample = load(service, replace(question, left_out=question.left_out | {OWN_MODEL.name}))
    station = next(iter(sample.reference_days), None)
    if station is None:
        return SiteRecord(None, NOT_JUDGED, NOT_JUDGED)
    card = Scorecard(sample)
    if question.public:
        return SiteRecord(None, _published(card, Quantity.WIND_SPEED), _published(card, Quantity.WIND_GUST))
    return SiteRecord(
        station, _judged(card, Quantity.WIND_SPEED), _judged(card, Quantity.WIND_GUST), flyable_runs(sample)
    )


def _judged(card: Scorecard, quantity: Quantity) -> Judged:
    ranking = card.ranking(quantity)
    errors = {
        each.model: each.score.mae
        for each in ranking.scores
        if each.score.mae is not None and ranking.size.label.shows_values
    }
    compared = frozenset(each.model for each in ranking.scores)
    return Judged(ranking.finding, ranking.size.label.may_rank, ranking.size.days, errors, compared)


def _published(card: Scorecard, quantity: Quantity) -> Judged:
    verdict = public_verdict(card.verdict(quantity))
    found = {
        each.model: each.score.mae
        for each in verdict.models
        if each.model in verdict.compared and each.score.mae is not None
    }
    errors = dict(sorted(found.items(), key=lambda item: item[1]))
    may_rank = verdict.size.label.may_rank and (verdict.finding.ranks or len(errors) == 1)
    return Judged(verdict.finding, may_rank, verdict.size.days, errors, frozenset(verdict.compared))


# --- Records of sites are kept in the process -----------------------------------------------------------


MOST_BYTES = 32_000_000
"""Size of the records that a process keeps: those of 400 sites with a year of two models each."""

MOST_RENEWED = 300
"""Number of records that are made in advance, before a page asks for them: 3 s of the processor."""

_Key = tuple[Site, DecisionView, Hashable]


class _Records:
    """The records of one store, the least recently used ones dropped first. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._bytes = 0
        self._kept: OrderedDict[_Key, tuple[Hashable, SiteRecord]] = OrderedDict()

    def get(self, key: _Key, stamp: Hashable) -> SiteRecord | None:
        """Return a record of the present days of the site, by their stamp."""
        with self._lock:
            known = self._kept.get(key)
            if known is None or known[0] != stamp:
                return None
            self._kept.move_to_end(key)
            return known[1]

    def keep(self, key: _Key, stamp: Hashable, record: SiteRecord) -> None:
        """Keep a record in place of an older one."""
        with self._lock:
            if (older := self._kept.pop(key, None)) is not None:
                self._bytes -= _size(older[1])
            self._bytes += _size(record)
            self._kept[key] = stamp, record
            while self._bytes > MOST_BYTES:
                self._bytes -= _size(self._kept.popitem(last=False)[1][1])

    def newest_keys(self) -> list[_Key]:
        """Return the keys of the records, the most recently used first."""
        with self._lock:
            return list(reversed(self._kept))


def _size(record: SiteRecord) -> int:
    """Return about how many bytes a record takes."""
    runs = () if record.runs is None else (record.runs.real, *record.runs.models.values())
    return 4000 + sum(of_side.nbytes for of_side in runs)


_records: WeakKeyDictionary[Database, _Records] = WeakKeyDictionary()
_lock = Lock()


def _records_of(service: ReadingParts) -> _Records:
    with _lock:
        return _records.setdefault(service.database, _Records())


def judged_sites(
    service: ReadingParts,
    sites: Iterable[Site],
    view: DecisionView,
    withheld: Withholding,
    *,
    wind_limit: float,
    gust_limit: float,
) -> Mapping[str, Judgement]:
    """Return the judgement of each site from its present days; a record of them is kept for other limits."""
    asked = [(site, view) for site in sites]
    found = _present_records(service, asked, withheld)
    return {site.id: found[site, view].judgement(wind_limit, gust_limit) for site, view in asked}


def renew_records(service: ReadingParts, view: DecisionView) -> int:
    """Make the records that pages will ask for, after a start or after a collection; return their number.

    They are those that were used last, and those of this view.
    """
    present = dict.fromkeys(service.sites())
    used = [(site, of) for site, of, _ in _records_of(service).newest_keys() if site in present]
    asked = dict.fromkeys([*used, *((site, view) for site in present)])
    return len(_present_records(service, list(asked)[:MOST_RENEWED], withheld_from_public(service)))


def _present_records(
    service: ReadingParts, asked: Iterable[tuple[Site, DecisionView]], withheld: Withholding
) -> dict[tuple[Site, DecisionView], SiteRecord]:
    now = service.clock()
    stamps = store.days_stamps(service.database, now)
    terms = (
        collected_models(service),
        tuple(sorted(withheld.models)),
        tuple(sorted(withheld.networks)),
        service.public_rules,
    )
    records = _records_of(service)
    found: dict[tuple[Site, DecisionView], SiteRecord] = {}
    for site, view in dict.fromkeys(asked):
        key, stamp = (site, view, terms), (stamps.get(site.id), local_day(now))
        record = records.get(key, stamp)
        if record is None:
            question = make_question(service, site, view=view)
            record = site_record(service, shown_question(service, question, withheld, only_public=True))
            records.keep(key, stamp, record)
        found[site, view] = record
    return found
