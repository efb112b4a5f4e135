"""Where the objects are put together: the service, and the application that serves it."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Self, cast

import stamina
import structlog
from fastapi import FastAPI
from pydantic import SecretStr
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from backend import __version__
from backend.alerts.pings import Pinger
from backend.alerts.watch import AlertWatch
from backend.answers.reading import ReadingService
from backend.answers.service import ReadingParts, ServiceParts
from backend.answers.withholding import withheld_from_public
from backend.api.admission import Admission, RequestCounts
from backend.api.answer_cache import AnswerCache
from backend.api.connections import MOST_REQUEST_BYTES
from backend.api.cross_origin import CrossOrigin
from backend.api.head import HeadAsGet
from backend.api.metrics import ServiceMetrics
from backend.api.prefix import BelowPrefix, check_prefix
from backend.api.problems import install_problem_handlers
from backend.api.routes import ROUTERS
from backend.api.security_headers import SecurityHeaders
from backend.api.sessions import Sessions
from backend.api.status_cache import StatusCache
from backend.api.tokens import Tokens
from backend.collectors import forecast_sources, observation_sources
from backend.collectors.base import MeteredFetch
from backend.collectors.grib.worker import Worker
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits, own_pace
from backend.collectors.transport.payload_archive import PayloadArchive
from backend.core.clock import Clock, utc_now
from backend.core.clock_watch import ClockWatch
from backend.core.config import Settings, check_setting_names, settings_file
from backend.core.disk import free_bytes
from backend.core.errors import ConfigError, StoreUnavailableError
from backend.core.logs import configure_logging
from backend.core.memory import keep_freed
from backend.core.records import Site
from backend.files.month_watch import watch_months
from backend.issuing.issue import Issuer
from backend.pages.error_pages import install_error_pages, page_instead
from backend.pages.page_cache import PageCache
from backend.pages.preparation import prepare_pages
from backend.pages.routes import ROUTERS as PAGE_ROUTERS
from backend.scheduler.catchup import CatchUp
from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS, SETTING_NAMES, JobId, SchedulerConfig
from backend.scheduler.heartbeat import Heartbeat
from backend.scheduler.roles import share_work
from backend.scheduler.runner import Runner, Sources
from backend.scheduler.scheduler import is_alive, start_scheduler, stop_scheduler
from backend.scheduler.shared_pace import SharedPace
from backend.scoring.days.after_run import queue_scores, update_scores
from backend.scoring.public.windows import PublicRules
from backend.storage.changes import Changes
from backend.storage.database import Database
from backend.storage.ledger import Ledger
from backend.storage.queries import StoreQueries
from backend.storage.queue import require_queue, upgrade_queue
from backend.storage.run_records import JobRun
from backend.storage.site_list import SiteList
from backend.storage.store import Store
from backend.storage.store_check import watch_store

log = structlog.get_logger()

SWITCH_SECONDS = 0.0005
"""Seconds after which a running thread hands the interpreter to a waiting one; Python's default is 5 ms.

