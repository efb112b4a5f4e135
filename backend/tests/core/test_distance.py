"""Distances on the ellipsoid, against figures that others published."""

from __future__ import annotations

import pytest

from backend.core.distance import metres_between

WELLINGTON, SALAMANCA = (-41.32, 174.81), (40.96, -5.50)
NEWPORT, CLEVELAND = (41.49008, -71.312796), (41.499498, -81.695391)
PARIS, TOULOUSE = (48.8566, 2.3522), (43.6045, 1.444)


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        (WELLINGTON, SALAMANCA, 19_959_679.267),  # example of the GeographicLib documentation
        (NEWPORT, CLEVELAND, 538.390445368 * 1609.344),  # example of the geopy documentation, in miles
        ((0.0, 0.0), (0.0, 1.0), 111_319.491),  # a degree of the equator: 6 378 137 m × π / 180
        ((45.0, 6.0), (46.0, 6.0), 111_141.55),  # 111 132.954 − 559.822 cos 2φ + 1.175 cos 4φ at φ = 45.5°
        ((0.0, 0.0), (90.0, 0.0), 10_001_965.729),  # the quarter meridian of WGS 84
    ],
)
def test_a_distance_is_the_published_one(
    one: tuple[float, float], other: tuple[float, float], metres: float
) -> None:
    assert metres_between(one, other) == pytest.approx(metres, abs=0.5)
    assert metres_between(other, one) == pytest.approx(metres, abs=0.5)


def test_a_distance_crosses_the_date_line() -> None:
    across = metres_between((45.8, 179.9), (45.8, -179.9))
    assert across == pytest.approx(metres_between((45.8, 0.0), (45.8, 0.2)), abs=0.001)


def test_a_distance_needs_both_positions() -> None:
    assert metres_between((45.0, 6.0), (None, 6.0)) is None
    assert metres_between((45.0, None), (45.0, 6.0)) is None


def test_a_position_is_no_metre_away_from_itself() -> None:
    assert metres_between(PARIS, PARIS) == 0.0
    assert metres_between(PARIS, TOULOUSE) > 500_000
