"""Every parser against payloads gone wrong: records that can be true, or a ParseError, and soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.collectors.grib.worker import Worker
from backend.tests.support.bombs import set_off
from backend.tests.support.fuzz_targets import Target, check, check_soon, grib_service, grib_target, targets
from backend.tests.support.mutations import EACH_REPLACED, damaged
from backend.tests.support.waiting import HANG_SECONDS

# The same examples each time: what a test run finds, the next one finds too. `make fuzz` looks further.
brief = settings(
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TARGETS = targets()
MOST_CPU_SECONDS, MOST_CPU_SECONDS_OF_A_BOMB, MOST_MEGABYTES = 2.0, 20.0, 400.0

each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@each_target
def test_what_is_damaged_was_understood_before(target: Target) -> None:
    assert check(target, target.seeds[0])


@each_target
def test_each_value_replaced_by_each_odd_one_is_read_or_refused(target: Target) -> None:
    for body in EACH_REPLACED[target.kind](target.seeds[0]):
        check(target, body)


@each_target
@settings(brief, max_examples=60)
@given(data=st.data())
def test_a_payload_damaged_in_several_ways_is_read_or_refused(target: Target, data: st.DataObject) -> None:
    check_soon(target, data.draw(damaged(target.kind, target.seeds)), MOST_CPU_SECONDS)


# --- In a process of their own: what may break it ----------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[Worker]:
    worker = Worker(seconds_per_call=HANG_SECONDS, niceness=0)  # for all bombs of a parser
    yield worker
    worker.close()


@pytest.mark.asyncio(loop_scope="module")
@each_target
async def test_a_payload_made_to_cost_time_and_memory_costs_little(worker: Worker, target: Target) -> None:
    seconds, megabytes = await worker.run(set_off, target.name)
    assert {label: spent for label, spent in seconds.items() if spent > MOST_CPU_SECONDS_OF_A_BOMB} == {}
    assert megabytes < MOST_MEGABYTES


@pytest.fixture(scope="module")
def grib(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with asyncio.Runner() as runner:
        service = grib_service(tmp_path_factory.mktemp("grib"), seconds_per_call=60)
        collect = runner.run(service.__aenter__())
        yield grib_target(lambda body: runner.run(collect(body)))
        runner.run(service.__aexit__(None, None, None))


@settings(brief, max_examples=150)
@given(data=st.data())
def test_a_bad_grib_file_costs_itself_only(grib: Target, data: st.DataObject) -> None:
    check(grib, data.draw(damaged(grib.kind, grib.seeds)))
