"""The detail about timing: earlier or later than announced, from readings of ten minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from backend.core.clock import PARIS
from backend.core.records import Observation, ObservationBatch, Station
from backend.main import Service
from backend.tests.support.score_store import SPEED, Grid, constant
from backend.tests.support.scored_site import (
    AROME,
    DAYS,
    FFVL,
    PARAPENTE,
    page_of,
    scored_site,
    text_of,
)
from backend.tests.support.served import NOW, OPENED

PAGE = "/sites/grand-pre/details/timing"


def ramp(hour: float) -> float:
    """Return a wind of 20 km/h at 13 o'clock that grows by 5 km/h an hour."""
    return float(np.clip(20 + 5 * (hour - 13), 5, 40))


def service_with_readings(
    folder: Path, earlier: float, *, days: int = DAYS, opened: str = OPENED, spread: float = 0.1
) -> Service:
    """Return a service whose wind comes `earlier` hours before AROME announces it, more and less by turns."""
    announced: Grid = constant(days, 0.0) + np.array([ramp(hour) for hour in range(25)])
    service = scored_site(
        folder,
        {AROME: {SPEED: announced}, PARAPENTE: {SPEED: announced}},
        {FFVL: {SPEED: announced}},
        days=days,
        public_raw_sources=opened,
    )
    first = NOW.date() - timedelta(days=days - 1)
    records = []
    for day in range(days):
        shift = earlier + spread * (0.5, -0.5, 1.0, -1.0)[day % 4]
        midnight = datetime.combine(first + timedelta(days=day), datetime.min.time(), PARIS).astimezone(UTC)
        for step in range(7 * 6, 20 * 6):
            moment = midnight + timedelta(minutes=10 * step + 5)  # stamped at the end of ten minutes
            records.append(Observation(FFVL, SPEED, moment, round(ramp(step / 6 + shift), 2)))
    service.store.add_observations(
        ObservationBatch(
            source="ffvl",
            route="winds_mobi",
            rank=1,
            collected_at=NOW,
            newest=NOW,
            records=tuple(each for each in records if each.time <= NOW),
            averaging_minutes=10,
            stations=(Station(FFVL, "Balise", 45.9, 6.7, 1402.0),),
        )
    )
    return service


@pytest.mark.parametrize(
    ("earlier", "english", "french"),
    [
        (
            0.75,
            "The wind passes 20 km/h 45 minutes earlier than AROME announces (between 45 and 45), on 40 of 40"
            " days.",
            "Le vent passe 20 km/h 45 minutes plus tôt que ne l’annonce AROME (entre 45 et 45), 40 jours"
            " sur 40.",
        ),
        (
            -1.0,
            "The wind passes 20 km/h 60 minutes later than AROME announces (between 60 and 60), on 39 of 39"
            " days.",
            "Le vent passe 20 km/h 60 minutes plus tard que ne l’annonce AROME (entre 60 et 60), 39 jours"
            " sur 39.",
        ),
        (
            0.0,
            "AROME: no steady shift, the wind passes 20 km/h about when announced (40 days).",
            "AROME : pas de décalage constant, le vent passe 20 km/h à peu près à l’heure annoncée"
            " (40 jours).",
        ),
    ],
)
async def test_the_shift_has_its_side_in_both_languages(
    tmp_path: Path, earlier: float, english: str, french: str
) -> None:
    # It is 14:10 of the last day: a wind that comes at 14 o'clock is not seen yet when readings are smoothed.
    service = service_with_readings(tmp_path, earlier)
    assert english in text_of(await page_of(service, PAGE))
    assert french in text_of(await page_of(service, PAGE, "fr"))


async def test_twenty_days_are_needed(tmp_path: Path) -> None:
    text = text_of(await page_of(service_with_readings(tmp_path, 0.75, days=15), PAGE))
    assert "AROME: both rose through 20 km/h on 15 days; 20 are needed." in text


async def test_one_day_is_one_day(tmp_path: Path) -> None:
    text = text_of(await page_of(service_with_readings(tmp_path, 0.75, days=1), PAGE))
    assert "AROME: both rose through 20 km/h on 1 day; 20 are needed." in text


async def test_a_wide_interval_does_not_read_as_about_when_announced(tmp_path: Path) -> None:
    service = service_with_readings(tmp_path, 0.0, spread=1.0)
    english = text_of(await page_of(service, PAGE))
    assert "it is not known yet whether the wind passes 20 km/h earlier or later than announced" in english
    assert "about when announced" not in english
    assert "on ne sait pas encore" in text_of(await page_of(service, PAGE, "fr"))


async def test_days_with_one_side_only_are_shown(tmp_path: Path) -> None:
    # The announced wind reaches 40 km/h at 17 o'clock, the wind that comes two hours later does not by 19.
    service = service_with_readings(tmp_path, -2.5)
    text = text_of(await page_of(service, f"{PAGE}?lim=39"))
    assert "announced and did not come 39, came without being announced 0" in text


async def test_no_timing_of_a_withheld_model_or_station(tmp_path: Path) -> None:
    service = service_with_readings(tmp_path, 0.75, opened="romma")
    text = text_of(await page_of(service, PAGE))
    assert "than AROME announces" in text
    assert "MeteoParapente" not in text
    closed = scored_site(tmp_path, {}, public_raw_sources="meteo_parapente")
    assert "no beacon whose values are public" in text_of(
        await page_of(closed, "/sites/petit-col/details/timing")
    )
