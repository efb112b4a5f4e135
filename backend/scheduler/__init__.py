"""Collecting on schedule: when, what, and who did it."""

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
