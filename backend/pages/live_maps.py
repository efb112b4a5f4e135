"""Pages of others with live readings: plain links, to which this service sends no request."""

from __future__ import annotations

from collections.abc import Iterable

from backend.core.records import network_of, number_of
from backend.core.registry import NETWORKS

_MAPS = (("winds.mobi", "https://winds.mobi/"),)


def live_pages(stations: Iterable[str]) -> list[tuple[str, str]]:
    """Return names and addresses: of each station the page of its network, then maps of many networks."""
    pages = []
    for station in stations:
        network = NETWORKS.get(network_of(station))
        if network is not None and network.live_page is not None:
            name, address = network.live_page
            pages.append((f"{name} ({number_of(station)})", address.format(number_of(station))))
    return [*pages, *_MAPS]
