"""The hours of one model: counted by announced and measured class, and its error by month and hour."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from backend.answers.hour_pairs import HourPairs, hour_pairs
from backend.answers.public_question import public_question
from backend.answers.question import make_question
from backend.answers.service import ServiceParts
from backend.answers.withholding import withheld_from_public
from backend.core.errors import UnknownNameError
from backend.main import Service
from backend.scoring.sample.quantities import Quantity
from backend.tests.support.score_store import SPEED, constant
from backend.tests.support.scored_site import (
    AROME,
    DAYS,
    FFVL,
    FIRST,
    PARAPENTE,
    ROMMA,
    Values,
    scored_site,
    speeds,
)


def asked(
    service: Service, model: str | None = None, quantity: Quantity = Quantity.WIND_SPEED
) -> HourPairs | None:
    parts = cast(ServiceParts, service)
    withheld = withheld_from_public(parts)
    question = make_question(parts, service.sites()[0], quantity)
    return hour_pairs(
        parts, public_question(parts, question, withheld, only_public=True), withheld, model=model
    )


def by_day(*values: float) -> Values:
    return {SPEED: np.resize(np.array(values), DAYS)[:, None] + constant(DAYS, 0.0)}


def test_every_hour_is_counted_once_in_its_classes(tmp_path: Path) -> None:
    service = scored_site(
        tmp_path, {AROME: by_day(4.9, 5.0, 55.0, 27.0)}, {FFVL: by_day(3.0, 5.0, 30.0, 31.0)}
    )
    found = asked(service)
    assert found is not None
    each = DAYS // 4 * 9
    assert {(cell.announced, cell.measured): cell.n_hours for cell in found.counts} == {
        (0, 0): each,
        (1, 1): each,
        (8, 6): each,
        (5, 6): each,
    }
    assert (found.n_hours, found.n_days) == (4 * each, DAYS)
    assert found.edges[0] == 5.0 and len(found.edges) == 8


def test_an_hour_of_a_month_needs_twenty_days(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {AROME: speeds(26.0)[0]})
    found = asked(service)
    assert found is not None
    days = {month: sum(month_of(day) == month for day in range(DAYS)) for month in (6, 7)}
    for cell in found.months:
        assert cell.n_days == days[cell.month]
        assert cell.shown == (cell.n_days >= 20)
        assert cell.mean_error == (6.0 if cell.shown else None)
        assert cell.is_steady == cell.shown
    assert {cell.hour for cell in found.months if cell.shown} == set(range(24))
    assert any(not cell.shown for cell in found.months)


def month_of(day: int) -> int:
    return (FIRST + timedelta(days=day)).month


def test_an_error_that_changes_its_sign_is_not_steady(tmp_path: Path) -> None:
    found = asked(scored_site(tmp_path, {AROME: by_day(18, 22)}))
    assert found is not None
    assert not any(cell.is_steady for cell in found.months)


def test_without_a_pair_there_is_no_answer(tmp_path: Path) -> None:
    found = asked(scored_site(tmp_path, {AROME: speeds(26.0)[0]}), quantity=Quantity.WIND_GUST)
    assert found is None, "no gust is stored"


@pytest.mark.parametrize("model", [PARAPENTE, "<b>"])
def test_only_a_public_model_can_be_asked_about(tmp_path: Path, model: str) -> None:
    arome, parapente = speeds(21.0, 26.0)
    service = scored_site(tmp_path, {AROME: arome, PARAPENTE: parapente}, public_raw_sources="romma")
    found = asked(service)
    assert found is not None
    assert (found.model, found.models) == (AROME, [AROME])
    with pytest.raises(UnknownNameError):
        asked(service, model)


def test_nothing_is_counted_at_a_withheld_beacon(tmp_path: Path) -> None:
    observed: Mapping[str, Values] = {ROMMA: speeds(20.0)[0]}
    service = scored_site(tmp_path, {AROME: speeds(21.0)[0]}, observed, public_raw_sources="meteo_parapente")
    assert asked(service) is None
