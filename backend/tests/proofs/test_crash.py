"""The short form of `make crash`: a day with SIGKILL at random moments ends as an undisturbed day."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from backend.tests.support.stores import sqlite_url
from proofs.crash import Life, contents, differences


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """A day without a crash, on SQLite for either: both databases have to end the same."""
    folder = tmp_path_factory.mktemp("calm")
    life = Life(1, folder, sqlite_url(folder))
    life.undisturbed()
    return life


def test_a_day_of_crashes_ends_with_the_keys_and_values_of_an_undisturbed_one(
    undisturbed: Life, bare_url: str, tmp_path: Path
) -> None:
    stormy = Life(1, tmp_path, bare_url)
    assert stormy.killed(random.Random(3), between=(2.0, 5.0), apart=1.5) >= 1
    one, other = contents(undisturbed.url), contents(stormy.url)
    assert len(one["forecasts"]) + len(one["observations"]) > 1000
    assert differences(one, other) == []
