"""The registry: what each source, model and network is. One entry per source; nothing else names them.

Names are those in rows, settings and JSON. This module imports nothing heavy and builds nothing, so that
scoring, the API and reading commands can use it. How a source is collected is in `collectors/`; the effect of
the settings on an entry (opted in, public, which models) is in `core/terms.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from backend.core.areas import Area
from backend.core.source_info import EVERY_3_HOURS, ModelInfo, NetworkInfo, OpenMeteoCopy, SourceInfo

LICENCE_OUVERTE = "Licence Ouverte 2.0 (Etalab)"

METEO_PARAPENTE = SourceInfo(
    name="meteo_parapente",
    display_name="MeteoParapente",
    attribution="MeteoParapente, meteo-parapente.com",
    public=False,  # the publisher protects the values
    default=True,
    website="https://meteo-parapente.com",
    models=(
        ModelInfo(
            name="meteo_parapente",
            display_name="MeteoParapente",
            # A box around what the publisher names: Portugal to the British Isles, Sicily to Poland. The true
            # edges, and those of a coarser outer grid, are not published: a site in the box may be refused.
            area=Area(south=35.0, west=-11.0, north=61.0, east=25.0),
        ),
    ),
)

# The grid of AROME; a sixth of it, near the edges, is masked.
_AROME_GRID = Area(south=37.5, west=-12.0, north=55.4, east=16.0)

AROME = SourceInfo(
    name="arome",
    display_name="AROME",
    attribution="Météo-France, AROME, Licence Ouverte 2.0 (Etalab)",
    public=True,
    default=True,
    licence=LICENCE_OUVERTE,
    website="https://donneespubliques.meteofrance.fr",
    access_contact="https://portail-api.meteofrance.fr",
    models=(  # each grid is scored as a model of its own
        ModelInfo(
            name="arome_0025",
            display_name="AROME",
            run_hours=EVERY_3_HOURS,
            area=_AROME_GRID,
        ),
        ModelInfo(
            name="arome_001",
            display_name="AROME 1.3 km",
            run_hours=EVERY_3_HOURS,
            area=_AROME_GRID,
        ),
    ),
)

AROME_IFS = SourceInfo(
    name="arome_ifs",
    display_name="AROME-IFS",
    attribution="Météo-France, AROME-IFS, Licence Ouverte 2.0 (Etalab)",
    public=True,
    default=False,  # as many bytes as AROME
    licence=LICENCE_OUVERTE,
    website="https://donneespubliques.meteofrance.fr",
    models=(ModelInfo(name="arome_ifs_0025", display_name="AROME-IFS", area=_AROME_GRID),),
)

_ARPEGE_GRID = Area(south=20.0, west=-32.0, north=72.0, east=42.0)

ARPEGE = SourceInfo(
    name="arpege",
    display_name="ARPEGE 0.1°",
    attribution="Météo-France, ARPEGE, Licence Ouverte 2.0 (Etalab)",
    public=True,
    default=False,  # 0.63 GB a run
    licence=LICENCE_OUVERTE,
    website="https://donneespubliques.meteofrance.fr",
    models=(ModelInfo(name="arpege_01", display_name="ARPEGE 0.1°", area=_ARPEGE_GRID),),
)

# Two cells inside the grid.
_ICON_2I_GRID = Area(south=33.75, west=3.05, north=48.85, east=21.95)

METEOHUB = SourceInfo(
    name="meteohub",
    display_name="MeteoHub",
    attribution="ItaliaMeteo and Arpae Emilia-Romagna, ICON-2I, by MeteoHub, CC BY 4.0",
    public=True,
    default=False,  # not seen live yet, and 0.3 GB a run
    licence="CC BY 4.0",
    website="https://meteohub.agenziaitaliameteo.it",
    # Open-Meteo's copy of the same model is `icon_2i`: another model in rows, because its values are rounded.
    models=(
        ModelInfo(
            name="meteohub_icon_2i",
            display_name="ICON-2I 2.2 km",
            run_hours=(0, 12),
            area=_ICON_2I_GRID,
        ),
    ),
)

GEOSPHERE = SourceInfo(
    name="geosphere",
    display_name="GeoSphere Austria",
    attribution="Data: GeoSphere Austria, nwp-v2-1h-1km (C-LAEF 1 km), CC BY 4.0",
    public=True,
    default=True,
    licence="CC BY 4.0",
    website="https://data.hub.geosphere.at",
    models=(
        ModelInfo(
            name="claef_1km",
            display_name="C-LAEF 1 km",
            run_hours=EVERY_3_HOURS,
            # Well within the grid (43.002 to 51.498 N, 5.0317 to 22.5682 E): one point outside would fail the
            # request of all sites.
            area=Area(south=43.03, west=5.06, north=51.47, east=22.54),
        ),
    ),
)

# Well within the grid of ICON-CH1 and CH2, which is rotated: its corners lie elsewhere than its edges.
_ALPS = Area(south=43.0, west=1.5, north=49.5, east=16.0)

# Well within both grids of HARMONIE: DMI's on a Lambert projection, KNMI's rotated. All of mainland France.
_WESTERN_EUROPE = Area(south=42.0, west=-10.0, north=60.0, east=16.0)

# Run hours, horizons and delays: as described in 2026. Areas: the grids, those of DWD and MeteoSwiss a few
# tenths of a degree from their edges.
OPEN_METEO_CREDIT = "Open-Meteo.com, CC BY 4.0"
OPEN_METEO = SourceInfo(
    name="open_meteo",
    display_name="Open-Meteo",
    attribution=(
        f"{OPEN_METEO_CREDIT}, from data of Météo-France, Deutscher Wetterdienst, MeteoSwiss, DMI, KNMI,"
        " ItaliaMeteo-ARPAE, ECMWF and NOAA"
    ),
    public=True,
    default=False,  # the free service is for non-commercial use; OPEN_METEO_MODELS opts in, model by model
    licence="CC BY 4.0",
    website="https://open-meteo.com",
    models=(
        ModelInfo(
            # The same model as arome_001 from another publisher: no archive of files reaches as far back.
            name="arome_hd",
            display_name="AROME HD",
            run_hours=EVERY_3_HOURS,
            area=_AROME_GRID,
            open_meteo=OpenMeteoCopy(
                id="meteofrance_arome_france_hd",
                domain="meteofrance_arome_france_hd",
                horizon=51,
                delay=timedelta(hours=6),
            ),
        ),
        ModelInfo(
            name="icon_d2",
            display_name="ICON-D2",
            run_hours=EVERY_3_HOURS,
            area=Area(south=43.3, west=-3.8, north=58.0, east=20.2),  # no Pyrenees, no Corsica
            open_meteo=OpenMeteoCopy(
                id="icon_d2",
                domain="dwd_icon_d2",
                horizon=48,
                delay=timedelta(hours=2),
            ),
        ),
        ModelInfo(
            name="icon_ch1",
            display_name="ICON-CH1",
            run_hours=EVERY_3_HOURS,
            area=_ALPS,
            open_meteo=OpenMeteoCopy(
                id="meteoswiss_icon_ch1",
                domain="meteoswiss_icon_ch1",
                horizon=33,
                delay=timedelta(hours=2.5),
            ),
        ),
        ModelInfo(
            name="icon_ch2",
            display_name="ICON-CH2",
            area=_ALPS,
            open_meteo=OpenMeteoCopy(
                id="meteoswiss_icon_ch2",
                domain="meteoswiss_icon_ch2",
                horizon=120,
                delay=timedelta(hours=4),
            ),
        ),
        ModelInfo(
            name="icon_2i",
            display_name="ICON-2I",
            run_hours=(0, 12),
            area=_ICON_2I_GRID,
            open_meteo=OpenMeteoCopy(
                id="italia_meteo_arpae_icon_2i",
                domain="italia_meteo_arpae_icon_2i",
                horizon=72,
                delay=timedelta(hours=4),
            ),
        ),
        ModelInfo(
            name="dmi_harmonie",
            display_name="HARMONIE (DMI)",
            run_hours=EVERY_3_HOURS,
            area=_WESTERN_EUROPE,
            open_meteo=OpenMeteoCopy(
                id="dmi_harmonie_arome_europe",
                domain="dmi_harmonie_arome_europe",
                horizon=59,
                delay=timedelta(hours=4),
            ),
        ),
        ModelInfo(
            # It runs every hour; every third run is enough to compare it with the others.
            name="knmi_harmonie",
            display_name="HARMONIE (KNMI)",
            run_hours=EVERY_3_HOURS,
            area=_WESTERN_EUROPE,
            open_meteo=OpenMeteoCopy(
                id="knmi_harmonie_arome_europe",
                domain="knmi_harmonie_arome_europe",
                horizon=59,
                delay=timedelta(hours=4),
            ),
        ),
        ModelInfo(
            name="arpege_europe",
            display_name="ARPEGE",
            area=_ARPEGE_GRID,
            open_meteo=OpenMeteoCopy(
                id="meteofrance_arpege_europe",
                domain="meteofrance_arpege_europe",
                horizon=102,
                delay=timedelta(hours=6),
            ),
        ),
        ModelInfo(
            name="ecmwf_ifs025",
            display_name="IFS",
            gust_hours=3,
            # Of steps of three hours. The runs of 06 and 18 UTC reach no further than this horizon.
            open_meteo=OpenMeteoCopy(
                id="ecmwf_ifs025",
                domain="ecmwf_ifs025",
                horizon=90,
                delay=timedelta(hours=9),
                step=3,
            ),
        ),
        ModelInfo(
            name="gfs_global",
            display_name="GFS",
            open_meteo=OpenMeteoCopy(
                id="gfs_global",
                domain="ncep_gfs013",
                horizon=120,
                delay=timedelta(hours=7),
            ),
        ),
    ),
)

FFVL = SourceInfo(
    name="ffvl",
    display_name="FFVL",
    attribution="Source : FFVL - balisemeteo.com",
    public=True,
    default=True,
    website="https://www.balisemeteo.com",
    access_contact="informatique@ffvl.fr",
    network=NetworkInfo(
        required=True,
        live_page=("balisemeteo.com", "https://www.balisemeteo.com/balise.php?idBalise={}"),
    ),
)

ROMMA = SourceInfo(
    name="romma",
    display_name="ROMMA",
    attribution="ROMMA, Réseau d'Observation Météo du Massif Alpin, romma.fr",
    public=False,  # the data are not open
    default=True,
    website="https://www.romma.fr",
    network=NetworkInfo(
        required=True,
        history=False,
        live_page=("romma.fr", "https://www.romma.fr/station_24.php?id={}"),
    ),
)

PIOUPIOU = SourceInfo(
    name="pioupiou",
    display_name="Pioupiou",
    attribution="Wind data (c) contributors of the OpenWindMap wind network, https://openwindmap.org",
    public=False,  # the licence forbids a mix with data that are not open; see docs/sources/pioupiou.md
    default=False,
    licence="Community License",
    website="https://www.openwindmap.org",
    network=NetworkInfo(live_page=("openwindmap.org", "https://www.openwindmap.org/pioupiou-{}")),
)

METEOFRANCE = SourceInfo(
    name="meteofrance",
    display_name="Météo-France",
    attribution="Source : Météo-France, Licence Ouverte 2.0 (Etalab)",
    public=True,
    default=False,  # a key for AROME need not be subscribed to the stations
    licence=LICENCE_OUVERTE,
    website="https://donneespubliques.meteofrance.fr",
    access_contact="https://portail-api.meteofrance.fr",
    network=NetworkInfo(station_number="[0-9]{8}"),
)

METEOFRANCE_HOURLY = SourceInfo(
    name="meteofrance_hourly",
    display_name="Météo-France (hourly)",
    attribution="Source : Météo-France, Licence Ouverte 2.0 (Etalab)",
    public=True,
    default=True,  # without a mapped mast nothing is requested
    licence=LICENCE_OUVERTE,
    website="https://www.data.gouv.fr/datasets/donnees-climatologiques-de-base-horaires/",
    network=NetworkInfo(station_number="[0-9]{8}", gust_minutes=60),
)

METEOSWISS = SourceInfo(
    name="meteoswiss",
    display_name="MeteoSwiss",
    attribution="Source: MeteoSwiss, CC BY 4.0, by winds.mobi",
    public=True,
    default=False,  # few sites are near; WINDS_MOBI_PROVIDERS opts in
    licence="CC BY 4.0",
    website="https://opendatadocs.meteoswiss.ch",
    network=NetworkInfo(station_number="[A-Z0-9]{3,6}", winds_mobi=True),
)

SLF = SourceInfo(
    name="slf",
    display_name="SLF",
    attribution="WSL Institute for Snow and Avalanche Research SLF (slf.ch), CC BY 4.0, by winds.mobi",
    public=True,
    default=False,  # few sites are near; WINDS_MOBI_PROVIDERS opts in
    licence="CC BY 4.0",
    website="https://www.slf.ch/en/services-and-products/slf-data-service/",
    network=NetworkInfo(station_number="[A-Z0-9]{3,6}", winds_mobi=True),
)

SOURCES = (
    *(METEO_PARAPENTE, AROME, GEOSPHERE, AROME_IFS, ARPEGE, METEOHUB, OPEN_METEO),
    *(FFVL, ROMMA, PIOUPIOU, METEOFRANCE, METEOFRANCE_HOURLY, METEOSWISS, SLF),
)
"""Every source, those of forecasts first. A run collects them in this order."""

MODELS: Mapping[str, ModelInfo] = MappingProxyType(
    {model.name: model for source in SOURCES for model in source.models}
)
OWN_MODEL = ModelInfo(name="meteo_score", display_name="MétéoScore", run_hours=())
"""The corrected forecast of this service, scored as it was issued.

It is in no source, because it is not collected, and not in MODELS: it must never be an input of itself.
"""

NETWORKS: Mapping[str, NetworkInfo] = MappingProxyType(
    {source.name: source.network for source in SOURCES if source.network is not None}
)

OPEN_METEO_MODELS = tuple(model.name for model in OPEN_METEO.models)
WINDS_MOBI_PROVIDERS = tuple(name for name, network in NETWORKS.items() if network.winds_mobi)

DEFAULT_SOURCES = tuple(source.name for source in SOURCES if source.default)
OPTIONAL_SOURCES = tuple(
    source.name
    for source in SOURCES
    if not source.default and source is not OPEN_METEO and source.name not in WINDS_MOBI_PROVIDERS
)
"""The sources that are off unless `SOURCES` names them. Other sources have settings of their own."""

REQUIRED_NETWORKS = tuple(name for name, network in NETWORKS.items() if network.required)
THREE_HOUR_GUST_MODELS = frozenset(model.name for model in MODELS.values() if model.gust_hours == 3)
"""The models whose gust is the highest of the three hours of their step.

The highest gust that a station measures in one hour is another quantity: these gusts are stored, not scored.
"""
