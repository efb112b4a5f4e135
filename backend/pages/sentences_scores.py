"""Scores in words, in the reader's language: quantities, views, figures, verdicts and beacons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from backend.answers.public_question import ROUNDED_TO_NONE
from backend.answers.shapes import CommonFields, ReferenceStation, ScoredModel, VerdictAnswer
from backend.pages.language import Language
from backend.pages.page import Page
from backend.pages.score_choices import SPEEDS
from backend.scoring.constants import FLYING_FROM, FLYING_UNTIL, PRELIMINARY_DAYS
from backend.scoring.questions.scorecard import Finding
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample_size import SampleLabel


def coarse_share(words: Language, share: float) -> str:
    """Return a share that was rounded to public steps: "≈40 %".

    One that was rounded to none or to all is written as the bound that it has: "≈0 %" would be read as never.
    """
    if share <= 0:
        return f"<\N{NO-BREAK SPACE}{words.percent(ROUNDED_TO_NONE)}"
    if share >= 1:
        return f">\N{NO-BREAK SPACE}{words.percent(1 - ROUNDED_TO_NONE)}"
    return f"≈{words.percent(share)}"


@dataclass(frozen=True)
class ScoreWords:
    """The words of one page about one quantity."""

    page: Page
    quantity: Quantity

    # --- Names and figures ---------------------------------------------------------------------------

    def quantity_name(self, quantity: Quantity | None = None) -> str:
        """Return a quantity in one or two words."""
        words = self.page.language
        return {
            Quantity.WIND_SPEED: words.gettext("Mean wind"),
            Quantity.WIND_GUST: words.gettext("Gust"),
            Quantity.WIND_DIRECTION: words.gettext("Direction"),
            Quantity.TEMPERATURE: words.gettext("Temperature"),
        }[quantity or self.quantity]

    def view_name(self, view: str) -> str:
        """Return when the forecast was read."""
        words = self.page.language
        return {
            "noon": words.gettext("the same day at noon"),
            "morning": words.gettext("the same morning"),
            "evening_before": words.gettext("the evening before"),
            "two_evenings_before": words.gettext("two evenings before"),
        }[view]

    def lead_name(self, view: str) -> str:
        """Return how far ahead a lead view is: "6–11 h ahead"."""
        words = self.page.language
        hours = view.removeprefix("lead_").split("_")
        if len(hours) == 1:
            return words.gettext("%(first)s h ahead or more") % {"first": hours[0]}
        return words.gettext("%(first)s–%(last)s h ahead") % {"first": hours[0], "last": hours[1]}

    def hours(self) -> str:
        """Return the flying hours: "10 h to 18 h"."""
        words = self.page.language
        return words.gettext("%(first)s to %(last)s") % {
            "first": words.hour(FLYING_FROM.value),
            "last": words.hour(FLYING_UNTIL.value),
        }

    @property
    def unit(self) -> str:
        """The unit beside a figure."""
        if self.quantity in SPEEDS:
            return self.page.unit.symbol
        return "°" if self.quantity is Quantity.WIND_DIRECTION else "°C"

    def amount(self, value: float, *, unit: bool = True, sign: bool = False) -> str:
        """Return a figure of this quantity with its unit: one decimal, or whole degrees.

        With `sign`, a plus stands before a figure above 0.
        """
        shown = self.shown(value)
        text = self.page.language.number(shown, 0 if self.quantity is Quantity.WIND_DIRECTION else 1)
        if sign and shown > 0 and text.strip("0.,"):
            text = f"+{text}"
        if not unit:
            return text
        space = "" if self.quantity is Quantity.WIND_DIRECTION else "\N{NO-BREAK SPACE}"
        return f"{text}{space}{self.unit}"

    def shown(self, value: float) -> float:
        """Return a value of this quantity in the unit of the page, for a chart."""
        return self.page.unit.of(value) if self.quantity in SPEEDS else value

    def whole(self, kmh: float) -> str:
        """Return a wind speed in whole units of the pilot, with the unit."""
        return f"{self.page.speed(kmh)}\N{NO-BREAK SPACE}{self.page.unit.symbol}"

    def limit(self, kmh: float) -> str:
        """Return a limit of wind speed with its unit, without decimals that it does not have."""
        value = self.page.unit.of(kmh)
        text = self.page.language.number(value, 0 if abs(value - round(value)) < 0.05 else 1)
        return f"{text}\N{NO-BREAK SPACE}{self.page.unit.symbol}"

    def tolerance(self, value: float) -> str:
        """Return the tolerance of this quantity with its unit."""
        if self.quantity in SPEEDS:
            return self.limit(value)
        space = "" if self.quantity is Quantity.WIND_DIRECTION else "\N{NO-BREAK SPACE}"
        return f"{self.page.language.number(value)}{space}{self.unit}"

    def share(self, share: float, answer: CommonFields) -> str:
        """Return a share of the hours of an answer, which may have rounded figures."""
        words = self.page.language
        return coarse_share(words, share) if answer.rounded else words.percent(share)

    def days(self, count: int) -> str:
        """Return a number of common days in words, the number never at the end of a line."""
        text = self.page.language.ngettext("%(num)s common day", "%(num)s common days", count)
        return (text % {"num": self.page.language.number(count)}).replace(" ", "\N{NO-BREAK SPACE}", 1)

    def behind(self, points: Mapping[str, Sequence[tuple[int, int]]]) -> str:
        """Return the days and hours behind the points of a chart, from the fewest to the most, by model."""
        words = self.page.language

        def ends(counts: Sequence[int]) -> str:
            return "–".join(words.number(count) for count in sorted({min(counts), max(counts)}))

        models = []
        for name, counts in points.items():
            if not counts:
                continue
            days = [point[0] for point in counts]
            text = words.ngettext(
                "%(name)s %(days)s day, %(hours)s h", "%(name)s %(days)s days, %(hours)s h", max(days)
            )
            models.append(
                text % {"name": name, "days": ends(days), "hours": ends([point[1] for point in counts])}
            )
        return words.gettext("n of each point: %(models)s.") % {"models": "; ".join(models)}

    def label(self, label: SampleLabel) -> str:
        """Return how far a sample carries, in one or two words."""
        words = self.page.language
        return {
            SampleLabel.COLLECTING: words.gettext("still collecting"),
            SampleLabel.FIRST_LOOK: words.gettext("first look"),
            SampleLabel.PRELIMINARY: words.gettext("preliminary"),
            SampleLabel.ESTABLISHED_SEASON: words.gettext("established for this season"),
            SampleLabel.ESTABLISHED: words.gettext("established"),
        }[label]

    # --- Sentences -----------------------------------------------------------------------------------

    def verdict(self, answer: VerdictAnswer) -> str:
        """Return the verdict in one sentence: the average errors of two models, or why there is none."""
        words = self.page.language
        duel = answer.duel
        if duel is None or duel.score_a is None or duel.score_b is None:
            return self.shortage(answer)
        return words.gettext(
            "%(what)s, %(hours)s, read %(when)s: %(a)s is wrong by %(error_a)s on average, %(b)s by"
            " %(error_b)s (%(days)s)."
        ) % {
            "what": self.quantity_name(),
            "hours": self.hours(),
            "when": self.view_name(answer.view),
            "a": duel.name_a,
            "b": duel.name_b,
            "error_a": self.amount(duel.score_a),
            "error_b": self.amount(duel.score_b, unit=False),
            "days": self.days(duel.n_days),
        }

    def shortage(self, answer: VerdictAnswer) -> str:
        """Return why there is no verdict."""
        words = self.page.language
        with_pairs = [model for model in answer.models if model.n_pairs]
        if not answer.stations:
            return words.gettext("This site has no beacon: there is nothing to compare forecasts with.")
        if not with_pairs:
            return words.gettext("No forecast has an hour in common with the beacon yet.")
        if len(with_pairs) == 1:
            return words.gettext(
                "Only %(model)s has hours in common with the beacon: there is no second model to compare it"
                " with."
            ) % {"model": with_pairs[0].name}
        if len(answer.contenders) < 2:
            return words.gettext("No two models have an hour in common.")
        if answer.n_days >= PRELIMINARY_DAYS.value:
            return words.gettext(
                "There are too few common hours for figures that may be published without raw values."
            )
        return words.gettext("%(days)s of the %(needed)s that a verdict needs.") % {
            "days": self.days(answer.n_days),
            "needed": PRELIMINARY_DAYS.value,
        }

    def left_out(self, models: Sequence[ScoredModel]) -> str:
        """Return which models are not compared, each with its days with pairs."""
        words = self.page.language
        named = [
            f"{model.name} ({words.ngettext('%(num)s day', '%(num)s days', model.n_days)})"
            % {"num": words.number(model.n_days)}
            for model in models
        ]
        return words.gettext(
            "Not compared, for too few hours in common with the other models: %(models)s."
        ) % {"models": words.listed(named)}

    def finding(self, answer: VerdictAnswer) -> str:
        """Return the outcome in a few words, for the head of a card."""
        words = self.page.language
        if answer.finding is Finding.WINNER and answer.duel is not None:
            return words.gettext("%(model)s errs least") % {"model": answer.duel.name_a}
        if answer.finding is Finding.TOO_CLOSE:
            return words.gettext("Too close to call")
        return words.gettext("Not enough data yet")

    def beacon(self, station: ReferenceStation) -> str:
        """Return where a reference station stands."""
        return self.place(station.name or station.station, station.distance_km, station.height_difference)

    def place(self, name: str, distance: float | None, metres: float | None) -> str:
        """Return where a beacon stands: its distance (km) and its height (m) from the take-off."""
        words = self.page.language
        if distance is None:
            return words.gettext("The beacon %(name)s states no position.") % {"name": name}
        height = None if metres is None else round(metres)
        if distance < 0.05:  # rounds to 0.0 km
            if not height:
                text = words.gettext("The beacon %(name)s stands at the take-off.")
            elif height > 0:
                text = words.gettext("The beacon %(name)s stands at the take-off, %(height)s m higher.")
            else:
                text = words.gettext("The beacon %(name)s stands at the take-off, %(height)s m lower.")
        elif height is None:
            text = words.gettext("The beacon %(name)s stands %(distance)s km from the take-off.")
        elif height == 0:
            text = words.gettext(
                "The beacon %(name)s stands %(distance)s km from the take-off, at its height."
            )
        elif height > 0:
            text = words.gettext(
                "The beacon %(name)s stands %(distance)s km from the take-off and %(height)s m higher."
            )
        else:
            text = words.gettext(
                "The beacon %(name)s stands %(distance)s km from the take-off and %(height)s m lower."
            )
        return text % {
            "name": name,
            "distance": words.number(distance, 1),
            "height": words.number(abs(height or 0)),
        }

    def period(self, answer: CommonFields) -> str:
        """Return the months of an answer that have observations: "May 2026 to July 2026"."""
        words = self.page.language
        first, last = answer.first_day, answer.last_day
        seen = [date.fromisoformat(f"{month.month}-01") for month in answer.months if month.hours]
        if seen:
            first, last = max(first, seen[0]), min(last, seen[-1])
        if words.month(first) == words.month(last):
            return words.month(first)
        return words.gettext("%(first)s to %(last)s") % {
            "first": words.month(first),
            "last": words.month(last),
        }

    def rounded(self, answer: CommonFields, names: Sequence[str]) -> str:
        """Return why the figures of an answer are rounded and of whole months."""
        words = self.page.language
        return words.gettext(
            "Raw values of %(names)s are not public. The figures with them are rounded and of whole months:"
            " %(period)s."
        ) % {"names": words.listed([*names]), "period": self.period(answer)}
