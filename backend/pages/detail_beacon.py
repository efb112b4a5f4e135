"""The beacon of a site in words: where it stands, what it reads, and which of its readings do not count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.answers.beacon import BeaconAnswer, BeaconDifference, beacon_answer
from backend.answers.scores import verdict_answer
from backend.answers.shapes import VerdictAnswer
from backend.answers.sites import known_stations
from backend.core.clock import PARIS
from backend.core.records import Site
from backend.pages.details import Topic, make_detail
from backend.pages.page import Page
from backend.pages.score_choices import score_question
from backend.pages.sentences_flags import FlagWords
from backend.pages.sentences_scores import ScoreWords
from backend.scoring.questions.scorecard import Finding


@dataclass(frozen=True)
class BeaconWords:
    """The sentences about one beacon."""

    words: ScoreWords
    answer: BeaconAnswer

    def instead(self) -> str:
        """Return why this beacon is shown in place of the reference."""
        return self.words.page.language.gettext(
            "The values of the reference station %(name)s are not public, so the site is shown at this one."
        ) % {"name": self.answer.instead_of}

    def place(self) -> str:
        """Return where the beacon stands."""
        answer = self.answer
        return self.words.place(answer.name, answer.distance_km, answer.height_difference)

    def first(self) -> str:
        """Return how complete its readings are and how often it reads a calm."""
        words, answer = self.words.page.language, self.answer
        if answer.calm_share is None:
            return words.gettext("No reading in the last %(days)s days.") % {"days": self._days()}
        return words.ngettext(
            "In the last %(days)s days it has %(hours)s of %(expected)s hour; in %(calm)s of them it read"
            " less than %(limit)s.",
            "In the last %(days)s days it has %(hours)s of %(expected)s hours; in %(calm)s of them it read"
            " less than %(limit)s.",
            answer.coverage.expected,
        ) % {
            "days": self._days(),
            "hours": words.number(answer.coverage.hours),
            "expected": words.number(answer.coverage.expected),
            "calm": words.percent(answer.calm_share),
            "limit": self.words.limit(answer.calm_below),
        }

    def _days(self) -> int:
        return (self.answer.last_day - self.answer.first_day).days + 1

    def difference(self, other: BeaconDifference) -> str:
        """Return how the beacon's mean wind differs from that of a neighbour or of a model."""
        words = self.words.page.language
        values: dict[str, object] = {"name": other.name, "hours": words.number(other.n_hours)}
        if other.mean is None or other.size is None:
            return words.gettext("%(name)s: too few common hours (%(hours)s).") % values
        values |= {
            "mean": self.words.amount(abs(other.mean)),
            "size": self.words.amount(other.size),
        }
        if self.words.amount(other.mean, unit=False).strip("−0.,") == "":
            text = words.ngettext(
                "As much wind as %(name)s on average; hour by hour they differ by %(size)s (%(hours)s hour).",
                "As much wind as %(name)s on average; hour by hour they differ by %(size)s (%(hours)s"
                " hours).",
                other.n_hours,
            )
        elif other.mean > 0:
            text = words.ngettext(
                "%(mean)s more than %(name)s on average; hour by hour they differ by %(size)s (%(hours)s"
                " hour).",
                "%(mean)s more than %(name)s on average; hour by hour they differ by %(size)s (%(hours)s"
                " hours).",
                other.n_hours,
            )
        else:
            text = words.ngettext(
                "%(mean)s less than %(name)s on average; hour by hour they differ by %(size)s (%(hours)s"
                " hour).",
                "%(mean)s less than %(name)s on average; hour by hour they differ by %(size)s (%(hours)s"
                " hours).",
                other.n_hours,
            )
        return text % values

    @property
    def flags(self) -> FlagWords:
        """The sentences about flags."""
        return FlagWords(self.words.page.language)

    def moves(self) -> list[str]:
        """Return the moves of the station."""
        words = self.words.page.language
        found = []
        for move in self.answer.moves:
            values = {
                "day": words.full_date(move.since.astimezone(PARIS).date()),
                "metres": words.number(move.metres),
            }
            if move.confirmed:
                text = words.gettext("Moved by %(metres)s m on %(day)s; the new place counts.")
            else:
                text = words.gettext(
                    "Moved by %(metres)s m on %(day)s; its readings since then do not count until the"
                    " operator confirms the new place."
                )
            found.append(text % values)
        return found


def verdict_elsewhere(words: ScoreWords, answer: VerdictAnswer, names: Mapping[str, str]) -> list[str]:
    """Return whether the winner errs less at the site's other public beacons, and by means of whole hours."""
    language = words.page.language
    if answer.finding is not Finding.WINNER or answer.duel is None or answer.robustness is None:
        return []
    texts = {
        "a_better": language.gettext("At %(station)s %(model)s errs least too (%(days)s)."),
        "b_better": language.gettext("At %(station)s %(other)s errs less than %(model)s (%(days)s)."),
        "too_close_to_call": language.gettext("At %(station)s both are too close to call (%(days)s)."),
    }
    found = []
    for station in answer.robustness.stations:
        if station.station in {each.station for each in answer.stations if each.days}:
            continue
        values = {
            "station": names.get(station.station, station.station),
            "model": answer.duel.name_a,
            "other": answer.duel.name_b,
            "days": words.days(station.n_days),
        }
        if station.duplicate_of is not None:
            text = language.gettext("%(station)s is the same mast in another list and does not count.")
        elif station.outcome is None:
            text = language.gettext("At %(station)s there are too few common days (%(days)s).")
        else:
            text = texts[station.outcome]
        found.append(text % values)
    if answer.hourly_means is not None and answer.hourly_means.same_finding is not None:
        found.append(
            language.gettext("By the mean of each hour's readings the verdict is the same.")
            if answer.hourly_means.same_finding
            else language.gettext("By the mean of each hour's readings the verdict is another.")
        )
    return found


def beacon_detail(page: Page, site: Site) -> Mapping[str, Any]:
    """Return the values of the page about the beacon."""
    detail = make_detail(page, site, Topic.BEACON)
    withheld = page.withheld()
    answer = beacon_answer(page.service, site, withheld)
    verdict = verdict_answer(page.service, score_question(page, site, detail.choices), withheld)
    names = {code: each.name or code for code, each in known_stations(page.service, (site,)).items()}
    return {
        "verdict": detail.words.finding(verdict),
        "elsewhere": verdict_elsewhere(detail.words, verdict, names),
        "detail": detail,
        "answer": answer,
        "beacon": None if answer is None else BeaconWords(detail.words, answer),
    }
