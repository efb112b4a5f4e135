"""A mapping whose values are computed when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lazy(Mapping[K, V]):
    """Values by key, each from one call of `compute`; its keys are known from the start.

    A question is about one quantity: the arrays of the other parameters are never built.
    """

    def __init__(self, keys: Iterable[K], compute: Callable[[K], V]) -> None:
        self._values: dict[K, V | None] = dict.fromkeys(keys)
        self._compute = compute

    def __getitem__(self, key: K) -> V:
        """Return the value of a key; raises KeyError."""
        value = self._values[key]
        if value is None:
            value = self._values[key] = self._compute(key)
        return value

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys in their order."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._values)
