import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from filelock import FileLock

import tiny
from hydrometer import methods, registry, seeds, sources
from hydrometer.artifact import container
from hydrometer.methods.match import journal, outer
from hydrometer.types import Budget, HydrometerError

SHORT = "experts=2,epochs=3,max_start=2,steps=3,span=1,student=mlp,width=8,iterations=4,checks=2"
SPECS = [
    "dm(iterations=4,batch=8,checks=2,student=mlp)",
    "dc(iterations=4,outer=2,inner=1,batch=8,checks=2,student=mlp)",
    "dsa(iterations=4,outer=2,inner=1,batch=8,checks=2,student=mlp)",
    "idm(iterations=4,batch=8,checks=2,student=mlp,steps=2,every=2,pool=4,factor=2)",
    f"mtt({SHORT},ema=0.9)",
    f"datm({SHORT},skip_above=100.0)",
]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """A cache of its own, states kept after every iteration, and a judge that costs nothing."""
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path))
    monkeypatch.setattr(journal, "SECONDS", 0.0)
    judged(monkeypatch, lambda state: 0.5)  # of equals the last is kept, which all iterations shape


def judged(monkeypatch, how):
    monkeypatch.setattr(outer.Judge, "__call__", lambda self, state: how(state))


def whim(state):
    """Any fixed function of a state, in [0, 1)."""
    return abs(float(state.images.double().sum())) % 1


def learn(spec, watch=None, rng=None, source=None):
    return registry.build(
        "method",
        registry.parse(spec),
        source or tiny.source(),
        Budget(per_class=1),
        rng=rng or np.random.default_rng(0),
        watch=watch,
    )


def stopped(spec, at):
    """Stop a run after an iteration, as Ctrl-C or a kill does."""

    def stop(glance):
        if glance.iteration == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(spec, stop)


def resumed(spec, **options):
    """The set, and the iterations it still took."""
    seen = []
    return learn(spec, lambda glance: seen.append(glance.iteration), **options), seen


@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("spec", SPECS)
def test_a_stopped_run_goes_on_to_the_same_digits(spec, at, monkeypatch, tmp_path):
    whole = learn(spec)
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "other"))
    stopped(spec, at)
    again, seen = resumed(spec)
    assert seen == list(range(at + 1, 5))
    assert again.digest == whole.digest
    assert again.card.model_dump(exclude={"seconds"}) == whole.card.model_dump(exclude={"seconds"})


def test_the_best_from_before_the_stop_is_still_the_best(monkeypatch, tmp_path):
    values = iter([0.9, 0.1, 0.9, 0.1])
    judged(monkeypatch, lambda state: next(values))
    whole = learn(SPECS[-1])
    assert any(note.endswith("; kept 2") for note in whole.card.notes)
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "other"))
    stopped(SPECS[-1], 3)
    again, seen = resumed(SPECS[-1])
    assert (again.digest, seen) == (whole.digest, [4])
    assert (again.card.student_lr, again.card.notes) == (whole.card.student_lr, whole.card.notes)


KILLED = """
import sys, time
from hydrometer import registry, seeds, sources
from hydrometer.methods.match import journal
from hydrometer.types import Budget

journal.SECONDS = 0.0

def wait(glance):
    if glance.iteration == 2:
        print("ready", flush=True)
        time.sleep(600)

spec, source = registry.parse(sys.argv[1]), sources.sealed(sources.load("digits"))
registry.build(
    "method", spec, source, Budget(per_class=1), rng=seeds.numpy_rng(0, "x"), watch=wait
)
"""


