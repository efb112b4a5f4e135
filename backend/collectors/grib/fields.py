"""Convert the fields of the GRIB files of a model into forecasts. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.collectors.grib.decode import Field, Selector
from backend.collectors.grib.runs import GUST_COMPONENTS, GUST_SPEED, ModelGrid
from backend.collectors.runs import Part
from backend.collectors.set_aside import PLAUSIBLE_PLACE
from backend.core.errors import ParseError
from backend.core.parameters import Parameter, why_implausible
from backend.core.records import Forecast, GridPoint, Outside, Rejected, Site
from backend.core.units import kelvin_to_celsius, ms_to_kmh, wind_from_components

_SURFACE, _ABOVE_GROUND, _MAXIMUM = 1, 103, 2
FIELDS: Mapping[str, Selector] = {
    "wind_east": Selector(0, 2, 2, 0, _ABOVE_GROUND, 10),
    "wind_north": Selector(0, 2, 3, 0, _ABOVE_GROUND, 10),
    "gust_east": Selector(0, 2, 23, 8, _ABOVE_GROUND, 10, _MAXIMUM),
    "gust_north": Selector(0, 2, 24, 8, _ABOVE_GROUND, 10, _MAXIMUM),
    "gust_speed": Selector(0, 2, 22, 8, _ABOVE_GROUND, 10, _MAXIMUM),
    "temperature": Selector(0, 0, 0, 0, _ABOVE_GROUND, 2),
}
MODEL_ELEVATION: Mapping[str, Selector] = {"ground": Selector(0, 3, 6, 0, _SURFACE, 0)}
"""The height of the model's ground (m). ecCodes calls it "h", geometrical height, at the surface."""

_WIND, _TEMPERATURE = ("wind_east", "wind_north"), ("temperature",)


