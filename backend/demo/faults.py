"""The catalogue of faults of an upstream; each is switched on per source.

Some faults change the data and their times (`stale`, `future`, `absurd`, `missing_hour`): world.py applies
them. The others change the answer on its way to the client: unreliable.py applies those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """A fault that can be switched on for an upstream."""

    REFUSE = "refuse"  # the port is closed
    RESET = "reset"  # half of the body, then the connection is reset
    HANG = "hang"  # no answer
    DRIP = "drip"  # the answer is sent byte by byte
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    TOO_MANY = "429"  # with Retry-After
    BROKEN = "500"
    UNAVAILABLE = "503"
    LOGIN = "login"  # a redirect to the login page of another host
    MAINTENANCE = "maintenance"  # a maintenance page, with HTTP 200
    ERROR_IN_200 = "error_in_200"  # an error of this upstream, with HTTP 200
    EMPTY = "empty"  # HTTP 200 with no body at all
    TRUNCATED = "truncated"  # half of the announced body, then the connection closes
    CUT = "cut"  # half of the document, with a matching length
    MISSING_FIELDS = "missing_fields"  # without the field of the mean wind, or the index that leads to it
    NO_TEMPERATURE = "no_temperature"  # without the field of the temperature
    NO_GUSTS = "no_gusts"  # without the fields of a model's gusts
    NO_PLACE = "no_place"  # one place of an answer for several has no coordinates and no values
    STALE = "stale"  # the newest data are two days old
    FUTURE = "future"  # times are a day ahead
    ABSURD = "absurd"  # impossible values
    NAN = "nan"  # mean winds that are NaN
    ZERO_MEAN = "zero_mean"  # a mean of 0 beside a gust, as winds.mobi writes a missing mean
    ODD_ROW = "odd_row"  # one row among the others is not in the documented shape
    MOVED = "moved"  # every beacon states a position ten degrees south of its own
    LATIN_1 = "latin_1"  # text in another encoding than it declares
    MISSING_HOUR = "missing_hour"  # clocks of beacons go forward an hour late in March


ErrorPage = tuple[bytes, str]
"""Body and content type of an upstream's error that comes with HTTP 200."""

Spoil = Callable[[Fault, bytes], bytes]
"""Applies a fault to a document in the format of one upstream, such as a missing field or a NaN."""


def spoiled_by(patterns: Mapping[Fault, tuple[bytes, bytes]]) -> Spoil:
    """Return a Spoil that replaces all matches of a fault's pattern in a document."""

    def spoil(fault: Fault, body: bytes) -> bytes:
        pattern, replacement = patterns.get(fault, (b"(?!)", b""))
        return re.sub(pattern, replacement, body)

    return spoil


@dataclass(slots=True)
class Counter:
    """Requests to an upstream, and bytes of the bodies that it sent."""

    requests: int = 0
    bytes: int = 0
