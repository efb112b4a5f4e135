"""Times in files: aware, converted to UTC, in whole seconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)
"""Earlier times are errors; also, local day -1 has a special meaning in the store."""

_NO_TIME = "is not a time with its zone, such as 2026-07-15T06:00:00Z"
_NAIVE = "is a time without a zone: write it in UTC with a Z, or with its offset (+02:00)"
_NOT_WHOLE = "is not a whole second"
_TOO_EARLY = f"is before {EARLIEST:%Y}"


def epochs(cells: pl.Series) -> pl.DataFrame:
    """Return `epoch` (seconds since 1970, null if there is none) and `wrong`: the rule that a cell breaks.

    Both are null for an absent cell. Text is parsed as ISO 8601 by Python.
    """
    dtype = cells.dtype
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        whole = {"ns": 1_000_000_000, "us": 1_000_000, "ms": 1_000}[dtype.time_unit]
        frame = pl.DataFrame({"ticks": cells.to_physical(), "present": cells.is_not_null()})
        seconds = pl.col("ticks") // whole
        wrong = (
            pl.when(pl.col("present") & (pl.col("ticks") % whole != 0))
            .then(pl.lit(_NOT_WHOLE))
            .when(pl.col("present") & (seconds < int(EARLIEST.timestamp())))
            .then(pl.lit(_TOO_EARLY))
        )
        return frame.select(wrong=wrong, epoch=seconds).select(
            epoch=pl.when(pl.col("wrong").is_null()).then(pl.col("epoch")), wrong="wrong"
        )
    if dtype != pl.String:
        why = _NAIVE if dtype in (pl.Datetime, pl.Date) else _NO_TIME
        frame = pl.DataFrame({"present": cells.is_not_null()})
        return frame.select(epoch=pl.lit(None, pl.Int64), wrong=pl.when(pl.col("present")).then(pl.lit(why)))
    # A file has few different times, each of them many times: each is parsed once per piece.
    texts = cells.drop_nulls().unique()
    parsed = [_read(text) for text in texts.to_list()]
    known = pl.DataFrame(
        {"text": texts, "epoch": [epoch for epoch, _ in parsed], "wrong": [wrong for _, wrong in parsed]},
        schema={"text": pl.String, "epoch": pl.Int64, "wrong": pl.String},
    )
    return (
        pl.DataFrame({"text": cells}).join(known, on="text", how="left", maintain_order="left").drop("text")
    )


def _read(text: str) -> tuple[int | None, str | None]:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None, _NO_TIME
    if moment.tzinfo is None:
        return None, _NAIVE
    if moment.microsecond:
        return None, _NOT_WHOLE
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        return None, "is outside the calendar"
    return (int(utc.timestamp()), None) if utc >= EARLIEST else (None, _TOO_EARLY)
