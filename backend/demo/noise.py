"""Random numbers without state: each depends only on a key and an index."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# The constants of splitmix64, a tested mixing function of 64 bits (Steele, Lea and Flood, 2014).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@lru_cache(maxsize=65536)
def stream(*key: str | int) -> int:
    """Return the 64-bit seed of a sequence of random numbers, the same in every process."""
    text = "\x1f".join(str(part) for part in key)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def uniform(sequence: int, index: Integers) -> Floats:
    """Return the numbers of a sequence at `index`, evenly spread over the open interval (0, 1)."""
    bits = np.atleast_1d(index).astype(np.uint64) * _GOLDEN + np.uint64(sequence)
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
    bits ^= bits >> np.uint64(31)
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def chance(*key: str | int) -> float:
    """Return the one number in (0, 1) that belongs to a key."""
    return float(uniform(stream(*key), np.zeros(1, dtype=np.int64))[0])


def normal(sequence: int, index: Integers) -> Floats:
    """Return the numbers of a sequence at `index`, normally distributed with variance 1 (Box-Muller)."""
    pairs = np.atleast_1d(index).astype(np.int64) * 2
    radius = np.sqrt(-2.0 * np.log(uniform(sequence, pairs)))
    return radius * np.cos(2.0 * np.pi * uniform(sequence, pairs + 1))


def smooth(sequence: int, times: Floats, spacing: float) -> Floats:
    """Return continuous normal noise of variance 1 that changes over `spacing` seconds."""
    place = times / spacing
    knots = np.floor(place)
    angle = (place - knots) * (np.pi / 2.0)
    index = knots.astype(np.int64)
    return np.cos(angle) * normal(sequence, index) + np.sin(angle) * normal(sequence, index + 1)
