"""The stop of the service: what may take minutes is left to the next process."""

from __future__ import annotations

from pathlib import Path

from backend.core.local_time import local_day
from backend.main import Service
from backend.scheduler.config import OBSERVATIONS
from backend.scheduler.orders import Selection
from backend.storage import days
from backend.tests.support.served import NOW, fill, make_service, served, when_ready


def due(service: Service) -> set[int]:
    """Return the sites with score days that are due."""
    with service.database.read() as connection:
        return set(days.due_sites(connection, local_day(NOW)))


async def test_a_stop_leaves_score_days_to_the_next_process(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    waiting = due(service)
    assert len(waiting) == 2
    nothing = Selection(sources=())
    service.stopping.set()
    await service.runner.run(OBSERVATIONS, "cli", selection=nothing)
    assert due(service) == waiting
    async with served(service, live=True) as client:
        await when_ready(client)
        assert not service.stopping.is_set()
        await service.runner.run(OBSERVATIONS, "cli", selection=nothing)
        assert due(service) == set()
    assert service.stopping.is_set()
