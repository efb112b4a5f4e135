"""Set impossible values, positions and station ids of a batch aside, as rejected values. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from backend.core.errors import ParseError
from backend.core.parameters import canonical, why_implausible
from backend.core.records import (
    Forecast,
    ForecastBatch,
    IncompletePart,
    ObservationBatch,
    Position,
    Rejected,
    Station,
)
from backend.core.text import one_line

DOUBTFUL = frozenset({"out_of_range", "not_a_number", "odd_row", "zero_mean", "zero_gust"})
"""Reason codes of rejected values that may be correct when read again; a mark for "missing" is not one."""

PLAUSIBLE_PLACE = {"latitude": (-90.0, 90.0), "longitude": (-180.0, 180.0), "elevation": (-500.0, 9000.0)}
"""Possible positions of a station, in degrees and in metres above sea level."""

DUMMY_DEGREES = 1.0
"""A position closer to 0 N 0 E is sea: stations without a position report 0 N 0 E."""

LONGEST_TEXT = 500
"""Characters of a source's text that are stored with a failure or a rejected value."""

LONGEST_NAME, LONGEST_KIND, LONGEST_REMARKS = 100, 30, 2000
"""Characters of a network's texts about a station that are stored."""

LONGEST_ID = 60
"""Longest accepted id of a station, in characters; the longest of all collected networks has 25."""

MOST_STATIONS = 10_000
"""Highest accepted number of stations in one answer: ten times the largest collected network."""

_Batch = TypeVar("_Batch", ForecastBatch, ObservationBatch)
_Place = TypeVar("_Place", Station, Position)


def set_aside_implausible(batch: _Batch) -> _Batch:
    """Return the batch with impossible values and positions moved to its rejected ones.

    These do not count as collected: as the publisher may correct them, later collections request them again.
    A file with a version is read again only after the version has changed.
    """
    if isinstance(batch, ObservationBatch):
        batch = _with_bounded_stations(batch)
    good: list[Any] = []
    bad = [
        replace(
            value,
            subject=one_line(value.subject, LONGEST_TEXT),
            raw=one_line(value.raw, LONGEST_TEXT),
            reason=one_line(value.reason, LONGEST_TEXT),
        )
        for value in batch.rejected
    ]
    for record in batch.records:
        if reason := why_implausible(record.parameter, record.value):
            if isinstance(record, Forecast):
                subject, time = _subject(record.model, record.site), record.valid_time
            else:
                subject, time = record.station, record.time
            bad.append(Rejected(subject, record.parameter, time, repr(record.value), reason))
        elif record.value != (value := canonical(record.parameter, record.value)):
            good.append(msgspec.structs.replace(record, value=value))
        else:
            good.append(record)
    batch = replace(batch, records=tuple(good), rejected=tuple(bad))
    if isinstance(batch, ObservationBatch):
        stations = []
        for station in batch.stations:
            known, wrong = _known_place(station)
            stations.append(known)
            bad += [
                Rejected(station.id, None, None, repr(value), f"no_such_place: no {name} on Earth")
                for name, value in wrong.items()
            ]
        positions = tuple(
            replace(_known_place(position)[0], name=one_line(position.name, LONGEST_NAME))
            for position in batch.positions
        )
        batch = replace(batch, stations=tuple(stations), positions=positions, rejected=tuple(bad))
    return _withhold_completeness(batch)


def _withhold_completeness(batch: _Batch) -> _Batch:
    """Do not mark a station or site complete if one of its values was rejected as implausible."""
    doubtful = {value.subject for value in batch.rejected if value.reason_code in DOUBTFUL}
    if isinstance(batch, ObservationBatch):
        complete_until = {
            station: time for station, time in batch.complete_until.items() if station not in doubtful
        }
        return replace(batch, complete_until=complete_until)
    # The part stays incomplete, so that a corrected file is read again.
    open_ = [site for site in batch.sites if batch.run and _subject(batch.run.model, site) in doubtful]
    again: list[IncompletePart] = [
        IncompletePart(part, site, "a value that cannot be true", batch.versions[part])
        for part in batch.parts
        for site in open_
        if batch.versions.get(part)
    ]
    sites = tuple(site for site in batch.sites if batch.run and site not in open_)
    return replace(batch, sites=sites, incomplete=(*batch.incomplete, *again))


def _subject(model: str, site: str) -> str:
    return f"{model} {site}"


def _with_bounded_stations(batch: ObservationBatch) -> ObservationBatch:
    """Return the batch with shortened, printable texts of stations, and without impossible ids.

    Raises ParseError for more stations than MOST_STATIONS.
    """
    ids = {record.station for record in batch.records} | {station.id for station in batch.stations}
    ids |= {position.station for position in batch.positions}
    # The bound is on ids, not on records: each new id becomes a row in the table of stations.
    if len(ids) > MOST_STATIONS:
        raise ParseError(f"{len(ids)} stations in one answer, the limit is {MOST_STATIONS}")
    odd = {code for code in ids if len(code) > LONGEST_ID or not code.isprintable()}
    stations = tuple(
        replace(
            station,
            name=one_line(station.name, LONGEST_NAME),
            kind=one_line(station.kind, LONGEST_KIND),
            remarks=one_line(station.remarks, LONGEST_REMARKS),
        )
        for station in batch.stations
        if station.id not in odd
    )
    if not odd:
        return replace(batch, stations=stations)
    return replace(
        batch,
        stations=stations,
        records=tuple(record for record in batch.records if record.station not in odd),
        positions=tuple(position for position in batch.positions if position.station not in odd),
        rejected=(
            *batch.rejected,
            *(Rejected(code, None, None, code, "bad_id: not a valid station id") for code in sorted(odd)),
        ),
    )


def _known_place(place: _Place) -> tuple[_Place, dict[str, float | None]]:
    """Return the place without impossible coordinates or elevation, and the impossible ones by name."""
    stated = {name: getattr(place, name) for name in PLAUSIBLE_PLACE}
    wrong = {
        name: stated[name]
        for name, (low, high) in PLAUSIBLE_PLACE.items()
        if not low <= (stated[name] or 0.0) <= high
    }
    unknown: dict[str, Any] = dict.fromkeys(wrong)
    latitude, longitude = place.latitude, place.longitude
    if latitude is not None and longitude is not None and max(abs(latitude), abs(longitude)) < DUMMY_DEGREES:
        unknown |= {"latitude": None, "longitude": None}  # unknown: the store keeps the last good position
    return replace(place, **unknown), wrong
