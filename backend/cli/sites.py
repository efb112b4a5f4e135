"""`meteo-score sites`: list, add, remove and import sites, and find the stations near a place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol

import typer
from rich.console import Console
from rich.table import Column, Table

from backend.answers.station_flags import flag_entry, flag_text
from backend.cli.console import AsJson, print_json, print_text
from backend.core.clock import utc_now
from backend.core.config import Settings
from backend.core.distance import metres_between
from backend.core.errors import ConfigError, NotFoundError, UnknownNameError
from backend.core.parameters import Parameter
from backend.core.records import Outside, Site, Station
from backend.core.registry import NETWORKS, REQUIRED_NETWORKS
from backend.core.site_entry import entry_from_site, site_from_entry
from backend.core.sites import (
    Located,
    check_positions,
    check_series,
    parse_csv,
    parse_toml,
    read_text,
    slugify,
)
from backend.storage.sites_file import SitesFile
from backend.storage.station_flags import StationFlag
from backend.storage.stays import Stay

app = typer.Typer(
    name="sites", add_completion=False, help="The flying sites, and the stations that represent them."
)


class SiteStore(Protocol):
    """The methods of the store that these commands use."""

    def sites(self) -> tuple[Site, ...]:
        """Return every series of every site on the list."""
        ...

    def add_sites(self, sites: Sequence[Site]) -> None:
        """Add these to the list, all or none; other sites stay unchanged."""
        ...

    def remove_site(self, site_id: str) -> None:
        """Remove a site with all its series from the list; its data stay stored."""
        ...

    def stations(self) -> tuple[Station, ...]:
        """Return every station seen so far."""
        ...

    def station_flags(self) -> tuple[StationFlag, ...]:
        """Return the flags of sensors of stations, with the exclusions by the operator."""
        ...

    def exclude_station(
        self,
        station: str,
        parameters: Sequence[Parameter],
        first: date,
        last: date | None,
        note: str,
        now: datetime,
    ) -> None:
        """Exclude parameters of a station from all scores for some local days."""
        ...

    def include_station(self, station: str, parameters: Collection[Parameter]) -> list[date]:
        """Undo the exclusions of parameters of a station, and return their first days."""
        ...

    def confirm_station(self, site: str, station: str, now: datetime) -> list[Stay]:
        """Accept the present place of a station for a site, and return that place by route."""
        ...

    def withdraw_confirmation(self, site: str, station: str) -> int:
        """Withdraw the confirmed places of a station for a site, and return their number."""
        ...


class Services(Protocol):
    """The part of `CliContext` that these commands use."""

    @property
    def settings(self) -> Settings:
        """Return the settings in force."""
        ...

    def store(self) -> SiteStore:
        """Return the store, opened at the first call."""
        ...

    def stored(self) -> SiteStore:
        """Return the store for a command that only reads, which must exist."""
        ...

    def beyond_every_model(self, sites: Sequence[Site]) -> Sequence[Site]:
        """Return which of these sites lie where no model that is collected has forecasts."""
        ...

    def uncovered(self, sites: Sequence[Site]) -> Sequence[Outside]:
        """Return which of these sites lie outside the area of a model that is collected."""
        ...


class _SitesTable:
    """The sites of the store, with the methods of SitesFile."""

    label = "the database"

    def __init__(self, store: SiteStore) -> None:
        self._store = store

    def entries(self) -> tuple[Located, ...]:
        return tuple(Located(site, self.label) for site in self._store.sites())

    def add(self, sites: Sequence[Site]) -> None:
        self._store.add_sites(sites)

    def remove(self, site_id: str) -> None:
        self._store.remove_site(site_id)


def _site_list(services: Services, *, reading: bool = False) -> SitesFile | _SitesTable:
    if services.settings.sites_from == "file":
        return SitesFile(services.settings.sites_file)
    return _SitesTable(services.stored() if reading else services.store())


# --- Commands ----------------------------------------------------------------------------------------


@app.command("list")
def list_sites(context: typer.Context, as_json: AsJson = False) -> None:
    """List the sites and the stations that represent them."""
    site_list = _site_list(context.obj, reading=True)
    entries = site_list.entries()
    sites = [entry.site for entry in entries]
    if as_json:
        shown = []
        for site in sites:
            entry = entry_from_site(site)
            entry.pop("valid_from", None)
            entry["references"] = [
                {"station": reference.station, "since": reference.since and reference.since.isoformat()}
                for reference in site.references
            ]
            entry["validFrom"] = site.valid_from and site.valid_from.strftime("%Y-%m-%dT%H:%M:%SZ")
            shown.append(entry)
        print_json(shown)
        return
    table = Table(caption=f"{len(sites)} in {site_list.label}")
    for title in ("Site", "Name", "Elevation", "Faces", "Stations"):
        # Where space is short, only names and the list of sectors are broken, and both between words.
        longest = max((len(word) for site in sites for word in site.name.split()), default=0)
        wraps = title in ("Name", "Faces")
        table.add_column(title, no_wrap=not wraps, min_width=longest if title == "Name" else None)
    for site in sites:
        since = f" (from {site.valid_from:%Y-%m-%d})" if site.valid_from else ""
        stations = [*site.stations, *(f"no {network}" for network in site.networks_without_station)]
        table.add_row(
            site.id,
            site.name + since,
            f"{site.elevation:.0f} m",
            " ".join(site.orientation),
            "\n".join(stations),
        )
    _console().print(table)


@app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the place among pilots.")],
    latitude: Annotated[float, typer.Option(help="Decimal degrees, north is positive.")],
    longitude: Annotated[float, typer.Option(help="Decimal degrees, east is positive.")],
    elevation: Annotated[float, typer.Option(help="Of the take-off, metres above sea level.")],
    orientation: Annotated[str, typer.Option(help="Flyable sectors, such as SW,W,NW.")] = "",
    station: Annotated[
        list[str] | None, typer.Option(help="Station that represents the site (ffvl:87); repeat, best first.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Network without a station here (romma); repeat.")
    ] = None,
    site_id: Annotated[str, typer.Option("--id", help="Short name; default: made from NAME.")] = "",
    valid_from: Annotated[
        str, typer.Option(help="For a take-off that moved: its first day (UTC) here.")
    ] = "",
) -> None:
    """Add a site, or a new series of a site whose take-off moved."""
    site_id = site_id or slugify(name)
    if not site_id:
        raise ConfigError(f"id: {name!r} has no letter or digit for it: give one with --id")
    entry: dict[str, object] = {
        "id": site_id,
        "name": name,
        "latitude": latitude,
        "longitude": longitude,
        "elevation": elevation,
        "orientation": orientation.replace(",", " ").split(),
        "stations": station or [],
        "without": without or [],
    }
    if valid_from:
        entry["valid_from"] = valid_from
    where = f"site {site_id!r}"
    label = _add(context.obj, [Located(site_from_entry(entry, where), where)])
    print_text(f"Added {site_id} ({name}) to {label}.")


@app.command()
def remove(context: typer.Context, site_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Remove a site from the list. Its collected values stay stored."""
    site_list = _site_list(context.obj)
    site_ids = {entry.site.id for entry in site_list.entries()}
    if site_id not in site_ids:
        raise UnknownNameError("site", site_id, site_ids)
    site_list.remove(site_id)
    print_text(f"Removed {site_id} from {site_list.label}. Its forecasts and observations stay stored.")


