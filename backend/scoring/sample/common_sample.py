"""The common sample: which models are compared with each other, and on which hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from backend.scoring.constants import COMMON_SAMPLE_KEEPS
from backend.scoring.grid import Bools


class CommonSample(NamedTuple):
    """The models that are compared, in the order in which they were added, and the hours they share."""

    compared: tuple[str, ...]
    shared: Bools


def comparable(pairs: Mapping[str, Bools]) -> tuple[str, ...]:
    """Return the models that can be compared without a large loss of hours, given the pairs of each.

    From the two that share the most on, a model is added as long as the common sample keeps
    COMMON_SAMPLE_KEEPS of what these two share.
    """
    counted = sorted((name for name in pairs if pairs[name].any()), key=lambda name: -int(pairs[name].sum()))
    shares = {(a, b): int((pairs[a] & pairs[b]).sum()) for a, b in combinations(counted, 2)}
    first = max(shares, key=lambda two: shares[two], default=())
    if not first or not shares[first]:
        return tuple(counted[:1])
    taken, shared = list(first), pairs[first[0]] & pairs[first[1]]
    for name in (name for name in counted if name not in first):
        both = shared & pairs[name]
        if int(both.sum()) >= COMMON_SAMPLE_KEEPS.value * shares[first]:
            taken.append(name)
            shared = both
    return tuple(taken)


def all_of(masks: Iterable[Bools]) -> Bools:
    """Return the hours that are in all of these masks."""
    return np.asarray(np.logical_and.reduce(list(masks)))