@dataclass(frozen=True, slots=True)
class FileValues:
    """The values of one part of a run at the sites; `absent` lists missing fields with their hours.

    `outside` are the sites without a value, off the grid or under its mask.
    """

    records: tuple[Forecast, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    grid_points: tuple[GridPoint, ...] = ()
    outside: tuple[Outside, ...] = ()
    absent: str = ""


def parse(
    fields: Sequence[Field],
    *,
    grid: ModelGrid,
    reference_time: datetime,
    part: Part,
    sites: Sequence[Site],
    url: str = "",
) -> FileValues:
    """Convert the fields of a part of a run, read at the positions of `sites`, into forecasts for its hours.

    If a field is missing, the values computed from it are missing: without one wind component there is
    neither speed nor direction at that hour. Raises ParseError unless the fields are the model's, of the run
    and grid in the listing, and give at least one value. A value under the mask is rejected once, not for
    every hour.
    """
    for item in fields:
        _check_origin(item, grid, reference_time, url)
    content = _PartFields(fields, grid.gust)
    absent = content.absent(part.leads)
    if not any(
        content.has(names, lead)
        for lead in part.leads
        for names in (_WIND, _TEMPERATURE, content.gust(lead))
        if names
    ):
        raise ParseError(f"incomplete, without {absent}", source=grid.source, url=url)
    records: list[Forecast] = []
    rejected: dict[Rejected, None] = {}
    points: list[GridPoint] = []
    outside: list[Outside] = []
    cells = fields[0].cells
    if any(item.cells != cells for item in fields):
        raise ParseError("its fields are on different grids", source=grid.source, url=url)
    for index, (site, cell) in enumerate(zip(sites, cells, strict=True)):
        subject = f"{grid.model} {site.id}"
        if cell is None:
            outside.append(Outside(grid.model, site.id, "it lies outside the grid of the model's files"))
            continue
        before = len(records)
        for lead in part.leads:
            valid_time = reference_time + timedelta(hours=lead)
            for parameter, value in content.parameters(lead, index):
                if value is None:
                    rejected[_masked(subject, parameter, cell.name)] = None
                else:
                    records.append(
                        Forecast(grid.model, site.id, parameter, reference_time, valid_time, value)
                    )
        if len(records) > before:
            points.append(GridPoint(grid.model, site.id, cell.name))
        else:
            outside.append(Outside(grid.model, site.id, f"its grid cell {cell.name} is masked"))
    return FileValues(tuple(records), tuple(rejected), tuple(points), tuple(outside), absent)


def parse_model_elevations(
    fields: Sequence[Field],
    *,
    grid: ModelGrid,
    reference_time: datetime,
    sites: Sequence[Site],
    url: str = "",
) -> FileValues:
    """Convert the model elevations (m above sea level), read at the positions of `sites`, into grid points.

    Raises ParseError unless the field is present, the model's, and of the requested run and grid. A site
    outside the grid, under the mask, or with an impossible value is rejected.
    """
    for item in fields:
        _check_origin(item, grid, reference_time, url)
    if not fields:
        raise ParseError("without the height of the ground", source=grid.source, url=url)
    item = fields[0]  # the same at all hours
    lowest, highest = PLAUSIBLE_PLACE["elevation"]
    rejected: list[Rejected] = []
    points: list[GridPoint] = []
    for site, cell, height in zip(sites, item.cells, item.values, strict=True):
        subject = f"{grid.model} {site.id}"
        if cell is None:
            where = f"{site.latitude:g},{site.longitude:g}"
            why = "outside_grid: the position is outside the model's grid"
            rejected.append(Rejected(subject, None, None, where, why))
        elif height is None:
            rejected.append(_masked(subject, None, cell.name))
        elif not lowest <= height <= highest:  # also true for NaN
            why = "out_of_range: no ground on Earth is as high or as low as this"
            rejected.append(Rejected(subject, None, None, repr(height), why))
        else:
            points.append(GridPoint(grid.model, site.id, cell.name, model_elevation=height))
    return FileValues(rejected=tuple(rejected), grid_points=tuple(points))


def _check_origin(item: Field, grid: ModelGrid, reference_time: datetime, url: str) -> None:
    if item.reference_time != reference_time:
        actual, listed = f"{item.reference_time:%Y-%m-%d %H:%M}", f"{reference_time:%Y-%m-%d %H:%M}"
        raise ParseError(
            f"holds the run of {actual} UTC, was listed as {listed} UTC", source=grid.source, url=url
        )
    if (grid.centres and item.centre not in grid.centres) or grid.process not in (None, item.process):
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


class _PartFields:
    """The fields of a part by name and step (h). One with another interval than ours counts as missing.

    `gust` are the fields of the model's gust.
    """

    def __init__(self, fields: Sequence[Field], gust: Sequence[str]) -> None:
        self._gust = gust
        self._intervals = {(item.name, item.step): item.hours for item in fields}
        self._fields = {
            (item.name, item.step): item
            for item in fields
            # A gust covers the hour before its step, every other field is an instant.
            if item.hours == (1 if item.name.startswith("gust") else 0)
        }

    def has(self, names: Sequence[str], lead: int) -> bool:
        """True if all of these fields are present at a lead time."""
        return all((name, lead) in self._fields for name in names)

    def gust(self, lead: int) -> Sequence[str]:
        """Return the names of the gust's fields: components if present, else the speed; none at step 0."""
        if lead == 0:
            return ()
        found = (names for names in (GUST_COMPONENTS, GUST_SPEED) if self.has(names, lead))
        return next(found, self._gust)

    def absent(self, leads: Iterable[int]) -> str:
        """List the missing fields with their hours, at most four of them."""
        absent = [
            f"{name} at {lead} h"
            + (f" (it covers {self._intervals[name, lead]} h)" if (name, lead) in self._intervals else "")
            for lead in leads
            for name in (*_WIND, *_TEMPERATURE, *self.gust(lead))
            if (name, lead) not in self._fields
        ]
        return ", ".join(absent[:4]) + (f" and {len(absent) - 4} more" if len(absent) > 4 else "")

    def values(self, names: Sequence[str], lead: int, index: int) -> list[float] | None:
        """Return the values of some fields at a site; None if one of them is masked."""
        values = [self._fields[name, lead].values[index] for name in names]
        unmasked = [value for value in values if value is not None]
        return unmasked if len(unmasked) == len(names) else None

    def parameters(self, lead: int, index: int) -> Iterator[tuple[Parameter, float | None]]:
        """Yield each parameter of a site and hour whose fields are in the file; None under the mask.

        A calm has no direction.
        """
        if self.has(_WIND, lead):
            wind = self.values(_WIND, lead, index)
            speed, direction = wind_from_components(*wind) if wind else (None, None)
            yield Parameter.WIND_SPEED, speed
            # An impossible speed is rejected later; its direction must not stay.
            plausible = speed is not None and not why_implausible(Parameter.WIND_SPEED, speed)
            if direction is not None and plausible:
                yield Parameter.WIND_DIRECTION, direction
        gust = self.gust(lead)
        if gust and self.has(gust, lead):
            components = self.values(gust, lead, index)
            yield Parameter.WIND_GUST, ms_to_kmh(math.hypot(*components)) if components else None
        if self.has(_TEMPERATURE, lead):
            kelvin = self.values(_TEMPERATURE, lead, index)
            yield Parameter.TEMPERATURE, kelvin_to_celsius(*kelvin) if kelvin else None


def _masked(subject: str, parameter: Parameter | None, cell: str) -> Rejected:
    return Rejected(subject, parameter, None, "9999", f"masked: the model has no value in cell {cell}")
