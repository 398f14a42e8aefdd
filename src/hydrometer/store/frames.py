"""Runs as rows for analysis in Python."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from hydrometer.store.export import COLUMNS, row
from hydrometer.store.sqlite import Store
from hydrometer.types import HydrometerError, Run, Scalar

RECIPE = ("student", "optimiser", "lr", "schedule", "epochs", "batch", "labels", "precision")
"""Settings of the recipe that get a column each; the whole of it is in the column `recipe`."""


def load_runs(path: Path | str = "runs.sqlite") -> Any:
    """All runs of a store: a pandas DataFrame where pandas is installed, else a list of flat dicts.

    One row per student, with the columns of `export.COLUMNS` and those of `RECIPE`; accuracies are
    fractions, times seconds.

    Raises:
        HydrometerError: There is no store at `path`, or it cannot be read.
    """
    if not Path(path).is_file():
        raise HydrometerError(f"no store at {path}; give the file that `evaluate` or `bench` wrote")
    with Store(path) as store:
        rows = [flat(run) for run in store.runs()]
    if importlib.util.find_spec("pandas") is None:
        return rows
    return importlib.import_module("pandas").DataFrame(rows, columns=[*COLUMNS.names, *RECIPE])


def flat(run: Run) -> dict[str, Scalar]:
    """A run as one flat row."""
    recipe = json.loads(run.recipe)
    return row(run) | {name: recipe.get(name) for name in RECIPE}
