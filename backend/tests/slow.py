"""Which tests `make check` leaves out, with those that need PostgreSQL (conftest.py marks them)."""

from __future__ import annotations

SLOW_MODULES = frozenset(
    {
        "test_api_data",
        "test_api_docs",
        "test_api_scores",
        "test_archive",
        "test_arome",
        "test_bench",
        "test_cli",
        "test_clock_watch",
        "test_crash",
        "test_db_copy",
        "test_demo",
        "test_demo_processes",
        "test_demo_upstreams",
        "test_faults",
        "test_files_export",
        "test_frozen_outputs",
        "test_fuzz_api",
        "test_fuzz_parsers",
        "test_head",
        "test_imports",
        "test_processes",
        "test_processes_clock",
        "test_processes_outages",
        "test_public_answers",
        "test_readiness",
        "test_reading",
        "test_readme",
        "test_scheduled_run",
        "test_scoring_calibration",
        "test_scoring_days",
        "test_scoring_world",
        "test_soak",
        "test_station_flags",
        "test_station_moves",
        "test_store",
        "test_surfaces",
        "test_terminal",
        "test_withheld_reconstruction",
        "test_worker",
    }
)
"""Modules whose tests start processes, live through many days or take over 5 s of CPU time together."""
