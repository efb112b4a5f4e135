"""The stations of the SLF (IMIS) by way of winds.mobi: nearly 200 stations, most on ridges and summits.

Publisher: WSL Institute for Snow and Avalanche Research SLF. Licence: CC BY 4.0; where values are shown, the
source and a link to www.slf.ch stand beside them. It is collected only if `WINDS_MOBI_PROVIDERS` names it.
Every 30 minutes, mean and maximum of 30 minutes by the names of the publisher's fields (2026). Format, units
and quirks of the route: beacons/winds_mobi.py; docs/sources/winds_mobi.md.
A station's id has its code: "slf:ADE2".
"""

from __future__ import annotations

import re
from datetime import timedelta

from backend.collectors.base import LiveFacts, Source
from backend.collectors.beacons.readings import Network
from backend.collectors.beacons.winds_mobi import source_of
from backend.core import registry
from backend.core.config import Settings
from backend.core.records import ObservationBatch
from backend.core.terms import terms_of

SLF = Network(
    name=registry.SLF.name,
    cadence=timedelta(minutes=40),
    averaging_minutes=30,
    number=re.compile(registry.NETWORKS[registry.SLF.name].station_number),
)

MAX_AGE = timedelta(hours=2)
"""Three missed readings of all stations, and what winds.mobi adds."""


def build(settings: Settings) -> Source[ObservationBatch]:
    """Return the source; disabled unless `WINDS_MOBI_PROVIDERS` names it."""
    return source_of(
        SLF,
        terms_of(registry.SLF, settings),
        settings,
        max_age=MAX_AGE,
        live=LiveFacts(
            licence_page="https://www.slf.ch/en/services-and-products/slf-data-service/",
            licence_words="CC BY 4.0",
            if_gone="the SLF also serves its stations itself, at measurement-api.slf.ch, without a key",
        ),
    )
