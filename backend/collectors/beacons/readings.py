"""Readings of stations, as all beacon routes make them: rows, validation of values, stations. Pure.

A route converts each row of an answer into a `Reading`, or into a `Rejected` if its time cannot be used
(times.py); `validate` checks the values.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from backend.collectors.base import Payload, SourceRoute, as_failure
from backend.collectors.transport.decoding import MAX_ODD_TEXT, OddRow, decode_rows, require_few_odd
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import MISSING_BESIDE_WIND, Parameter
from backend.core.records import CollectionRequest, Observation, ObservationBatch, Position, Rejected, Station

DASHES = frozenset({"--", "---", "--.-"})
MISSING_MARKS = DASHES | {"NC"}
"""Texts that mark a missing value, which is stored as rejected. An empty text or null is skipped."""

CORRECTED_FOR = timedelta(hours=72)
"""How far back the networks serve a history and may correct it. Older readings are not delivered again."""

_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")

Value = str | float | None
"""A measured value as received: text in the FFVL's feed, a number from winds.mobi, or null."""

ReportedField = Value | msgspec.UnsetType
"""A field of a row, UNSET if absent. If it is absent in all rows, the format has changed."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Values of a station at `time` (UTC). `marked` has the reasons for values known not to be measured.

    `same_minutes` is False if the gust is of a longer time than the mean: a calm mean beside a gust, or the
    reverse, is then no contradiction.
    """

    station: str
    time: datetime
    values: Mapping[Parameter, Value]
    marked: Mapping[Parameter, str] = field(default_factory=dict)
    same_minutes: bool = True


