"""The rules for imported rows, applied to a piece of rows at a time, one rule at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from backend.core.parameters import PARAMETERS, RULES
from backend.files.faults import MOST_NAMED, Fault
from backend.files.tables import ROW
from backend.files.times import epochs

PARAMETER_NUMBERS = {parameter.value: parameter.number for parameter in PARAMETERS}

_LONGEST_SHOWN = 60  # characters of a refused cell


class Piece:
    """Some rows of a table during the check: their parsed columns, and the rules they break."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.raw = frame
        self._read: dict[str, pl.Series] = {ROW: frame[ROW]}
        self._wrong: list[tuple[str, pl.Series]] = []

    def __getitem__(self, name: str) -> pl.Series:
        """Return a parsed column; null where a cell could not be parsed."""
        return self._read[name]

    def has(self, name: str) -> bool:
        """Return True if the file has this column."""
        return name in self.raw.columns

    # --- Kinds of columns ----------------------------------------------------------------------------

    def one_of(self, name: str, known: Mapping[str, int], rule: str) -> None:
        """Parse a column of names to their numbers; an unknown name breaks `rule`."""
        names = self._text(name)
        self._keep(
            name, names.replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.Int64)
        )
        self.refuse(name, self._read[name].is_null(), rule)

    def word(self, name: str, pattern: str, not_one_of: Sequence[str], rule: str) -> None:
        """Parse a column of words; each must match `pattern` as a whole."""
        words = self._text(name)
        fits = words.str.contains(f"^(?:{pattern})$") & ~words.is_in(list(not_one_of))
        self._keep(name, words)
        self.refuse(name, ~fits.fill_null(value=False), rule)

    def moment(self, name: str, *, required: bool = True) -> None:
        """Parse a column of times to seconds since 1970."""
        cells = self.raw[name]
        read = epochs(cells.str.strip_chars() if cells.dtype == pl.String else cells)
        self._keep(name, read["epoch"])
        self._wrong.append((name, read["wrong"]))
        if required:
            self.refuse(name, cells.is_null(), "is missing")

    def number(self, name: str, low: float, high: float, unit: str, *, whole: bool = False) -> None:
        """Parse a column of numbers that may be absent, each from `low` to `high`."""
        numbers = self._numbers(name)
        if whole:
            self.refuse(name, numbers != numbers.floor(), "is not a whole number")
            self._keep(name, numbers.cast(pl.Int64, strict=False))
        self.refuse(
            name,
            self.raw[name].is_not_null() & ~numbers.is_finite().fill_null(value=False),
            "is not a number",
        )
        self.refuse(name, ~numbers.is_between(low, high), f"must be from {low:g} to {high:g} {unit}")

    def value(self, name: str = "value", parameter: str = "parameter") -> None:
        """Parse the column of values, each in the range of its parameter; 360 degrees become 0."""
        numbers = self._numbers(name)
        self.refuse(name, ~numbers.is_finite().fill_null(value=False), "is not a number")
        for candidate in PARAMETERS:
            rule = RULES[candidate]
            here = self._read[parameter] == candidate.number
            self.refuse(
                name,
                here & ~numbers.is_between(rule.low, rule.high),
                f"must be from {rule.low:g} to {rule.high:g} {rule.unit} ({candidate.value})",
            )
            if rule.circular:
                # 360 and 0 degrees are one direction: 0 is stored, as for collected values.
                north = (here & (numbers.round(3) == 360.0)).fill_null(value=False)
                numbers = numbers.zip_with(~north, pl.zeros(len(numbers), pl.Float64, eager=True))
        self._keep(name, numbers)

    def not_after(self, name: str, now: datetime) -> None:
        """Refuse times later than `now`."""
        self.refuse(
            name, self._read[name] > now.timestamp(), f"is in the future: it is {now:%Y-%m-%dT%H:%M:%SZ}"
        )

    def refuse(self, name: str, broken: pl.Series, rule: str) -> None:
        """Record that the cells of a column break a rule where `broken` is true."""
        frame = pl.DataFrame({"broken": broken})
        self._wrong.append((name, frame.select(pl.when("broken").then(pl.lit(rule)))["literal"]))

    def fill(self, name: str, value: int | None = None) -> None:
        """Set this value in a column that the file does not have, or in the gaps of one it has."""
        if name not in self._read:
            self._keep(name, pl.Series(name, [None], dtype=pl.Int64).new_from_index(0, len(self.raw)))
        if value is not None:
            self._keep(name, self._read[name].fill_null(value))

    def note_given(self, name: str, column: str) -> None:
        """Set a column `name` to 1 where the file has a value in `column`, and to 0 elsewhere."""
        none = pl.zeros(len(self.raw), pl.Boolean, eager=True)
        has_value = self._read[column].is_not_null() if column in self._read else none
        self._keep(name, has_value.cast(pl.Int64))

    # --- Results -------------------------------------------------------------------------------------

    def good(self, names: Sequence[str]) -> pl.DataFrame:
        """Return these columns of the rows that break no rule."""
        return pl.DataFrame({name: self._read[name] for name in names}).filter(~self._broken())

    def faults(self) -> tuple[list[Fault], int]:
        """Return the first rows that break a rule, each with its first broken rule, and their number."""
        broken = self._broken()
        rows = broken.arg_true().head(MOST_NAMED).to_list()
        faults = []
        for row in rows:
            name, rule = next((name, wrong[row]) for name, wrong in self._wrong if wrong[row] is not None)
            cell = self.raw[name][row]
            shown = "" if cell is None else f" = {str(cell)[:_LONGEST_SHOWN]!r}"
            faults.append((int(self.raw[ROW][row]), f"{name}{shown}: {rule}"))
        return faults, int(broken.sum())

    def _broken(self) -> pl.Series:
        broken = pl.zeros(len(self.raw), pl.Boolean, eager=True)
        for _, wrong in self._wrong:
            broken = broken | wrong.is_not_null()
        return broken

    # --- Parsing cells -------------------------------------------------------------------------------

    def _keep(self, name: str, read: pl.Series) -> None:
        self._read[name] = read.alias(name)

    def _text(self, name: str) -> pl.Series:
        cells = self.raw[name]
        if cells.dtype.is_temporal():  # a time is not a name; outside the calendar it cannot become text
            return pl.repeat(None, len(cells), dtype=pl.String, eager=True)
        return cells.cast(pl.String).str.strip_chars()

    def _numbers(self, name: str) -> pl.Series:
        cells = self.raw[name]
        if cells.dtype == pl.String:
            cells = cells.str.strip_chars()
        elif cells.dtype.is_temporal():  # a time is not a number, although Polars would cast it
            cells = pl.repeat(None, len(cells), dtype=pl.Float64, eager=True)
        numbers = cells.cast(pl.Float64, strict=False)
        self._keep(name, numbers)
        return numbers