While a batch of 320 000 values is stored, a thread that wakes up every millisecond is 9.5 ms late at the 99th
percentile with the default, and 4.8 ms with this value. The batch takes the same time.
"""


@dataclass(frozen=True, kw_only=True)
class Service:
    """The parts of the collecting service, made once per process."""

    settings: Settings
    config: SchedulerConfig
    clock: Clock
    database: Database
    store: Store
    ledger: Ledger
    reading: StoreQueries
    sources: Sources
    archive: PayloadArchive
    runner: Runner
    worker: Worker
    client: HttpClient
    alert_watch: AlertWatch
    pinger: Pinger
    site_list: SiteList
    clock_watch: ClockWatch
    free_bytes: Callable[[Path], int | None]
    public_rules: PublicRules = field(default_factory=PublicRules)
    notices: list[str] = field(default_factory=list)  # lines at the top of each page
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the process is to end: score days that are not made yet stay due."""

    @classmethod
    def make(
        cls,
        settings: Settings | None = None,
        config: SchedulerConfig | None = None,
        clock: Clock = utc_now,
        *,
        durable: bool = True,
        busy_timeout: float = 5.0,
        limits: HttpLimits | None = None,
        free_bytes: Callable[[Path], int | None] = free_bytes,
        make_store: bool = True,
    ) -> Self:
        """Put the objects together without opening them. Raises ConfigError.

        `durable` and `busy_timeout` are for the database, `limits` is for the HTTP client, and `free_bytes`
        returns the free bytes on the disk of a path. With `make_store=False` no SQLite file is created.
        """
        if settings is None and (file := settings_file()) is not None:
            check_setting_names(file, SETTING_NAMES)
        settings = settings or Settings.load()
        config = config or SchedulerConfig.load()
        reading = ReadingService.make(
            settings, clock, make_store=make_store, durable=durable, busy_timeout=busy_timeout
        )
        database, store, site_list = reading.database, reading.store, reading.site_list
        worker = Worker()
        clock_watch = ClockWatch(clock)
        client = HttpClient.from_settings(
            settings,
            clock,
            limits=limits,
            clock_watch=clock_watch,
            # Workers may collect parts of one source at a time; a process that works alone asks nothing.
            pace_of=own_pace if config.meteo_score_role == "all" else partial(SharedPace, database),
        )
        archive = PayloadArchive(settings.data_dir / "payloads", settings.keep_payloads_days)

        def channel_for(run_id: int, source: str) -> MeteredFetch:
            counted = client.counted()
            return MeteredFetch(archive.archiving(counted, run_id, source), counted)

        sources = Sources(
            forecasts=forecast_sources(settings, worker),
            observations=observation_sources(settings),
            channel_for=channel_for,
        )
        ledger = Ledger(database, lease=config.lease_seconds)
        stopping = threading.Event()

        def after_run(now: datetime) -> None:
            if clock_watch.offset() is None:  # a clock that is ahead makes everything look old
                archive.prune(now)
                _prune_rejected(store, now)
            if config.meteo_score_role == "all":
                update_scores(database, now, stopped=stopping.is_set)
                if not stopping.is_set():
                    prepare_pages(cast(ReadingParts, reading))
            else:
                queue_scores(database, now)

        alert_watch = AlertWatch(
            settings.alert_urls,
            after=settings.alert_after_failures,
            digest_hour=settings.alert_digest_hour,
            page=f"See {settings.public_url}/ops" if settings.public_url else "",
        )
        pings: dict[JobId, SecretStr | None] = {
            FORECASTS: settings.ping_url_forecasts,
            OBSERVATIONS: settings.ping_url_observations,
        }
        pinger = Pinger({job: url.get_secret_value() for job, url in pings.items() if url is not None})

        def on_end(run: JobRun) -> None:
            pinger.ended(run)
            alert_watch.wake()

        runner = Runner(
            store=store,
            ledger=ledger,
            sources=sources,
            config=config,
            sites=site_list.stored,
            clock=clock,
            on_request=archive.store_request,
            after_run=after_run,
            on_start=pinger.started,
            on_end=on_end,
            issuer=Issuer(
                database=database,
                sites=site_list.stored,
                withheld=lambda: withheld_from_public(cast(ReadingParts, reading)),
                clock=clock,
            ),
        )
        return cls(
            settings=settings,
            config=config,
            clock=clock,
            database=database,
            store=store,
            ledger=ledger,
            reading=reading.reading,
            sources=sources,
            archive=archive,
            runner=runner,
            worker=worker,
            client=client,
            alert_watch=alert_watch,
            pinger=pinger,
            site_list=site_list,
            clock_watch=clock_watch,
            free_bytes=free_bytes,
            stopping=stopping,
        )

    def sites(self) -> tuple[Site, ...]:
        """Return the present sites. Raises ConfigError, StoreUnavailableError."""
        return self.site_list.sites()

    def check(self) -> None:
        """Raise ConfigError for an unusable sites file, database or address of an alert.

        An unavailable database is not an error here: the service waits for it.
        """
        if self.config.meteo_score_role != "all":
            require_queue(self.database, self.config.meteo_score_role)
        if self.settings.sites_from == "file":
            self.site_list.sites()
        _ = self.alert_watch.targets
        with suppress(StoreUnavailableError):
            self._migrate()

    def _migrate(self) -> None:
        if self.database.migrate():
            log.warning("new, empty store", address=self.database.name)
        if self.config.meteo_score_role != "all":
            upgrade_queue(self.database)

    async def open_store(self) -> None:
        """Wait for the database without a limit, and upgrade it."""

        def unavailable(error: Exception) -> bool:
            if isinstance(error, StoreUnavailableError):
                log.warning("waiting for the store", reason=str(error))
            return isinstance(error, StoreUnavailableError)

        async for attempt in stamina.retry_context(
            on=unavailable, attempts=None, timeout=None, wait_initial=0.5, wait_max=15.0
        ):
            with attempt:
                await asyncio.to_thread(self._migrate)
                await asyncio.to_thread(self.ledger.note_start)

    async def close(self) -> None:
        """End the worker, send the last pings, and close the HTTP client and the database."""
        self.worker.close()
        await self.pinger.close()
        await self.client.aclose()
        await asyncio.to_thread(self.database.close)


def _prune_rejected(store: Store, now: datetime) -> None:
    try:
        store.prune_rejected(now)
    except StoreUnavailableError as error:
        log.warning("old rejected values not deleted", reason=str(error))


