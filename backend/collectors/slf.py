"""The stations of the SLF (IMIS) by way of winds.mobi: nearly 200 stations, most on ridges and summits.

Publisher: WSL Institute for Snow and Avalanche Research SLF. Licence: CC BY 4.0; where values are shown, the
source and a link to www.slf.ch stand beside them. It is collected only if `WINDS_MOBI_PROVIDERS` names it.
Every 30 minutes, mean and maximum of 30 minutes by the names of the publisher's fields (2026). Format, units
and quirks of the route: beacons/winds_mobi.py; docs/sources/winds_mobi.md.
A station's id has its code: "slf:ADE2".
"""

from __future__ import annotations

from datetime import timedelta

from backend.collectors.base import LiveFacts
from backend.collectors.beacons.winds_mobi import Provider
from backend.core import registry

SLF = Provider(
    info=registry.SLF,
    cadence=timedelta(minutes=40),
    averaging_minutes=30,
    # Three missed readings of all stations, and what winds.mobi adds.
    max_age=timedelta(hours=2),
    live=LiveFacts(
        licence_page="https://www.slf.ch/en/services-and-products/slf-data-service/",
        licence_words="CC BY 4.0",
        if_gone="the SLF also serves its stations itself, at measurement-api.slf.ch, without a key",
    ),
)

build = SLF.build
