"""The process that draws charts: the same charts, and pages that survive its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import vl_convert

from backend.pages.charts import drawing
from backend.pages.charts.drawing_process import VEGA_LITE
from backend.tests.support.waiting import HANG_SECONDS

SPEC = {
    "data": {"values": [{"hour": 10, "wind": 12.5}, {"hour": 12, "wind": 25}]},
    "mark": "line",
    "encoding": {
        "x": {"field": "hour", "type": "quantitative"},
        "y": {"field": "wind", "type": "quantitative", "title": "Vent à Planfait, km/h"},
    },
}


def drawing_processes(parent: int) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(parent).children()
        if any("drawing_process" in part for part in child.cmdline())
    ]


def test_charts_are_those_of_the_library() -> None:
    text = json.dumps(SPEC)
    locales: tuple[drawing.Decimals, ...] = ("en-GB", "fr-FR")
    for decimals in locales:
        expected = vl_convert.vegalite_to_svg(SPEC, vl_version=VEGA_LITE, format_locale=decimals)
        assert drawing.drawn_svg(text, decimals) == expected
    assert "Planfait" in drawing.drawn_svg(text, "fr-FR")
    assert drawing.drawn_png(text, 1.0) == vl_convert.vegalite_to_png(SPEC, vl_version=VEGA_LITE, scale=1.0)


def test_a_chart_that_cannot_be_drawn_costs_no_process() -> None:
    drawing.warm_up()
    (before,) = drawing_processes(os.getpid())
    with pytest.raises(ValueError, match=r"."):
        drawing.drawn_svg('{"mark": 7}', "en-GB")
    drawing.drawn_png(json.dumps(SPEC), 0.5)
    assert drawing_processes(os.getpid()) == [before]


def test_after_the_end_of_the_process_a_new_one_draws() -> None:
    drawing.warm_up()
    (before,) = drawing_processes(os.getpid())
    before.kill()
    assert drawing.drawn_png(json.dumps(SPEC), 0.7)
    (after,) = drawing_processes(os.getpid())
    assert after != before


def test_the_process_ends_with_a_killed_parent(tmp_path: Path) -> None:
    script = "from backend.pages.charts import drawing; drawing.warm_up(); print(flush=True); input()"
    with subprocess.Popen(
        (sys.executable, "-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        (child,) = drawing_processes(parent.pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()

    child.wait(timeout=HANG_SECONDS)
