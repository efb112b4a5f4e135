"""Sites and stations by their ids."""

from __future__ import annotations

from backend.answers.service import ReadingParts
from backend.core.errors import UnknownNameError
from backend.core.records import Site, Station


def require_site(sites: tuple[Site, ...], site_id: str) -> Site:
    """Return a configured site. Raises UnknownNameError, which suggests the nearest id."""
    for site in sites:
        if site.id == site_id:
            return site
    raise UnknownNameError("site", site_id, (site.id for site in sites))


def known_stations(service: ReadingParts, sites: tuple[Site, ...]) -> dict[str, Station]:
    """Return every station by its id: those that a network described, and those of a site's list."""
    # A station is valid before its first reading, if a site lists it.
    mapped = {code: Station(code) for site in sites for code in site.stations}
    return mapped | {station.id: station for station in service.store.stations()}
