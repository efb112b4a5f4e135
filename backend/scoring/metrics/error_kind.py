"""What the three kinds of errors have in common: of scalars, of directions, and of winds as vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from backend.scoring.grid import Floats, Integers, Values
from backend.scoring.metrics.formula import Formula
from backend.scoring.metrics.sums import Sums


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values of a model or station hour by hour: `main` is the quantity, `speed` the wind of a direction."""

    main: Values
    speed: Values | None = None

    @property
    def wind_speed(self) -> Values:
        """The speed that goes with a direction; raises ValueError where there is none."""
        if self.speed is None:
            raise ValueError("a direction is scored with its speed")
        return self.speed


@dataclass(frozen=True, slots=True, eq=False)
class ErrorSums(Sums):
    """Sums over pairs. Each kind of error has at least these."""

    n: Integers
    """The number of pairs."""

    if TYPE_CHECKING:
        # A column of some kinds and a property of others. At run time a property here would be taken by
        # dataclass() for the default of the column.
        @property
        def sum_abs(self) -> Integers:
            """The sum of the sizes of the errors, in thousandths."""

        @property
        def sum_squares(self) -> Integers:
            """The sum of the squares of these sizes."""

        @property
        def sum_errors(self) -> Integers:
            """The sum of the errors in thousandths; of a single pair, its error."""

    def sizes(self) -> SizeSums:
        """Return the part that the mean size of an error and its interval need."""
        return SizeSums(self.n, self.sum_abs, self.sum_squares)


@dataclass(frozen=True, slots=True, eq=False)
class SizeSums(ErrorSums):
    """The sizes of errors alone: models are compared by them for every kind of error."""

    sum_abs: Integers
    sum_squares: Integers


class ErrorKind(ABC):
    """A kind of error: what a pair adds to the sums, and the scores that follow from them."""

    formulas: ClassVar[Mapping[str, Formula[Any]]]
    """Its scores, by their names in a ScoreSet."""
    ranking: ClassVar[Formula[Any]]
    """The score that ranks models: smaller is better."""
    bias: ClassVar[Formula[Any] | None]
    """The bias; None for the length of a vector error, which has no sign."""
    widest_bias: ClassVar[float] = float("inf")
    """How far the interval of the bias may go to either side."""
    of_wind: ClassVar[bool] = False
    """Whether a pair needs the speed beside the direction."""

    @abstractmethod
    def hourly(self, f: Series, o: Series) -> ErrorSums:
        """Return the sums of each hour by itself, arrays (days, 25); 0 where there is no pair."""

    def bias_changes(self, bias: Floats, without: Any) -> Floats:
        """Return by how much the bias of groups changes in sums `without` a day each, (days, groups)."""
        assert self.bias is not None  # noqa: S101  # group_sums.bias_intervals asks only kinds with a bias
        return self.bias.each(without) - bias

    def left_out(self, totals: Any) -> Mapping[str, Integers]:
        """Return how many pairs of winds count in no score, by their names in a ScoreSet."""
        return {}
