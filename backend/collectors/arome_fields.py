"""From the fields of a GRIB file to forecasts: what AROME's numbers mean. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.collectors.arome_runs import AromeGrid, Part
from backend.collectors.base import PLACE
from backend.collectors.grib import Field, Selector
from backend.core.errors import ParseError
from backend.core.parameters import Parameter, why_implausible
from backend.core.records import Forecast, GridPoint, Rejected, Site
from backend.core.units import kelvin_to_celsius, ms_to_kmh, wind_from_components

TOULOUSE = (84, 85)

_SURFACE, _ABOVE_GROUND, _MAXIMUM = 1, 103, 2
FIELDS: Mapping[str, Selector] = {
    "wind_east": Selector(0, 2, 2, 0, _ABOVE_GROUND, 10),
    "wind_north": Selector(0, 2, 3, 0, _ABOVE_GROUND, 10),
    "gust_east": Selector(0, 2, 23, 8, _ABOVE_GROUND, 10, _MAXIMUM),
    "gust_north": Selector(0, 2, 24, 8, _ABOVE_GROUND, 10, _MAXIMUM),
    "gust_speed": Selector(0, 2, 22, 8, _ABOVE_GROUND, 10, _MAXIMUM),
    "temperature": Selector(0, 0, 0, 0, _ABOVE_GROUND, 2),
}
GROUND: Mapping[str, Selector] = {"ground": Selector(0, 3, 6, 0, _SURFACE, 0)}
"""The height of the model's ground (m). ecCodes calls it "h", geometrical height, at the surface."""

