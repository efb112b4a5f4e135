"""The stations of MeteoSwiss (SwissMetNet) by way of winds.mobi: 160 stations every ten minutes.

Publisher: MeteoSwiss. Licence: CC BY 4.0, to be credited with "Source: MeteoSwiss". It is collected only if
`WINDS_MOBI_PROVIDERS` names it. Mean and direction of the ten minutes before the stamp, gust of one second in
them (2026). Format, units and quirks of the route: beacons/winds_mobi.py; docs/sources/winds_mobi.md.
A station's id has its abbreviation: "meteoswiss:DOL".

Quirk, with the date of its description: from 16 June 2026 on the readings came only once an hour for a while.
"""

from __future__ import annotations

from datetime import timedelta

from backend.collectors.base import LiveFacts
from backend.collectors.beacons.winds_mobi import Provider
from backend.core import registry

METEOSWISS = Provider(
    info=registry.METEOSWISS,
    cadence=timedelta(minutes=15),
    averaging_minutes=10,
    # Three missed readings of all stations, and what winds.mobi and the cache before it add.
    max_age=timedelta(minutes=50),
    live=LiveFacts(
        licence_page="https://opendatadocs.meteoswiss.ch/general/terms-of-use",
        licence_words="Source: MeteoSwiss",
        if_gone=(
            "winds.mobi reads files of data.geo.admin.ch, which MeteoSwiss replaces: compare"
            " ch.meteoschweiz.messwerte-aktuell/VQHA80.csv there"
        ),
    ),
)

build = METEOSWISS.build
