"""Pages of others with live readings: plain links, to which this service sends no request."""

from __future__ import annotations

from collections.abc import Iterable

from backend.core.records import network_of, number_of

_PAGE_OF_STATION = {
    "ffvl": ("balisemeteo.com", "https://www.balisemeteo.com/balise.php?idBalise={}"),
    "romma": ("romma.fr", "https://www.romma.fr/station_24.php?id={}"),
    "pioupiou": ("openwindmap.org", "https://www.openwindmap.org/pioupiou-{}"),
}

_MAPS = (("winds.mobi", "https://winds.mobi/"),)


def live_pages(stations: Iterable[str]) -> list[tuple[str, str]]:
    """Return names and addresses: of each station the page of its network, then maps of many networks."""
    pages = []
    for station in stations:
        if found := _PAGE_OF_STATION.get(network_of(station)):
            name, address = found
            pages.append((f"{name} ({number_of(station)})", address.format(number_of(station))))
    return [*pages, *_MAPS]