def create_app(
    service: Service | None = None,
    *,
    catch_up: CatchUp | None = None,
    before_schedule: Callable[[], Awaitable[None]] | None = None,
) -> FastAPI:
    """Return the application: API, pages and, unless it is off, the schedule.

    `catch_up` runs missed slots; by default it looks for them every minute. `before_schedule` is awaited
    between the opening of the store and the start of the schedule, while pages are already served. Raises
    ConfigError for an unusable sites file or database. Called without a service, as the factory of a server
    (`uvicorn --factory backend.main:create_app`), it reads the settings, and ends the process with one line
    and exit code 2 if it cannot use them.
    """
    if service is None:
        try:
            service = Service.make()
            configure_logging(service.settings)
            return create_app(service)
        except ConfigError as error:
            print(f"meteo-score: {error}", file=sys.stderr)
            raise SystemExit(2) from None
    service.check()
    if service.config.meteo_score_role == "api":
        share_work(service.runner)  # a run by hand

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.stopping.clear()
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.freeze()  # modules and routes are never garbage: to examine them delays every answer
        heartbeat = Heartbeat(
            service.database,
            service.config.meteo_score_role,
            is_well=lambda: is_alive() or not service.config.ticks or not start.done(),
        )
        start = asyncio.create_task(_bring_up(service, heartbeat, catch_up, before_schedule))
        duties = look_after(service, start)
        parts = cast(ServiceParts, service)  # a frozen class does not match a protocol of variables
        alerts = asyncio.create_task(service.alert_watch.forever(parts), name="alerts")
        try:
            yield
        finally:
            service.stopping.set()
            for task in (start, *duties):
                task.cancel()
            await asyncio.wait([start, *duties])
            await stop_scheduler()
            await service.runner.drain(service.config.shutdown_grace_seconds)
            alerts.cancel()
            await asyncio.wait([alerts])
            await heartbeat.stop()
            app.state.answer_cache.close()
            changes.close()
            await service.close()
            gc.unfreeze()

    keep_freed()
    changes = Changes(service.database)
    app = FastAPI(
        title="MétéoScore",
        version=__version__,
        summary="Which forecast deserves a pilot's trust, at this site, this far ahead?",
        lifespan=lifespan,
        docs_url=None,  # routes/docs.py serves both pages without scripts of other hosts
        redoc_url=None,
        max_body_size=MOST_REQUEST_BYTES,  # also below a server without BoundedProtocol
        redirect_slashes=False,  # such a redirect repeats the host that the client sent
    )
    app.state.service = service
    app.state.answer_cache = AnswerCache()
    app.state.page_cache = PageCache(cast(ServiceParts, service), changes.now)
    app.state.status_cache = StatusCache()
    app.state.request_counts = RequestCounts()
    app.state.metrics = ServiceMetrics(cast(ServiceParts, service))
    app.state.tokens = Tokens(settings=service.settings, database=service.database)
    app.state.sessions = Sessions(settings=service.settings, clock=service.clock)
    app.add_middleware(
        Admission,
        settings=service.settings,
        tokens=app.state.tokens,
        counts=app.state.request_counts,
        sessions=app.state.sessions,
        shown=page_instead,
        cached=app.state.page_cache.answer,
    )
    if service.settings.cors_origins:  # around the limits, so that a script can read a refusal too
        app.add_middleware(CrossOrigin, origins=service.settings.cors_origins)
    if service.settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(service.settings.trusted_proxies))
    app.add_middleware(SecurityHeaders)  # added after the others, so that their errors have the headers too
    install_problem_handlers(app)
    install_error_pages(app)
    app.add_middleware(HeadAsGet)
    for router in (*ROUTERS, *PAGE_ROUTERS):
        app.include_router(router)
    if service.settings.root_path:
        check_prefix(service.settings.root_path, (*ROUTERS, *PAGE_ROUTERS))
        app.add_middleware(BelowPrefix, root=service.settings.root_path)
    return app


def look_after(service: Service, opened: asyncio.Task[None]) -> list[asyncio.Task[None]]:
    """Start what a process does for the store beside its work, once it is open: workers leave it to others.

    Of a service of several processes, the one with the schedule looks for closed months.
    """
    role, folder = service.config.meteo_score_role, service.settings.months_dir

    async def watch() -> None:
        await asyncio.wait([opened])
        await watch_store(service.database)

    async def months(folder: Path) -> None:
        await asyncio.wait([opened])
        await watch_months(
            service.database,
            service.settings,
            folder,
            service.sources.every(),
            [service.config.lookback(job) for job in JOBS],
            service.clock,
        )

    duties = []
    if role != "worker":
        duties.append(asyncio.create_task(watch(), name="watch the store"))
    if role in {"all", "scheduler"} and folder is not None:
        duties.append(asyncio.create_task(months(folder), name="look for closed months"))
    return duties


async def _bring_up(
    service: Service,
    heartbeat: Heartbeat,
    catch_up: CatchUp | None,
    before_schedule: Callable[[], Awaitable[None]] | None,
) -> None:
    """Open the store and start the schedule, in the background of the first answers of the API."""
    try:
        await service.open_store()
    except ConfigError as error:
        log.critical("the store cannot be used", reason=str(error))
        return
    heartbeat.start()
    if before_schedule is not None:
        await before_schedule()
    await asyncio.to_thread(prepare_pages, cast(ReadingParts, service))
    if service.config.meteo_score_role == "api":
        log.info("no schedule in this process: METEO_SCORE_ROLE is api")
    elif service.config.scheduler_enabled:
        await start_scheduler(service.runner, catch_up=catch_up)
    else:
        log.info("scheduler off: SCHEDULER_ENABLED is false")
