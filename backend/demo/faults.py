"""What can go wrong at an upstream: the catalogue of faults, each switched on per source.

Some faults change the data and their times (`stale`, `future`, `absurd`, `missing_hour`): world.py applies
them. The others change the answer on its way to the client: unreliable.py applies those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What an upstream can be told to suffer from."""

    REFUSE = "refuse"  # nobody listens
    RESET = "reset"  # half of the body, then the connection is reset
    HANG = "hang"  # no answer ever comes
    DRIP = "drip"  # the answer comes a byte at a time
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    TOO_MANY = "429"  # with Retry-After
    BROKEN = "500"
    UNAVAILABLE = "503"
    LOGIN = "login"  # a redirect to the login page of another host
    MAINTENANCE = "maintenance"  # a page that says so, with HTTP 200
    ERROR_IN_200 = "error_in_200"  # what this upstream says with HTTP 200 when it means no
    EMPTY = "empty"  # HTTP 200 with no body at all
    TRUNCATED = "truncated"  # half of the announced body, then the connection closes
    CUT = "cut"  # half of the document, as if that were all
    MISSING_FIELDS = "missing_fields"  # without the field that the mean wind comes in, or what leads to it
    NO_TEMPERATURE = "no_temperature"  # without the field that the temperature comes in
    NO_GUSTS = "no_gusts"  # without the fields that a model's gusts come in
    NO_PLACE = "no_place"  # one place of an answer for several has no coordinates and no values
    STALE = "stale"  # the newest data are two days old
    FUTURE = "future"  # what is said is stamped a day ahead
    ABSURD = "absurd"  # values that cannot be true
    NAN = "nan"  # mean winds that are no number
    ZERO_MEAN = "zero_mean"  # beacons say 0 for the mean beside a gust, as winds.mobi writes a missing one
    ODD_ROW = "odd_row"  # one row among the others is not in the documented shape
    MOVED = "moved"  # every beacon states a place ten degrees south of its own
    LATIN_1 = "latin_1"  # text in another encoding than it declares
    MISSING_HOUR = "missing_hour"  # clocks of beacons go forward an hour late in March


ErrorPage = tuple[bytes, str]
"""What an upstream answers with HTTP 200 when it failed, and the content type it gives it."""

Spoil = Callable[[Fault, bytes], bytes]
"""How an upstream's documents look without a field or with a NaN: only it knows its own format."""


def spoiled_by(patterns: Mapping[Fault, tuple[bytes, bytes]]) -> Spoil:
    """Return a Spoil that replaces, all over a document, what matches the pattern of a fault."""

    def spoil(fault: Fault, body: bytes) -> bytes:
        pattern, replacement = patterns.get(fault, (b"(?!)", b""))
        return re.sub(pattern, replacement, body)

    return spoil


@dataclass(slots=True)
class Counter:
    """What an upstream was asked: requests, and bytes of bodies it sent."""

    requests: int = 0
    bytes: int = 0