@app.command("confirm-station")
def confirm_station(
    context: typer.Context,
    site_id: Annotated[str, typer.Argument(metavar="SITE")],
    station: Annotated[
        str, typer.Argument(metavar="STATION", help="A station of the site, such as ffvl:87.")
    ],
    undo: Annotated[bool, typer.Option("--undo", help="Withdraw the confirmation.")] = False,
) -> None:
    """Confirm that a moved station still represents a site: its readings count again."""
    site_list = _site_list(context.obj)
    entries = site_list.entries()
    site_ids = {entry.site.id for entry in entries}
    if site_id not in site_ids:
        raise UnknownNameError("site", site_id, site_ids)
    stations = {code for entry in entries if entry.site.id == site_id for code in entry.site.stations}
    if station not in stations:
        listed = ", ".join(sorted(stations)) or "it has none"
        raise NotFoundError(f"{station} is no station of {site_id}: {listed}")
    store = context.obj.store()
    if undo:
        count = store.withdraw_confirmation(site_id, station)
        if not count:
            raise NotFoundError(f"no place of {station} is confirmed for {site_id}")
        print_text(f"Withdrawn: {station} at its new place no longer represents {site_id}.")
    else:
        for stay in store.confirm_station(site_id, station, utc_now()):
            place = f"{stay.latitude:.4f}, {stay.longitude:.4f}"
            name = f" ({stay.name})" if stay.name else ""
            print_text(f"Confirmed: {station} at {place}{name} represents {site_id}, by {stay.route}.")
    print_text("The next collection of observations updates the scores.")


