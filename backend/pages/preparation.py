"""What the first visitor after a start or after a collection would wait for, done in advance."""

from __future__ import annotations

import time

import structlog

from backend.answers.home import prepare_home
from backend.answers.service import ReadingParts
from backend.core.errors import BusyError, ConfigError, StoreUnavailableError
from backend.pages.charts import drawing
from backend.pages.language import LANGUAGES, language
from backend.pages.rendering import load_templates

log = structlog.get_logger()


def prepare_pages(service: ReadingParts) -> None:
    """Start the process that draws, and load translations, templates and the records of sites.

    Blocks for seconds. Pages work without it, only slower: what fails here is logged, and raised to the page
    that needs it.
    """
    began = time.monotonic()
    try:
        drawing.warm_up()
        for code in LANGUAGES:
            load_templates(language(code))
        sites = prepare_home(service)
    except (BusyError, ConfigError, StoreUnavailableError) as error:
        log.warning("pages not prepared", reason=str(error))
        return
    log.debug("pages prepared", sites=sites, seconds=round(time.monotonic() - began, 3))
