"""The short form of `make crash`: a day with SIGKILL at random moments ends as an undisturbed day."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.tests.proofs.crash import prove


@pytest.mark.timeout(400)
def test_a_day_of_crashes_ends_with_the_keys_and_values_of_an_undisturbed_one(tmp_path: Path) -> None:
    kills, differing, rows = prove(tmp_path, days=1, seed=3, between=(2.0, 4.0))
    assert kills >= 1
    assert rows > 1000
    assert differing == []
