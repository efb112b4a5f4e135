"""Events: what happens at the limit, what is unknown, and the scores of their counts."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.scoring.grid import Integers, clock_hours
from backend.scoring.intervals import Interval
from backend.scoring.metrics.contingency import (
    Contingency,
    csi,
    detected,
    enough_events,
    ets,
    far,
    frequency_bias,
    hss,
    peirce,
    pod,
    pofd,
    sedi,
    success_ratio,
    surprise_rate,
    surprises,
)
from backend.scoring.metrics.events import Occurrence, above, event_day, flyable, in_sector, on_slope
from backend.tests.support.scoring_grids import counted, filled, grid

SCORES = (pod, far, pofd, csi, frequency_bias, ets, hss, peirce, sedi, surprise_rate)
CELLS = st.integers(0, 10_000)


def counts(a: int, b: int, c: int, d: int) -> Contingency:
    return Contingency(*(np.array(cell, dtype=np.int64) for cell in (a, b, c, d)))


def answers(event: Occurrence, hours: int) -> list[bool | None]:
    """Return the first day's hours as yes, no or unknown."""
    pairs = zip(event.yes[0, :hours], event.known[0, :hours], strict=True)
    return [bool(yes) if known else None for yes, known in pairs]


def test_the_limit_itself_is_not_above_it_on_either_side() -> None:
    hours = grid([25.0, 25.001, 24.999, None, 0.0])
    assert answers(above(hours, 25.0), 5) == [False, True, False, None, False]
    at_limit = counted(grid([25.0, 25.001, 25.0, 25.001]), grid([25.0, 25.0, 25.001, 25.001]), 25.0)
    assert at_limit.total() == counts(1, 1, 1, 1)


def test_a_table_counts_only_hours_known_on_both_sides_and_within_the_mask() -> None:
    f, o = grid([30, 30, None, 10, 10]), grid([30, 10, 30, None, 10])
    assert counted(f, o, 20.0).total() == counts(1, 1, 0, 1)
    assert counted(f, o, 20.0, f > 20_000).total() == counts(1, 1, 0, 0)


def test_the_opposite_event_swaps_hits_with_correct_rejections() -> None:
    f, o = above(grid([30, 30, 10]), 20.0), above(grid([30, 10, 30]), 20.0)
    found, opposite = Contingency.of(f, o), Contingency.of(~f, ~o)
    assert [*opposite.columns()] == [*reversed([*found.columns()])]


@pytest.mark.parametrize(
    ("start", "end", "direction", "inside"),
    [
        (315, 45, 0, True), (315, 45, 360, True), (315, 45, 315, True), (315, 45, 45, True),
        (315, 45, 45.001, False), (315, 45, 180, False), (180, 270, 225, True), (180, 270, 90, False),
        (0, 360, 123, True), (90, 90, 90, True), (90, 90, 91, False), (270, 360, 0, True),
        (270, 360, 10, False),
    ],
)  # fmt: skip
def test_a_sector_is_clockwise_from_start_to_end_with_its_edges(
    start: float, end: float, direction: float, inside: bool
) -> None:
    assert answers(in_sector(grid([direction]), start, end), 1) == [inside]


def test_a_direction_decides_nothing_in_light_wind() -> None:
    found = on_slope(grid([0, 0, 180, None]), grid([10.8, 10.799, 20, 20]), [(315, 45)])
    assert answers(found, 4) == [True, None, False, None]


def test_an_hour_is_flyable_when_wind_gust_and_direction_all_are() -> None:
    #             all good | at both limits | windy | gusty | off slope | off slope but light
    speed = grid([15, 20, 20.001, 15, 15, 10.799])
    gust = grid([20, 30, 25, 30.001, 20, 20])
    direction = grid([0, 0, 0, 0, 180, 180])
    found = flyable(speed, gust, direction, wind_limit=20, gust_limit=30, sectors=[(315, 45)])
    assert answers(found, 6) == [True, True, False, False, False, True]


def test_what_is_missing_leaves_an_hour_unknown_unless_it_could_not_matter() -> None:
    #             no gust | no gust, windy | no direction | no direction, light | no speed | no speed, gusty
    speed = grid([15, 25, 15, 5, None, None])
    gust = grid([None, None, 20, 20, 20, 40])
    direction = grid([0, 0, None, None, 0, 180])
    found = flyable(speed, gust, direction, wind_limit=20, gust_limit=30, sectors=[(315, 45)])
    # The fifth: the direction suits at any speed, but the speed may be above the limit.
    assert answers(found, 6) == [None, False, None, True, None, False]


