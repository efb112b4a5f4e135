"""What all ways to beacons share: from a network's words to readings in UTC.

A route turns each row of an answer into a `Reading`, or into a `Rejected` where its time cannot be
used; `validate` judges the values. Nothing here asks the network for anything.

The times of the FFVL are cut to the minute. Its beacons speak every ten minutes; the feed and winds.mobi
state seconds and the page does not, and one reading must be one observation whichever way it came.
Where one way states a time as exactly as the other, it is kept to the second.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Generic, TypeVar

import msgspec

from backend.collectors.base import Payload, Route, as_failure
from backend.collectors.transport.decoding import MAX_ODD_TEXT, OddRow, decode_rows, require_few_odd
from backend.core.clock import CLOCK_TOLERANCE, is_doubled, paris_to_utc
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import MISSING_BESIDE_WIND, Parameter
from backend.core.records import CollectionRequest, Observation, ObservationBatch, Position, Rejected, Station

DASHES = frozenset({"--", "---", "--.-"})
MISSING_MARKS = DASHES | {"NC"}
"""Words for a value that was looked for and not found. An empty text or null says nothing at all."""

CORRECTED_FOR = timedelta(hours=72)
"""How far back the network keeps history, hence may correct itself; older readings are not re-delivered."""

_BEFORE_THE_NETWORK = 2000
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_STATION_NUMBER = re.compile(r"[0-9]{1,9}")

Value = str | float | None
"""A measured value as it came: the feed writes texts, winds.mobi numbers, null where there is none."""

ReportedField = Value | msgspec.UnsetType
"""A field of a row, UNSET where the row lacks it. One row may; if all do, the format has changed."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a beacon said at `time` (UTC). `marked` gives the reason for values known not to be measured."""

    station: str
    time: datetime
    values: Mapping[Parameter, Value]
    marked: Mapping[Parameter, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Readings:
    """What one answer held. `latest` is each beacon's newest time in it, delivered or not.

    `newest` is the newest of all that is not in the future.
    """

    records: tuple[Observation, ...]
    rejected: tuple[Rejected, ...]
    latest: Mapping[str, datetime]
    newest: datetime | None

    def within(self, first: datetime, last: datetime) -> Readings:
        """Return what was measured from `first` to `last`.

        Of what has no usable time only the odd rows are kept: they may be of that time.
        """
        return replace(
            self,
            records=tuple(each for each in self.records if first <= each.time <= last),
            rejected=tuple(
                each
                for each in self.rejected
                if (first <= each.time <= last if each.time is not None else is_odd_row(each))
            ),
        )

    @property
    def stations(self) -> set[str]:
        """Return every beacon that the answer speaks of, be its time of use or not."""
        return {*self.latest, *(rejected.subject for rejected in self.rejected)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Who runs the beacons, and what its readings have in common by whichever route they come.

    `cadence` is the longest time between two readings of a beacon that misses none.
    `averaging_minutes` and `direction_resolution` (degrees) are stated where the network documents them.
    """

    name: str
    cadence: timedelta
    averaging_minutes: int | None = None
    direction_resolution: float | None = None

    def station_id(self, number: str | int) -> str | None:
        """Return our id of the beacon it calls `number`: "ffvl:2834". None if that is no number."""
        digits = str(number).strip()
        return f"{self.name}:{digits}" if _STATION_NUMBER.fullmatch(digits) else None

    def batch(
        self,
        route: Route[ObservationBatch],
        payload: Payload,
        readings: Readings,
        complete_until: Mapping[str, datetime],
        stations: Sequence[Station] = (),
        positions: Sequence[Position] = (),
    ) -> ObservationBatch:
        """Return the batch of one answer."""
        return ObservationBatch(
            source=self.name,
            route=route.name,
            rank=route.rank,
            collected_at=payload.fetched_at,
            records=readings.records,
            rejected=readings.rejected,
            newest=readings.newest,
            averaging_minutes=self.averaging_minutes,
            direction_resolution=self.direction_resolution,
            stations=stations,
            positions=positions,
            complete_until=complete_until,
        )

    def failed(
        self, route: Route[ObservationBatch], error: CollectorError, needs: CollectionRequest
    ) -> ObservationBatch:
        """Return a batch that says that one request of `route` brought nothing."""
        return ObservationBatch(
            source=self.name,
            route=route.name,
            rank=route.rank,
            collected_at=needs.now,
            failures=(as_failure(route.name, error),),
        )


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """The rows of one answer: those in the documented shape, and the odd ones."""

    rows: list[Row]
    odd: list[OddRow]
    url: str

    @property
    def total(self) -> int:
        """Return how many rows the answer has."""
        return len(self.rows) + len(self.odd)

    def without(self, why_odd: Callable[[Row], str | None]) -> Rows[Row]:
        """Return the rows for which `why_odd` gives no reason, the others among the odd ones.

        Raises ParseError where most rows are odd now.
        """
        good: list[Row] = []
        odd = list(self.odd)
        for row in self.rows:
            if reason := why_odd(row):
                text = msgspec.json.encode(row).decode()
                odd.append(OddRow(text[:MAX_ODD_TEXT], reason, msgspec.to_builtins(row)))
            else:
                good.append(row)
        try:
            require_few_odd(odd, self.total)
        except ParseError as error:
            raise ParseError(error.reason, url=self.url) from error
        return Rows(good, odd, self.url)

    def rejected(self, subject: Callable[[object], str | None], otherwise: str) -> tuple[Rejected, ...]:
        """Return the odd rows as rejected values of the station that `subject` finds in the content."""
        return tuple(
            Rejected(subject(row.content) or otherwise, None, None, row.raw, f"{ODD_ROW}: {row.reason}")
            for row in self.odd
        )


ODD_ROW = "odd_row"
"""Why a row of an answer is rejected that is not in the documented shape."""


def is_odd_row(value: Rejected) -> bool:
    """Say whether a rejected value is a whole row that is not in the documented shape."""
    return value.reason_code == ODD_ROW


def json_rows(
    payload: Payload,
    array: msgspec.json.Decoder[list[Row]],
    row: msgspec.json.Decoder[Row],
    body: bytes | None = None,
) -> Rows[Row]:
    """Return the rows of a JSON array, which may be none, with or without a byte order mark.

    `body` is the part of the payload that is the array, where it is not the whole. Raises ParseError for
    anything but an array, and where most rows are odd.
    """
    try:
        rows, odd = decode_rows(array, row, payload.body.removeprefix(BOM_UTF8) if body is None else body)
    except ParseError as error:
        # The body itself is not quoted: a refusal may repeat the key.
        reason = f"not the JSON array that is documented: {error.reason}"
        raise ParseError(reason, url=payload.url) from error
    return Rows(rows, odd, payload.url)


def text_of(content: object, name: str) -> str | None:
    """Return the text or whole number under `name` in an odd row's content, or None."""
    value = content.get(name) if isinstance(content, dict) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def require_fields(rows: Iterable[object], fields: Mapping[str, str], payload: Payload) -> None:
    """Raise ParseError for a field that not one row has; `fields` gives the source's name of an attribute."""
    rows = tuple(rows)
    for attribute, name in fields.items():
        if rows and all(getattr(row, attribute) is msgspec.UNSET for row in rows):
            raise ParseError(f"no row has the documented field {name}", url=payload.url)


def value_of(field: ReportedField) -> Value:
    """Return what a field says; one that is not there says nothing."""
    return None if field is msgspec.UNSET else field


def not_empty(rows: Rows[Row]) -> Rows[Row]:
    """Return `rows`; ParseError if there are none, where the beacons of a whole country should be."""
    if not rows.total:
        raise ParseError("an empty array, which is no answer", url=rows.url)
    return rows


def paris_time(
    station: str, text: str, pattern: str, fetched_at: datetime, newer: datetime | None = None
) -> datetime | Rejected:
    """Read a naive Europe/Paris stamp written as `pattern`; return it in UTC, or why it cannot be used.

    In October's doubled hour it is the time nearest to the fetch; in a history that goes back in time,
    the time nearest to the row before, which is `newer`: so both passes of that hour find their place.
    """
    return from_paris(station, text, local_stamp(text, pattern), fetched_at, newer)


def from_paris(
    station: str, text: str, local: datetime | None, fetched_at: datetime, newer: datetime | None = None
) -> datetime | Rejected:
    """Return a naive Europe/Paris time in UTC, or why it cannot be used.

    `text` is the stamp as it came; `local` is None where it is no date. For `newer` see `paris_time`.
    """
    if local is None or local.year < _BEFORE_THE_NETWORK:
        return _rejected_time(station, text, "invalid_time")
    time = paris_to_utc(_to_the_minute(local), newer or fetched_at)
    if time is None:
        return _rejected_time(station, text, "missing_hour: the clock skipped it")
    return _require_past(station, time, text, fetched_at)


def newest_first(stamps: Sequence[datetime | None]) -> bool | None:
    """Say whether the rows of a history go back in time, by their naive Paris stamps; None for neither way.

    Only the doubled hour may interrupt an order, and once: from the end of its first pass to the start of its
    second. Equally good either way is a history of one row or of equal stamps, which goes both ways, and one
    of two rows of which each may be of either pass, which goes neither.
    """
    known = [stamp for stamp in stamps if stamp is not None]
    steps = [(before, after) for before, after in pairwise(known) if before != after]
    up = [step for step in steps if step[0] < step[1]]
    down = [step for step in steps if step[0] > step[1]]
    backward, forward = _interrupted_once(up), _interrupted_once(down)
    if backward and forward and len(up) != len(down):
        return len(up) < len(down)
    if backward and forward:
        return None if steps else True
    return True if backward else False if forward else None


def _interrupted_once(steps: Sequence[tuple[datetime, datetime]]) -> bool:
    return not steps or (len(steps) == 1 and all(map(is_doubled, steps[0])))


def one_pass_of_two(stamps: Sequence[datetime | None], fetched_at: datetime) -> bool:
    """Say whether stamps, newest first, have one pass of the doubled hour, and either may be the one.

    It is the second where the history begins in it, and the one of the fetch where it ends there just then.
    """
    known = [stamp for stamp in stamps if stamp is not None]
    inside = [index for index, stamp in enumerate(known) if is_doubled(stamp)]
    if not inside:
        return False
    first, last = inside[0], inside[-1]
    if any(known[index] < known[index + 1] for index in range(first, last)):
        return False  # both are there
    if first > 0:
        return last < len(known) - 1
    newest = paris_to_utc(known[0], fetched_at)
    return newest is not None and fetched_at - newest > timedelta(hours=1)


def local_stamp(text: str, pattern: str) -> datetime | None:
    """Read a naive Europe/Paris stamp, to the minute; None where it is none."""
    try:
        local = datetime.strptime(text.strip(), pattern)  # noqa: DTZ007 - naive on purpose: Paris wall clock
    except ValueError:
        return None
    return _to_the_minute(local)


def epoch_time(station: str, seconds: int, fetched_at: datetime) -> datetime | Rejected:
    """Read seconds since 1970; return the time in UTC, or why it cannot be used."""
    try:
        time = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return _rejected_time(station, str(seconds), "invalid_time")
    if time.year < _BEFORE_THE_NETWORK:
        return _rejected_time(station, str(seconds), "invalid_time")
    return _require_past(station, _to_the_minute(time), str(seconds), fetched_at)


def iso_time(station: str, text: str, fetched_at: datetime) -> datetime | Rejected:
    """Read a stamp in ISO 8601 that says its zone; return it in UTC to the second, or why it is unusable."""
    try:
        stated = datetime.fromisoformat(text)
        time = stated.astimezone(UTC)
    except (ValueError, OverflowError):
        return _rejected_time(station, text, "invalid_time")
    if stated.utcoffset() is None or time.year < _BEFORE_THE_NETWORK:
        return _rejected_time(station, text, "invalid_time")
    return _require_past(station, time.replace(microsecond=0), text, fetched_at)


def _to_the_minute(time: datetime) -> datetime:
    return time.replace(second=0, microsecond=0)


def _require_past(station: str, time: datetime, raw: str, fetched_at: datetime) -> datetime | Rejected:
    if time > fetched_at + CLOCK_TOLERANCE:
        return _rejected_time(station, raw, "future: more than 10 min ahead of the fetch", time)
    return time


def _rejected_time(station: str, raw: str, reason: str, time: datetime | None = None) -> Rejected:
    return Rejected(subject=station, parameter=None, time=time, raw=raw, reason=reason)


def validate(
    rows: Iterable[Reading | Rejected], fetched_at: datetime, after: Mapping[str, datetime]
) -> Readings:
    """Judge the values of each reading later than `after` says for its station, each time once."""
    records: list[Observation] = []
    rejected: list[Rejected] = []
    latest: dict[str, datetime] = {}
    seen: set[tuple[str, datetime]] = set()
    for row in rows:
        if isinstance(row, Rejected):
            rejected.append(row)
            continue
        if (row.station, row.time) in seen:
            continue
        seen.add((row.station, row.time))
        latest[row.station] = max(row.time, latest.get(row.station, row.time))
        if row.station not in after or row.time > after[row.station]:
            good, bad = check_values(row)
            records += good
            rejected += bad
    newest = max((time for _, time in seen if time <= fetched_at), default=None)
    return Readings(tuple(records), tuple(rejected), latest, newest)


Interpret = Callable[[Parameter, Value], float | str]
"""Reads a raw value that is not empty: a number in the parameter's unit, or the reason why it is none."""


def interpret_decimal(_: Parameter, raw: Value) -> float | str:
    """Read a decimal number; most networks write all their values so."""
    if str(raw).strip().upper() in MISSING_MARKS:
        return "missing"
    value = number(raw)
    return "not_a_number" if value is None else value


def check_values(
    reading: Reading, interpret: Interpret = interpret_decimal
) -> tuple[list[Observation], list[Rejected]]:
    """Return the values as observations, and those that are no measurement; what is not there is absent."""
    station, time = reading.station, reading.time
    read = {
        parameter: interpret(parameter, raw)
        for parameter, raw in reading.values.items()
        if not _is_blank(raw)
    }
    zeros = zeros_for_missing(
        {parameter: None if isinstance(value, str) else value for parameter, value in read.items()}
    )
    calm = read.get(Parameter.WIND_SPEED) == 0 and Parameter.WIND_SPEED not in zeros
    good: list[Observation] = []
    bad: list[Rejected] = []
    for parameter, raw in reading.values.items():
        if parameter in reading.marked:
            bad.append(Rejected(station, parameter, time, str(raw), reading.marked[parameter]))
        elif parameter in zeros:
            bad.append(Rejected(station, parameter, time, str(raw), zeros[parameter]))
        elif parameter not in read or (calm and parameter is Parameter.WIND_DIRECTION):
            continue
        elif isinstance(value := read[parameter], str):
            bad.append(Rejected(station, parameter, time, str(raw), value))
        else:
            good.append(Observation(station, parameter, time, value))
    return good, bad


def zeros_for_missing(values: Mapping[Parameter, float | None]) -> dict[Parameter, str]:
    """Return the reason per parameter whose 0 stands for a missing value; `values` are of one reading.

    A mean of 0 contradicts a gust of MISSING_BESIDE_WIND, and a gust of 0 contradicts such a mean: all
    networks measure both over the same minutes. A direction or a temperature of 0 is never suspect by itself.
    """
    mean, gust = values.get(Parameter.WIND_SPEED), values.get(Parameter.WIND_GUST)
    if mean == 0 and gust is not None and gust >= MISSING_BESIDE_WIND:
        return {Parameter.WIND_SPEED: f"zero_mean: 0 beside a gust of {gust:g} km/h is a missing value"}
    if gust == 0 and mean is not None and mean >= MISSING_BESIDE_WIND:
        return {Parameter.WIND_GUST: f"zero_gust: 0 beside a mean of {mean:g} km/h is a missing value"}
    return {}


def _is_blank(raw: Value) -> bool:
    return raw is None or (isinstance(raw, str) and not raw.strip())


def number(raw: Value) -> float | None:
    """Return a value as a number, or None: plain decimals only, since float() takes "nan" and "1_000"."""
    if isinstance(raw, str):
        text = raw.strip()
        return float(text) if _DECIMAL.fullmatch(text) else None
    return raw


def french_number(text: str) -> float | None:
    """Return a decimal with a point or a French comma as a number, or None; "-0" is 0."""
    value = number(text.replace(",", "."))
    return None if value is None else value + 0.0


def elevation(raw: Value) -> float | None:
    """Return metres above sea level. 0 is "not known" to the sources: a beacon at the sea loses its own."""
    return number(raw) or None


def stored_until(newest: Mapping[str, datetime], fetched_at: datetime) -> dict[str, datetime]:
    """Return, per station, the time up to which a reading in a bulk answer need not be delivered again.

    The last three days are, because networks correct themselves. The months-old last word of a beacon
    that fell silent is delivered once.
    """
    return {station: min(time, fetched_at - CORRECTED_FOR) for station, time in newest.items()}


WITH_ITS_READING = timedelta(hours=1)
"""A position that comes with a reading not older than this is where the station stood at the reading."""


def positions_of(
    stations: Iterable[Station], fetched_at: datetime, latest: Mapping[str, datetime] | None = None
) -> tuple[Position, ...]:
    """Return the positions that an answer states, with the time of each station's reading in it, if new."""

    def since(station: str) -> datetime | None:
        reading = (latest or {}).get(station)
        return reading if reading is not None and fetched_at - reading <= WITH_ITS_READING else None

    return tuple(
        Position(
            station=each.id,
            time=fetched_at,
            latitude=each.latitude,
            longitude=each.longitude,
            elevation=each.elevation,
            name=each.name,
            since=since(each.id),
        )
        for each in stations
    )


def is_new_or_changed(told: Station, known: Station | None) -> bool:
    """Say whether a station is new, or its network states something else of it than we know."""
    if known is None:
        return True
    said = (
        (told.name, known.name),
        (told.latitude, known.latitude),
        (told.longitude, known.longitude),
        (told.elevation, known.elevation),
    )
    return any(new not in ("", None, old) for new, old in said)


def oldest_first(needs: CollectionRequest, network: str) -> list[str]:
    """Return the mapped stations of a network, the one whose newest reading is the oldest first.

    A collection that is cut short leaves the last ones out, and the next one begins with them.
    """
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(needs.mapped_stations(network), key=lambda station: needs.newest.get(station, never))
