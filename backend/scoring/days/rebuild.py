"""Rebuilds every score day of every site, in several processes: sites are independent of each other."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from backend.scoring.days.update import Report, make_due, update_sites
from backend.storage.database import Database

OnSite = Callable[[int], None]
"""Called with the id of each site that is done."""


def rebuild(
    url: str,
    site_ids: Sequence[int],
    today: int,
    *,
    first: int | None = None,
    workers: int = 2,
    on_site: OnSite | None = None,
) -> Report:
    """Make the days of these sites again, from local day `first` on, up to `today`.

    Each site is read, computed and written by itself, so that the store is never without a site's days for
    longer than it takes to write them. Blocks. Raises StoreUnavailableError.
    """
    report = Report()
    make_due(Database(url), site_ids, first)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, min(workers, len(site_ids))), context, _open, (url,)) as pool:
        made = {pool.submit(_make, site_id, today): site_id for site_id in site_ids}
        for each in as_completed(made):
            of_site = each.result()
            report.days |= of_site.days
            report.months |= of_site.months
            report.unsettled += of_site.unsettled
            if on_site is not None:
                on_site(made[each])
    return report


_opened: list[Database] = []  # this process's own, once it has been opened


def _open(url: str) -> None:
    _opened.append(Database(url, busy_timeout=60))


def _make(site_id: int, today: int) -> Report:
    report = Report()
    update_sites(_opened[0], [site_id], today, report)
    return report
