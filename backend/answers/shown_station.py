"""The station that a page shows a site at: pages have public values only."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from backend.answers.public_question import public_question
from backend.answers.question import Question
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.core.local_time import date_of
from backend.core.records import Site


def shown_station(site: Site, day: date, withheld: Withholding) -> str | None:
    """Return the reference station of a local day, or the first public one if its values are withheld.

    None if the site has no station whose values are public.
    """
    return site.station_without(day, withheld.networks)


def shown_question(
    service: ReadingParts, question: Question, withheld: Withholding, *, only_public: bool = False
) -> Question:
    """Return a question without a chosen station as a page asks it.

    It is about the first public station where the values of the reference station are withheld. Without
    such a station it is about the reference station, in whole published months.
    """
    day = date_of(question.last)
    reference, shown = question.site.reference_on(day), shown_station(question.site, day, withheld)
    if shown is not None and shown != reference:
        question = replace(question, station=shown)
    return public_question(service, question, withheld, only_public=only_public)
