"""The sentences and figures of the page about the method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.answers.worked_examples import ExampleHour, IntervalExample
from backend.pages.page import Page


@dataclass(frozen=True)
class MethodWords:
    """The words of the page about the method."""

    page: Page

    def plain_signed(self, value: float, decimals: int = 1) -> str:
        """Return a number with its sign: "+1.2", "−0.4", and 0 without one."""
        text = self.page.language.number(value, decimals)
        return f"+{text}" if value > 0 and text.strip("0.,") else text

    def signed(self, kmh: float, decimals: int = 1) -> str:
        """Return a difference of speeds in the pilot's unit with its sign, without the unit."""
        return self.plain_signed(self.page.unit.of(kmh), decimals)

    def speed(self, kmh: float) -> str:
        """Return a speed with its unit, without decimals that it does not have."""
        value = self.page.unit.of(kmh)
        decimals = 0 if abs(value - round(value)) < 0.05 else 1
        return f"{self.page.language.number(value, decimals)}\N{NO-BREAK SPACE}{self.page.unit.symbol}"

    def turn(self, degrees: float) -> str:
        """Return a difference of directions with its sign."""
        return self.plain_signed(degrees, 0) + "°"

    def sum_of(self, hours: Sequence[ExampleHour]) -> str:
        """Return errors as a sum: "1.2 − 0.4 + 2.0"."""
        parts = [self.page.speed(abs(hour.error), 1) for hour in hours]
        signs = ["−" if hour.error < 0 else "+" for hour in hours]
        first = f"−{parts[0]}" if signs[0] == "−" else parts[0]
        return " ".join([first, *(f"{sign} {part}" for sign, part in zip(signs[1:], parts[1:], strict=True))])

    def sum_of_sizes(self, hours: Sequence[ExampleHour]) -> str:
        """Return the sizes of errors as a sum: "1.2 + 0.4 + 2.0"."""
        return " + ".join(self.page.speed(abs(hour.error), 1) for hour in hours)

    def leaning(self, error: float) -> str:
        """Return what a mean error shows, in words."""
        words = self.page.language
        if not self.page.speed(abs(error), 1).strip("0.,"):
            return words.gettext("It was neither too much nor too little on that day.")
        if error > 0:
            return words.gettext("Too much was announced on that day.")
        return words.gettext("Too little was announced on that day.")

    def outcome(self, example: IntervalExample) -> str:
        """Return what follows from an interval: a better model, or too close to call."""
        words = self.page.language
        if example.better is None:
            return words.gettext("That is too close to call.")
        return words.gettext("%(model)s errs clearly less.") % {"model": example.better}

    def constant(self, value: float | str | list[float]) -> str:
        """Return the value of a constant."""
        if isinstance(value, str):
            return value
        numbers = value if isinstance(value, list) else [value]
        texts = [self.page.language.number(each, _decimals(each)) for each in numbers]
        return " · ".join(texts)


def _decimals(value: float) -> int:
    text = f"{value:.10g}"
    return len(text.partition(".")[2])
