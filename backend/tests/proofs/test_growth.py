"""The extrapolation of a store: what is counted in a small one, and what many sites over years have then."""

from __future__ import annotations

import pytest

from backend.tests.support.stores import forecast, forecasts, observations, open_store, reading
from proofs.growth import KINDS, grown, measure


def test_rows_of_a_day_are_multiplied_by_sites_models_and_days(database_url: str) -> None:
    store = open_store(database_url)
    store.add_forecasts(forecasts(*(forecast(20, hours=hour) for hour in range(10))))
    store.add_observations(observations(reading(9)))
    found = measure(store.database)
    assert (found.units["model"], found.units["station"], found.stations) == (1, 1, 1)
    assert found.tables["forecast"][0] == 10
    assert found.tables["forecast"][1] > 0, "bytes"
    rows, size = found.of("readings")
    years = 10 / 365.25
    many = grown(found, sites=7, models=3, years=years)
    assert many["readings"] == pytest.approx((7 * 10 * rows, 7 * 10 * size))
    of_a_model = found.of("forecasts")
    assert many["forecasts"] == pytest.approx(tuple(7 * 3 * 10 * part for part in of_a_model))
    assert set(many) == set(KINDS)
