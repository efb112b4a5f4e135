"""The part of the service that reads: the store and what the settings and the registry state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from backend.core.clock import Clock, utc_now
from backend.core.config import Settings
from backend.core.records import Site
from backend.core.registry import SOURCES
from backend.core.terms import SourceTerms, terms_of
from backend.scheduler.source_list import SourceList
from backend.scoring.public.windows import PublicRules
from backend.storage.database import Database
from backend.storage.queries import StoreQueries
from backend.storage.site_list import SiteList
from backend.storage.store import Store


@dataclass(frozen=True, kw_only=True)
class ReadingService:
    """What answers are made from, without an HTTP client, a worker, an archive or a collector."""

    settings: Settings
    clock: Clock
    database: Database
    store: Store
    reading: StoreQueries
    sources: SourceList[SourceTerms]
    site_list: SiteList
    public_rules: PublicRules

    @classmethod
    def make(
        cls,
        settings: Settings,
        clock: Clock = utc_now,
        *,
        make_store: bool = False,
        durable: bool = True,
        busy_timeout: float = 5.0,
    ) -> Self:
        """Put the parts together without opening the store. Raises ConfigError.

        `durable` and `busy_timeout` are those of Database. Only with `make_store` a SQLite file is created.
        """
        database = Database(
            settings.database_url,
            make=make_store or None,
            durable=durable,
            busy_timeout=busy_timeout,
            clock=clock,
        )
        store = Store(database)
        return cls(
            settings=settings,
            clock=clock,
            database=database,
            store=store,
            reading=StoreQueries(database),
            sources=SourceList(
                forecasts=[terms_of(source, settings) for source in SOURCES if source.models],
                observations=[terms_of(source, settings) for source in SOURCES if source.network is not None],
            ),
            site_list=SiteList(store, settings.sites_file if settings.sites_from == "file" else None, clock),
            public_rules=PublicRules(),
        )

    def sites(self) -> tuple[Site, ...]:
        """Return the present sites. Raises ConfigError, StoreUnavailableError."""
        return self.site_list.sites()
