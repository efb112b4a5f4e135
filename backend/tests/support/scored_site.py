"""A service whose first site has days of scores, for the tests of pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from selectolax.lexbor import LexborHTMLParser

from backend.core.parameters import Parameter
from backend.main import Service
from backend.tests.support.score_store import SPEED, Grid, constant, keep
from backend.tests.support.served import NOW, OPENED, make_service, served
from backend.tests.support.stores import make_tables

AROME, PARAPENTE = "arome_0025", "meteo_parapente"
FFVL, ROMMA = "ffvl:901", "romma:902"
DAYS = 40
FIRST = NOW.date() - timedelta(days=DAYS - 1)

Values = Mapping[Parameter, Grid]


def noise(seed: int, days: int = DAYS, size: float = 1.0) -> Grid:
    """Return random values with a mean of 0."""
    return np.random.default_rng(seed).normal(0, size, (days, 25))


def speeds(*values: float | Grid, days: int = DAYS) -> list[Values]:
    """Return mean winds: each the same in all hours, or a grid."""
    return [{SPEED: constant(days, 0.0) + value} for value in values]


def scored_site(
    folder: Path,
    models: Mapping[str, Values],
    stations: Mapping[str, Values] | None = None,
    *,
    public_raw_sources: str = OPENED,
    days: int = DAYS,
    **options: Any,
) -> Service:
    """Return a service whose first site has these forecasts and readings; 20 km/h in all hours by default."""
    service = make_service(folder, public_raw_sources=public_raw_sources)
    make_tables(service.database)
    observed = {FFVL: {SPEED: constant(days, 20.0)}} if stations is None else stations
    first = NOW.date() - timedelta(days=days - 1)
    keep(service.database, service.sites()[0], first, models=models, stations=observed, **options)
    return service


async def page_of(service: Service, path: str, language: str = "en") -> LexborHTMLParser:
    """Return a page, which must be there."""
    async with served(service) as client:
        return parsed(await get(client, path, language))


async def get(client: httpx2.AsyncClient, path: str, language: str = "en") -> httpx2.Response:
    """Return the answer to a browser of this language."""
    return await client.get(path, headers={"Accept": "text/html", "Accept-Language": language})


def parsed(answer: httpx2.Response) -> LexborHTMLParser:
    """Return a page, which must be there."""
    assert answer.status_code == 200, answer.text
    return LexborHTMLParser(answer.text)


def text_of(page: LexborHTMLParser, selector: str = "main") -> str:
    """Return the text of the first element, with single spaces."""
    found = page.css_first(selector)
    assert found is not None, selector
    return " ".join(found.text(separator=" ").split()).replace(" .", ".").replace(" ,", ",")
