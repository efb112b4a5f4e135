"""Which sites lie outside the area of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from backend.core.areas import Area
from backend.core.records import CollectionRequest, Outside, Site


def outside(model: str, area: Area | None, site: Site) -> Outside | None:
    """Return an Outside if the site lies outside the area of the model, else None."""
    if area is None or area.holds(site):
        return None
    return Outside(model, site.id, f"it lies outside the area of the model ({area})")


def not_covered(areas: Mapping[str, Area], sites: Iterable[Site]) -> tuple[Outside, ...]:
    """Return the sites that lie outside the area of a model, by model."""
    sites = tuple(sites)
    pairs = ((model, area, site) for model, area in sorted(areas.items()) for site in sites)
    return tuple(one for model, area, site in pairs if (one := outside(model, area, site)))


def within(
    model: str, area: Area | None, needs: CollectionRequest
) -> tuple[CollectionRequest, tuple[Outside, ...]]:
    """Return the request for the sites in the area, and the sites outside that are not reported yet."""
    beyond = [one for site in needs.sites if (one := outside(model, area, site))]
    names = {one.site for one in beyond}
    inside = tuple(site for site in needs.sites if site.id not in names)
    new = tuple(one for one in beyond if (model, one.site) not in needs.outside)
    return replace(needs, sites=inside), new
