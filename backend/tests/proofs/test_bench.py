"""The bench runs end to end on tiny sizes and writes its figures, whose values need a quiet machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.tests.support.waiting import HANG_SECONDS
from proofs.bench.__main__ import BENCHES
from proofs.bench.collecting import overlap
from proofs.bench.report import over_rounds, percentile

BENCH = (sys.executable, "-m", "proofs.bench")
REPOSITORY = Path(__file__).parents[3]


def figures(folder: Path, bench: str) -> dict[str, Any]:
    written = folder / "figures.json"
    command = (*BENCH, bench, "--tiny", "--rounds", "1", "--work", str(folder), "--json", str(written))
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=2 * HANG_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(written.read_text())
    return found


@pytest.mark.parametrize("bench", BENCHES)
def test_each_bench_runs_and_writes_figures_beside_their_alternative(bench: str, tmp_path: Path) -> None:
    found = figures(tmp_path, bench)

    assert found["libraries"]["sqlalchemy"]
    assert found["figures"]
    assert all(figure["value"] >= 0 for figure in found["figures"])
    counts_only = bench == "layout"  # a count has no alternative beside it
    assert counts_only or any(figure["ratio"] is not None for figure in found["figures"])


def test_an_unknown_bench_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        (*BENCH, "nonsense"), cwd=tmp_path, capture_output=True, text=True, timeout=HANG_SECONDS
    )

    assert done.returncode == 2
    assert "knows no bench 'nonsense'" in done.stderr


def test_a_figure_is_the_median_of_its_rounds_and_missed_above_its_aim() -> None:
    figure = over_rounds("g", "n", "s", [3.0, 1.0, 9.0], at_most=2, beside="other", beside_value=1.5)

    assert (figure.value, figure.spread, figure.ratio, figure.met) == (3.0, (1.0, 9.0), 2.0, False)


def test_the_99th_percentile_leaves_out_the_one_worst_of_a_hundred_and_no_more() -> None:
    assert percentile([1.0] * 99 + [50.0], 0.99) == 1.0
    assert percentile([1.0] * 98 + [50.0] * 2, 0.99) == 50.0


def test_overlap_is_the_share_of_downloading_during_which_something_is_decoded() -> None:
    assert overlap([(0.0, 4.0)], [(1.0, 2.0), (3.0, 9.0)]) == 0.5
