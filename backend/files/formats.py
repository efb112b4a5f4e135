"""Choice of the table class for a file, by the ending of its name."""

from __future__ import annotations

from pathlib import Path

from backend.files.csv_table import CsvTable
from backend.files.faults import FileRefusedError
from backend.files.import_kinds import FORECAST_SHAPE, OBSERVATION_SHAPE
from backend.files.parquet_table import ParquetTable
from backend.files.tables import Shape, Table
from backend.files.verif import VerifTable


def is_verif(path: Path) -> bool:
    """Return True if the name is that of a verif file."""
    return path.suffix.lower() == ".txt"


def forecast_table(path: Path, model: str | None = None) -> Table:
    """Return the forecasts of a file; `model` is for verif files that do not name one.

    Raises FileRefusedError.
    """
    if is_verif(path):
        return VerifTable.forecasts(path, model)
    if model is not None:
        raise FileRefusedError(f"{path}: --model is for .txt files: other files have a column for it")
    return open_table(path, FORECAST_SHAPE)


def observation_table(path: Path) -> Table:
    """Return the readings of a file. Raises FileRefusedError."""
    if is_verif(path):
        return VerifTable.observations(path)
    return open_table(path, OBSERVATION_SHAPE)


def open_table(path: Path, shape: Shape) -> Table:
    """Return the table of a .csv or .parquet file.

    Raises FileRefusedError for other files and for an invalid header.
    """
    kinds: dict[str, type[CsvTable] | type[ParquetTable]] = {".csv": CsvTable, ".parquet": ParquetTable}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise FileRefusedError(f"{path}: must end in .csv, .parquet or .txt")
    try:
        # Opened once here, so that an unreadable file gets the same error for every kind of table.
        path.open("rb").close()
    except FileNotFoundError:
        raise FileRefusedError(f"{path}: no such file") from None
    except OSError as error:
        raise FileRefusedError(f"{path}: cannot be read: {error.strerror}") from error
    return kind(path, shape)