@app.command("import")
def import_sites(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .toml or .csv file, in UTF-8.")],
) -> None:
    """Add all sites of a TOML or CSV file, or none if one is wrong."""
    parse = {".toml": parse_toml, ".csv": parse_csv}.get(file.suffix.lower())
    if parse is None:
        raise ConfigError(f"{file}: must end in .toml or .csv")
    entries = parse(read_text(file), str(file))
    if not entries:
        raise ConfigError(f"{file}: holds no site")
    label = _add(context.obj, entries)
    print_text(f"Added {len(entries)} {'site' if len(entries) == 1 else 'sites'} to {label}.")


# Without this setting Click reads a western longitude (-1.21) as an option.
@app.command(context_settings={"ignore_unknown_options": True})
def near(
    context: typer.Context,
    latitude: Annotated[float, typer.Argument(metavar="LAT", min=-90, max=90)],
    longitude: Annotated[float, typer.Argument(metavar="LON", min=-180, max=180)],
    elevation: Annotated[
        float | None,
        typer.Option(help="Of the take-off, metres: shows the difference in height of each station."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Stations per network.")] = 5,
    as_json: AsJson = False,
) -> None:
    """List the nearest known stations of each network."""
    distances = []
    for station in context.obj.stored().stations():
        metres = metres_between((latitude, longitude), (station.latitude, station.longitude))
        if metres is not None:
            higher = None
            if elevation is not None and station.elevation is not None:
                higher = station.elevation - elevation
            distances.append(_Near(station, metres / 1000, higher))
    distances.sort(key=lambda one: one.distance_km)
    nearest = {}
    for network in NETWORKS:
        of_network = [one for one in distances if one.station.network == network][:limit]
        if of_network or network in REQUIRED_NETWORKS:
            nearest[network] = of_network
        if not of_network and network in REQUIRED_NETWORKS:
            print_text(
                f"No station of {network} with a known position yet:"
                " the first collection of observations adds them.",
                err=True,
            )
    if as_json:
        print_json({network: [near.as_json() for near in stations] for network, stations in nearest.items()})
        return
    station_id = Column("Station", no_wrap=True)  # to be copied; the name wraps
    table = Table(station_id, "Name", "Distance", "Height difference")
    for one in (one for stations in nearest.values() for one in stations):
        table.add_row(one.station.id, one.station.name, f"{one.distance_km:.1f} km", one.height())
    _console().print(table)


WIND = "wind"
"""Name of three parameters together: mean wind, gust and direction."""

PARAMETERS = {WIND: tuple(parameter for parameter in Parameter if parameter is not Parameter.TEMPERATURE)} | {
    parameter.value: (parameter,) for parameter in Parameter
}


@app.command("exclude-station")
def exclude_station(
    context: typer.Context,
    station: Annotated[str, typer.Argument(metavar="STATION", help="Such as ffvl:87.")],
    parameter: Annotated[
        str, typer.Argument(metavar="PARAMETER", help=f"One of {', '.join(PARAMETERS)} (all three of it).")
    ],
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First local day.")
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--until", formats=["%Y-%m-%d"], help="Last local day; default: until it is undone."),
    ] = None,
    note: Annotated[str, typer.Option(help="Reason in a few words, shown with the station.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Undo the exclusion.")] = False,
) -> None:
    """Exclude a parameter of a station from the scores from a day on. The values stay stored."""
    parameters = PARAMETERS.get(parameter)
    if parameters is None:
        raise ConfigError(f"PARAMETER: {parameter!r} must be one of {', '.join(PARAMETERS)}")
    store = context.obj.store()
    if undo:
        days = store.include_station(station, parameters)
        if not days:
            raise NotFoundError(f"the {parameter} of {station} is not excluded: see meteo-score sites flags")
        print_text(f"The {parameter} of {station} counts again from {days[0]} on.")
    elif first is None:
        raise ConfigError("--from: give the first local day, such as --from 2026-10-29")
    else:
        until = None if last is None else last.date()
        store.exclude_station(station, parameters, first.date(), until, note, utc_now())
        end = "" if until is None else f" to {until}"
        print_text(
            f"The {parameter} of {station} is left out of the scores from {first.date()}"
            f"{end or ' on'}. The values stay stored."
        )
    print_text("The next collection of observations updates the scores.")


@app.command("flags")
def list_flags(context: typer.Context, as_json: AsJson = False) -> None:
    """List the flags of sensors: values excluded from the scores, and doubtful values."""
    flags = context.obj.stored().station_flags()
    if as_json:
        shown = [{"station": flag.station} | flag_entry(flag).model_dump(mode="json") for flag in flags]
        print_json(shown)
        return
    for flag in flags:
        print_text(flag_text(flag))
    if not flags:
        print_text("No sensor of a station of a site has a flag.")


def _add(services: Services, new: Sequence[Located]) -> str:
    """Add sites to the file or the table, all or none, and return the name of that place."""
    site_list, store = _site_list(services), services.store()
    sites = [entry.site for entry in new]
    check_series([*site_list.entries(), *new])
    # Also against the store: data stay when a site is removed, and a new one must not take them over.
    check_positions(sites, store.sites())
    named = dict.fromkeys(station for site in sites for station in site.stations)
    seen = {station.id: station for station in store.stations()}
    unseen = [station for station in named if station not in seen]
    for site in services.beyond_every_model(sites):
        where = f"latitude {site.latitude:g}, longitude {site.longitude:g}"
        swapped = replace(site, latitude=site.longitude, longitude=site.latitude)
        advice = "check both; degrees north and east are positive, south and west negative"
        if abs(swapped.latitude) <= 90 and not services.beyond_every_model([swapped]):
            options = f"--latitude {swapped.latitude:g} --longitude {swapped.longitude:g}"
            advice = f"the two look swapped: give {options}"
        raise ConfigError(f"site {site.id!r}: no model has forecasts at {where}: {advice}")
    pairs = [(site, seen[code]) for site in sites for code in site.stations if code in seen]
    doubts = [doubt for site, station in pairs for doubt in _doubts(site, station)]
    # After all checks, so that all sites are added or none.
    site_list.add(sites)
    for doubt in doubts:
        print_text(f"Warning: {doubt}", err=True)
    for one in services.uncovered(sites):
        print_text(
            f"Warning: {one.model} has no forecasts for {one.site}: {one.reason}. It is left out there.",
            err=True,
        )
    # Only a warning: a new station becomes known with the first collection that lists it.
    if unseen:
        print_text(
            f"Warning: not seen yet: {', '.join(unseen)}. If that lasts after the next collection of"
            " observations, check the number with meteo-score sites near.",
            err=True,
        )
    return site_list.label


NEAR_KM, AS_HIGH_METRES = 6.0, 400.0
"""Beyond these a station seldom measures the wind of a take-off (docs/sites.md)."""

FAR_KM = 50.0
"""Beyond this distance a coordinate or the number of the station is wrong (docs/sites.md)."""


def _doubts(site: Site, station: Station) -> Iterator[str]:
    """Yield reasons to doubt a station of a site. Raises ConfigError for a station that is too far away."""
    metres = metres_between((site.latitude, site.longitude), (station.latitude, station.longitude))
    if metres is not None and metres > 1000 * FAR_KM:
        raise ConfigError(
            f"site {site.id!r}: {station.id} is {metres / 1000:.0f} km away, and {FAR_KM:g} km is the most:"
            " check latitude, longitude and the number (meteo-score sites near)"
        )
    if metres is not None and metres > 1000 * NEAR_KM:
        yield (
            f"{station.id} is {metres / 1000:.1f} km from {site.id}: beyond {NEAR_KM:g} km a station seldom"
            " measures the wind of the take-off (docs/sites.md)."
        )
    # Some networks publish 0 m for an unknown height.
    if station.elevation and abs(station.elevation - site.elevation) > AS_HIGH_METRES:
        side = "above" if station.elevation > site.elevation else "below"
        yield (
            f"{station.id} stands {abs(station.elevation - site.elevation):.0f} m {side} {site.id}: beyond"
            f" {AS_HIGH_METRES:g} m a station seldom measures the wind of the take-off (docs/sites.md)."
        )


class _Near(NamedTuple):
    station: Station
    distance_km: float
    height_difference: float | None  # metres; above the take-off is positive

    def height(self) -> str:
        return "" if self.height_difference is None else f"{self.height_difference:+.0f} m"

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.station.id,
            "name": self.station.name,
            "distanceKm": round(self.distance_km, 3),
            "heightDifference": self.height_difference,
        }


def _console() -> Console:
    return Console(markup=False, highlight=False)  # rich would read [brackets] in a name as markup