def hours_of(row: str) -> Occurrence:
    """Return one day's hours from 0 o'clock: y flyable, n not, ? unknown."""
    padded = row.ljust(25, "n")
    return Occurrence(np.array([[c == "y" for c in padded]]), np.array([[c != "?" for c in padded]]))


ORDINARY = clock_hours(date(2026, 7, 1), 1)


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ("n" * 10 + "yy", True),
        ("n" * 17 + "yy", True),  # 17 and 18 o'clock
        ("n" * 18 + "yy", False),  # 18 and 19 o'clock
        ("n" * 9 + "yy", False),  # 9 and 10 o'clock
        ("n" * 10 + "ynynynyny", False),
        ("n" * 10 + "y?", False),  # a missing hour ends a run
        ("n" * 10 + "??nnnnnnn", None),  # seven of nine hours are known
        ("n" * 10 + "??yyyyyyy", None),  # but the unknown two may decide
        ("n" * 10 + "?yy", True),
        ("?" * 25, None),
        ("y" * 10 + "n" * 9 + "y" * 6, False),
    ],
)
def test_a_day_is_flyable_with_two_good_hours_in_a_row_between_10_and_18(
    row: str, answer: bool | None
) -> None:
    found = event_day(hours_of(row), ORDINARY)
    assert answers(found, 1) == [answer]


def test_a_day_is_judged_by_the_hours_that_a_view_has() -> None:
    """At 12 o'clock the hours before are past, and no forecast covers them."""
    bad_after_noon = hours_of("?" * 12 + "n" * 6 + "?")
    assert answers(event_day(bad_after_noon, ORDINARY), 1) == [None]
    assert answers(event_day(bad_after_noon, ORDINARY, begins=12), 1) == [False]


@pytest.mark.parametrize(
    ("day", "column_of_ten"), [(date(2026, 3, 29), 9), (date(2026, 7, 1), 10), (date(2026, 10, 25), 11)]
)
def test_ten_o_clock_is_what_the_clock_shows_on_the_days_it_is_changed(day: date, column_of_ten: int) -> None:
    clock: Integers = clock_hours(day, 1)
    good = "n" * column_of_ten + "yy"
    early = "n" * (column_of_ten - 1) + "yy"
    assert answers(event_day(hours_of(good), clock), 1) == [True]
    assert answers(event_day(hours_of(early), clock), 1) == [False]


def test_flyable_days_make_a_table_like_hours_do() -> None:
    clock = np.tile(ORDINARY, (2, 1))
    good, bad = filled(2, 5.0), grid([5.0] * 24, [40.0] * 24)
    f = event_day(above(good, 20.0), clock)
    o = event_day(~above(bad, 20.0), clock)
    assert Contingency.of(f, o).total() == counts(0, 0, 1, 1)


def test_the_scores_of_a_table_are_those_worked_out_by_hand() -> None:
    # Finley's tornadoes (1884): 28 hits, 72 false alarms, 23 misses, 2680 correct rejections of 2803.
    table = counts(28, 72, 23, 2680)
    assert pod(table) == pytest.approx(28 / 51)
    assert far(table) == pytest.approx(0.72)
    assert pofd(table) == pytest.approx(72 / 2752)
    assert csi(table) == pytest.approx(28 / 123)
    assert frequency_bias(table) == pytest.approx(100 / 51)
    by_chance = 100 * 51 / 2803
    assert ets(table) == pytest.approx((28 - by_chance) / (123 - by_chance))
    right = (100 * 51 + 2703 * 2752) / 2803
    assert hss(table) == pytest.approx((2708 - right) / (2803 - right))
    assert peirce(table) == pytest.approx(28 / 51 - 72 / 2752)
    assert surprise_rate(table) == pytest.approx(23 / 2703)
    # Published for this table: HSS 0.355, Peirce 0.523, ETS 0.216.
    assert [round(score(table) or 0, 3) for score in (hss, peirce, ets)] == [0.355, 0.523, 0.216]


def test_sedi_is_the_one_worked_out_by_hand() -> None:
    # H = 0.5, F = 0.1: (ln .1 - ln .5 - ln .9 + ln .5) / (ln .1 + ln .5 + ln .9 + ln .5).
    assert sedi(counts(5, 10, 5, 90)) == pytest.approx(np.log(1 / 9) / np.log(0.1 * 0.5 * 0.9 * 0.5))


