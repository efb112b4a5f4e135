"""Withheld values appear on no public page, and none can be computed from one.

The walk takes the routes of the pages from their routers, so that it visits a new page too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from backend.answers.beacon import beacon_answer
from backend.answers.service import ServiceParts
from backend.answers.sites import require_site
from backend.answers.withholding import withheld_from_public
from backend.pages.charts import render
from backend.pages.charts.day import DayChart
from backend.pages.choices import Unit
from backend.tests.support.page_paths import ROUTES
from backend.tests.support.page_walk import Walk, route_of, walk
from backend.tests.support.withheld_world import MAY_31, MID_JUNE, OTHER, SECRET, Secret, withheld_world

NUMBER = re.compile(r"(?<![\w.,#-])[−-]?\d+(?:[.,]\d+)?(?![\w])")
OF_UNIT = re.compile(r"[−-]?\d+(?=\s?(?:km/h|kt|m/s|°))")
ALONE = re.compile(r"\s*[−-]?\d+\s*")
NEAR = 0.06
"""Values are shown with one decimal: a value this near to a withheld one is that value."""

LABEL_OFFSET = 3.0
"""Vega places the label of a tick by its base line, 3 units below the tick."""


def secret_numbers(secret: Secret) -> set[float]:
    """Return the withheld values in each unit in which a page can show them."""
    speeds = {value for values in (secret.model, secret.station) for value in values[:2]}
    others = {value for values in (secret.model, secret.station) for value in values[2:]}
    turned = {values[2] + 6 for values in (secret.model, secret.station)}
    return {unit.of(speed) for unit in Unit for speed in speeds} | others | turned


def numbers_in(text: str) -> Iterator[float]:
    """Yield the numbers of a text that can be values: decimals, and wholes with a unit or alone.

    Other whole numbers are counts.
    """
    found = {match[0] for match in NUMBER.finditer(text) if "." in match[0] or "," in match[0]}
    found |= {match[0] for match in OF_UNIT.finditer(text)}
    if ALONE.fullmatch(text):
        found.add(text.strip())
    for number in found:
        yield float(number.replace("−", "-").replace(",", "."))


def revealed(numbers: Iterator[float], secret: Secret) -> set[float]:
    """Return the numbers that are withheld values, as they are or rounded to whole km/h or degrees."""
    exact = secret_numbers(secret)
    whole = {float(round(value)) for value in exact if value > 150}  # smaller ones are also public values
    return {
        number
        for number in numbers
        if number in whole or (number % 1 and any(abs(number - value) <= NEAR for value in exact))
    }


def texts_of(page: LexborHTMLParser) -> Iterator[str]:
    """Yield all texts and attributes that a reader, or a program, can read on a page."""
    yield from (page.root.text(separator="\0") if page.root else "").split("\0")
    for node in page.css("[title], [aria-label], [content], [value], [alt]"):
        for name in ("title", "aria-label", "content", "value", "alt"):
            yield node.attributes.get(name) or ""


# --- What is drawn ------------------------------------------------------------------------------------


def drawn_values(spec: Any) -> Iterator[float]:
    """Yield all numbers in a specification that was handed to the renderer."""
    if isinstance(spec, str):
        if spec.startswith("{"):
            spec = json.loads(spec)
        else:
            yield from numbers_in(spec)
    if isinstance(spec, dict):
        for value in spec.values():
            yield from drawn_values(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from drawn_values(value)
    elif isinstance(spec, float | int) and not isinstance(spec, bool):
        yield float(spec)


def path_values(svg: LexborNode) -> Iterator[float]:
    """Yield the points of the lines and areas of a chart in the unit of its vertical axis."""
    ticks = []
    for label in svg.css("text[text-anchor=end]"):
        place = re.search(r"translate\([-\d.]+,([-\d.]+)\)", label.attributes.get("transform") or "")
        if place and re.fullmatch(r"[−-]?\d+(?:[.,]\d+)?", label.text().strip()):
            ticks.append((float(place[1]), next(numbers_in(label.text()))))
    if len({value for _, value in ticks}) < 2:
        return
    (low_at, low), (high_at, high) = ticks[0], ticks[-1]
    if low_at == high_at:
        return
    base = low_at - LABEL_OFFSET
    for mark in svg.css(".role-mark path[d], .role-mark line, .role-mark text"):
        points = re.findall(r"[MLH](?:[-\d.]+),([-\d.]+)", mark.attributes.get("d") or "")
        points += re.findall(r"translate\([-\d.]+,([-\d.]+)\)", mark.attributes.get("transform") or "")
        for point in points:
            yield low + (float(point) - base) * (high - low) / (high_at - low_at)


# --- The tests ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [MID_JUNE, MAY_31], ids=["no closed month", "a closed month"])
async def test_no_public_page_shows_a_withheld_value_or_depends_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: Any
) -> None:
    """Pages of two stores that differ only in withheld values are the same, byte for byte.

    The published figures of a closed month are made from its values, and rounded. So there only the
    later values differ.
    """
    walks = []
    for name, closed, recent in (
        ("one", SECRET, SECRET),
        ("two", SECRET if first == MAY_31 else OTHER, OTHER),
    ):
        folder = tmp_path / name
        folder.mkdir()
        walks.append(await walk(withheld_world(folder, first, closed, recent), monkeypatch))
    one, two = walks
    assert one.answers.keys() == two.answers.keys()
    differing = [
        address
        for address, answer in one.answers.items()
        if answer.content != two.answers[address].content
        or answer.status_code != two.answers[address].status_code
    ]
    assert differing == []
    assert_whole(one)
    assert shown_secrets(one) == {}
    # A public value may happen to equal a withheld one: then it is drawn with other secrets too.
    drawn_one, drawn_two = ({value for spec in each.drawn for value in drawn_values(spec)} for each in walks)
    assert revealed(iter(drawn_one - drawn_two), SECRET) == set()


@pytest.mark.parametrize("first", [MID_JUNE, MAY_31], ids=["no closed month", "a closed month"])
def test_a_beacon_is_not_compared_with_the_withheld_reference_before_it(tmp_path: Path, first: date) -> None:
    service = cast(ServiceParts, withheld_world(tmp_path, first))
    answer = beacon_answer(service, require_site(service.sites(), "releve"), withheld_from_public(service))
    assert answer is not None
    assert (answer.station, answer.neighbours) == ("ffvl:906", [])
    assert answer.coverage.expected > 0
    assert all(abs(model.mean) < 10 for model in answer.models if model.mean is not None)


def assert_whole(found: Walk) -> None:
    """Each route has an answer that is a page, and none is an error of ours."""
    answered = {
        route.path
        for address, answer in found.answers.items()
        if answer.status_code == 200 and (route := route_of(address)) is not None
    }
    operators = {route.path for route in ROUTES if route.path.startswith("/ops")}
    assert {route.path for route in ROUTES} - answered - operators == set()
    assert [address for address, answer in found.answers.items() if answer.status_code >= 500] == []


def shown_secrets(found: Walk) -> dict[str, set[float]]:
    """Return the withheld values that are in the texts and the charts of the answers, by address."""
    shown = {}
    for address, answer in found.answers.items():
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if kind == "text/html":
            page = LexborHTMLParser(answer.text)
            numbers = [number for text in texts_of(page) for number in numbers_in(text)]
            for svg in page.css("svg"):
                numbers += [value for value in path_values(svg) if value > 150]
        elif kind.startswith("text/") or kind.endswith(("xml", "json")):
            texts = re.split(r"<[^>]*>", answer.text)
            numbers = [number for text in texts for number in numbers_in(text)]
        else:
            continue  # an image: its specification is among those drawn
        if kind not in {"text/css", "text/javascript"} and (values := revealed(iter(numbers), SECRET)):
            shown[address] = values
    return shown


def test_the_search_finds_values_in_texts() -> None:
    text = "Vent 177,7 km/h, rafale 191 km/h ; 95.9 kt; N 314°"
    assert revealed(numbers_in(text), SECRET) == {177.7, 191.0, 95.9, 314.0}
    assert revealed(numbers_in("12,5 km/h on 2026-07-15, 178 hours, #a177.7"), SECRET) == set()
    assert revealed(numbers_in(" 178 "), SECRET) == {178.0}


def test_the_search_finds_values_in_the_paths_of_a_chart() -> None:
    chart = DayChart(first=9, last=20, unit="km/h", models={"arome_0025": {9: 12.0, 10: 177.7, 12: 9.0}})
    svg = LexborHTMLParser(str(render.svg(chart.spec(), "text"))).css_first("svg")
    assert svg is not None
    (found,) = revealed((value for value in path_values(svg) if value > 150), SECRET)
    assert found == pytest.approx(177.7, abs=0.05)


async def test_the_walk_finds_the_values_if_they_are_public(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same walk of the same store, whose sources are public, shows that it can find them."""
    service = withheld_world(tmp_path, MID_JUNE, public_raw_sources="meteo_parapente,romma")
    found = await walk(service, monkeypatch)
    assert shown_secrets(found)
    assert revealed((value for spec in found.drawn for value in drawn_values(spec)), SECRET)
