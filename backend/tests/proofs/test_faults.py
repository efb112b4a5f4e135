"""The fault matrix in short: each fault once, spread over the routes. `make faults` has every cell.

The assertions of a cell are in proofs/faults.py. The cases are in the order of the routes, because the
undisturbed values of a route are computed once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from backend.demo.faults import Fault
from proofs.fault_bench import Bench
from proofs.faults import (
    ARPEGE,
    DOUBLED_HOUR,
    FAULTS,
    FFVL,
    FFVL_PAGE,
    GEOSPHERE,
    IFS,
    MASTS,
    METEO_PARAPENTE,
    METEOFRANCE,
    METEOHUB,
    METEOSWISS,
    MODELS,
    OPEN_METEO,
    PIOUPIOU,
    PORTAL,
    ROMMA,
    ROMMA_PAGE,
    SENSORS,
    SLF,
    STORAGE,
    WAYS,
    WINDS_MOBI,
    Case,
    Cell,
    Fallback,
    Moved,
    all_cells,
    why_not,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES: tuple[Case, ...] = (
    Cell(METEO_PARAPENTE, Fault.RESET, one=True),
    Cell(METEO_PARAPENTE, Fault.BROKEN),
    Cell(METEO_PARAPENTE, Fault.NO_TEMPERATURE, one=True),
    Cell(STORAGE, Fault.TRUNCATED, one=True),
    Cell(IFS, Fault.ABSURD, one=True),
    Cell(ARPEGE, Fault.TRUNCATED, one=True),
    Cell(METEOHUB, Fault.NO_GUSTS),
    Cell(PORTAL, Fault.FORBIDDEN),
    Cell(METEOFRANCE, Fault.UNAUTHORIZED),
    Cell(MASTS, Fault.TRUNCATED),
    Cell(METEOSWISS, Fault.ODD_ROW),
    Cell(SLF, Fault.UNAVAILABLE, one=True),
    Cell(OPEN_METEO, Fault.UNAVAILABLE),
    Cell(GEOSPHERE, Fault.UNAVAILABLE),
    Cell(MODELS, Fault.STALE),
    Cell(STORAGE, Fault.NO_GUSTS),
    Cell(MODELS, Fault.NO_PLACE),
    Cell(MODELS, Fault.MISSING_FIELDS, one=True),
    Fallback((FFVL, WINDS_MOBI)),
    Cell(FFVL, Fault.NOT_FOUND, one=True),
    Cell(FFVL, Fault.NAN),
    Cell(FFVL, Fault.ODD_ROW),
    Cell(WINDS_MOBI, Fault.MOVED),
    Moved(PIOUPIOU),
    Cell(FFVL, DOUBLED_HOUR),
    Cell(WINDS_MOBI, Fault.MAINTENANCE, one=True),
    Cell(WINDS_MOBI, Fault.ZERO_MEAN),
    Cell(FFVL_PAGE, Fault.HANG, one=True),
    Cell(FFVL_PAGE, Fault.EMPTY),
    Cell(PIOUPIOU, Fault.LOGIN),
    Cell(PIOUPIOU, Fault.REFUSE, one=True),
    Cell(ROMMA, Fault.DRIP),
    Cell(ROMMA, Fault.TOO_MANY),
    Cell(ROMMA, Fault.ERROR_IN_200),
    Cell(ROMMA, Fault.LATIN_1),
    Cell(ROMMA_PAGE, Fault.CUT, one=True),
    Cell(ROMMA_PAGE, Fault.FUTURE, one=True),
    Cell(ROMMA_PAGE, Fault.MISSING_HOUR, one=True),
    *SENSORS,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with Bench(tmp_path_factory.mktemp("faults")) as bench:
        yield bench


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case.name.split()))
async def test_a_fault_loses_nothing_invents_nothing_and_is_reported(bench: Bench, case: Case) -> None:
    judged = await case.judge(bench)
    assert judged.problems == (), judged.outcome


async def test_every_fault_and_every_route_is_in_the_short_form() -> None:
    cells = [case for case in CASES if isinstance(case, Cell)]
    assert {cell.fault for cell in cells} == set(FAULTS)
    assert {cell.way for cell in cells} == set(WAYS)
    assert not [cell for cell in cells if why_not(cell)]


async def test_every_cell_of_the_matrix_is_judged_or_has_a_reason_why_not() -> None:
    cells = list(all_cells())
    assert len(cells) == len(set(cells)) == 2 * len(FAULTS) * len(WAYS)
    assert all(reason for cell in cells if (reason := why_not(cell)) is not None)
    assert {cell.way for cell in cells if not why_not(cell) and not cell.one} == set(WAYS)
