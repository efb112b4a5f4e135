"""The service on a scored store, for measures of its pages, and the addresses that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.core.records import Site
from backend.main import Service
from backend.tests.support.served import OPENED
from proofs.bench.world import make_service

BARE = "/bare"
"""The address of fixed bytes, served beside the pages by the same server."""

DETAILS = ("limit", "bias", "beacon", "coverage", "lead", "timing", "direction", "runs")


def page_service(url: str, folder: Path, environment: Mapping[str, Any] | None = None) -> Service:
    """Return the service on the store at `url`: nothing is withheld, and one client may ask without limit."""
    return make_service(
        folder,
        dict(environment or {}),
        folder / "sites.toml",
        database_url=url,
        sites_from="database",
        public_raw_sources=OPENED,
        rate_limit_per_minute=0,
    )


def mixed_paths(sites: Sequence[Site]) -> list[str]:
    """Return what pilots ask for: half of it sites, a quarter lists, the rest details and other pages."""
    paths = []
    for number, site in enumerate(sites):
        paths += [f"/sites/{site.id}", f"/sites/{site.id}?lim=20"]
        paths.append("/" if number % 2 else f"/?s={site.id},{sites[0].id}")
        paths.append(
            f"/sites/{site.id}/details/{DETAILS[number % len(DETAILS)]}" if number % 4 else "/methodology"
        )
    return paths
