import csv

import pytest
from pyarrow import parquet

from hydrometer.store import export
from hydrometer.types import HydrometerError
from run_rows import run_of

RUNS = [run_of("a"), run_of("b", status="diverged", diverged_step=4, losses=(), seed=2)]


def test_csv_holds_one_line_per_run(tmp_path):
    export.to_csv(RUNS, tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["recipe"] == RUNS[0].recipe
    assert float(first["test_accuracy"]) == 0.3
    assert float(first["last_loss"]) == 0.1 + 0.2
    assert first["diverged_step"] == second["last_loss"] == ""
    assert (second["key"], second["seed"], second["diverged_step"]) == ("b", "2", "4")


def test_parquet_keeps_types_even_without_runs(tmp_path):
    for runs in (RUNS, []):
        export.to_parquet(runs, tmp_path / "runs.parquet")
        table = parquet.read_table(tmp_path / "runs.parquet")
        assert table.schema.equals(export.COLUMNS)
        assert table["key"].to_pylist() == [run.key for run in runs]
    export.to_parquet(RUNS, tmp_path / "runs.parquet")
    row = parquet.read_table(tmp_path / "runs.parquet").to_pylist()[0]
    assert (row["val_accuracy"], row["test_images"], row["device"]) == (0.7, 100, "cpu")


def test_a_place_that_cannot_be_written_is_explained(tmp_path):
    with pytest.raises(HydrometerError, match="cannot write"):
        export.to_csv(RUNS, tmp_path / "no" / "runs.csv")
