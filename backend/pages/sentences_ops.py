"""Words of the operator's page: jobs, outcomes, problems, and the reasons of values that are set aside."""

from __future__ import annotations

from datetime import datetime

from backend.core.clock import PARIS
from backend.pages.language import Language


def moment(words: Language, time: datetime) -> str:
    """Return a local day and time in few characters: "mer. 15, 14 h 05"."""
    return f"{words.short_day(time.astimezone(PARIS).date())}, {words.clock(time)}"


def size(words: Language, count: float) -> str:
    """Return a number of bytes as MB or GB."""
    if count >= 1e9:
        return words.gettext("%s GB") % words.number(count / 1e9, 1)
    return words.gettext("%s MB") % words.number(count / 1e6, 0 if count >= 1e7 else 1)


def job_name(words: Language, job: str) -> str:
    """Return the name of a job."""
    names = {
        "collect_forecasts": words.gettext("Collect forecasts"),
        "collect_observations": words.gettext("Collect readings"),
        "issue_forecasts": words.gettext("Issue forecasts"),
    }
    return names[job]


def state_of_process(words: Language, state: str) -> tuple[str, str]:
    """Return the kind of badge and the word for the state of a process of the service."""
    return {
        "alive": ("ok", words.gettext("alive")),
        "stopped": ("off", words.gettext("stopped")),
        "dead": ("bad", words.gettext("dead")),
    }[state]


def outcome(words: Language, status: str) -> tuple[str, str]:
    """Return the kind of badge and the word for the status of a run or of a source."""
    known = {
        "success": ("ok", words.gettext("success")),
        "nothing_new": ("ok", words.gettext("nothing new")),
        "running": ("busy", words.gettext("running")),
        "partial": ("warn", words.gettext("in part")),
        "stale": ("warn", words.gettext("too old")),
        "missed": ("warn", words.gettext("missed")),
        "interrupted": ("warn", words.gettext("interrupted")),
        "cancelled": ("warn", words.gettext("stopped")),
        "failed": ("bad", words.gettext("failed")),
        "disabled": ("off", words.gettext("off")),
    }
    return known.get(status, ("off", status))


def trigger(words: Language, name: str) -> str:
    """Return who or what started a run."""
    names = {
        "schedule": words.gettext("by the schedule"),
        "catch_up": words.gettext("caught up"),
        "api": words.gettext("by the operator"),
        "cli": words.gettext("by command"),
        "backfill": words.gettext("from the archive"),
    }
    return names.get(name, name)


def problem(words: Language, code: str) -> tuple[str, str]:
    """Return the title of a reason why the service is degraded, and what to do about it."""
    known = {
        "store_unreachable": (
            words.gettext("The database is unreachable"),
            words.gettext(
                "Check that it runs, and that its file or address can be reached. The service retries."
            ),
        ),
        "store_damaged": (
            words.gettext("The store is damaged"),
            words.gettext("Stop the service, copy the store, then restore a backup: docs/operations.md."),
        ),
        "store_replaced": (
            words.gettext("The store was replaced under the service"),
            words.gettext(
                "Stop the service, remove the -wal and -shm of the old store, start it: docs/operations.md."
            ),
        ),
        "scheduler_dead": (
            words.gettext("The schedule does not run"),
            words.gettext("If the service is starting, wait. Otherwise restart it and read its log."),
        ),
        "run_cannot_begin": (
            words.gettext("A run cannot start"),
            words.gettext("Check that the store is writable (rights, disk, locks): then the run starts."),
        ),
        "job_failing": (
            words.gettext("A job fails again and again"),
            words.gettext("Open its last runs below and read the error of each source."),
        ),
        "source_silent": (
            words.gettext("A source does not answer"),
            words.gettext("Check its key, its address and the network: meteo-score doctor asks it."),
        ),
        "data_stale": (
            words.gettext("The data of a source are too old"),
            words.gettext(
                "If its runs fail, read their errors. If they succeed, the publisher has nothing newer: wait."
            ),
        ),
        "disk_low": (words.gettext("The disk is nearly full"), _free_space(words)),
        "disk_full": (words.gettext("The disk is full"), _free_space(words)),
        "sites_file_broken": (
            words.gettext("The sites file is not usable"),
            words.gettext(
                "The last valid list is used. Correct the file before the next restart:"
                " meteo-score sites list names the line."
            ),
        ),
        "clock_off": (
            words.gettext("The clock of the machine is wrong"),
            words.gettext("Set it and keep it set: timedatectl set-ntp true."),
        ),
        "backup_overdue": (
            words.gettext("The newest backup is too old"),
            words.gettext("Run meteo-score backup, and see why its timer or cron job did not."),
        ),
        "values_not_removed": (
            words.gettext("Old raw values stay in the store"),
            words.gettext("Run meteo-score data retain --dry-run: it names the reason."),
        ),
    }
    return known.get(code, (code.replace("_", " "), ""))


def _free_space(words: Language) -> str:
    return words.gettext(
        "Free some space: lower KEEP_PAYLOADS_DAYS, or move DATA_DIR or the store to a larger disk."
    )


def parameter_name(words: Language, parameter: str | None) -> str:
    """Return the name of a parameter; empty if there is none."""
    names = {
        "wind_speed": words.gettext("mean wind speed"),
        "wind_gust": words.gettext("gusts"),
        "wind_direction": words.gettext("wind direction"),
        "temperature": words.gettext("air temperature"),
    }
    return names.get(parameter or "", parameter or "")


def why_set_aside(words: Language, code: str) -> str:
    """Return why a value was rejected, or why a reading or a sensor is flagged."""
    known = {
        "missing": words.gettext("the source marks it as missing"),
        "not_valid": words.gettext("the source marks it as not valid"),
        "out_of_range": words.gettext("outside the possible range"),
        "future": words.gettext("in the future"),
        "missing_hour": words.gettext("in the hour that the change of the clocks skips"),
        "not_a_number": words.gettext("not a number"),
        "odd_row": words.gettext("a row that contradicts itself"),
        "no_station": words.gettext("without a station"),
        "outside_grid": words.gettext("outside the grid of the model"),
        "masked": words.gettext("the model has no value there"),
        "no_such_place": words.gettext("an impossible position"),
        "stuck": words.gettext("the same value for too long"),
        "spike": words.gettext("a jump up and down"),
        "calm_among_wind": words.gettext("calm among readings of wind"),
        "gust_below_mean": words.gettext("a gust below the mean wind"),
        "far_from_models": words.gettext("too far from all models for the season"),
        "zero_mean": words.gettext("a mean of 0 beside a gust"),
        "zero_gust": words.gettext("a gust of 0 beside wind"),
        "moved": words.gettext("measured after a move of the station"),
        "zero_direction": words.gettext("always exactly 0: the vane is missing"),
        "stopped": words.gettext("at 0 for longer than ever before"),
        "stuck_vane": words.gettext("one direction while the wind varies"),
        "frozen_temperature": words.gettext("one temperature for days"),
        "drift": words.gettext("its level against the models has changed"),
        "excluded_by_operator": words.gettext("excluded by the operator"),
    }
    return known.get(code, code.replace("_", " "))