@dataclass(frozen=True, slots=True)
class Readings:
    """The checked content of one answer.

    `latest` is each station's newest time in the answer, also if that reading is not in `records`.
    `newest` is the newest time of all that is not in the future.
    """

    records: tuple[Observation, ...]
    rejected: tuple[Rejected, ...]
    latest: Mapping[str, datetime]
    newest: datetime | None

    def within(self, first: datetime, last: datetime) -> Readings:
        """Return the values from `first` to `last`.

        Of rejected values without a usable time only odd rows remain: they may be of that period.
        """
        return replace(
            self,
            records=tuple(record for record in self.records if first <= record.time <= last),
            rejected=tuple(
                value
                for value in self.rejected
                if (first <= value.time <= last if value.time is not None else is_odd_row(value))
            ),
        )

    @property
    def stations(self) -> set[str]:
        """Return every station in the answer, with a usable time or without."""
        return {*self.latest, *(rejected.subject for rejected in self.rejected)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network of stations, and the properties of its readings on all routes.

    `cadence` is the longest time between two readings of a station that misses none.
    `averaging_minutes` and `direction_resolution` (degrees) are None where the network does not document
    them. `number` is the pattern of a station's number.
    """

    name: str
    cadence: timedelta
    averaging_minutes: int | None = None
    direction_resolution: float | None = None
    number: re.Pattern[str] = re.compile(r"[0-9]{1,9}")

    def station_id(self, number: str | int) -> str | None:
        """Return the id of the station with `number`: "ffvl:2834". None if that is not a number."""
        digits = str(number).strip()
        return f"{self.name}:{digits}" if self.number.fullmatch(digits) else None

    def station_of_odd(self, content: object, name: str) -> str | None:
        """Return the id of the station whose number is under `name` in an odd row's content, or None."""
        digits = text_of(content, name)
        return None if digits is None else self.station_id(digits)

    def batch(
        self,
        route: SourceRoute[ObservationBatch],
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
        self, route: SourceRoute[ObservationBatch], error: CollectorError, needs: CollectionRequest
    ) -> ObservationBatch:
        """Return a batch with nothing but the failure of one request of `route`."""
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
        """Return the rows, with those for which `why_odd` returns a reason moved to the odd ones.

        Raises ParseError if most rows are then odd.
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
        """Return the odd rows as rejected values of the station that `subject` reads from the content."""
        return tuple(
            Rejected(subject(row.content) or otherwise, None, None, row.raw, f"{ODD_ROW}: {row.reason}")
            for row in self.odd
        )


ODD_ROW = "odd_row"
"""Reason code of a row that is not in the documented shape."""


def is_odd_row(value: Rejected) -> bool:
    """True if a rejected value is a whole row that is not in the documented shape."""
    return value.reason_code == ODD_ROW


def json_rows(
    payload: Payload,
    array: msgspec.json.Decoder[list[Row]],
    row: msgspec.json.Decoder[Row],
    body: bytes | None = None,
) -> Rows[Row]:
    """Return the rows of a JSON array, possibly empty, with or without a byte order mark.

    `body` is the array, if it is only a part of the payload. Raises ParseError for anything but an array,
    and if most rows are odd.
    """
    try:
        rows, odd = decode_rows(array, row, payload.body.removeprefix(BOM_UTF8) if body is None else body)
    except ParseError as error:
        # Do not quote the body: a refusal may repeat the key.
        reason = f"not the documented JSON array: {error.reason}"
        raise ParseError(reason, url=payload.url) from error
    return Rows(rows, odd, payload.url)


def text_of(content: object, name: str) -> str | None:
    """Return the text or whole number under `name` in an odd row's content, or None."""
    value = content.get(name) if isinstance(content, dict) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def require_fields(rows: Iterable[object], fields: Mapping[str, str], payload: Payload) -> None:
    """Raise ParseError for a field that is in no row; `fields` maps attributes to the source's names."""
    rows = tuple(rows)
    for attribute, name in fields.items():
        if rows and all(getattr(row, attribute) is msgspec.UNSET for row in rows):
            raise ParseError(f"no row has the documented field {name}", url=payload.url)


def value_of(field: ReportedField) -> Value:
    """Return the value of a field; None if it is absent."""
    return None if field is msgspec.UNSET else field


def not_empty(rows: Rows[Row]) -> Rows[Row]:
    """Return `rows`; raise ParseError if there are none: the bulk answers cover a whole country."""
    if not rows.total:
        raise ParseError("response is an empty array", url=rows.url)
    return rows


def validate(
    rows: Iterable[Reading | Rejected], fetched_at: datetime, after: Mapping[str, datetime]
) -> Readings:
    """Check the values of each reading that is later than `after` of its station; skip repeated times."""
    records: list[Observation] = []
    rejected: list[Rejected] = []
    latest: dict[str, datetime] = {}
    seen: set[tuple[str, datetime]] = set()
    for row in rows:
        if isinstance(row, Rejected):
            rejected.append(row)
            continue
        # Cut to the minute, two rows may have the same time: the first one counts on every route.
        if (row.station, row.time) in seen:
            continue
        seen.add((row.station, row.time))
        latest[row.station] = max(row.time, latest.get(row.station, row.time))
        if row.station not in after or row.time > after[row.station]:
            good, bad = check_values(row)
            records += good
            rejected += bad
    # A time ahead of the fetch, even if it is tolerated, must not make the source look fresh.
    newest = max((time for _, time in seen if time <= fetched_at), default=None)
    return Readings(tuple(records), tuple(rejected), latest, newest)


Interpret = Callable[[Parameter, Value], float | str]
"""Reads a raw value that is not empty: returns a number in the parameter's unit, or a reason code."""


def interpret_decimal(_: Parameter, raw: Value) -> float | str:
    """Read a decimal number, the format of most networks."""
    if str(raw).strip().upper() in MISSING_MARKS:
        return "missing"
    value = number(raw)
    return "not_a_number" if value is None else value


def check_values(
    reading: Reading, interpret: Interpret = interpret_decimal
) -> tuple[list[Observation], list[Rejected]]:
    """Return the measured values as observations, and the others as rejected; skip empty values.

    A calm has no direction.
    """
    station, time = reading.station, reading.time
    read = {
        parameter: interpret(parameter, raw)
        for parameter, raw in reading.values.items()
        if raw is not None and not (isinstance(raw, str) and not raw.strip())
    }
    zeros = zeros_for_missing(
        {parameter: None if isinstance(value, str) else value for parameter, value in read.items()}
        if reading.same_minutes
        else {}
    )
    # A mean of 0 that stands for a missing value is no calm: its direction was measured.
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
    """Return, per parameter, the reason why its 0 is a missing value; `values` are those of one reading.

    A mean of 0 contradicts a gust of MISSING_BESIDE_WIND (km/h), and a gust of 0 contradicts such a mean, of
    readings that measure both over the same minutes. A direction or a temperature of 0 alone is plausible.
    """
    mean, gust = values.get(Parameter.WIND_SPEED), values.get(Parameter.WIND_GUST)
    if mean == 0 and gust is not None and gust >= MISSING_BESIDE_WIND:
        return {Parameter.WIND_SPEED: f"zero_mean: 0 beside a gust of {gust:g} km/h is a missing value"}
    if gust == 0 and mean is not None and mean >= MISSING_BESIDE_WIND:
        return {Parameter.WIND_GUST: f"zero_gust: 0 beside a mean of {mean:g} km/h is a missing value"}
    return {}


def number(raw: Value) -> float | None:
    """Return a value as a number, or None: plain decimals only, since float() accepts "nan" and "1_000"."""
    if isinstance(raw, str):
        text = raw.strip()
        return float(text) if _DECIMAL.fullmatch(text) else None
    return raw


def french_number(text: str) -> float | None:
    """Return a decimal with a point or a French comma as a number, or None; "-0" is 0."""
    value = number(text.replace(",", "."))
    # -0.0 + 0.0 is 0.0: a calm in a text such as "-0" must equal any other calm.
    return None if value is None else value + 0.0


def elevation(raw: Value) -> float | None:
    """Return metres above sea level, or None for 0: sources write 0 for an unknown elevation."""
    return number(raw) or None


def stored_until(newest: Mapping[str, datetime], fetched_at: datetime) -> dict[str, datetime]:
    """Return, per station, the time up to which a reading in a bulk answer is not delivered again.

    Readings of the last three days are delivered again, because networks correct them. The last reading of
    a station that stopped months ago is delivered once.
    """
    return {station: min(time, fetched_at - CORRECTED_FOR) for station, time in newest.items()}


WITH_ITS_READING = timedelta(hours=1)
"""The longest age of a reading at which the position in the same answer is taken as that of the reading."""


def positions_of(
    stations: Iterable[Station], fetched_at: datetime, latest: Mapping[str, datetime] | None = None
) -> tuple[Position, ...]:
    """Return the positions in an answer; `since` is the station's reading in the same answer, if recent."""

    def since(station: str) -> datetime | None:
        reading = (latest or {}).get(station)
        return reading if reading is not None and fetched_at - reading <= WITH_ITS_READING else None

    return tuple(
        Position(
            station=station.id,
            time=fetched_at,
            latitude=station.latitude,
            longitude=station.longitude,
            elevation=station.elevation,
            name=station.name,
            since=since(station.id),
        )
        for station in stations
    )


def is_new_or_changed(reported: Station, known: Station | None) -> bool:
    """True if a station is new, or a value differs from the stored one; absent values are ignored."""
    if known is None:
        return True
    pairs = (
        (reported.name, known.name),
        (reported.latitude, known.latitude),
        (reported.longitude, known.longitude),
        (reported.elevation, known.elevation),
    )
    return any(new not in ("", None, old) for new, old in pairs)


def oldest_first(needs: CollectionRequest, network: str) -> list[str]:
    """Return the mapped stations of a network; the one with the oldest newest reading comes first.

    A collection that is cut short does not reach the last ones, and the next one starts with them.
    """
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(needs.mapped_stations(network), key=lambda station: needs.newest.get(station, never))
