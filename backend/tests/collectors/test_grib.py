"""Reading GRIB: the right messages, the right cells, masks, and nothing from a file that is not whole.

Files are composed (grib_factory.py), so that every value can be found in the test or in its formula.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from backend.collectors.grib.decode import Cell, Field, GribError, read_fields
from backend.collectors.grib.fields import FIELDS
from backend.demo.grib import WIND_EAST, replace_values
from backend.tests.support import grib_factory
from backend.tests.support.grib_factory import Cut, Floats, Message

HERE = (46.0, 6.6)
SMALL = Cut(rows=5, columns=7)
FULL_0025 = Cut(north=55.4, west=-12.0, rows=717, columns=1121)


def ramp(latitudes: Floats, longitudes: Floats, step: int) -> Floats:
    """Return a value that encodes its position and time: 46.025 N 6.5 E at 3 h is 289.225 + 0.003."""
    return 273.15 + (latitudes - 45.0) * 10 + longitudes + step / 1000 - 0.675


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "arome.grib2"


def read(file: Path, *messages: Message, points: tuple[tuple[float, float], ...] = (HERE,)) -> list[Field]:
    file.write_bytes(grib_factory.encode(messages))
    return read_fields(file, points, FIELDS)


def test_a_message_has_its_run_its_step_its_origin_and_its_value(file: Path) -> None:
    (field,) = read(file, Message("wind_east", 3))

    assert field.name == "wind_east"
    assert field.reference_time == datetime(2026, 7, 15, 6, tzinfo=UTC)
    assert (field.step, field.hours) == (3, 0)
    assert (field.centre, field.process) == (84, 204)
    assert field.spacing == pytest.approx(0.025)
    assert field.values == (3.0,)
    assert field.cells == (Cell(j=8, i=8, latitude=46.0, longitude=6.6),)
    assert [cell.name for cell in field.cells if cell] == ["8,8"]


def test_only_wanted_messages_are_read_out_of_the_97_of_a_file(file: Path) -> None:
    gusts = {**grib_factory.GUST_COMPONENTS, **grib_factory.GUST_SPEED}
    messages = grib_factory.messages(range(7), gusts=gusts, decoys=True)
    assert len(messages) == 97

    fields = read(file, *messages)

    assert len(fields) == 3 * 7 + 3 * 6
    assert {(field.name, field.values) for field in fields if field.name != "temperature"} == {
        ("wind_east", (3.0,)),
        ("wind_north", (-4.0,)),
        ("gust_east", (6.0,)),
        ("gust_north", (-8.0,)),
        ("gust_speed", (10.0,)),
    }


@pytest.mark.parametrize("name", [*grib_factory.NEAR_MISSES])
def test_a_field_that_differs_in_level_or_statistic_only_is_not_taken(file: Path, name: str) -> None:
    assert read(file, Message(name, 3)) == []


def test_a_level_is_compared_with_its_fraction(file: Path) -> None:
    # 2.4 m would be 2 if it were rounded to a whole number.
    higher = {"scaleFactorOfFirstFixedSurface": 1, "scaledValueOfFirstFixedSurface": 24}
    assert read(file, Message("temperature", 3, headers=higher)) == []


def test_a_message_without_a_level_is_not_taken(file: Path) -> None:
    assert read(file, Message("satellite_image", 0)) == []


def test_a_message_with_a_long_local_section_is_still_recognised(file: Path) -> None:
    whole = Message("wind_east", 3).encode()
    local = (600).to_bytes(4, "big") + b"\x02" + bytes(595)
    longer = whole[:8] + (len(whole) + 600).to_bytes(8, "big") + whole[16:37] + local + whole[37:]
    file.write_bytes(longer + Message("humidity", 3).encode())

    (field,) = read_fields(file, [HERE], FIELDS)

    assert (field.name, field.values) == ("wind_east", (3.0,))


def test_an_interval_is_returned_in_hours(file: Path) -> None:
    hourly, longer = read(file, Message("gust_east", 6), Message("gust_north", 6, hours=6))
    assert (hourly.step, hourly.hours) == (6, 1)
    assert (longer.step, longer.hours) == (6, 6)


@pytest.mark.parametrize(
    "cut",
    [
        SMALL,
        replace(SMALL, from_south=True),
        replace(SMALL, from_east=True),
        replace(SMALL, from_south=True, from_east=True),
        replace(SMALL, west=-0.075),
        replace(SMALL, west=-12.0),
        replace(SMALL, west=179.9),
        replace(SMALL, degrees=0.01),
    ],
    ids=["north_west", "south_west", "north_east", "south_east", "greenwich", "348", "date_line", "001"],
)
def test_every_cell_is_found_for_all_scans_and_longitudes(file: Path, cut: Cut) -> None:
    places = [(float(lat), float(lon)) for lat in cut.latitudes() for lon in cut.longitudes()]
    near = [(lat + 0.4 * cut.degrees, (lon - 0.4 * cut.degrees + 180) % 360 - 180) for lat, lon in places]

    (field,) = read(file, Message("temperature", 0, cut=cut, values=ramp), points=tuple(near))

    assert field.values == pytest.approx([ramp(np.array(a), np.array(b), 0) for a, b in places], abs=2e-4)
    assert [(cell.latitude, cell.longitude) for cell in field.cells if cell] == [
        pytest.approx((lat, (lon + 180) % 360 - 180)) for lat, lon in places
    ]


def test_longitudes_may_count_from_minus_180(file: Path) -> None:
    west = {"longitudeOfFirstGridPoint": -12_000_000, "longitudeOfLastGridPoint": -11_850_000}
    (field,) = read(
        file, Message("temperature", 0, cut=SMALL, values=ramp, headers=west), points=((46.2, -11.9),)
    )
    assert field.cells == (Cell(j=0, i=4, latitude=46.2, longitude=-11.9),)


def test_the_grid_is_read_from_each_message(file: Path) -> None:
    one, other = read(
        file, Message("wind_east", 1), Message("wind_north", 1, cut=Cut(north=46.1)), points=(HERE,)
    )
    assert [cell.name for cell in one.cells if cell] == ["8,8"]
    assert [cell.name for cell in other.cells if cell] == ["4,8"]


@pytest.mark.parametrize(
    "place",
    [(46.22, 6.6), (46.07, 6.6), (46.15, 6.38), (46.15, 6.57), (46.15, -173.5), (-46.15, 6.5)],
    ids=["north", "south", "west", "east", "antipode", "southern_hemisphere"],
)
def test_a_place_outside_the_grid_has_no_cell_and_no_value(file: Path, place: tuple[float, float]) -> None:
    (field,) = read(file, Message("wind_east", 0, cut=SMALL), points=(place, (46.15, 6.5)))
    assert field.cells[0] is None
    assert field.values == (None, 3.0)


def test_a_masked_cell_has_no_value(file: Path) -> None:
    message = Message("temperature", 0, values=ramp, masked=[(8, 8), (0, 0)])
    (field,) = read(file, message, points=(HERE, (46.0, 6.625)))

    assert list(field.values) == [None, pytest.approx(273.15 + 10 + 6.625 - 0.675, abs=1e-3)]
    assert [cell.name for cell in field.cells if cell] == ["8,8", "8,9"]


def test_one_decode_answers_for_one_place_or_a_thousand_on_the_full_grid(file: Path) -> None:
    chooser = np.random.default_rng(20260715)
    rows, columns = chooser.integers(0, 717, 1000), chooser.integers(0, 1121, 1000)
    places = tuple(
        (55.4 - 0.025 * row, -12.0 + 0.025 * column)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    )
    trapezoid = [(row, column) for row in range(717) for column in range(0, 300 - row // 3)]
    messages = [
        Message(name, 3, cut=FULL_0025, values=ramp, masked=trapezoid)
        for name in ("humidity", "wind_east", "temperature")
    ]

    wind, temperature = read(file, *messages, points=places)
    (alone, _) = read_fields(file, [(45.95, 6.74)], FIELDS)

    hidden = set(trapezoid)
    expected = [
        None
        if cell in hidden
        else pytest.approx(float(ramp(np.array(place[0]), np.array(place[1]), 3)), abs=5e-3)
        for cell, place in zip(zip(rows.tolist(), columns.tolist(), strict=True), places, strict=True)
    ]
    assert None in expected
    assert list(wind.values) == list(temperature.values) == expected
    assert alone.cells == (Cell(j=378, i=750, latitude=45.95, longitude=6.75),)
    assert list(alone.values) == [pytest.approx(273.15 + 9.5 + 6.75 + 0.003 - 0.675, abs=5e-3)]


WHOLE = grib_factory.encode([Message("wind_east", 0), Message("wind_north", 0)])
FIRST = len(Message("wind_east", 0).encode())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no GRIB message starts at byte 0 of 0"),
        (b"<html><body>Service Unavailable</body></html>", "no GRIB message starts at byte 0 of 45"),
        (b'{"code":"900908"}', "no GRIB message starts at byte 0"),
        (WHOLE[: FIRST + FIRST // 2], f"cut: the message at byte {FIRST}"),
        (WHOLE[: FIRST + 9], f"no GRIB message starts at byte {FIRST}"),
        (WHOLE + b"\r\n", f"no GRIB message starts at byte {len(WHOLE)}"),
        (WHOLE + WHOLE[:200], f"cut: the message at byte {len(WHOLE)}"),
        (WHOLE[:-1] + b"8", "does not end with 7777"),
        (WHOLE[:7] + b"\x01" + WHOLE[8:], "GRIB edition 1 at byte 0"),
        (WHOLE[:8] + bytes(8) + WHOLE[16:], "cut: the message at byte 0 has 0 bytes"),
    ],
    ids=[
        *("empty", "page", "json", "cut_inside_a_message", "cut_inside_a_head", "trailing_garbage"),
        *("half_a_third", "no_end", "edition_1", "no_length"),
    ],
)
def test_a_body_that_is_not_whole_messages_is_refused(file: Path, body: bytes, reason: str) -> None:
    file.write_bytes(body)
    with pytest.raises(GribError, match=reason):
        read_fields(file, [HERE], FIELDS)


def sections(body: bytes) -> dict[int, slice]:
    """Return where each section of a message lies: number, and the bytes behind its head of five."""
    found, start = {}, 16
    while body[start : start + 4] != b"7777":
        end = start + int.from_bytes(body[start : start + 4], "big")
        found[body[start + 4]] = slice(start + 5, end)
        start = end
    return found


@pytest.mark.parametrize(
    ("section", "reason"),
    [(5, "the message at byte 0 cannot be decoded"), (6, "do not add up to 561 cells")],
    ids=["packing", "bitmap"],
)
def test_a_damaged_message_is_refused(file: Path, section: int, reason: str) -> None:
    whole = Message("temperature", 0, values=ramp).encode()
    damaged = sections(whole)[section]
    body = bytearray(whole)
    body[damaged] = b"\x0f" * (damaged.stop - damaged.start)
    if section == 6:
        body[damaged.start] = 0  # a bitmap follows, as before
    file.write_bytes(body)
    with pytest.raises(GribError, match=reason):
        read_fields(file, [HERE], FIELDS)


def test_a_nan_is_returned_as_nan_and_not_as_masked(file: Path) -> None:
    whole = Message("wind_east", 3, masked=[(8, 20)]).encode()
    file.write_bytes(replace_values(whole, WIND_EAST, math.nan))
    ((here, hidden),) = (field.values for field in read_fields(file, [HERE, (46.0, 6.9)], FIELDS))
    assert here is not None
    assert math.isnan(here)
    assert hidden is None


def test_a_message_whose_reference_value_is_no_number_is_refused(file: Path) -> None:
    # ecCodes takes it for 0: 3 m/s would be read as another wind, without an error.
    body = bytearray(Message("wind_east", 3, values=ramp).encode())
    reference_value = sections(bytes(body))[5].start + 6  # octets 12 to 15 of section 5
    body[reference_value : reference_value + 4] = b"\x7f\xc0\x00\x00"
    file.write_bytes(body)
    with pytest.raises(GribError, match="GRIB reference value is not a number"):
        read_fields(file, [HERE], FIELDS)


def test_a_message_with_more_values_than_cells_is_refused(file: Path) -> None:
    whole = Message("temperature", 0, values=ramp).encode()
    columns = sections(whole)[3].start + 25  # octets 31 to 34 of section 3: Ni
    file.write_bytes(whole[:columns] + (32).to_bytes(4, "big") + whole[columns + 4 :])
    with pytest.raises(GribError, match="561 points for 17 x 32 cells"):
        read_fields(file, [HERE], FIELDS)


def test_a_few_bytes_that_announce_a_thousand_million_cells_are_refused(file: Path) -> None:
    body = bytearray(Message("temperature", 0, values=15.0).encode())
    where, side = sections(bytes(body)), (31_623).to_bytes(4, "big")
    cells = (31_623**2).to_bytes(4, "big")
    body[where[3].start + 1 : where[3].start + 5] = body[where[5].start : where[5].start + 4] = cells
    body[where[3].start + 25 : where[3].start + 33] = side * 2
    file.write_bytes(body)
    with pytest.raises(GribError, match="grid has 1000014129 cells, the limit is 10000000"):
        read_fields(file, [HERE], FIELDS)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (
            {"indicatorOfUnitOfTimeRange": 0, "forecastTime": 90},
            "has steps in unit 0 of table 4.4, not in hours",
        ),
        ({"month": 13}, "cannot be decoded"),
        ({"gridDefinitionTemplateNumber": 40}, "a grid of template 3.40"),
        ({"jPointsAreConsecutive": 1}, "not scanned row by row"),
        ({"alternativeRowScanning": 1}, "not scanned row by row"),
        ({"jScansPositively": 1}, "corners contradict its scanning"),
        ({"longitudeOfLastGridPointInDegrees": 6.4}, "corners contradict its scanning"),
    ],
)
def test_an_unexpected_message_is_refused_with_a_reason(
    file: Path, headers: dict[str, int], reason: str
) -> None:
    with pytest.raises(GribError, match=reason):
        read(file, Message("wind_east", 0, headers=headers))


@pytest.mark.parametrize(("minutes", "step"), [(0, 0), (60, 1), (4320, 72)])
def test_steps_in_minutes_are_read_as_hours(file: Path, minutes: int, step: int) -> None:
    headers = {"indicatorOfUnitOfTimeRange": 0, "forecastTime": minutes}
    [found] = read(file, Message("wind_east", 0, headers=headers))
    assert (found.step, found.hours) == (step, 0)


def test_a_gust_with_its_interval_in_minutes_is_read_as_of_one_hour(file: Path) -> None:
    body = Message("gust_speed", 5).encode()
    # Section 4 of template 4.8, in octets: unit 18 and start 19 to 22, unit 49 and length 50 to 53.
    where = sections(body)[4].start - 6
    changed = bytearray(body)
    changed[where + 18], changed[where + 49] = 0, 0
    changed[where + 19 : where + 23], changed[where + 50 : where + 54] = b"\0\0\0\xf0", b"\0\0\0\x3c"
    file.write_bytes(changed)
    [found] = read_fields(file, [HERE], FIELDS)
    assert (found.step, found.hours) == (5, 1)


def test_a_grid_of_one_row_is_refused(file: Path) -> None:
    with pytest.raises(GribError, match="a grid of 1 x 7 cells"):
        read(file, Message("wind_east", 0, cut=Cut(rows=1, columns=7)))


def test_the_same_field_twice_is_refused(file: Path) -> None:
    with pytest.raises(GribError, match="wind_east at step 3 h is in the file twice"):
        read(file, Message("wind_east", 3), Message("wind_north", 3), Message("wind_east", 3))
