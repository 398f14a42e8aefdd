import pandas
import pytest

import hydrometer
import tiny
from hydrometer.engine import loop
from hydrometer.store import Store, frames
from hydrometer.types import HydrometerError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "runs.sqlite"
    source = tiny.source()
    lens, exams = tiny.lens_and_exams(source)
    jobs = [tiny.job(source, seed=seed, epochs=1) for seed in (0, 1)]
    with Store(path) as store:
        for run in loop.run(jobs, source, lens, lambda: exams, (), lambda steps: None):
            store.add(run)
        return path, store.runs()


def test_runs_come_as_a_frame_with_a_row_per_student(trained):
    path, runs = trained
    frame = hydrometer.load_runs(path)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.key) == [run.key for run in runs]
    assert list(frame.test_accuracy) == [run.test_accuracy for run in runs]
    assert set(frame.student) == {"convnet(depth=2,norm=instance,width=8)"}
    assert set(frame.lr) == {0.05}
    assert set(zip(frame.source, frame.method, frame.budget, strict=True)) == {
        ("tiny", "some", "some")
    }
    assert frame.groupby("seed").size().to_dict() == {0: 1, 1: 1}


def test_without_pandas_they_come_as_flat_dicts(trained, monkeypatch):
    monkeypatch.setattr(frames.importlib.util, "find_spec", lambda name: None)
    rows = hydrometer.load_runs(trained[0])
    assert [row["seed"] for row in rows] == [0, 1]
    assert all(isinstance(v, str | int | float | None) for row in rows for v in row.values())


def test_an_empty_store_gives_an_empty_frame_with_columns(tmp_path):
    Store(tmp_path / "empty.sqlite").close()
    frame = hydrometer.load_runs(tmp_path / "empty.sqlite")
    assert len(frame) == 0
    assert {"test_accuracy", "student"} <= set(frame.columns)


def test_a_missing_store_is_refused_and_not_made(tmp_path):
    with pytest.raises(HydrometerError, match="no store"):
        hydrometer.load_runs(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
