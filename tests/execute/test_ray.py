"""On a real local cluster of three workers, which all tests of this file share."""

import os
import signal
import sys
import time

import pytest
import torch

import tiny
from hydrometer import digest, protocols, registry, sources, verdict
from hydrometer.artifact.rows import from_rows
from hydrometer.execute import Manner, Silent, executor, manner, pace, serial
from hydrometer.execute import ray as cluster
from hydrometer.execute.lab import Lab
from hydrometer.store import Store
from hydrometer.types import HydrometerError, Spec

pytest.importorskip("ray", reason="needs hydrometer[ray]")
psutil = pytest.importorskip("psutil")  # Ray brings its own
SOURCE = tiny.source()
WORKERS = 3
PROTOCOL = (
    "ddranking-hard-quick@1{augment=none,epochs=40,full.epochs=1,full.least_steps=0,full.seeds=2,"
    "precision=float32,rates=0.01,seeds=2,student=convnet(depth=2,norm=instance,width=8)}"
)


@pytest.fixture(scope="module")
def ray():
    """A cluster with this process's threads for each worker, as a user would have it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with cluster.ray(str(WORKERS)) as execute:
        yield execute
    torch.set_num_threads(before)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "runs.sqlite") as opened:
        yield opened


def jobs(count=6, **changes):
    return [tiny.job(SOURCE, seed=s, **({"epochs": 2} | changes)) for s in range(count)]


def digits(runs):
    """All of some runs that does not depend on when and where they were trained."""
    return {key: run.model_dump(exclude={"seconds", "environment"}) for key, run in runs.items()}


@pytest.fixture
def lab():
    return Lab(SOURCE, tiny.CPU)


def test_the_digits_are_those_of_a_serial_run(ray, lab, store, tmp_path):
    watching = tiny.Watching()
    teacher = lab.teach(tiny.job(SOURCE, epochs=30).trial, tiny.job(SOURCE).data).card.digest
    taught = tiny.job(SOURCE, labels="teacher", loss=Spec("kl"), teacher=(teacher,))
    asked = [*jobs(4), taught, tiny.job(SOURCE, rows=range(60), epochs=1), *jobs(2)]
    found = ray(asked, lab, store, watching)
    with Store(tmp_path / "serial.sqlite") as other:
        assert digits(found) == digits(serial.execute(asked, lab, other, Silent()))
    assert len(watching.runs) == len(store.runs()) == 6
    assert watching.steps == watching.total
    assert {run.environment.threads for run in found.values()} == {1}


def test_a_second_time_nothing_is_trained(ray, lab, store):
    first = ray(jobs(), lab, store, Silent())
    watching = tiny.Watching()
    assert ray(jobs(), lab, store, watching) == first
    assert watching.runs == []


@pytest.mark.slow
def test_a_stop_keeps_finished_students_and_frees_the_others(ray, lab, store):
    class Stopping(tiny.Watching):
        def finished(self, run):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ray(jobs(), lab, store, Stopping())
    assert len(store.runs()) == 1
    assert not any(store.claimant(digest.of_trial(job.trial)) for job in jobs())
    assert len(ray(jobs(), lab, store, Silent())) == 6


DEADLY = """
import os
from hydrometer.registry import register

@register("student")
def deadly(shape, classes):
    "Takes its process with it."
    os._exit(1)

@register("student")
def clumsy(shape, classes):
    "Cannot be made."
    raise ZeroDivisionError("no luck")
"""


@pytest.mark.slow
def test_what_fails_for_good_is_said_and_the_rest_goes_on(ray, lab, store, tmp_path, monkeypatch):
    """Its students come from a `--use` file, which the workers load as well."""
    (tmp_path / "deadly.py").write_text(DEADLY)
    found = {kind: dict(known) for kind, known in registry._found.items()}
    monkeypatch.setattr(registry, "_found", found)
    monkeypatch.setattr(registry, "_used", [])
    registry.use(tmp_path / "deadly.py")
    monkeypatch.setattr(ray, "retries", 1)
    deadly, clumsy = (tiny.job(SOURCE, student=Spec(name)) for name in ("deadly", "clumsy"))
    watching = tiny.Watching()
    with pytest.raises(
        HydrometerError, match=r"2 of 4 students failed .*deadly, seed 0.*others are"
    ):
        ray([deadly, clumsy, *jobs(2)], lab, store, watching)
    assert len(store.runs()) == 2
    assert len([text for text in watching.said if "a worker died" in text]) == 2
    with pytest.raises(HydrometerError, match=r"clumsy, seed 0.*ZeroDivisionError: no luck"):
        ray([clumsy], lab, store, watching)
    assert len(watching.said) == 2


def test_a_forecast_counts_the_workers(ray, lab, monkeypatch):
    assert manner(ray) == Manner(threads=1, abreast=WORKERS)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert manner(ray) == Manner(threads=2, abreast=1)
    monkeypatch.setattr(pace, "forecast", lambda jobs, lab, devices: [(job, 10.0) for job in jobs])
    many = jobs(6)
    assert pace.wall(many, lab, Manner(None, WORKERS)) == pace.wall(many, lab, Manner()) / 3 == 20


def test_threads_that_no_machine_has_are_refused(ray, lab, store, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    with pytest.raises(HydrometerError, match="set OMP_NUM_THREADS to 3 or less"):
        ray(jobs(1), lab, store, Silent())


def test_without_ray_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(HydrometerError, match=r"pip install hydrometer\[ray\]"), executor("ray"):
        pass


class Killing(tiny.Watching):
    """Kills a worker that is at work after each student, until one is missed."""

    def finished(self, run):
        super().finished(run)
        if not self.said:
            os.kill(next(at_work()), signal.SIGKILL)


def at_work():
    """Processes of this cluster that train a cohort; Ray names them after their function."""
    while True:
        every = psutil.Process().children(recursive=True)
        yield from (process.pid for process in every if "work_on" in process.name())
        time.sleep(0.02)


def test_with_a_worker_killed_the_verdict_has_the_digits_of_a_serial_run(ray, store, tmp_path):
    protocol = protocols.load(PROTOCOL)
    lab = Lab(sources.load("digits"), tiny.CPU)
    subject = from_rows(lab.source, torch.arange(0, 500, 20), method="some", budget="some")
    planned = verdict.plan(subject, protocol, lab)
    killing = Killing()
    found = verdict.evaluate(planned, lab, store, killing, ray)
    assert [text for text in killing.said if "a worker died" in text]
    assert len(killing.runs) == len(store.runs())
    assert killing.steps == killing.total
    with Store(tmp_path / "serial.sqlite") as other:
        wanted = verdict.evaluate(planned, lab, other, Silent())
        assert digits({r.key: r for r in store.runs()}) == digits({r.key: r for r in other.runs()})
    assert (found.arms, found.estimates) == (wanted.arms, wanted.estimates)
