"""What is written down about what happens: one line per event, with its run, and never with a key."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

import pytest
import structlog

from backend.core.config import Settings
from backend.core.logs import configure_logging
from backend.core.masking import mask_of
from backend.tests.support.commands import logging_put_back

KEY = "k3y with+odd/sïgns"
NOON = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)

Format = Literal["console", "json"]
FORMATS: tuple[Format, ...] = ("console", "json")

log = structlog.get_logger()
library = logging.getLogger("some.library")


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    with logging_put_back():
        yield


def written(log_format: Format = "json", **settings: Any) -> io.StringIO:
    """Set the logging up and return what it writes to."""
    stream = io.StringIO()
    configure_logging(Settings.load(log_format=log_format, ffvl_api_key=KEY, **settings), stream)
    return stream


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# --- Lines ------------------------------------------------------------------------------------------


def test_a_line_has_time_event_level_and_values() -> None:
    stream = written()
    log.warning("slot has to wait", slot=NOON, tries=3, share=0.5, sure=True, reason=None)
    (event,) = events(stream)
    assert datetime.fromisoformat(event.pop("timestamp")).tzinfo == UTC
    assert event == {
        "event": "slot has to wait",
        "level": "warning",
        "slot": "2026-07-15T12:00:00Z",
        "tries": 3,
        "share": 0.5,
        "sure": True,
        "reason": None,
    }


def test_values_within_values_stay_values() -> None:
    stream = written()
    log.info("run ended", sources={"ffvl": "success", "née": [1, NOON]}, days=(1, 2))
    (event,) = events(stream)
    assert event["sources"] == {"ffvl": "success", "née": [1, "2026-07-15T12:00:00Z"]}
    assert event["days"] == [1, 2]
    assert "née" in stream.getvalue()  # as it is read, and not as an escape


def test_on_a_console_the_same_is_one_line_of_text() -> None:
    stream = written("console")
    log.info("run ended", run=17, status="success")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()  # no colours where no terminal is
    assert all(word in stream.getvalue() for word in ("run ended", "run=17", "status=success", "info"))


def test_a_line_gives_no_orders_to_the_terminal_that_shows_it() -> None:
    stream = written("console")
    error = ValueError("\x1b]0;owned\x07")
    log.error("odd\x1b[2J", name="\x1b[31mPic\r", exc_info=error, **{"key\x1b": 1})
    text = stream.getvalue()
    assert "ValueError" in text and r"\x1b]0;owned" in text and r"\x1b[31mPic" in text
    assert {letter for letter in text if not letter.isprintable()} == {"\n"}


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_message_of_a_library_is_a_line_like_any_other(log_format: Format) -> None:
    stream = written(log_format)
    library.warning("gave up after %d tries", 3)
    assert "gave up after 3 tries" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_lines_below_the_level_are_left_out() -> None:
    stream = written(log_level="WARNING")
    log.info("quiet")
    library.info("quiet")
    log.error("loud")
    library.error("loud")
    assert [event["event"] for event in events(stream)] == ["loud", "loud"]


def test_libraries_that_log_each_step_are_limited_to_warnings() -> None:
    stream = written(log_level="DEBUG")
    for name in ("apscheduler.executors", "httpx2", "httpcore2.http11", "alembic.runtime", "uvicorn.access"):
        logging.getLogger(name).info("step")
        logging.getLogger(name).warning("trouble")
    assert [event["event"] for event in events(stream)] == ["trouble"] * 5


def test_a_server_that_set_its_own_lines_up_before_writes_ours() -> None:
    own = logging.StreamHandler(io.StringIO())
    server = logging.getLogger("uvicorn")
    server.addHandler(own)
    server.propagate = False
    stream = written()
    logging.getLogger("uvicorn.error").info("Application startup complete.")
    (event,) = events(stream)
    assert event["event"] == "Application startup complete."
    assert own.stream.getvalue() == ""


def test_setting_up_again_replaces_what_was_set_up_before() -> None:
    first, second = written(), written()
    log.info("once")
    library.warning("once")
    assert first.getvalue() == ""
    assert len(events(second)) == 2


# --- Whose line it is -------------------------------------------------------------------------------


async def test_each_line_of_a_run_has_its_id_from_any_task_or_thread() -> None:
    stream = written()

    def in_a_thread() -> None:
        library.warning("from a thread")

    async def run(number: int) -> None:
        structlog.contextvars.bind_contextvars(run=number, job="collect_forecasts")
        log.info("ours")
        await asyncio.sleep(0)
        library.warning("a library's")
        await asyncio.to_thread(in_a_thread)

    await asyncio.gather(asyncio.create_task(run(1)), asyncio.create_task(run(2)))
    log.info("of no run")
    *of_runs, of_none = events(stream)
    assert sorted((event["run"], event["event"]) for event in of_runs) == [
        (number, text) for number in (1, 2) for text in ("a library's", "from a thread", "ours")
    ]
    assert {event["job"] for event in of_runs} == {"collect_forecasts"}
    assert "run" not in of_none


# --- Keys -------------------------------------------------------------------------------------------


def spellings() -> list[str]:
    return [KEY, quote(KEY), quote(KEY, safe=""), quote(KEY).lower()]


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_key_is_masked_wherever_it_stands_in_a_line(log_format: Format) -> None:
    stream = written(log_format)
    for spelt in spellings():
        log.info(f"asked {spelt}", url=f"https://data.example?key={spelt}", inside={"a": [spelt], spelt: 1})
        log.info("asked", error=ValueError(spelt))
        library.warning("asked %s", spelt)
    text = stream.getvalue()
    assert text.count("***") >= 6 * len(spellings())
    assert not [spelt for spelt in spellings() if spelt in text]


def look_up() -> None:
    raise KeyError(KEY)


def ask() -> None:
    try:
        look_up()
    except KeyError as error:
        raise ValueError(f"no answer from https://data.example?key={quote(KEY)}") from error


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_key_is_masked_in_a_traceback_and_in_what_caused_it(log_format: Format) -> None:
    stream = written(log_format)
    try:
        ask()
    except ValueError as error:
        caught = error
        log.exception("source broke")
        library.exception("broke too")
    log.error("request failed", exc_info=caught)
    text = stream.getvalue()
    assert text.count("Traceback (most recent call last)") == 6  # each with its cause
    assert text.count("in look_up") == 3
    assert not [spelt for spelt in spellings() if spelt in text]


def test_a_traceback_in_json_is_part_of_its_line() -> None:
    stream = written()
    try:
        ask()
    except ValueError:
        log.exception("source broke", source="ffvl")
    (event,) = events(stream)
    assert event["source"] == "ffvl"
    assert event["exception"].endswith("ValueError: no answer from https://data.example?key=***")


def test_without_a_key_nothing_is_masked() -> None:
    assert mask_of([])("a *** b") == "a *** b"
    assert mask_of(["", "  "])("a b") == "a b"


def test_of_keys_that_begin_alike_the_longer_is_masked_whole() -> None:
    assert mask_of(["abc", "abcdef"])("abcdef abc") == "*** ***"
