"""Two processes on one student give what one gives, on gloo."""

import os
from pathlib import Path

import pytest
import ranks
import torch
from safetensors.torch import load_file
from torch import nn

import tiny
from hydrometer.engine.program import Solo
from hydrometer.engine.shared import share_norms
from hydrometer.execute import Silent, executor, serial
from hydrometer.execute.lab import Lab
from hydrometer.store import Store
from hydrometer.types import HydrometerError

PROCESSES = 2
NUMBERED = list(enumerate(ranks.CASES))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two processes have left what they trained."""
    made = tmp_path_factory.mktemp("ranks")
    path = os.pathsep.join([str(Path(tiny.__file__).parent), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        ranks.start(ranks.__file__, made, PROCESSES)
    return made


@pytest.mark.parametrize(("number", "name"), NUMBERED)
def test_losses_weights_and_logits_are_those_of_one_process(folder, number, name):
    alone = ranks.trained(name, Solo)
    for rank in range(PROCESSES):
        shared = load_file(folder / f"{number}-{rank}.safetensors")
        assert shared.keys() == alone.keys()
        for key, value in alone.items():
            torch.testing.assert_close(
                shared[key], value, rtol=1e-4, atol=1e-5, msg=f"{name}: {key}"
            )


@pytest.mark.parametrize(("number", "name"), NUMBERED)
def test_all_processes_hold_the_same_weights(folder, number, name):
    first, second = (load_file(folder / f"{number}-{rank}.safetensors") for rank in range(2))
    for key, value in first.items():
        assert torch.equal(value, second[key]), f"{name}: {key}"


def test_rank_0_alone_writes_the_store(folder, tmp_path):
    whole = tiny.job(ranks.SOURCE, rows=range(60), epochs=1)
    with Store(folder / "runs.sqlite") as store, Store(tmp_path / "serial.sqlite") as other:
        lab = Lab(ranks.SOURCE, tiny.CPU)
        asked = [ranks.job("instance norm, odd"), whole]
        wanted = serial.execute(asked, lab, other, Silent())
        shared = {run.key: run for run in store.runs()}
    assert shared.keys() == wanted.keys()
    for key, run in shared.items():
        assert run.losses == pytest.approx(wanted[key].losses, rel=1e-4)
        assert run.test_hits == wanted[key].test_hits
        assert run.environment.device == f"{wanted[key].environment.device}, 2 processes"
    assert sorted(path.name for path in folder.glob("leader-*")) == ["leader-0"]


def test_a_student_that_draws_is_refused_and_the_rest_goes_on(folder):
    assert "dropout" in (folder / "refused").read_text()


def test_a_norm_of_another_kind_is_refused():
    class Own(nn.BatchNorm2d):
        pass

    with pytest.raises(HydrometerError, match="batch norm of its own kind, Own"):
        share_norms(nn.Sequential(Own(3)))


def test_torchrun_must_have_started_it(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(HydrometerError, match="torchrun --nproc-per-node"), executor("torchrun"):
        pass
