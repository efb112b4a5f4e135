"""The context of a command: settings, service and store, each opened at its first use."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from backend.cli.console import print_text
from backend.core.config import Settings, check_setting_names, settings_file, slips_in_environment
from backend.demo.store import FOLDER as DEMO_FOLDER
from backend.demo.store import store_settings
from backend.scheduler.config import FORECASTS, SETTING_NAMES, SchedulerConfig
from backend.storage.queue import has_queue, require_queue, upgrade_queue

if TYPE_CHECKING:
    from backend.answers.reading import ReadingService
    from backend.core.areas import Area
    from backend.core.records import Outside, Site
    from backend.main import Service
    from backend.storage.store import Store


@dataclass
class CliContext:
    """Settings, service and store of one command, each opened at its first use."""

    env_file_option: Path | None = None
    demo: bool = False

    @cached_property
    def env_file(self) -> Path | None:
        """Return the settings file in use, if there is one. Raises ConfigError for a misspelt name in it."""
        file = settings_file(self.env_file_option)
        if file is not None:
            check_setting_names(file, SETTING_NAMES)
        return file

    @cached_property
    def settings(self) -> Settings:
        """Return the settings in force. Raises ConfigError."""
        from backend.core.logs import configure_logging

        for name, meant in slips_in_environment(SETTING_NAMES).items():
            print_text(f"Warning: {name} is not a setting: did you mean {meant}?", err=True)
        settings = Settings.load(
            self.env_file, **(store_settings(DEMO_FOLDER, self.env_file) if self.demo else {})
        )
        # Unless a command chooses more, only critical lines are logged, and to stderr: structlog's default is
        # stdout, which is for the output of the command.
        configure_logging(settings, level="CRITICAL")
        return settings

    @cached_property
    def config(self) -> SchedulerConfig:
        """Return the settings of the schedule. Raises ConfigError."""
        return SchedulerConfig.load(self.env_file)

    @cached_property
    def service(self) -> Service:
        """Return the service with its store not yet opened; a SQLite file is created. Raises ConfigError."""
        from backend.main import Service

        gc.freeze()  # as after the import of a subcommand: the service imports many modules
        return Service.make(self.settings, self.config)

    @cached_property
    def service_without_store(self) -> Service:
        """Return the service for `doctor`, which creates no store. Raises ConfigError."""
        from backend.main import Service

        return Service.make(self.settings, self.config, make_store=False)

    @cached_property
    def reading_service(self) -> ReadingService:
        """Return the reading part of the service, which creates no store. Raises ConfigError."""
        from backend.answers.reading import ReadingService

        _ = self.config  # a wrong setting of the schedule is an error of every command
        return ReadingService.make(self.settings)

    def migrated(self, *, confirmed: bool = False) -> Service:
        """Return the service with its store at this version. Raises ConfigError, StoreUnavailableError.

        `confirmed`: also upgrade an older store on PostgreSQL.
        """
        database = self.service.database
        if database.migrate(confirmed=confirmed):
            print_text(f"New, empty store: {database.name}", err=True)
        if self.config.meteo_score_role != "all":
            require_queue(database, self.config.meteo_score_role)
            upgrade_queue(database, confirmed=confirmed)
        elif confirmed and has_queue(database):
            upgrade_queue(database, confirmed=True)
        if database.copied_to is not None:
            print_text(f"The store was upgraded. As it was before: {database.copied_to}", err=True)
        return self.service

    def current(self) -> ReadingService:
        """Return the reading part of the service, with a store of this version.

        Raises ConfigError, which names `db upgrade`, or StoreUnavailableError.
        """
        self.reading_service.database.require_current()
        return self.reading_service

    def store(self) -> Store:
        """Return the store at this version. Raises ConfigError, StoreUnavailableError."""
        return self.migrated().store

    def stored(self) -> Store:
        """Return the store for a command that only reads. Raises ConfigError, StoreUnavailableError."""
        return self.current().store

    def uncovered(self, sites: Sequence[Site]) -> tuple[Outside, ...]:
        """Return which of these sites lie outside the area of a model that is collected."""
        from backend.collectors.areas import not_covered

        bounded = {model: area for model, area in self._areas().items() if area is not None}
        return not_covered(bounded, sites)

    def beyond_every_model(self, sites: Sequence[Site]) -> tuple[Site, ...]:
        """Return which of these sites lie where no model that is collected has forecasts."""
        areas = self._areas().values()
        return tuple(site for site in sites if not any(area is None or area.holds(site) for area in areas))

    def _areas(self) -> dict[str, Area | None]:
        """Return the area of each model that is collected, None for a global model."""
        used = [source for source in self.service.sources.of(FORECASTS) if source.disabled is None]
        return {model: source.areas.get(model) for source in used for model in source.models}

    def close(self) -> None:
        """Close the databases that were opened."""
        for name in ("service", "service_without_store", "reading_service"):
            if name in self.__dict__:
                self.__dict__[name].database.close()


def opened(context: typer.Context) -> CliContext:
    """Return the context that the main command set."""
    cli_context = context.obj
    if not isinstance(cli_context, CliContext):
        raise TypeError("the main command sets a CliContext")
    return cli_context
