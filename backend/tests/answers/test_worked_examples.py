"""Worked examples: from public pairs of the store, with figures that a reader can compute again."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from backend.answers.service import ReadingParts
from backend.answers.withholding import withheld_from_public
from backend.answers.worked_examples import WorkedExamples, worked_examples
from backend.main import Service
from backend.tests.support.score_store import DIRECTION, SPEED, constant
from backend.tests.support.scored_site import AROME, DAYS, FFVL, PARAPENTE, ROMMA, noise, scored_site


def examples(service: Service) -> WorkedExamples:
    parts = cast(ReadingParts, service)
    return worked_examples(parts, withheld_from_public(parts))


def test_the_figures_follow_from_the_pairs(tmp_path: Path) -> None:
    wind = constant(DAYS, 24.0) + noise(1, size=3.0)
    models = {
        AROME: {SPEED: wind + 1 + noise(2, size=2.0), DIRECTION: constant(DAYS, 10.0)},
        PARAPENTE: {SPEED: wind + 4 + noise(3, size=2.0)},
    }
    found = examples(scored_site(tmp_path, models, {FFVL: {SPEED: wind, DIRECTION: constant(DAYS, 350.0)}}))
    day = found.day
    assert day is not None and day.name == "MeteoParapente"  # the first in the fixed order
    assert [hour.hour for hour in day.hours] == list(range(10, 19))
    errors = [hour.error for hour in day.hours]
    assert errors == pytest.approx([hour.forecast - hour.observation for hour in day.hours], abs=0.002)
    assert day.mean_error == pytest.approx(sum(errors) / 9)
    assert day.mae == pytest.approx(sum(map(abs, errors)) / 9)
    assert day.rmse == pytest.approx((sum(error**2 for error in errors) / 9) ** 0.5)
    assert day.within_count / 9 == pytest.approx(day.within)
    assert found.direction is None  # this model announces no direction
    assert found.interval is not None and found.interval.days == DAYS
    assert found.interval.low < found.interval.difference < found.interval.high < 0
    assert found.surprises is not None and 0 < found.surprises.count < found.surprises.of
    assert found.skill is not None and found.skill.mae > found.skill.mae_of_yesterday
    assert found.skill.skill < 0


def test_a_direction_goes_the_shorter_way_round(tmp_path: Path) -> None:
    models = {AROME: {SPEED: constant(DAYS, 20.0), DIRECTION: constant(DAYS, 10.0)}}
    stations = {FFVL: {SPEED: constant(DAYS, 20.0), DIRECTION: constant(DAYS, 350.0)}}
    found = examples(scored_site(tmp_path, models, stations)).direction
    assert found is not None
    assert {hour.error for hour in found.hours} == {20.0}
    assert found.mae == pytest.approx(20.0)


def test_withheld_models_and_stations_are_in_no_example(tmp_path: Path) -> None:
    models = {PARAPENTE: {SPEED: constant(DAYS, 77.0)}, AROME: {SPEED: constant(DAYS, 21.0)}}
    stations = {FFVL: {SPEED: constant(DAYS, 20.0)}, ROMMA: {SPEED: constant(DAYS, 88.0)}}
    service = scored_site(tmp_path, models, stations, public_raw_sources="")
    found = examples(service)
    assert found.day is not None and (found.day.model, found.day.station) == (AROME, FFVL)
    text = found.model_dump_json()
    assert "77" not in text and "88" not in text and "parapente" not in text.lower()


def test_without_public_pairs_there_is_no_example(tmp_path: Path) -> None:
    models = {PARAPENTE: {SPEED: constant(DAYS, 22.0)}}
    assert examples(scored_site(tmp_path, models, public_raw_sources="")) == WorkedExamples()
