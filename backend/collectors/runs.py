"""Parts and cycles of runs, for all models."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from backend.core.records import CollectionRequest, IncompletePart, Site

_HOUR = timedelta(hours=1)

_GROUP = re.compile(r"(\d{2,3})H(?:(\d{2,3})H)?")


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A piece of a run: the lead times from `first` to `last`, in hours, both included, every `step`."""

    first: int
    last: int
    step: int = 1

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read "06H" or "00H06H"; None for anything else."""
        match = _GROUP.fullmatch(text)
        if not match:
            return None
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        return cls(first, last) if first <= last else None

    @property
    def name(self) -> str:
        """Return the name of the part in files and records."""
        return f"{self.first:02}H" if self.first == self.last else f"{self.first:02}H{self.last:02}H"

    @property
    def leads(self) -> range:
        """Return its lead times in hours."""
        return range(self.first, self.last + 1, self.step)

    def until(self, max_lead: int) -> Self:
        """Return the part cut at `max_lead`.

        The cut changes its name, so that the part is collected again, whole, after the setting is raised.
        """
        return type(self)(self.first, min(self.last, max_lead), self.step)


def without_wind(leads: Sequence[int]) -> str:
    """Return why a part of a run is incomplete: these lead times, in hours, have no wind."""
    if len(leads) == 1:
        return f"without wind at {leads[0]} h"
    return f"without wind at {len(leads)} hours from {leads[0]} h on"


def cycles(needs: CollectionRequest, hours: Collection[int]) -> list[datetime]:
    """Return the reference times at the given hours (UTC) within the request, newest first."""
    # A backfill may end in the future: runs that have not started are not requested.
    newest = needs.now if needs.until is None else min(needs.now, needs.until)
    moment = newest.replace(minute=0, second=0, microsecond=0)
    reference_times = []
    while moment > needs.since:
        if moment.hour in hours:
            reference_times.append(moment)
        moment -= _HOUR
    return reference_times


_NO_VERSIONS: Mapping[Part, str] = {}


def parts_by_missing_sites(
    needs: CollectionRequest,
    model: str,
    reference_time: datetime,
    parts: Iterable[Part],
    rank: int,
    versions: Mapping[Part, str] = _NO_VERSIONS,
) -> dict[tuple[Site, ...], list[Part]]:
    """Return the missing parts of a run by set of sites; usually all parts have the same set.

    A part whose file was read before in its present version is not missing, even if it is incomplete.
    """
    missing: dict[tuple[Site, ...], list[Part]] = {}
    for part in parts:
        if sites := needs.missing(model, reference_time, part.name, rank, versions.get(part, "")):
            missing.setdefault(sites, []).append(part)
    return missing


def title_of(model: str, reference_time: datetime) -> str:
    """Return the name of a run in messages: "arome_0025 of 2026-08-09 15:00 UTC"."""
    return f"{model} of {reference_time:%Y-%m-%d %H:%M} UTC"


def newly_incomplete(title: str, new: Sequence[IncompletePart]) -> str:
    """Return the message about the parts of a run that are incomplete; it names the first of the sites."""
    first, sites = new[0], dict.fromkeys(one.site for one in new)
    others = f" and {len(sites) - 1} more" if len(sites) > 1 else ""
    parts = ", ".join(dict.fromkeys(one.part for one in new))
    return f"{title} is incomplete in {parts} at {first.site}{others}: {first.reason}"
