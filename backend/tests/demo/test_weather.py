"""The synthetic weather: pure, plausible, and with exactly the documented errors."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from itertools import combinations

import numpy as np
import pytest

from backend.core.parameters import RULES, Parameter, why_implausible
from backend.core.records import Site
from backend.core.sites import load_sites
from backend.core.units import wind_from_components
from backend.demo.noise import Floats, chance, normal, smooth, stream, uniform
from backend.demo.store import SITES_FILE
from backend.demo.weather import (
    CALMEST,
    DAY,
    EQUALS,
    HOUR,
    MODELS,
    AbsurdWeather,
    Values,
    Weather,
    injected_bias,
    injected_noise,
)

SITES = load_sites(SITES_FILE)
WEATHER = Weather(7)
START = datetime(2026, 10, 1, tzinfo=UTC).timestamp()
RUNS = START + 12 * HOUR * np.arange(60)  # thirty days, two runs a day


def _value(values: Values, parameter: Parameter) -> Floats:
    return {
        Parameter.WIND_SPEED: values.speed,
        Parameter.WIND_GUST: values.gust,
        Parameter.WIND_DIRECTION: values.direction,
        Parameter.TEMPERATURE: values.temperature,
    }[parameter]


def _difference(parameter: Parameter, said: Values, truth: Values) -> Floats:
    difference = _value(said, parameter) - _value(truth, parameter)
    return (difference + 180.0) % 360.0 - 180.0 if RULES[parameter].circular else difference


@cache
def errors(model: str, site: Site) -> dict[Parameter, Floats]:
    """Return the errors of thirty days, one row per run and one column per hour of lead time."""
    hours = HOUR * np.arange(52)
    pairs = [
        (WEATHER.forecast(model, site, run, run + hours), WEATHER.truth(site, run + hours)) for run in RUNS
    ]
    return {
        parameter: np.array([_difference(parameter, said, truth) for said, truth in pairs])
        for parameter in Parameter
    }


def test_a_moment_has_the_same_weather_in_every_evaluation() -> None:
    times = START + 600 * np.arange(500.0)
    whole = WEATHER.truth(SITES[0], times)
    alone = Weather(7).truth(SITES[0], times[321:322])
    assert alone.speed[0] == pytest.approx(whole.speed[321], abs=1e-9)
    assert alone.temperature[0] == pytest.approx(whole.temperature[321], abs=1e-9)

    said = WEATHER.forecast("arome_0025", SITES[0], START, times)
    one = Weather(7).forecast("arome_0025", SITES[0], START, times[321:322])
    assert one.speed[0] == pytest.approx(said.speed[321], abs=1e-9)


def test_another_seed_is_another_weather() -> None:
    times = START + HOUR * np.arange(48.0)
    difference = WEATHER.truth(SITES[0], times).speed - Weather(8).truth(SITES[0], times).speed
    assert np.abs(difference).max() > 3.0


def test_the_weather_changes_smoothly_from_minute_to_minute() -> None:
    times = START + 60 * np.arange(3 * 1440.0)
    truth = WEATHER.truth(SITES[3], times)
    assert np.abs(np.diff(truth.speed)).max() < 0.3  # km/h
    assert np.abs(np.diff(truth.temperature)).max() < 0.1  # °C
    said = WEATHER.forecast("meteo_parapente", SITES[3], START, times)
    assert np.abs(np.diff(said.speed)).max() < 0.4


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.id)
def test_a_year_of_truth_is_plausible_and_never_quite_calm(site: Site) -> None:
    times = START + 3 * HOUR * np.arange(8 * 365.0)
    truth = WEATHER.truth(site, times)
    for parameter in Parameter:
        for extreme in (_value(truth, parameter).min(), _value(truth, parameter).max()):
            assert why_implausible(parameter, float(extreme)) is None
    assert truth.speed.min() >= CALMEST * 3.6 - 1e-9
    assert (truth.gust >= truth.speed).all()
    assert truth.speed.std() > 3.0  # weather, and not a constant


def test_speed_and_direction_match_the_components() -> None:
    truth = WEATHER.truth(SITES[1], START + HOUR * np.arange(24.0))
    speed, direction = wind_from_components(float(truth.u[5]), float(truth.v[5]))
    assert speed == pytest.approx(truth.speed[5])
    assert direction == pytest.approx(truth.direction[5])


def test_on_afternoons_the_breeze_comes_up_the_way_the_take_off_faces() -> None:
    south_facing = Site("slope", "Slope", 45.95, 6.5, 1500.0, orientation=("S",))
    days = START + DAY * np.arange(60.0)
    afternoon = WEATHER.truth(south_facing, days + 14.5 * HOUR).v.mean()
    night = WEATHER.truth(south_facing, days + 2.0 * HOUR).v.mean()
    assert afternoon - night > 1.5  # m/s more towards the north


def test_a_place_that_faces_nowhere_has_weather_too() -> None:
    somewhere = Site("45.90,6.40", "", 45.9, 6.4, 800.0)
    assert np.isfinite(WEATHER.truth(somewhere, np.array([START])).speed).all()


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.id)
@pytest.mark.parametrize("model", MODELS)
def test_the_injected_bias_is_the_mean_error_of_thirty_days(model: str, site: Site) -> None:
    tolerance = {
        Parameter.WIND_SPEED: 0.25,
        Parameter.WIND_GUST: 0.4,
        Parameter.WIND_DIRECTION: 1.3,
        Parameter.TEMPERATURE: 0.1,
    }
    for parameter in Parameter:
        assert errors(model, site)[parameter].mean() == pytest.approx(
            injected_bias(model, site.id, parameter), abs=tolerance[parameter]
        )


def test_the_injected_noise_grows_with_lead_time_as_documented() -> None:
    spread = errors("meteo_parapente", SITES[0])[Parameter.TEMPERATURE].std(axis=0)
    said = injected_noise(
        "meteo_parapente", SITES[0].id, Parameter.TEMPERATURE, HOUR * np.array([0.0, 24.0, 48.0])
    )
    assert said == pytest.approx([0.9, 1.35, 1.8])
    assert spread[:6].mean() == pytest.approx(0.9 * 1.05, rel=0.15)
    assert spread[-6:].mean() == pytest.approx(1.8, rel=0.15)


def test_models_and_sites_differ_in_their_bias() -> None:
    biases = {
        (model, site.id): injected_bias(model, site.id, Parameter.WIND_SPEED)
        for model in MODELS
        for site in SITES
    }
    for site, equal in EQUALS.items():
        assert len({biases[model, site] for model in equal}) == 1
    assert len(set(biases.values())) == len(biases) - len(EQUALS)


@pytest.mark.parametrize("equal", EQUALS)
def test_two_models_err_alike_at_one_site_but_not_together(equal: str) -> None:
    site = next(site for site in SITES if site.id == equal)
    for parameter in Parameter:
        one, other = (injected_bias(model, site.id, parameter) for model in EQUALS[equal])
        assert one == other
    these, those = (errors(model, site)[Parameter.WIND_SPEED] for model in EQUALS[equal])
    assert these.std() == pytest.approx(those.std(), rel=0.1)
    assert abs(np.corrcoef(these.ravel(), those.ravel())[0, 1]) < 0.1


def test_a_forecast_gust_is_never_below_the_forecast_mean() -> None:
    for site in SITES:
        said = WEATHER.forecast("arome_0025", site, START, START + HOUR * np.arange(52.0))
        assert (said.gust >= said.speed).all()


def test_the_background_is_bounded_on_the_whole_grid_and_has_its_shape() -> None:
    latitudes, longitudes = np.linspace(55.4, 37.5, 50), np.linspace(-12.0, 16.0, 60)
    u, v, temperature = WEATHER.background(latitudes, longitudes, START + HOUR * np.arange(3.0))
    assert u.shape == v.shape == temperature.shape == (3, 50, 60)
    assert np.abs(u).max() < 15.0
    assert np.abs(temperature - 8.0).max() < 15.0


def test_absurd_weather_breaks_the_rules_of_plausibility() -> None:
    times = np.array([START])
    absurd = AbsurdWeather(7).truth(SITES[0], times)
    assert why_implausible(Parameter.WIND_SPEED, float(absurd.speed[0]))
    assert why_implausible(Parameter.WIND_GUST, float(absurd.gust[0]))
    assert why_implausible(Parameter.TEMPERATURE, float(absurd.temperature[0]))


# --- The noise underneath ----------------------------------------------------------------------------


def test_noise_has_the_spread_it_promises() -> None:
    index = np.arange(200_000)
    even, bell = uniform(stream("a"), index), normal(stream("b"), index)
    assert 0.0 < even.min() < 0.001
    assert 0.999 < even.max() < 1.0
    assert even.mean() == pytest.approx(0.5, abs=0.005)
    assert bell.mean() == pytest.approx(0.0, abs=0.01)
    assert bell.std() == pytest.approx(1.0, abs=0.01)
    assert smooth(stream("c"), 100.0 * np.arange(200_000.0), 3600.0).std() == pytest.approx(1.0, abs=0.03)


def test_streams_are_the_same_in_every_process_and_differ_from_one_another() -> None:
    assert stream("weather", 1) == 3764223278565716192
    assert chance("a", 1) == chance("a", 1)
    sequences = [uniform(stream("weather", seed), np.arange(1000)) for seed in range(4)]
    for one, other in combinations(sequences, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.12


def test_noise_before_1970_is_noise_too() -> None:
    assert np.isfinite(normal(stream("a"), np.arange(-5, 0))).all()


# --- The demo's sites --------------------------------------------------------------------------------


def test_every_site_of_the_demo_has_a_station_of_each_network() -> None:
    assert 8 <= len(SITES) <= 12
    for site in SITES:
        assert {station.partition(":")[0] for station in site.stations} >= {"ffvl", "romma", "pioupiou"}
