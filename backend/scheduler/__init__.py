"""Scheduled collection: schedule, jobs, and the record of their runs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.scheduler.config import JOBS, SchedulerConfig
    from backend.scheduler.jobs import collect_all_forecasts, collect_all_observations
    from backend.scheduler.runner import Runner
    from backend.scheduler.scheduler import get_scheduler, register_jobs, start_scheduler, stop_scheduler

__all__ = [
    "JOBS",
    "Runner",
    "SchedulerConfig",
    "collect_all_forecasts",
    "collect_all_observations",
    "get_scheduler",
    "register_jobs",
    "start_scheduler",
    "stop_scheduler",
]

_MODULES = {
    **dict.fromkeys(("JOBS", "SchedulerConfig"), "config"),
    **dict.fromkeys(("collect_all_forecasts", "collect_all_observations"), "jobs"),
    "Runner": "runner",
    **dict.fromkeys(("get_scheduler", "register_jobs", "start_scheduler", "stop_scheduler"), "scheduler"),
}


def __getattr__(name: str) -> object:
    """Import a module at the first use of its name: a command that reads a constant needs no scheduler."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"backend.scheduler.{_MODULES[name]}"), name)