_GUST_COMPONENTS, _GUST_SPEED = ("gust_east", "gust_north"), ("gust_speed",)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file said about the sites."""

    records: tuple[Forecast, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    grid_points: tuple[GridPoint, ...] = ()


def parse(
    fields: Sequence[Field],
    *,
    grid: AromeGrid,
    reference_time: datetime,
    part: Part,
    sites: Sequence[Site],
    url: str = "",
) -> Reading:
    """Turn the fields of a file, read at the places of `sites`, into forecasts for the hours of `part`.

    Raises ParseError unless the fields are AROME's, of the run that the listing named, on the grid it
    named, and all there. A site outside the grid or under its mask is rejected, once and not for every
    hour: nothing will ever be said about it.
    """
    for item in fields:
        _check_origin(item, grid, reference_time, url)
    by_name = {(item.name, item.step): item for item in fields}
    gusts = {lead: _gust_fields(by_name, lead) for lead in part.leads}
    _check_complete(by_name, gusts, url)
    records: list[Forecast] = []
    rejected: dict[Rejected, None] = {}
    points: list[GridPoint] = []
    cells = by_name["wind_east", part.first].cells
    for index, (site, cell) in enumerate(zip(sites, cells, strict=True)):
        subject = f"{grid.model} {site.id}"
        if cell is None:
            rejected[_outside(subject, site)] = None
            continue
        said = len(records)
        for lead in part.leads:
            valid_time = reference_time + timedelta(hours=lead)
            for parameter, value in _parameters(by_name, gusts[lead], lead, index):
                if value is None:
                    rejected[_masked(subject, parameter, cell.name)] = None
                else:
                    records.append(
                        Forecast(grid.model, site.id, parameter, reference_time, valid_time, value)
                    )
        if len(records) > said:  # under the mask, the model does not answer
            points.append(GridPoint(grid.model, site.id, cell.name))
    return Reading(tuple(records), tuple(rejected), tuple(points))


def parse_ground(
    fields: Sequence[Field],
    *,
    grid: AromeGrid,
    reference_time: datetime,
    sites: Sequence[Site],
    url: str = "",
) -> Reading:
    """Turn the height of the model's ground (m), read at the places of `sites`, into their grid points.

    Raises ParseError unless the field is there, AROME's, of the run and on the grid that was asked for. A
    site of which it says nothing, or nothing that can be true, is rejected.
    """
    for item in fields:
        _check_origin(item, grid, reference_time, url)
    if not fields:
        raise ParseError("without the height of the ground", source=grid.source, url=url)
    item = fields[0]  # it does not change with the hour
    lowest, highest = PLACE["elevation"]
    rejected: list[Rejected] = []
    points: list[GridPoint] = []
    for site, cell, height in zip(sites, item.cells, item.values, strict=True):
        subject = f"{grid.model} {site.id}"
        if cell is None:
            rejected.append(_outside(subject, site))
        elif height is None:
            rejected.append(_masked(subject, None, cell.name))
        elif not lowest <= height <= highest:  # nor is NaN
            why = "out_of_range: no ground on Earth is as high or as low as this"
            rejected.append(Rejected(subject, None, None, repr(height), why))
        else:
            points.append(GridPoint(grid.model, site.id, cell.name, ground=height))
    return Reading(rejected=tuple(rejected), grid_points=tuple(points))


def _check_origin(item: Field, grid: AromeGrid, reference_time: datetime, url: str) -> None:
    if item.reference_time != reference_time:
        found, asked = f"{item.reference_time:%Y-%m-%d %H:%M}", f"{reference_time:%Y-%m-%d %H:%M}"
        raise ParseError(
            f"holds the run of {found} UTC, was listed as {asked} UTC", source=grid.source, url=url
        )
    if item.centre not in TOULOUSE or item.process != grid.process:
        known = f"{grid.product.upper()} as we know it"
        raise ParseError(
            f"comes from centre {item.centre}, process {item.process}: not {known}",
            source=grid.source,
            url=url,
        )
    if not math.isclose(item.spacing, grid.degrees, rel_tol=1e-3):
        raise ParseError(
            f"a grid of {item.spacing:g} degrees, not {grid.degrees:g}", source=grid.source, url=url
        )
    if item.hours != (1 if item.name.startswith("gust") else 0):
        raise ParseError(
            f"{item.name} at step {item.step} h covers {item.hours} h: a gust covers the hour before its "
            "step, all else is an instant",
            source=grid.source,
            url=url,
        )


Fields = Mapping[tuple[str, int], Field]


def _gust_fields(fields: Fields, lead: int) -> tuple[str, ...]:
    """Return the names of the fields that make the gust; none at step 0, which has no hour before it."""
    if lead == 0:
        return ()
    if all((name, lead) in fields for name in _GUST_COMPONENTS) or (*_GUST_SPEED, lead) not in fields:
        return _GUST_COMPONENTS
    return _GUST_SPEED


def _check_complete(fields: Fields, gusts: Mapping[int, tuple[str, ...]], url: str) -> None:
    lacking = [
        f"{name} at {lead} h"
        for lead, gust in gusts.items()
        for name in ("wind_east", "wind_north", "temperature", *gust)
        if (name, lead) not in fields
    ]
    if lacking:
        shown = ", ".join(lacking[:4]) + (f" and {len(lacking) - 4} more" if len(lacking) > 4 else "")
        raise ParseError(f"incomplete, without {shown}", url=url)


def _parameters(
    fields: Fields, gust: tuple[str, ...], lead: int, index: int
) -> Iterator[tuple[Parameter, float | None]]:
    """Yield each parameter of a site and hour; None under the mask. A calm has no direction."""

    def values(*names: str) -> list[float] | None:
        found = [value for name in names if (value := fields[name, lead].values[index]) is not None]
        return found if len(found) == len(names) else None

    wind = values("wind_east", "wind_north")
    speed, direction = wind_from_components(*wind) if wind else (None, None)
    yield Parameter.WIND_SPEED, speed
    # A wind that cannot be true is set aside by its speed; its direction is no truer.
    if speed is not None and direction is not None and not why_implausible(Parameter.WIND_SPEED, speed):
        yield Parameter.WIND_DIRECTION, direction
    if gust:
        components = values(*gust)
        yield Parameter.WIND_GUST, ms_to_kmh(math.hypot(*components)) if components else None
    kelvin = values("temperature")
    yield Parameter.TEMPERATURE, kelvin_to_celsius(*kelvin) if kelvin else None


def _outside(subject: str, site: Site) -> Rejected:
    where = f"{site.latitude:g},{site.longitude:g}"
    return Rejected(subject, None, None, where, "outside_grid: the model does not reach this place")


def _masked(subject: str, parameter: Parameter | None, cell: str) -> Rejected:
    return Rejected(subject, parameter, None, "9999", f"masked: the model says nothing in cell {cell}")