def test_kill_9_in_the_middle_of_digits(monkeypatch, tmp_path, caplog):
    caplog.set_level("INFO", logger="hydrometer")
    spec = "idm(iterations=4,batch=8,checks=0,width=4,steps=1)"
    source = sources.load("digits")

    def compress():
        return methods.compress(
            source, registry.parse(spec), Budget(per_class=1), rng=seeds.numpy_rng(0, "x"), seed=0
        )

    whole = compress()
    there = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, spec]
    environment = os.environ | {"HYDROMETER_CACHE": str(there)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline().strip() == b"ready"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert "going on" not in caplog.text
    monkeypatch.setenv("HYDROMETER_CACHE", str(there))
    again = compress()
    assert "going on after iteration 2" in caplog.text
    assert again.digest == whole.digest


def test_intermediate_sets_and_the_curve_are_kept(tmp_path, monkeypatch):
    judged(monkeypatch, whim)
    seen = []
    made = learn(SPECS[0], seen.append)
    (home,) = (tmp_path / "matching").iterdir()
    assert sorted(f.name for f in home.iterdir()) == [
        "000002.safetensors", "000004.safetensors", "progress.json",
    ]  # fmt: skip
    told = journal.Progress.model_validate_json((home / "progress.json").read_text())
    assert told.curve == tuple((g.iteration, whim(g.state)) for g in seen if g.state)
    assert (told.done, told.loss) == (4, seen[-1].loss)
    for glance in (seen[1], seen[3]):
        kept = container.load(home / f"{glance.iteration:06d}.safetensors")
        assert torch.equal(kept.images, glance.state.images)
        assert f"intermediate: after iteration {glance.iteration}" in kept.card.notes
    assert f"intermediate sets in matching/{home.name} of the cache" in made.card.notes
    best = container.load(home / f"{told.kept:06d}.safetensors")
    assert best.digest == made.digest


def test_a_finished_run_is_done_again_and_others_are_other_works(tmp_path):
    first, _ = resumed(SPECS[0])
    again, seen = resumed(SPECS[0])
    assert (again.digest, seen) == (first.digest, [1, 2, 3, 4])
    stopped(SPECS[0], 3)
    assert resumed(SPECS[0].replace("batch=8", "batch=9"))[1] == [1, 2, 3, 4]
    assert resumed(SPECS[0], rng=np.random.default_rng(1))[1] == [1, 2, 3, 4]
    assert resumed(SPECS[0], source=tiny.source(seed=1))[1] == [1, 2, 3, 4]
    assert len(list((tmp_path / "matching").iterdir())) == 4
    assert resumed(SPECS[0])[1] == [4]


def test_a_damaged_state_is_begun_again(tmp_path):
    whole = learn(SPECS[0])
    stopped(SPECS[0], 3)
    (state,) = tmp_path.glob("matching/*/state.safetensors")
    state.write_bytes(state.read_bytes()[:-9])
    again, seen = resumed(SPECS[0])
    assert (again.digest, seen) == (whole.digest, [1, 2, 3, 4])


def test_a_run_that_diverged_is_not_gone_on_with(tmp_path):
    with pytest.raises(HydrometerError, match="diverged"):
        learn("dm(lr=1e30,iterations=9,checks=9,student=mlp)")
    assert not list(tmp_path.glob("matching/*/state.safetensors"))


def test_of_two_processes_at_the_same_work_the_second_keeps_nothing(tmp_path):
    whole = learn(SPECS[0])
    (home,) = (tmp_path / "matching").iterdir()
    before = (home / "progress.json").stat().st_mtime_ns
    with FileLock(tmp_path / "locks" / f"{home.name}.lock"):
        made = learn(SPECS[0])
    assert made.digest == whole.digest
    assert "progress not kept: another process was at the same work" in made.card.notes
    assert (home / "progress.json").stat().st_mtime_ns == before


def test_without_a_cache_to_write_to_the_work_is_done_all_the_same(tmp_path, monkeypatch):
    whole = learn(SPECS[0])
    (tmp_path / "file").touch()
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "file" / "cache"))
    made = learn(SPECS[0])
    assert made.digest == whole.digest
    assert [n for n in made.card.notes if n.startswith("progress not kept: ")]


def test_a_disk_that_fills_up_stops_the_keeping_and_not_the_work(tmp_path, monkeypatch):
    whole = learn(SPECS[0])

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "save_file", full)
    made = learn(SPECS[0])
    assert made.digest == whole.digest
    assert any("No space left on device" in note for note in made.card.notes)
