"""An installation under test: the real service, on a store of its own, collecting by fixed routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx2

from backend.collectors import forecast_sources, observation_sources
from backend.collectors.base import B, MeteredFetch, Source
from backend.collectors.grib.worker import Worker
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits
from backend.core.config import SOURCE_NAMES, Settings
from backend.core.records import Site
from backend.core.registry import WINDS_MOBI_PROVIDERS
from backend.main import Service, create_app
from backend.scheduler.config import JobId, SchedulerConfig
from backend.scheduler.runner import Runner, Sources
from backend.storage.database import Database
from backend.storage.run_records import JobRun, SourceRun
from backend.tests.support.commands import typed
from backend.tests.support.worlds import HandClock
from proofs.fault_truth import SITES

COLLECTED = SITES[:3]
"""The sites that are collected: enough for one of several answers to fail."""

Collected = tuple[JobRun, dict[str, SourceRun]]
Routes = Mapping[str, Sequence[str]]
"""The sources to collect, each with the routes that it may use."""


class Installation:
    """Use it with `async with`. The caller gives the GRIB worker and the limits of the HTTP client."""

    def __init__(
        self, store: Path, environment: Mapping[str, Any], worker: Worker, limits: HttpLimits
    ) -> None:
        self.clock = HandClock()
        self.store = store
        self.delivered: list[str] = []  # the source of each batch of the last collection, in their order
        self.variables = {
            **environment,
            "database_url": f"sqlite:///{store}",
            "data_dir": store.parent,
            "keep_payloads_days": 0,
            "arome_max_lead": 12,
            "arpege_max_lead": 24,
            "open_meteo_fallback": True,
            "ffvl_html": True,
            "sources": ",".join(SOURCE_NAMES),
            "open_meteo_models": "icon_d2,ecmwf_ifs025",
            "winds_mobi_providers": ",".join(WINDS_MOBI_PROVIDERS),
        }
        self.settings = Settings.load(**self.variables)
        config = SchedulerConfig.load(forecast_lookback_hours=24, scheduler_enabled=False)
        self._made = Service.make(self.settings, config, self.clock, durable=False)
        self._worker = worker
        self._limits = limits

    async def __aenter__(self) -> Self:
        self.database.migrate()
        # Certificates take longer to load than most cells take, and nothing here is encrypted.
        plain = httpx2.AsyncHTTPTransport(verify=False)
        self._client = HttpClient.from_settings(
            self.settings, self.clock, limits=self._limits, transport=plain
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        self.database.close()

    @property
    def database(self) -> Database:
        """Return its database."""
        return self._made.database

    async def collect(self, job: JobId, now: datetime, routes: Routes) -> Collected:
        """Run a job at a moment; return the run, and the outcome of each source."""
        self.clock.now = now
        self.delivered.clear()
        runner = self._service(routes).runner
        run = await runner.run(job, "cli", on_batch=lambda batch: self.delivered.append(batch.source))
        assert run is not None, "a run by hand is always granted"
        return run, {source.source: source for source in run.sources}

    async def shown(self, run: JobRun) -> tuple[dict[str, Any], str]:
        """Return a run as the API and as the command line show it."""
        transport = httpx2.ASGITransport(create_app(self._service({})))
        async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            answer = await client.get(f"/api/scheduler/runs/{run.id}")
        result = typed(f"runs {run.id}", {name.upper(): str(value) for name, value in self.variables.items()})
        return answer.json(), result.output

    def _service(self, routes: Routes) -> Service:
        made = self._made

        def forced(source: Source[B]) -> Source[B]:
            fixed = tuple(route for route in source.routes if route.name in routes[source.name])
            assert len(fixed) == len(routes[source.name]), f"{source.name} has not all of these routes"
            return replace(source, routes=fixed)

        def channel_for(_run: int, _source: str) -> MeteredFetch:
            counted = self._client.counted()
            return MeteredFetch(counted, counted)

        forecasts = forecast_sources(self.settings, self._worker)
        observations = observation_sources(self.settings)
        sources = Sources(
            forecasts=[forced(source) for source in forecasts if source.name in routes],
            observations=[forced(source) for source in observations if source.name in routes],
            channel_for=channel_for,
        )

        def listed() -> tuple[Site, ...]:
            made.store.save_sites(COLLECTED)
            return COLLECTED

        runner = Runner(
            store=made.store,
            ledger=made.ledger,
            sources=sources,
            config=made.config,
            sites=listed,
            clock=self.clock,
        )
        return replace(made, client=self._client, sources=sources, runner=runner, worker=self._worker)
