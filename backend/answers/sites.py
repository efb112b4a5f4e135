"""Sites and stations by their ids."""

from __future__ import annotations

from backend.answers.service import ReadingParts
from backend.core.errors import NotFoundError
from backend.core.records import Site, Station
from backend.core.text import did_you_mean


def require_site(sites: tuple[Site, ...], site_id: str, listed: str = "/api/sites lists them") -> Site:
    """Return a configured site.

    Raises NotFoundError, which suggests the nearest id and where they are `listed`.
    """
    for site in sites:
        if site.id == site_id:
            return site
    meant = did_you_mean(site_id, (site.id for site in sites))
    raise NotFoundError(f"There is no site {site_id!r}{meant}: {listed}.")


def known_stations(service: ReadingParts, sites: tuple[Site, ...]) -> dict[str, Station]:
    """Return every station by its id: those that a network described, and those that a site names."""
    mapped = {code: Station(code) for site in sites for code in site.stations}
    return mapped | {station.id: station for station in service.store.stations()}
