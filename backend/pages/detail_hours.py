"""One model hour by hour: what was announced and what came, counted, and the error by month and hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from backend.answers.hour_pairs import COUNTED, HourPairs, MonthHour, hour_pairs
from backend.core.records import Site
from backend.pages.charts.render import svg
from backend.pages.charts.squares import Square, counted_chart, month_chart
from backend.pages.charts.style import model_colour
from backend.pages.details import Topic, make_detail
from backend.pages.page import Page
from backend.pages.score_choices import score_question
from backend.pages.sentences_scores import ScoreWords
from backend.pages.verdict_card import Chip
from backend.scoring.constants import STRATUM_DAYS, USUAL_DAYS
from backend.scoring.grid import CLOCK
from backend.scoring.names import model_name

TOO_FEW = "…"
"""The mark of an hour of a month with too few days, as of other groups without enough data."""


@dataclass(frozen=True)
class HourWords:
    """The sentences, tables and charts about the hours of one model."""

    words: ScoreWords
    answer: HourPairs

    def size(self) -> str:
        """Return how many hours and days are counted: "n = 360 h on 40 days"."""
        language = self.words.page.language
        text = language.ngettext(
            "n = %(hours)s h on %(num)s day", "n = %(hours)s h on %(num)s days", self.answer.n_days
        )
        return text % {
            "hours": language.number(self.answer.n_hours),
            "num": language.number(self.answer.n_days),
        }

    # --- Counted hours -------------------------------------------------------------------------------

    def shares(self) -> str:
        """Return in how many of the hours the announced class came, a stronger one, and a weaker one."""
        language, counts = self.words.page.language, self.answer.counts
        same = sum(each.n_hours for each in counts if each.measured == each.announced)
        more = sum(each.n_hours for each in counts if each.measured > each.announced)
        return language.gettext(
            "The announced class came in %(same)s of the hours, a stronger one in %(more)s, a weaker one in"
            " %(less)s (%(size)s)."
        ) % {
            "same": language.percent(same / self.answer.n_hours),
            "more": language.percent(more / self.answer.n_hours),
            "less": language.percent((self.answer.n_hours - same - more) / self.answer.n_hours),
            "size": self.size(),
        }

    def classes(self) -> list[str]:
        """Return the classes of wind, from the weakest on, without their unit."""
        language, speed = self.words.page.language, self.words.page.speed
        ends = [0.0, *self.answer.edges]
        return [
            *(f"{speed(low)}–{speed(high)}" for low, high in pairwise(ends)),
            language.gettext("%(low)s or more") % {"low": speed(ends[-1])},
        ]

    def count_rows(self) -> list[tuple[str, list[int]]]:
        """Return the hours by announced class, and within it by measured class."""
        hours = {(each.announced, each.measured): each.n_hours for each in self.answer.counts}
        classes = self.classes()
        return [
            (name, [hours.get((announced, measured), 0) for measured in range(len(classes))])
            for announced, name in enumerate(classes)
        ]

    def counted(self) -> Markup | None:
        """Return the chart of counted hours; None for what is not a wind."""
        answer, language = self.answer, self.words.page.language
        if not answer.counts:
            return None
        most = max(each.n_hours for each in answer.counts)
        squares = {
            (each.announced, each.measured): Square(
                language.number(each.n_hours), model_colour(answer.model), each.n_hours / most
            )
            for each in answer.counts
        }
        unit = self.words.unit
        titles = (
            language.gettext("announced, %(unit)s") % {"unit": unit},
            language.gettext("came, %(unit)s") % {"unit": unit},
        )
        spec = counted_chart([self.words.page.speed(edge) for edge in answer.edges], squares, titles)
        text = language.gettext("%(model)s: hours counted by what was announced and what came, in %(unit)s.")
        return svg(spec, f"{text % {'model': answer.name, 'unit': unit}} {self.shares()}")

    # --- Months and hours ----------------------------------------------------------------------------

    def month_numbers(self) -> list[int]:
        """Return the months of the year that have hours."""
        return sorted({cell.month for cell in self.answer.months})

    def month_name(self, month: int) -> str:
        """Return the short name of a month."""
        return self.words.page.language.month_of_year(month, short=True)

    def steadiest(self) -> str:
        """Return the largest error whose sign is beyond doubt, or why there is none."""
        language = self.words.page.language
        if not any(cell.shown for cell in self.answer.months):
            return language.gettext("No hour of a month has %(least)s days yet.") % {
                "least": language.number(STRATUM_DAYS.value)
            }
        steady = [cell for cell in self.answer.months if cell.is_steady]
        if not steady:
            return language.gettext("No hour of a month has a steady error.")
        cell = max(steady, key=lambda each: abs(each.mean_error or 0))
        text = language.gettext(
            "The largest steady error: %(error)s in %(month)s at %(hour)s (between %(low)s and %(high)s, n ="
            " %(days)s days)."
        )
        return text % {
            "error": self.words.amount(cell.mean_error or 0, sign=True),
            "month": language.month_of_year(cell.month),
            "hour": language.hour(cell.hour),
            "low": self.words.amount(cell.low or 0, unit=False, sign=True),
            "high": self.words.amount(cell.high or 0, unit=False, sign=True),
            "days": language.number(cell.n_days),
        }

    def cell_text(self, cell: MonthHour | None) -> str:
        """Return the error in an hour of a month, with its days; a mark for too few; a dash for none."""
        language = self.words.page.language
        if cell is None:
            return "–"
        days = language.ngettext("%(num)s day", "%(num)s days", cell.n_days) % {
            "num": language.number(cell.n_days)
        }
        if cell.mean_error is None:
            return f"{TOO_FEW} ({days})"
        return f"{self.words.amount(cell.mean_error, unit=False, sign=True)} ({days})"

    def month_rows(self) -> list[tuple[str, list[str]]]:
        """Return each hour with its errors by month, in the order of `month_numbers`."""
        cells = {(cell.month, cell.hour): cell for cell in self.answer.months}
        return [
            (
                self.words.page.language.hour(hour),
                [self.cell_text(cells.get((month, hour))) for month in self.month_numbers()],
            )
            for hour in range(CLOCK)
        ]

    def months(self) -> Markup | None:
        """Return the chart of the errors by month and hour; None where no hour of a month has enough days."""
        answer, language = self.answer, self.words.page.language
        known = [abs(cell.mean_error) for cell in answer.months if cell.mean_error is not None]
        if not known:
            return None
        rows = {month: row for row, month in enumerate(self.month_numbers())}
        squares = {}
        for cell in answer.months:
            error = cell.mean_error
            text, strength = TOO_FEW, 0.0
            if error is not None:
                # + 0 turns -0.0 into 0, which has no sign.
                shown = round(self.words.shown(error)) + 0
                text = f"{'+' if shown > 0 else ''}{language.number(shown)}"
                # An error without a steady sign stays white: a colour would show a side that it may not have.
                strength = abs(error) / max(known) if cell.is_steady else 0.0
            colour = "var(--too-much)" if (error or 0) > 0 else "var(--too-little)"
            squares[cell.hour, rows[cell.month]] = Square(text, colour, strength)
        spec = month_chart(
            [self.month_name(month) for month in rows], [str(hour) for hour in range(CLOCK)], squares
        )
        text = language.gettext(
            "Mean error of %(model)s in %(unit)s by month and hour; above 0 it announces too much."
        ) % {"model": answer.name, "unit": self.words.unit}
        return svg(spec, f"{text} {self.days_behind()} {self.steadiest()}")

    def days_behind(self) -> str:
        """Return the days behind a figure of the months, from the fewest to the most."""
        language = self.words.page.language
        days = [cell.n_days for cell in self.answer.months if cell.shown]
        ends = "–".join(language.number(count) for count in sorted({min(days), max(days)})) if days else "0"
        return language.ngettext(
            "n of each figure: %(days)s day.", "n of each figure: %(days)s days.", max(days, default=0)
        ) % {"days": ends}


def model_chips(page: Page, models: Sequence[str], chosen: str) -> tuple[Chip, ...]:
    """Return the choice of a model as links to the same page."""
    return tuple(
        Chip(text=model_name(name), href=page.same(model=name), chosen=name == chosen) for name in models
    )


def hours_detail(page: Page, site: Site) -> Mapping[str, Any]:
    """Return the values of the page about single hours. Raises UnknownNameError for another model."""
    detail = make_detail(page, site, Topic.HOURS, parameters=True, views=True)
    question = score_question(page, site, detail.choices, only_public=True)
    answer = hour_pairs(page.service, question, page.withheld(), model=page.request.query_params.get("model"))
    return {
        "detail": detail,
        "answer": answer,
        "hours": None if answer is None else HourWords(detail.words, answer),
        "models": () if answer is None else model_chips(page, answer.models, answer.model),
        "is_wind": detail.choices.quantity in COUNTED,
        "not_public": question.public,
        "least": STRATUM_DAYS.value,
        "span": USUAL_DAYS.value,
    }
