"""The beacons of the FFVL, the French federation of free flight, also shown on balisemeteo.com.

Licence: no text was found; re-use is accepted with the credit "Source : FFVL - balisemeteo.com", and raw data
must not be passed on in bulk. The key is personal to the service that requested it (informatique@ffvl.fr).
About 200 beacons report about every ten minutes; the feed is refreshed every five. Whole km/h, sixteen wind
sectors, naive Europe/Paris times. The averaging period and the height of the masts are not published. Its
own routes are in ffvl_routes/, that by winds.mobi in beacons/; docs/sources/ffvl.md has the quirks.
"""

from __future__ import annotations

from datetime import timedelta

from backend.collectors.base import Archive, LiveFacts, Source, SourceRoute
from backend.collectors.beacons.winds_mobi import HISTORY, WindsMobi, WindsMobiHistory
from backend.collectors.ffvl_routes.keyed import Keyed, KeyedHistory
from backend.collectors.ffvl_routes.network import FFVL
from backend.collectors.ffvl_routes.pages import Pages
from backend.core import registry
from backend.core.config import Settings
from backend.core.records import ObservationBatch
from backend.core.terms import terms_of

MAX_AGE = timedelta(minutes=35)
"""Some 200 beacons report every ten minutes: three missed readings in a row of all of them, and a margin."""


def build(settings: Settings) -> Source[ObservationBatch]:
    """Return the source with the routes that the settings allow, best first; disabled without any."""
    key = settings.ffvl_api_key.get_secret_value() if settings.ffvl_api_key else ""
    routes: list[SourceRoute[ObservationBatch]] = []
    past: list[SourceRoute[ObservationBatch]] = []
    if key:
        routes.append(Keyed(settings.ffvl_url, key))
        past.append(KeyedHistory(settings.ffvl_url, key))
    # The terms of winds.mobi ask for a User-Agent with an address.
    if settings.contact:
        routes.append(WindsMobi(settings.winds_mobi_url, FFVL, rank=1))
        past.append(WindsMobiHistory(settings.winds_mobi_url, FFVL, rank=1))
    if settings.contact and settings.ffvl_html:
        routes.append(Pages(settings.balisemeteo_url))
    pages = "CONTACT too" if settings.ffvl_html else "CONTACT and FFVL_HTML=true"
    no_route = (
        "no route to the beacons: set FFVL_API_KEY for the FFVL's own feed, or CONTACT for winds.mobi without"
        f" a key; the pages of balisemeteo.com need {pages}"
    )
    return Source.of(
        terms_of(registry.FFVL, settings),
        batch=ObservationBatch,
        routes=tuple(routes),
        max_age=MAX_AGE,
        disabled=None if routes else no_route,
        past=Archive(routes=tuple(past), reach=HISTORY) if past else None,
        no_archive_reason=(
            "the pages of balisemeteo.com show no history: set FFVL_API_KEY, or CONTACT for winds.mobi"
        ),
        live=LiveFacts(
            if_gone=(
                "the feed of the federation needs a key of its own: ask informatique@ffvl.fr. The addresses"
                " without a key at data.ffvl.fr/json are closed and answer a notice with status 200"
            )
        ),
    )
