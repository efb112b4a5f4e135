"""The parts of the service that answers are made from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # a command that only reads must not load the whole service
    from backend.core.clock import Clock
    from backend.core.clock_watch import ClockWatch
    from backend.core.config import Settings
    from backend.core.records import Site
    from backend.scheduler.config import SchedulerConfig
    from backend.scheduler.runner import Runner, Sources
    from backend.scheduler.source_list import ListedSource, SourceList
    from backend.scoring.public.windows import PublicRules
    from backend.storage.database import Database
    from backend.storage.ledger import Ledger
    from backend.storage.queries import StoreQueries
    from backend.storage.site_list import SiteList
    from backend.storage.store import Store


class ReadingParts(Protocol):
    """What answers about scores, models and sites need: the store, the sources and the settings."""

    settings: Settings
    clock: Clock
    database: Database
    store: Store
    reading: StoreQueries
    sources: SourceList[ListedSource]
    public_rules: PublicRules

    def sites(self) -> tuple[Site, ...]:
        """Return the currently configured sites. Raises ConfigError, StoreUnavailableError."""
        ...


class ServiceParts(ReadingParts, Protocol):
    """What answers about the state of the service also need: the schedule, its runs, and the machine."""

    sources: Sources
    config: SchedulerConfig
    ledger: Ledger
    runner: Runner
    site_list: SiteList
    clock_watch: ClockWatch
    free_bytes: Callable[[Path], int | None]
    notices: list[str]
