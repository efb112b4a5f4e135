"""MeteoParapente: the list of runs, one sounding per cell and day, and every way it can go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from backend.collectors.base import Payload, Request, collect
from backend.collectors.meteo_parapente import build
from backend.collectors.meteo_parapente_answer import MODEL, Answer, Entry, parse, parse_status
from backend.core.config import Settings
from backend.core.errors import FetchError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ForecastBatch, GridPoint, Site
from backend.tests.support.fakes import Answer as Scripted
from backend.tests.support.fakes import ScriptedFetch, lead_time
from backend.tests.support.parapente_answers import (
    FAR,
    FOLDER,
    HERE,
    HOST,
    NEAR,
    NOW,
    SETTINGS,
    answer_for,
    line,
    sounding,
    status,
    without_temperatures,
)


def utc(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 7, day, hour, minute, tzinfo=UTC)


TODAY = Entry(utc(15, 6), date(2026, 7, 15), complete=True, private=False, update=utc(15, 12, 8))


def payload(body: bytes) -> Payload:
    return Payload(url=f"{HOST}/data.php?run=2026071506", body=body, fetched_at=NOW)


def with_noon(**fields: Any) -> bytes:
    return sounding(lambda answer: answer["data"]["12:00"].update(fields))


def read(body: bytes, entry: Entry = TODAY) -> Answer:
    return parse(payload(body), HERE, entry)


def values(answer: Answer | ForecastBatch, parameter: Parameter) -> dict[str, float]:
    return {
        f"{record.valid_time:%H:%M}": round(record.value, 3)
        for record in answer.records
        if record.parameter is parameter
    }


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Request], bytes]:
    """Answer for each place as asked, with a change."""

    def answer(request: Request) -> bytes:
        found = json.loads(answer_for(request))
        change(found)
        return json.dumps(found).encode()

    return answer


def scripted(listing: bytes, data: Scripted = answer_for, **more: Scripted) -> ScriptedFetch:
    return ScriptedFetch({f"{HOST}/status.php": listing, f"{HOST}/data.php": data, **more}, now=NOW)


def needs(*sites: Site, **more: Any) -> CollectionRequest:
    return CollectionRequest(
        now=more.pop("now", NOW), since=NOW - timedelta(hours=36), sites=sites or (HERE,), **more
    )


async def batches(fetch: ScriptedFetch, asked: CollectionRequest) -> list[ForecastBatch]:
    return [batch async for batch in collect(build(SETTINGS), asked, fetch)]


def data_requests(fetch: ScriptedFetch) -> list[tuple[str, str, str]]:
    """Return run, date and location of every request for data."""
    return [
        (request.params["run"], request.params["date"], request.params["location"])
        for request in fetch.requests
        if request.url.endswith("/data.php")
    ]


# --- the source


def test_it_is_disabled_without_a_contact() -> None:
    source = build(Settings.load(contact=""))
    assert source.disabled is not None and source.disabled.startswith("CONTACT is not set: ")


def test_raw_values_are_shown_only_where_the_operator_says_so() -> None:
    assert not build(SETTINGS).public
    assert build(Settings.load(contact="x", public_raw_sources=("meteo_parapente",))).public


def test_a_punctual_newest_run_is_never_called_stale() -> None:
    # The 18 UTC run is the newest until the one of 00 UTC is complete, at 08:00 at the latest.
    assert utc(15, 8) - utc(14, 18) < build(SETTINGS).max_age < timedelta(hours=24)


# --- the list of runs


def test_the_list_of_runs_is_read_entry_by_entry() -> None:
    entries, errors = parse_status(payload((FOLDER / "status.json").read_bytes()), NOW)
    assert errors == []
    assert len(entries) == 9
    assert entries[5] == Entry(
        utc(15, 6), date(2026, 7, 15), True, False, datetime(2026, 7, 15, 12, 8, 31, tzinfo=UTC)
    )
    assert (entries[2].complete, entries[2].update) == (False, None)
    assert entries[0].private


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"france": {}}',
        b'{"france": null}',
        b'{"france": [{"run": "2026071506"',
        b"<html>Maintenance</html>",
        b'{"france": "\xff"}',
        b'{"france": [], "more": ' + b"[" * 5000,
    ],
)
def test_a_list_of_runs_of_another_shape_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError, match="not a list of runs"):
        parse_status(payload(body), NOW)


def test_an_empty_list_of_runs_is_refused() -> None:
    with pytest.raises(ParseError, match="no runs listed"):
        parse_status(payload(status()), NOW)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (line(run="20260715"), "run"),
        (line(run="2026071525"), "hour"),
        (line(run="2026023006"), "day is out of range"),
        (line(run=2026071506), "Expected `str`"),
        (line(day="20260732"), "day"),
        (line(day="2026-07-15"), "day"),
        (line(day="20260714"), "the day is outside the horizon of the run"),
        (line(day="99991231"), "the day is outside the horizon of the run"),
        (line(update="2026-07-15T12:21:00Z"), "availability is in the future"),
        (line(private=...), "private"),
        (line(private="no"), "private"),
        (line(status=...), "status"),
        (line(update="yesterday"), "update"),
        (line(update="2026-07-15T12:08:31"), "timezone"),
        (line(update="0001-01-01T00:00:00+02:00"), "out of range"),
        (line(run="2026071512", update=...), "the run starts in the future"),
        (line(update="2026-07-15T05:59:59Z"), "availability precedes run start"),
    ],
)
def test_a_malformed_entry_is_an_error_and_the_others_are_read(bad: dict[str, Any], text: str) -> None:
    now = utc(15, 11, 59)
    entries, errors = parse_status(payload(status(bad, line(run="2026071500"))), now)
    assert [entry.reference_time for entry in entries] == [utc(15, 0)]
    assert [error.url for error in errors] == [f"{HOST}/data.php?run=2026071506"]
    assert text in errors[0].reason
    assert bad["run"] == 2026071506 or bad["run"] in errors[0].reason


# --- a sounding


def test_the_lowest_level_is_read_at_every_hour_given() -> None:
    entry = Entry(utc(15, 0), date(2026, 7, 15), True, False, None)
    answer = read(sounding(), entry)
    # 12:00: umet 3, vmet -4 m/s: 5 m/s = 18 km/h towards the south-east, from 323.13 degrees
    assert values(answer, Parameter.WIND_SPEED) == {"04:00": 0, "12:00": 18, "12:30": 9, "21:00": 5.4}
    # 04:00 is calm and has no direction; 21:00 comes from due north
    assert values(answer, Parameter.WIND_DIRECTION) == {"12:00": 323.13, "12:30": 90, "21:00": 0}
    assert values(answer, Parameter.TEMPERATURE) == {
        "04:00": 11.5,
        "12:00": 21.25,
        "12:30": 21.6,
        "21:00": -0.4,
    }
    assert values(answer, Parameter.WIND_GUST) == {}
    assert {record.reference_time for record in answer.records} == {utc(15, 0)}
    assert min(record.valid_time for record in answer.records) == utc(15, 4)
    assert {record.site for record in answer.records} == {"here"}
    assert {record.model for record in answer.records} == {"meteo_parapente"}
    assert answer.rejected == ()


def test_the_grid_point_has_cell_model_elevation_and_height_of_the_level() -> None:
    assert read(sounding()).grid_point == GridPoint(MODEL, "here", "2/541/537", 853.0, 8.2)


def test_the_ground_may_be_stated_at_the_first_hour_only_or_not_at_all() -> None:
    def only_first(answer: dict[str, Any]) -> None:
        for clock in ("12:00", "12:30", "21:00"):
            del answer["data"][clock]["ter"]

    def never(answer: dict[str, Any]) -> None:
        for hour in answer["data"].values():
            del hour["ter"]

    assert read(sounding(only_first)).grid_point.model_elevation == 853.0
    assert read(sounding(never)).grid_point == GridPoint(MODEL, "here", "2/541/537", None, None)


def test_a_run_has_no_hours_before_its_start() -> None:
    noon = Entry(utc(15, 12), date(2026, 7, 15), True, False, None)
    answer = read(sounding(), noon)
    assert {record.valid_time for record in answer.records} == {utc(15, 12), utc(15, 12, 30), utc(15, 21)}
    assert min(lead_time(record) for record in answer.records) == timedelta(0)


def test_an_answer_wholly_in_the_runs_past_is_refused() -> None:
    with pytest.raises(ParseError, match="no usable value at or after the start of the run"):
        read(sounding(), Entry(utc(15, 22), date(2026, 7, 15), True, False, None))


def test_any_time_of_day_is_read_night_and_midnight_included() -> None:
    def at_night(answer: dict[str, Any]) -> None:
        answer["data"] = {"00:00": answer["data"]["12:00"], "23:59": answer["data"]["12:30"]}

    entry = Entry(utc(14, 18), date(2026, 7, 15), True, False, None)
    times = {record.valid_time for record in read(sounding(at_night), entry).records}
    assert times == {utc(15, 0), utc(15, 23, 59)}
    assert utc(15, 0) - entry.reference_time == timedelta(hours=6)


def test_status_and_numbers_may_be_written_otherwise() -> None:
    def otherwise(answer: dict[str, Any]) -> None:
        del answer["status"]
        answer["gridCoords"].update(domain=2.0, sn=541.0)
        answer["data"]["12:00"].update(umet=[3.0, 3, 3], vmet=[-4, -4.0, -4])

    answer = read(sounding(otherwise))
    assert values(answer, Parameter.WIND_SPEED)["12:00"] == 18
    assert answer.grid_point.cell == "2/541/537"


def test_a_windgram_has_no_temperature() -> None:
    answer = read(sounding(without_temperatures))
    assert values(answer, Parameter.TEMPERATURE) == {}
    assert len(values(answer, Parameter.WIND_SPEED)) == 3


async def test_a_sounding_without_temperature_keeps_its_wind_and_is_asked_for_again_at_one_site() -> None:
    fetch = scripted(status(line()), changed(without_temperatures))
    [batch] = await batches(fetch, needs(HERE))
    assert [(failure.reason, failure.error) for failure in batch.failures] == [
        (
            "meteo_parapente of 2026-07-15 06:00 UTC is incomplete in 20260715 at here: without temperature",
            "IncompleteError",
        )
    ]
    assert len(values(batch, Parameter.WIND_SPEED)) == 3
    assert batch.complete() == ()
    (open_,) = batch.incomplete

    known = {(MODEL, utc(15, 6), "20260715", site): open_.version for site in ("here", "far")}
    asked = set()
    for hours in (0, 1):  # each hour another site: one that is better is not missed behind one that is not
        again = scripted(status(line()), changed(without_temperatures))
        now = NOW + timedelta(hours=hours)
        [still] = await batches(again, needs(HERE, FAR, incomplete=known, now=now))
        assert (len(data_requests(again)), still.records, still.failures) == (1, (), ())
        asked |= set(data_requests(again))
    assert len(asked) == 2

    late = scripted(status(line()))
    [batch] = await batches(late, needs(HERE, FAR, incomplete=known))
    assert len(data_requests(late)) == 2
    assert set(batch.complete()) == {("20260715", "here"), ("20260715", "far")}


async def test_a_day_that_comes_better_and_still_not_whole_is_stored_as_far_as_it_came() -> None:
    def without_noon(answer: dict[str, Any]) -> None:
        del answer["data"]["12:00"]["tc"]

    known = {(MODEL, utc(15, 6), "20260715", site): "temperature" for site in ("here", "far")}
    better = scripted(status(line()), changed(without_noon))
    [batch] = await batches(better, needs(HERE, FAR, incomplete=known))
    assert len(data_requests(better)) == 2
    assert len([one for one in batch.records if one.parameter is Parameter.TEMPERATURE]) == 4
    assert (batch.complete(), batch.failures) == ((), ())
    assert {one.version for one in batch.incomplete} == {"temperature in 1 of 3 hours"}


def without_north_wind(answer: dict[str, Any]) -> None:
    for hour in answer["data"].values():
        del hour["vmet"]


async def test_a_sounding_without_one_component_of_the_wind_keeps_its_temperature() -> None:
    [batch] = await batches(scripted(status(line()), sounding(without_north_wind)), needs(HERE))
    assert {record.parameter for record in batch.records} == {Parameter.TEMPERATURE}
    assert batch.failures[0].reason.endswith("at here: without wind")


@pytest.mark.parametrize("change", ["pop", "null"])
def test_an_hour_without_one_component_of_the_wind_keeps_its_temperature(change: str) -> None:
    def without(answer: dict[str, Any]) -> None:
        hour = answer["data"]["12:30"]
        hour.pop("vmet") if change == "pop" else hour.update(vmet=None)

    answer = read(sounding(without))
    assert "12:30" in values(answer, Parameter.TEMPERATURE)
    assert "12:30" not in values(answer, Parameter.WIND_SPEED)
    assert answer.absent == "wind in 1 of 3 hours"


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"umet": [None, 3.4, 3.9]}, {Parameter.WIND_SPEED, Parameter.WIND_DIRECTION}),
        ({"vmet": [None, 3.4, 3.9], "umet": ["NaN", 1, 1]}, {Parameter.WIND_SPEED, Parameter.WIND_DIRECTION}),
        ({"tc": [None, 3.4, 3.9]}, {Parameter.TEMPERATURE}),
        ({"tc": None}, {Parameter.TEMPERATURE}),
    ],
)
def test_a_null_is_absent_and_never_zero(fields: dict[str, Any], lost: set[Parameter]) -> None:
    answer = read(with_noon(**fields))
    for parameter in (Parameter.WIND_SPEED, Parameter.WIND_DIRECTION, Parameter.TEMPERATURE):
        assert ("12:00" in values(answer, parameter)) is (parameter not in lost)
        assert "12:30" in values(answer, parameter)
    assert answer.rejected == ()


@pytest.mark.parametrize("mark", ["NaN", "", "3.2", True])
def test_what_is_no_number_is_rejected_with_its_text(mark: Any) -> None:
    wind = read(with_noon(umet=[mark, 3.4, 3.9]))
    assert [(value.subject, value.parameter, value.time, value.reason) for value in wind.rejected] == [
        ("meteo_parapente here", Parameter.WIND_SPEED, utc(15, 12), "not_a_number")
    ]
    assert wind.rejected[0].raw == f"umet {mark!r}, vmet -4.0"
    assert "12:00" not in values(wind, Parameter.WIND_SPEED) | values(wind, Parameter.WIND_DIRECTION)

    warmth = read(with_noon(tc=[mark, 20, 20]))
    assert [(value.parameter, value.raw) for value in warmth.rejected] == [
        (Parameter.TEMPERATURE, repr(mark))
    ]
    assert "12:00" not in values(warmth, Parameter.TEMPERATURE)


def test_minus_zero_is_zero() -> None:
    answer = read(with_noon(umet=[-0.0, 0, 0], vmet=[-0.0, 0, 0], tc=[-0.0, 0, 0]))
    noon = {record.parameter: record.value for record in answer.records if record.valid_time == utc(15, 12)}
    assert {parameter: str(value) for parameter, value in noon.items()} == {
        Parameter.WIND_SPEED: "0.0",
        Parameter.TEMPERATURE: "0.0",
    }


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"umet": [3, 3.4]}, "12:00: z, umet and vmet are empty or of unequal length"),
        ({"z": [], "umet": [], "vmet": [], "tc": []}, "12:00: z, umet and vmet are empty"),
        ({"z": [861.4, 861.4, 932]}, "12:00: level altitudes do not ascend"),
        ({"z": [932, 886, 861]}, "12:00: level altitudes do not ascend"),
        ({"z": ["NaN", 886, 861]}, "12:00: Expected `float`, got `str`"),
        ({"z": None}, "12:00: Expected `array`, got `null`"),
        ({"umet": 3}, "12:00: Expected `array | null`, got `int`"),
        ({"umet": [[3], 3, 3]}, "12:00: Expected `bool | float | str | null`, got `array`"),
        ({"z": [861.4, 886, 1e300]}, "12:00: Expected `float` <= 100000"),
    ],
)
def test_an_odd_hour_costs_itself_only(fields: dict[str, Any], text: str) -> None:
    answer = read(with_noon(**fields))

    (odd,) = answer.rejected
    assert (odd.subject, odd.parameter, odd.time) == ("meteo_parapente here", None, None)
    assert odd.reason.startswith(f"odd_hour: {text}")
    assert "12:00" not in values(answer, Parameter.WIND_SPEED) | values(answer, Parameter.TEMPERATURE)
    usual = values(read(sounding()), Parameter.WIND_SPEED)
    del usual["12:00"]
    assert values(answer, Parameter.WIND_SPEED) == usual
    assert answer.absent.startswith(f"1 of 4 hours: {text}")


@pytest.mark.parametrize("clock", ["24:00", "12"])
def test_an_hour_at_no_time_of_day_costs_itself_only(clock: str) -> None:
    answer = read(sounding(lambda answer: answer["data"].update({clock: answer["data"]["12:00"]})))

    assert [value.reason for value in answer.rejected] == [
        f"odd_hour: {clock!r} is not a time of day such as '12:30'"
    ]
    assert values(answer, Parameter.WIND_SPEED) == values(read(sounding()), Parameter.WIND_SPEED)


@pytest.mark.parametrize("levels", [[20], "warm", 20, [[20], 19, 18]])
def test_odd_temperatures_of_an_hour_cost_themselves_only(levels: Any) -> None:
    answer = read(with_noon(tc=levels))

    assert "12:00" in values(answer, Parameter.WIND_SPEED)
    assert "12:00" not in values(answer, Parameter.TEMPERATURE)
    assert [(value.parameter, value.reason) for value in answer.rejected] == [
        (Parameter.TEMPERATURE, "not_a_number")
    ]


@pytest.mark.parametrize("ground", ["NaN", -1e308])
def test_an_odd_ground_of_an_hour_costs_nothing_else(ground: Any) -> None:
    answer = read(with_noon(ter=ground))
    assert answer.records == read(sounding()).records
    assert answer.rejected == ()


def test_a_sounding_of_which_most_hours_are_odd_is_refused() -> None:
    def odd(answer: dict[str, Any]) -> None:
        for hour in list(answer["data"].values())[:3]:
            hour["z"] = None

    with pytest.raises(ParseError, match="Expected `array`, got `null`"):
        read(sounding(odd))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda answer: answer.update(data={}), "no usable value"),
        (lambda answer: answer.update(data=[]), "not a sounding"),
        (lambda answer: answer.pop("data"), "not a sounding"),
        (lambda answer: answer.pop("gridCoords"), "not a sounding"),
        (lambda answer: answer["gridCoords"].pop("sn"), "not a sounding"),
        (lambda answer: answer.update(status=None), "not a sounding"),
        (
            lambda answer: answer["gridCoords"].update(lat=45.8624),
            "response is for 45.8624,6.2272",
        ),
        (lambda answer: answer["gridCoords"].update(lon=6.2271), "response is for 45.8623,6.2271"),
        (lambda answer: answer["gridCoords"].update(lat=6.2272, lon=45.8623), "response is for"),
    ],
)
def test_an_answer_of_another_shape_or_place_is_refused(
    change: Callable[[dict[str, Any]], object], text: str
) -> None:
    with pytest.raises(ParseError, match=text) as refusal:
        read(sounding(change))
    assert refusal.value.url == f"{HOST}/data.php?run=2026071506"


@pytest.mark.parametrize(
    "body", [b"", b"null", b"<html></html>", b'{"status": "ok"', b'{"data": {"12:00": NaN}}']
)
def test_what_is_no_json_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError, match="not a sounding"):
        read(body)


def test_an_error_inside_http_200_is_refused_with_its_message() -> None:
    with pytest.raises(ParseError, match="refused with status 'bad_request': Run not available"):
        read((FOLDER / "refused.json").read_bytes())


def test_an_answer_without_any_value_is_no_success() -> None:
    def emptied(answer: dict[str, Any]) -> None:
        for hour in answer["data"].values():
            hour.update(umet=[None] * 3, tc=["NaN"] * 3)

    with pytest.raises(ParseError, match="no usable value"):
        read(sounding(emptied))


# --- a collection


async def test_every_complete_public_day_is_collected_newest_run_first_and_days_gone_by_last() -> None:
    fetch = scripted((FOLDER / "status.json").read_bytes())
    got = await batches(fetch, needs(HERE))
    here = "45.86231,6.22719"
    assert data_requests(fetch) == [
        ("2026071506", "20260715", here),
        ("2026071500", "20260715", here),
        ("2026071500", "20260716", here),
        ("2026071418", "20260715", here),
        ("2026071418", "20260716", here),
        ("2026071406", "20260714", here),
    ]
    assert {request.params["plot"] for request in fetch.requests[1:]} == {"sounding"}
    first = got[0]
    assert (first.source, first.route, first.rank) == ("meteo_parapente", "api", 0)
    assert (first.parts, first.sites, first.failures) == (("20260715",), ("here",), ())
    assert first.run is not None
    assert (first.run.reference_time, first.run.published) == (utc(15, 6), True)
    assert first.run.available_at == datetime(2026, 7, 15, 12, 8, 31, tzinfo=UTC)
    assert values(first, Parameter.WIND_SPEED) == {"12:00": 18, "12:30": 9, "21:00": 5.4}
    assert first.grid_points == (GridPoint(MODEL, "here", "2/541/537", 853.0, 8.2),)
    assert {batch.newest for batch in got} == {utc(15, 6)}
    assert {batch.collected_at for batch in got} == {NOW}


async def test_a_run_that_is_not_listed_not_complete_or_reserved_is_not_asked_for() -> None:
    listing = status(
        line(run="2026071512", day="20260716", status="84%", update=...),
        line(run="2026071500", day="20260716", private=True),
    )
    fetch = scripted(listing)
    got = await batches(fetch, needs(HERE, now=utc(15, 18)))
    assert data_requests(fetch) == []
    assert [(batch.records, batch.failures, batch.newest) for batch in got] == [((), (), utc(15, 0))]


async def test_runs_older_than_the_lookback_are_left_alone() -> None:
    listing = status(
        line(run="2026071400", day="20260715"),
        line(run="2026071318", day="20260715"),
    )
    fetch = scripted(listing)
    asked = CollectionRequest(now=NOW, since=utc(14, 0), sites=(HERE,))
    await batches(fetch, asked)
    assert [request[:2] for request in data_requests(fetch)] == [("2026071400", "20260715")]


async def test_a_day_gone_by_is_still_collected_after_all_others_from_midnight_utc_on() -> None:
    listing = status(
        line(run="2026071418", day="20260715", update=...),
        line(run="2026071418", day="20260714", update=...),
    )
    for now, days in (
        (utc(14, 23, 59), ["20260714", "20260715"]),
        (utc(15, 0), ["20260715", "20260714"]),
        (utc(15, 1, 30), ["20260715", "20260714"]),  # still the 15th in UTC and in Paris; not so in the west
    ):
        fetch = scripted(status(*json.loads(listing)["france"]))
        await batches(fetch, needs(HERE, now=now))
        assert [request[1] for request in data_requests(fetch)] == days


async def test_without_a_stamp_a_day_was_available_when_we_first_saw_it() -> None:
    [batch] = await batches(scripted(status(line(update=...))), needs(HERE))
    assert batch.run is not None
    assert (batch.run.available_at, batch.run.published) == (NOW, False)


async def test_a_day_was_available_when_we_saw_it_though_the_publishers_clock_runs_ahead() -> None:
    [batch] = await batches(scripted(status(line(update="2026-07-15T12:13:00Z"))), needs(HERE))
    assert batch.run is not None
    assert (batch.run.available_at, batch.run.published) == (NOW, False)


async def test_a_stamp_of_another_zone_is_stored_in_utc() -> None:
    [batch] = await batches(scripted(status(line(update="2026-07-15T14:08:31+02:00"))), needs(HERE))
    assert batch.run is not None
    assert batch.run.available_at == datetime(2026, 7, 15, 12, 8, 31, tzinfo=UTC)


async def test_stored_days_are_not_requested_again_and_the_newest_run_is_still_reported() -> None:
    kept = {(MODEL, utc(15, 6), "20260715", "here"): 0}
    fetch = scripted(status(line()))
    [batch] = await batches(fetch, needs(HERE, collected=kept))
    assert data_requests(fetch) == []
    assert (batch.records, batch.run, batch.newest) == ((), None, utc(15, 6))


async def test_a_site_added_later_is_fetched_alone() -> None:
    kept = {(MODEL, utc(15, 6), "20260715", "here"): 0}
    fetch = scripted(status(line()))
    [batch] = await batches(fetch, needs(HERE, FAR, collected=kept))
    assert data_requests(fetch) == [("2026071506", "20260715", "44.50000,6.00000")]
    assert batch.sites == ("far",)


async def test_sites_that_turn_out_to_share_a_cell_share_a_payload_from_then_on() -> None:
    fetch = scripted(status(line(), line(run="2026071500")))
    newest, older = await batches(fetch, needs(HERE, NEAR, FAR))
    places = [f"{site.latitude:.5f},{site.longitude:.5f}" for site in (HERE, NEAR, FAR)]
    assert data_requests(fetch) == [
        *(("2026071506", "20260715", place) for place in places),
        ("2026071500", "20260715", places[0]),
        ("2026071500", "20260715", places[2]),
    ]
    assert newest.sites == older.sites == ("here", "near", "far")
    by_site = {
        site: sorted((str(r.parameter), r.valid_time, r.value) for r in older.records if r.site == site)
        for site in older.sites
    }
    assert by_site["here"] == by_site["near"]
    assert [(point.site, point.cell) for point in older.grid_points] == [
        ("here", "2/541/537"),
        ("near", "2/541/537"),
        ("far", "2/480/530"),
    ]


async def test_a_cell_known_from_before_is_asked_for_once() -> None:
    cells = {(MODEL, "here"): "2/541/537", (MODEL, "near"): "2/541/537", ("arome_0025", "far"): "2/541/537"}
    fetch = scripted(
        status(line()),
        lambda request: (
            sounding(lambda answer: answer["data"]["12:00"].update(tc=["NaN", 1, 1]))
            if request.params["location"] == "45.86231,6.22719"
            else answer_for(request)
        ),
    )
    [batch] = await batches(fetch, needs(HERE, NEAR, FAR, cells=cells))
    assert [request[2] for request in data_requests(fetch)] == ["45.86231,6.22719", "44.50000,6.00000"]
    assert batch.sites == ("far",)  # the others are asked for again: a NaN may be replaced
    assert [value.subject for value in batch.rejected] == ["meteo_parapente here", "meteo_parapente near"]


async def test_a_cell_is_shared_only_if_the_answer_still_names_it() -> None:
    # Both sites were in cell 2/1/1 of an older grid; today's answers have different cells.
    cells = {(MODEL, "here"): "2/1/1", (MODEL, "far"): "2/1/1"}
    fetch = scripted(status(line()))
    [batch] = await batches(fetch, needs(HERE, FAR, cells=cells))
    assert len(data_requests(fetch)) == 2
    assert [point.cell for point in batch.grid_points] == ["2/541/537", "2/480/530"]


async def test_a_cell_whose_request_failed_is_not_asked_for_a_second_time() -> None:
    cells = {(MODEL, "here"): "2/541/537", (MODEL, "near"): "2/541/537"}
    fetch = scripted(status(line()), FetchError("HTTP 500", url=f"{HOST}/data.php", status=500))
    [batch] = await batches(fetch, needs(HERE, NEAR, cells=cells))
    assert len(data_requests(fetch)) == 1
    assert (batch.records, batch.sites, len(batch.failures)) == ((), (), 1)


async def test_a_site_that_fails_costs_itself_only() -> None:
    def one_down(request: Request) -> bytes:
        if request.params["location"].startswith("45.86231"):
            raise FetchError("HTTP 500", url=request.url, status=500, retryable=True)
        return answer_for(request)

    [batch] = await batches(scripted(status(line()), one_down), needs(HERE, NEAR, FAR))
    assert batch.sites == ("near", "far")
    assert {record.site for record in batch.records} == {"near", "far"}
    assert [(failure.reason, failure.error, failure.route) for failure in batch.failures] == [
        ("HTTP 500", "FetchError", "api")
    ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ((FOLDER / "refused.json").read_bytes(), "Run not available"),
        (sounding()[:400], "not a sounding"),
        (b"<html>Erreur</html>", "not a sounding"),
        (b'{"message": "\xc9chec"}', "not a sounding"),
        (b'{"more": ' + b"[" * 5000, "not a sounding"),
    ],
)
async def test_an_unusable_answer_is_a_failure_that_names_its_address(body: bytes, text: str) -> None:
    [batch] = await batches(scripted(status(line()), body), needs(HERE))
    assert (batch.records, batch.sites) == ((), ())
    [failure] = batch.failures
    assert text in failure.reason
    assert failure.error == ("RefusedError" if "status" in failure.reason else "ParseError")
    assert failure.url == (
        f"{HOST}/data.php?run=2026071506&location=45.86231%2C6.22719&date=20260715&plot=sounding"
    )


async def test_a_malformed_entry_is_reported_and_the_rest_collected() -> None:
    fetch = scripted(status(line(run="oops"), line()))
    listed, collected = await batches(fetch, needs(HERE))
    assert [failure.error for failure in listed.failures] == ["ParseError"]
    assert listed.failures[0].url == f"{HOST}/status.php"
    assert (listed.newest, collected.newest) == (utc(15, 6), utc(15, 6))
    assert collected.sites == ("here",)


@pytest.mark.parametrize(
    "listing",
    [FetchError("HTTP 503", url=f"{HOST}/status.php", status=503, retryable=True), b"<html>", status()],
)
async def test_without_a_list_of_runs_the_source_has_failed_as_a_whole(listing: Scripted) -> None:
    fetch = ScriptedFetch({f"{HOST}/status.php": listing}, now=NOW)
    [batch] = await batches(fetch, needs(HERE))
    assert len(batch.failures) == 1
    assert (batch.records, batch.newest, len(fetch.requests)) == ((), None, 1)


async def test_absurd_values_are_set_aside_and_so_is_the_direction_made_of_them() -> None:
    body = with_noon(umet=[9999, 3, 3], vmet=[9999, 3, 3], tc=[9999, 3, 3])
    [batch] = await batches(scripted(status(line()), body), needs(HERE))
    noon = [record.parameter for record in batch.records if record.valid_time == utc(15, 12)]
    assert noon == []
    assert {value.parameter for value in batch.rejected} == {Parameter.WIND_SPEED, Parameter.TEMPERATURE}
    assert all(value.reason.startswith("out_of_range") for value in batch.rejected)
    assert values(batch, Parameter.WIND_SPEED) == {"12:30": 9, "21:00": 5.4}


async def test_north_is_zero_and_never_360() -> None:
    body = with_noon(umet=[1e-300, 3, 3], vmet=[-5, 3, 3])
    [batch] = await batches(scripted(status(line()), body), needs(HERE))
    assert values(batch, Parameter.WIND_DIRECTION)["12:00"] == 0


async def test_in_a_collection_of_many_days_each_day_is_yielded_when_it_is_complete() -> None:
    fetch = scripted(status(line(), line(run="2026071500")))
    walk = collect(build(SETTINGS), needs(HERE), fetch)
    first = await anext(walk)
    assert first.parts == ("20260715",)
    assert len(data_requests(fetch)) == 1
    assert len([batch async for batch in walk]) == 1