@pytest.mark.parametrize(
    ("table", "undefined"),
    [
        (counts(0, 0, 0, 0), set(SCORES)),
        (counts(0, 0, 0, 9), {pod, far, csi, frequency_bias, ets, hss, peirce, sedi}),
        (counts(9, 0, 0, 0), {pofd, ets, hss, peirce, sedi, surprise_rate}),
        (counts(0, 9, 0, 0), {pod, frequency_bias, peirce, sedi, surprise_rate}),
        (counts(0, 0, 9, 0), {far, pofd, peirce, sedi}),
        (counts(0, 3, 0, 9), {pod, frequency_bias, peirce, sedi}),
        (counts(0, 0, 3, 9), {far, sedi}),
        (counts(3, 0, 0, 9), {sedi}),
        (counts(3, 3, 3, 3), set()),
    ],
)
def test_a_zero_denominator_leaves_a_score_undefined_and_never_zero(
    table: Contingency, undefined: set[object]
) -> None:
    assert {score for score in SCORES if score(table) is None} == undefined


@given(a=CELLS, b=CELLS, c=CELLS, d=CELLS)
def test_every_score_stays_within_its_range(a: int, b: int, c: int, d: int) -> None:
    table = counts(a, b, c, d)
    for score in (pod, far, pofd, csi, surprise_rate):
        assert 0 <= (score(table) or 0) <= 1
    for score in (hss, peirce, sedi):
        assert -1 - 1e-12 <= (score(table) or 0) <= 1 + 1e-12
    assert -1 / 3 - 1e-12 <= (ets(table) or 0) <= 1 + 1e-12


@given(a=CELLS, b=CELLS, c=CELLS, d=CELLS)
def test_swapping_forecast_and_observation_swaps_false_alarms_with_misses(
    a: int, b: int, c: int, d: int
) -> None:
    there, back = counts(a, b, c, d), counts(a, c, b, d)
    for score in (csi, ets, hss):
        assert score(there) == score(back)
    missed = pod(back)
    assert far(there) == (None if missed is None else pytest.approx(1 - missed))


def test_a_forecast_without_skill_scores_zero_by_chance_corrected_scores() -> None:
    # The event happens in one case of four, with any forecast.
    independent = counts(10, 30, 20, 60)
    assert [score(independent) for score in (ets, hss, peirce, sedi)] == pytest.approx([0, 0, 0, 0])


def test_rates_come_with_their_counts_and_an_interval() -> None:
    table = counts(28, 72, 23, 2680)
    assert (surprises(table, {}).count, surprises(table, {}).of) == (23, 2703)
    assert (success_ratio(table, {}).count, success_ratio(table, {}).of) == (28, 100)
    assert (detected(table, {}).count, detected(table, {}).of) == (28, 51)
    assert surprises(table, {}).value == surprise_rate(table)
    of_far = Interval(0.6, 0.85)
    assert success_ratio(table, {"far": of_far}).interval == pytest.approx((0.15, 0.4))
    assert surprises(table, {"surprise_rate": of_far}).interval == of_far
    assert detected(table, {}).interval is None


@pytest.mark.parametrize(
    ("table", "enough"),
    [
        (counts(10, 0, 0, 5), True),
        (counts(9, 1, 1, 5), True),
        (counts(9, 1, 0, 5), False),  # 9 observed
        (counts(9, 0, 1, 5), False),  # 9 forecast
        (counts(0, 0, 0, 900), False),
    ],
)
def test_with_fewer_than_ten_events_on_either_side_only_counts_are_given(
    table: Contingency, enough: bool
) -> None:
    assert enough_events(table) is enough
    given = dict.fromkeys(("surprise_rate", "far", "pod"), Interval(0.1, 0.2))
    for rate in (surprises(table, given), success_ratio(table, given), detected(table, given)):
        if not enough:
            assert (rate.value, rate.interval) == (None, None)
    assert (success_ratio(table, {}).value is not None) is enough


def test_one_go_hour_gives_no_rate_however_many_events_there_were() -> None:
    few, enough = surprises(counts(30, 5, 1, 8), {}), surprises(counts(30, 5, 1, 9), {})
    assert (few.count, few.of, few.value, few.interval) == (1, 9, None, None)
    assert enough.value == 0.1


def test_a_model_that_always_warns_has_no_surprise_rate() -> None:
    always = surprises(counts(10, 5, 0, 0), {})
    assert (always.count, always.of, always.value, always.interval) == (0, 0, None, None)


def test_two_of_three_stays_two_of_three() -> None:
    rate = detected(counts(2, 0, 1, 50), {})
    assert (rate.count, rate.of, rate.value) == (2, 3, None)
