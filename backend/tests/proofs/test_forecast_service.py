"""The short form of the proof of proofs/forecast_service.py: two sites, 19 days, through store and job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend.core.parameters import ABSENT, Parameter
from backend.forecast.gate import TRIAL_DAYS
from backend.storage.store import Store
from proofs.forecast_service import compared, live, record
from proofs.forecast_store import Years

DAYS = TRIAL_DAYS + 4


@pytest.fixture(scope="module")
def years() -> Years:
    return Years.drawn(DAYS, 2, seed=1)


@pytest.fixture(scope="module")
def store(years: Years, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path = tmp_path_factory.mktemp("service") / "store.sqlite3"
    store = years.opened(f"sqlite:///{path}")
    live(store, years)
    yield store
    store.database.close()


def test_the_job_issues_what_a_replay_of_what_had_arrived_gives(store: Store, years: Years) -> None:
    assert years.world.moved[1] < DAYS - 3, "a beacon was moved, and starts again"
    found = [*compared(store, years), record(store)]
    assert [aim.text for aim in found if not aim.met] == []


def test_a_reading_of_another_value_is_noticed(store: Store, years: Years) -> None:
    readings = years.observed[Parameter.WIND_SPEED]
    kept = readings.copy()
    try:
        readings[5, 0] = [value if value == ABSENT else value + 1 for value in kept[5, 0].tolist()]
        missed = [aim.text for aim in compared(store, years) if not aim.met]
    finally:
        readings[:] = kept
    assert any(text.startswith("figures") for text in missed)
    assert any(text.startswith("readings") for text in missed)
