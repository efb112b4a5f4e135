"""Intervals by drawing whole blocks of days again: what a different run of days might have shown.

The circular moving-block bootstrap over calendar days. Weather lasts for days, so days are drawn in
blocks, and all models get the same days. A missing day stays a gap: drawn, it adds nothing. Ratios are
formed from resampled counts and sums, never resampled themselves. Politis & Romano 1994, JASA 89.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np

from backend.scoring.constants import LEAST_BLOCK, REPLICATES, SEED
from backend.scoring.daily import MICRO, DailySeries, extent_of
from backend.scoring.formula import Formula, ratio
from backend.scoring.grid import Integers
from backend.scoring.intervals import Interval, percentile
from backend.scoring.sums import ScalarSums, Sums

S = TypeVar("S", bound=Sums)


def block_length(days: int) -> int:
    """Return the block length for a span of `days` calendar days: max(LEAST_BLOCK, ceil(days**(1/3)))."""
    root = 1
    while root**3 < days:
        root += 1
    return max(LEAST_BLOCK.value, root)


@dataclass(frozen=True, eq=False)
class Draws:
    """Which blocks of `length` days each replicate is made of: their first days, shape (replicates, blocks).

    Blocks wrap around the end of the span of `days`; the last one is cut, so that every replicate has
    as many days as there are.
    """

    starts: Integers
    days: int
    length: int

    def totals(self, columns: Integers) -> Integers:
        """Return each replicate's totals of per-day sums, (days,) or (days, k): the same as adding them up.

        In whole numbers, from the sums of blocks: a replicate adds up a few dozen of them. As a product of
        a sparse matrix this runs in one thread, where a dense one would wake several, which in a service
        with other work to do wait for each other.
        """
        table = columns.reshape(self.days, -1)
        cut = self.days - self.length * (self.starts.shape[1] - 1)
        whole = self._whole_blocks @ _block_sums(table, self.length)
        totals = np.asarray(whole + _block_sums(table, cut)[self.starts[:, -1]])
        return totals.reshape(len(self.starts), *columns.shape[1:])

    @cached_property
    def _whole_blocks(self) -> Any:
        """Which blocks each replicate is made of, but for its last one: (replicates, first days), sparse."""
        from scipy.sparse import csr_array  # type: ignore[import-untyped]  # it takes long to load

        replicates, blocks = len(self.starts), self.starts.shape[1] - 1
        ones = np.ones(replicates * blocks, np.int64)
        ends = np.arange(replicates + 1) * blocks
        return csr_array((ones, self.starts[:, :-1].ravel(), ends), shape=(replicates, self.days))


def _block_sums(table: Integers, length: int) -> Integers:
    """Return, for each first day, the sums over `length` days from it on, around the end."""
    nothing = np.zeros((1, table.shape[1]), np.int64)
    running = np.cumsum(np.concatenate([nothing, table, table[:length]]), axis=0)
    return np.asarray(running[length : length + len(table)] - running[: len(table)])


@lru_cache(maxsize=64)
def draws(days: int) -> Draws | None:
    """Return the draws for a span of `days`, the same ones every time, for all who share the span.

    None for fewer than two blocks: all replicates would be the same days, and every interval a point.
    The starts come from the raw stream of PCG64 with SEED, which NumPy promises not to change (NEP 19),
    unlike its samplers.
    """
    length = block_length(days)
    if days < 2 * length:
        return None
    shape = (REPLICATES.value, -(-days // length))
    raw = np.random.PCG64(SEED.value).random_raw(shape[0] * shape[1]).reshape(shape)
    starts = (raw % np.uint64(days)).astype(np.int64)
    starts.flags.writeable = False
    return Draws(starts, days, length)


def score_interval(score: Formula[S], sums: S) -> Interval | None:
    """Return the interval of a score from its per-day sums.

    This and the others look at the days from the first with data to the last. They are None where too
    few replicates define the score, and where that span holds fewer than two blocks.
    """
    return score_intervals([score], sums)[0]


def score_intervals(scores: Sequence[Formula[S]], sums: S) -> list[Interval | None]:
    """Return the intervals of several scores, all of the same replicates."""
    drawn = resampled(sums)
    return [None if drawn is None else percentile(score.each(drawn[0])) for score in scores]


def skill_interval(score: Formula[S], model: S, reference: S) -> Interval | None:
    """Return the interval of `1 - S / S_ref`, both resampled with the same days."""
    drawn = resampled(model, reference)
    return None if drawn is None else percentile(1.0 - ratio(score.each(drawn[0]), score.each(drawn[1])))


def difference_interval(score: Formula[S], a: S, b: S) -> Interval | None:
    """Return the interval of `S_A - S_B`, both resampled with the same days."""
    drawn = resampled(a, b)
    return None if drawn is None else percentile(score.each(drawn[0]) - score.each(drawn[1]))


def mean_interval(series: DailySeries) -> Interval | None:
    """Return the interval of the mean of a daily series, each day that has a value counting once."""
    series = series.trimmed()
    drawn = draws(len(series.present))
    if drawn is None:
        return None
    totals = drawn.totals(np.stack([series.micro, series.present.astype(np.int64)], axis=1))
    return percentile(ratio(totals[:, 0], totals[:, 1] * MICRO))


def effective_pairs(sums: ScalarSums, drawn: ScalarSums | None) -> float | None:
    """Return the effective number of pairs behind an MAE: `n * var_iid / var_block`, at most n.

    `var_iid` is the variance of the mean of n independent errors' sizes, `var_block` that of the same
    mean in the replicates `drawn`: hours that repeat each other count for less. Capped at n because more
    than was measured is hard to explain. None where either variance is 0 or unknown.
    """
    totals = sums.total()
    n, size, square = int(totals.n), int(totals.sum_abs), int(totals.sum_ee)
    if drawn is None or n < 2:
        return None
    iid = (n * square - size * size) / (n * (n - 1)) / n
    sizes = ratio(drawn.sum_abs, drawn.n)
    defined = sizes[np.isfinite(sizes)]
    block = float(defined.var(ddof=1)) if defined.size > 1 else 0.0
    return min(float(n), n * iid / block) if iid > 0 and block > 0 else None


def resampled(*sums: S, extent: slice | None = None) -> tuple[S, ...] | None:
    """Return the replicates of each of `sums`, all of the same days: rows are replicates instead of days.

    Days are drawn from `extent`, or from the first with data to the last. None where that is too short.
    """
    columns = [column for each in sums for column in each.columns()]
    flat = [column[:, None] if column.ndim == 1 else column for column in columns]
    table = np.concatenate(flat, axis=1)
    filled = table != 0
    extent = extent_of(filled.any(axis=1)) if extent is None else extent
    drawn = draws(extent.stop - (extent.start or 0))
    if drawn is None:
        return None
    used = filled.any(axis=0)
    totals = np.zeros((REPLICATES.value, table.shape[1]), np.int64)
    totals[:, used] = drawn.totals(table[extent][:, used])
    ends = np.cumsum([column.shape[1] for column in flat])
    parts = (
        part.reshape(-1, *column.shape[1:])
        for part, column in zip(np.split(totals, ends[:-1], axis=1), columns, strict=True)
    )
    return tuple(each.each(lambda _column: next(parts)) for each in sums)
