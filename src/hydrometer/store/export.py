"""Runs as flat tables for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from hydrometer.types import HydrometerError, Run, Scalar

COLUMNS = pa.schema(
    [
        ("key", pa.string()),
        ("set_digest", pa.string()),
        ("source_digest", pa.string()),
        ("recipe_digest", pa.string()),
        ("source", pa.string()),
        ("method", pa.string()),
        ("budget", pa.string()),
        ("seed", pa.int64()),
        ("status", pa.string()),
        ("diverged_step", pa.int64()),
        ("val_accuracy", pa.float64()),
        ("test_accuracy", pa.float64()),
        ("val_images", pa.int64()),
        ("test_images", pa.int64()),
        ("last_loss", pa.float64()),
        ("steps", pa.int64()),
        ("seconds", pa.float64()),
        ("hydrometer", pa.string()),
        ("torch", pa.string()),
        ("python", pa.string()),
        ("device", pa.string()),
        ("threads", pa.int64()),
        ("recipe", pa.string()),
    ]
)


def to_csv(runs: Iterable[Run], path: Path) -> None:
    """Write one line per run below a header; absent values are empty."""
    _write(csv.write_csv, runs, path)


def to_parquet(runs: Iterable[Run], path: Path) -> None:
    """Write one row per run, with the columns and types of `COLUMNS`."""
    _write(parquet.write_table, runs, path)


def _write(write: Callable[[pa.Table, Path], object], runs: Iterable[Run], path: Path) -> None:
    table = pa.Table.from_pylist([row(run) for run in runs], schema=COLUMNS)
    try:
        write(table, path)
    except OSError as error:
        raise HydrometerError(f"cannot write {path}: {error}") from error


def row(run: Run) -> dict[str, Scalar]:
    """A run as one flat row with the columns of `COLUMNS`."""
    derived: dict[str, Scalar] = {
        "val_accuracy": run.val_accuracy,
        "test_accuracy": run.test_accuracy,
        "val_images": sum(run.val_totals),
        "test_images": sum(run.test_totals),
        "last_loss": run.losses[-1] if run.losses else None,
    }
    whole = run.model_dump() | run.environment.model_dump() | derived
    return {name: whole[name] for name in COLUMNS.names}
