"""Intervals by drawing whole blocks of days again: what a different run of days might have shown.

The circular moving-block bootstrap over calendar days. Weather lasts for days, so days are drawn in
blocks, and all models get the same days. A missing day stays a gap: drawn, it adds nothing. Ratios are
formed from resampled counts and sums, never resampled themselves. Politis & Romano 1994, JASA 89.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from math import prod
from typing import Any, TypeVar

import numpy as np

from backend.scoring.constants import DEFINED_REPLICATES, LEAST_BLOCK, REPLICATES, SEED
from backend.scoring.daily import MICRO, DailySeries, Squared, extent_of
from backend.scoring.formula import ratio
from backend.scoring.grid import Bools, Floats, Integers
from backend.scoring.intervals import Interval, percentile
from backend.scoring.sums import ScalarSums, Sums, no_sums

S = TypeVar("S", bound=Sums)


NEEDED = ("n", "sum_f", "sum_o", "sum_abs", "sum_sin", "sum_cos", "sum_ve")
"""The sums that the intervals of a bias and of a mean size of error are formed of, whatever the quantity."""


SIZES = ("n", "sum_abs", "sum_ve")
"""The sums that a mean size of error is formed of."""


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

        From the sums of blocks: a replicate adds up a few dozen of them. As a product of a sparse matrix
        this runs in one thread, where a dense one would wake several, which in a service with other work
        to do wait for each other. Floats take half the time of integers, and hold whole numbers exactly up
        to 2**53, which is 5000 days of the largest sums there are (see sums).
        """
        table = columns.reshape(self.days, -1)
        cut = self.days - self.length * (self.starts.shape[1] - 1)
        blocks = np.concatenate([_block_sums(table, self.length), _block_sums(table, cut)])
        totals = (self._blocks @ blocks.astype(np.float64)).astype(np.int64)
        return np.asarray(totals.reshape(len(self.starts), *columns.shape[1:]))

    @cached_property
    def _blocks(self) -> Any:
        """Which blocks each replicate is made of, sparse: (replicates, first days of whole and cut ones)."""
        from scipy.sparse import csr_array  # type: ignore[import-untyped]  # it takes long to load

        replicates, blocks = self.starts.shape
        chosen = self.starts.copy()
        chosen[:, -1] += self.days
        ends = np.arange(replicates + 1) * blocks
        return csr_array(
            (np.ones(replicates * blocks), chosen.ravel(), ends), shape=(replicates, 2 * self.days)
        )


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


def mean_interval(series: DailySeries) -> Interval | None:
    """Return the interval of the mean of a daily series, each day that has a value counting once.

    None where the days from the first with a value to the last are fewer than two blocks.
    """
    series = series.trimmed()
    drawn = draws(len(series.present))
    if drawn is None:
        return None
    totals = drawn.totals(np.stack([series.micro, series.present.astype(np.int64)], axis=1))
    return percentile(ratio(totals[:, 0], totals[:, 1] * MICRO))


def effective_pairs(totals: Squared, drawn: Squared | None) -> list[float | None]:
    """Return the effective number of pairs behind each group's MAE: `n * var_iid / var_block`, at most n.

    `totals` have one entry for each group, or are of shape () for one alone; `drawn` are their replicates.
    `var_iid` is the variance of the mean of n independent errors' sizes, `var_block` that of the same mean
    in the replicates: hours that repeat each other count for less. Capped at n because more than was
    measured is hard to explain. None where either variance is 0 or unknown, as it is when fewer than
    DEFINED_REPLICATES of the replicates have any pair.
    """
    n, size, square = (np.atleast_1d(each) for each in (totals.n, totals.sum_abs, totals.sum_squares))
    if drawn is None:
        return [None] * len(n)
    means = ratio(drawn.sum_abs, drawn.n).reshape(-1, len(n))
    return list(map(_effective, n.tolist(), size.tolist(), square.tolist(), means.T))


def _effective(n: int, size: int, square: int, means: Floats) -> float | None:
    """Return the same of one group: whole numbers of any length, so that equal sizes have no variance."""
    defined = means[np.isfinite(means)]
    if n < 2 or defined.size < max(2, DEFINED_REPLICATES.value * means.size):
        return None
    iid, block = (n * square - size * size) / (n * (n - 1)) / n, float(defined.var(ddof=1))
    return min(float(n), n * iid / block) if iid > 0 and block > 0 else None


def resampled(*sums: S, extent: slice | None = None) -> tuple[S, ...] | None:
    """Return the replicates of each of `sums`, all of the same days: rows are replicates instead of days.

    Days are drawn from `extent`, or from the first with data to the last. None where that is too short.
    What is 0 on every day is not drawn: it stays 0.
    """
    columns = [column for each in sums for column in each.columns()]
    tables = [column.reshape(len(column), prod(column.shape[1:])) for column in columns]
    if extent is None:
        extent = extent_of(np.logical_or.reduce([table.any(axis=1) for table in tables]))
    drawn = draws(extent.stop - (extent.start or 0))
    if drawn is None:
        return None
    used = [np.asarray(table.any(axis=0)) for table in tables]
    totals = drawn.totals(
        np.concatenate([table[extent, there] for table, there in zip(tables, used, strict=True)], axis=1)
    )
    ends = np.cumsum([there.sum() for there in used])
    parts = (
        _spread(part, there).reshape(-1, *column.shape[1:])
        for part, there, column in zip(np.split(totals, ends[:-1], axis=1), used, columns, strict=True)
    )
    return tuple(each.each(lambda _column: next(parts)) for each in sums)


def only(sums: S, names: Collection[str]) -> S:
    """Return sums of which all but the columns named are 0, for a formula that needs no others.

    Of forecast and observation only the difference is drawn: it is all that an error needs.
    """
    kept = {
        field.name: getattr(sums, field.name)
        if field.name in names
        else no_sums(*getattr(sums, field.name).shape)
        for field in fields(sums)
    }
    if isinstance(sums, ScalarSums) and "sum_f" in names:
        kept |= {"sum_f": sums.sum_e, "sum_o": no_sums(*sums.n.shape)}
    return type(sums)(**kept)


def _spread(totals: Integers, used: Bools) -> Integers:
    """Return totals with columns of 0 where one was not used."""
    if used.all():
        return totals
    if not used.any():
        return no_sums(len(totals), len(used))
    found = np.zeros((len(totals), len(used)), np.int64)
    found[:, used] = totals
    return found
