"""The whole chain on the demo's synthetic world, whose truth is known: from batches to verdicts."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from backend.core.local_time import day_number
from backend.core.parameters import Parameter
from backend.demo.weather import injected_bias
from backend.scoring.questions.scorecard import Finding, Scorecard, Verdict
from backend.scoring.sample.load import Samples
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import EVENING_BEFORE
from backend.storage.store import Store
from backend.tests.support.lived_world import (
    DAYS,
    END,
    FIRST,
    MODELS,
    SITES,
    lived,
)


def verdict(store: Store, site: str, quantity: Quantity) -> Verdict:
    sample = Samples(store.database).load(
        SITES[site], EVENING_BEFORE, day_number(FIRST.date()), day_number(END.date())
    )
    return Scorecard(sample).verdict(quantity)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return lived(tmp_path_factory.mktemp("world"), 1, SITES["planfait"], SITES["montmin"])


@pytest.mark.parametrize("site", ["planfait", "montmin"])
@pytest.mark.parametrize("quantity", [Quantity.WIND_SPEED, Quantity.TEMPERATURE])
def test_the_bias_that_was_put_in_comes_out_within_its_interval(
    store: Store, site: str, quantity: Quantity
) -> None:
    found = {each.model: each for each in verdict(store, site, quantity).models}
    for model in MODELS:
        score, bias = found[model].score, injected_bias(model, site, quantity.parameter)
        assert score.mean_error is not None
        assert score.mean_error_interval is not None
        low, high = score.mean_error_interval
        # Half as wide again: twelve intervals of 95 % do not all hold.
        assert abs(score.mean_error - bias) <= 0.75 * (high - low), (model, bias, score)
        assert found[model].n_days >= DAYS - 4


@pytest.mark.parametrize("site", ["planfait", "montmin"])
def test_the_turn_that_was_put_in_comes_out(store: Store, site: str) -> None:
    for each in verdict(store, site, Quantity.WIND_DIRECTION).models:
        if each.model in MODELS:
            bias = injected_bias(each.model, site, Parameter.WIND_DIRECTION)
            assert each.score.circular_bias == pytest.approx(bias, abs=1.5)


def test_the_better_model_is_named_with_its_figures(store: Store) -> None:
    found = verdict(store, "planfait", Quantity.WIND_SPEED)
    sizes = {model: abs(injected_bias(model, "planfait", Parameter.WIND_SPEED)) for model in MODELS}
    assert found.finding is Finding.WINNER
    assert found.best == min(sizes, key=lambda model: sizes[model])
    assert [each.rank for each in found.models][:2] == [1, 2]
    assert found.duel is not None
    assert found.duel.n_pairs == found.n_pairs == found.models[0].n_pairs == found.models[1].n_pairs


def test_every_model_beats_the_baselines(store: Store) -> None:
    for each in verdict(store, "planfait", Quantity.WIND_SPEED).models[:2]:
        assert each.skill["yesterday"].skill is not None
        assert each.skill["yesterday"].skill > 0.3


def test_models_that_err_alike_are_too_close_to_call(tmp_path: Path) -> None:
    """A nominal rate of 5 % and a least difference: in 6 worlds one false winner is bad luck, two are not."""
    findings = [
        verdict(lived(tmp_path / str(seed), seed, SITES["semnoz"]), "semnoz", Quantity.WIND_SPEED).finding
        for seed in range(1, 7)
    ]
    assert findings.count(Finding.TOO_CLOSE) >= 5


def test_before_there_is_enough_there_is_no_finding(store: Store) -> None:
    samples = Samples(store.database)
    first = day_number(date(2026, 6, 3))
    found = {
        days: Scorecard(samples.load(SITES["planfait"], EVENING_BEFORE, first, first + days - 1)).verdict(
            Quantity.WIND_SPEED
        )
        for days in (1, 14, 15, 29, 30)
    }
    assert [found[days].finding for days in (1, 14, 15, 29)] == [Finding.NOT_ENOUGH] * 4
    assert [found[days].size.label.value for days in (14, 15, 29, 30)] == [
        "collecting",
        "first_look",
        "first_look",
        "preliminary",
    ]


def test_a_time_without_data_has_null_scores_and_a_label(store: Store) -> None:
    first = day_number(date(2020, 1, 1))
    found = Scorecard(
        Samples(store.database).load(SITES["planfait"], EVENING_BEFORE, first, first + 30)
    ).verdict(Quantity.WIND_SPEED)
    assert (found.finding, found.best, found.duel, found.n_pairs, found.n_days) == (
        Finding.NOT_ENOUGH,
        None,
        None,
        0,
        0,
    )
    assert found.models == ()
