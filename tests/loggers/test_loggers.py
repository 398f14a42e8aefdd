"""Loggers write what they are told, and say what is missing."""

import math
import sys

import pytest

from hydrometer import loggers, registry
from hydrometer.types import HydrometerError
from run_rows import run_of, verdict_of

RUN = run_of(
    "abcdefghij",
    source="folder:/data/my set",
    method="herding(features=pixels)",
    budget="ipc=1",
    steps=10,
    losses=(2.0, 0.5),
)


def scalars(folder):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def only_folder(place):
    (found,) = {file.parent for file in place.rglob("events*")}
    return found


def test_tensorboard_gets_curves_accuracies_and_estimates(tmp_path):
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    logger = loggers.load(f"tensorboard:{tmp_path}")
    logger.run(RUN)
    logger.verdict(verdict_of("p@1"))
    logger.close()
    of_run = scalars(only_folder(tmp_path / "runs"))
    assert of_run["loss"] == [(5, 2.0), (10, 0.5)]
    assert of_run["accuracy/val"] == [(10, pytest.approx(0.7))]
    assert of_run["accuracy/test"] == [(10, pytest.approx(0.3))]
    of_verdict = scalars(only_folder(tmp_path / "verdicts"))
    assert of_verdict["lrs/low"] == [(0, pytest.approx(0.2))]
    assert set(of_verdict) == {"lrs/value", "lrs/low", "lrs/high"}


def test_mlflow_gets_the_same(tmp_path, monkeypatch):
    library = pytest.importorskip("mlflow", reason="needs mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    logger = loggers.load("mlflow:trial")
    logger.run(RUN)
    logger.verdict(verdict_of("p@1"))
    client = library.MlflowClient()
    kept = client.search_runs([client.get_experiment_by_name("trial").experiment_id])
    by_kind = {run.data.tags["kind"]: run for run in kept}
    curve = client.get_metric_history(by_kind["run"].info.run_id, "loss")
    assert [(point.step, point.value) for point in curve] == [(5, 2.0), (10, 0.5)]
    assert by_kind["run"].data.params["method"] == RUN.method
    assert by_kind["verdict"].data.metrics["lrs/high"] == pytest.approx(0.4)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_library_is_said_with_its_extra(name, monkeypatch, tmp_path):
    for module in ("torch.utils.tensorboard", "mlflow"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(HydrometerError, match=rf"pip install 'hydrometer\[{name}\]'"):
        loggers.load(f"{name}:{tmp_path}")


def test_tensorboard_needs_a_folder():
    with pytest.raises(HydrometerError, match="tensorboard:DIR"):
        loggers.load("tensorboard")


def test_an_unknown_logger_is_refused_with_the_nearest():
    with pytest.raises(HydrometerError, match="did you mean 'tensorboard'"):
        loggers.load("tensorbord:x")
    assert {"tensorboard", "mlflow"} <= set(registry.names("logger"))


def test_what_is_not_finite_is_left_out_of_a_curve():
    run = run_of("a", steps=7, losses=(1.0, math.nan, 3.0))
    assert loggers.losses(run) == [(2, 1.0), (7, 3.0)]
    assert loggers.losses(run_of("b", losses=())) == []


def test_a_title_is_a_path_of_plain_names():
    assert loggers.title(RUN) == "folder__data_my_set/herding_features=pixels__ipc=1/seed0-abcdefgh"
    assert loggers.title(run_of("k", source="..", method="a/../b")).startswith("unknown/a_.._b")
