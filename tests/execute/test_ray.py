"""On a real local cluster of three workers, which all tests of this file share."""

import os
import signal
import time

import pytest
import torch

import tiny
from hydrometer.execute import Silent, serial
from hydrometer.execute import ray as cluster
from hydrometer.execute.lab import Lab
from hydrometer.store import Store

pytest.importorskip("ray", reason="needs hydrometer[ray]")
psutil = pytest.importorskip("psutil")  # Ray brings its own
SOURCE = tiny.source()
WORKERS = 3


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


class Watching(Silent):
    def __init__(self):
        self.runs, self.said, self.steps, self.total = [], [], 0, 0

    def begin(self, steps, students):
        self.total += steps

    def stepped(self, steps):
        self.steps += steps

    def finished(self, run):
        self.runs.append(run)

    def say(self, text):
        self.said.append(text)


def jobs(count=6, **changes):
    return [tiny.job(SOURCE, seed=s, **({"epochs": 2} | changes)) for s in range(count)]


def digits(runs):
    """All of some runs that does not depend on when and where they were trained."""
    return {key: run.model_dump(exclude={"seconds", "environment"}) for key, run in runs.items()}


@pytest.fixture
def lab():
    return Lab(SOURCE, tiny.CPU)


def test_the_digits_are_those_of_a_serial_run(ray, lab, store, tmp_path):
    watching = Watching()
    asked = [*jobs(), tiny.job(SOURCE, rows=range(60), epochs=1), *jobs(2)]
    found = ray(asked, lab, store, watching)
    with Store(tmp_path / "serial.sqlite") as other:
        assert digits(found) == digits(serial.execute(asked, lab, other, Silent()))
    assert len(watching.runs) == len(store.runs()) == 7
    assert watching.steps == watching.total
    assert {run.environment.threads for run in found.values()} == {1}


def test_a_second_time_nothing_is_trained(ray, lab, store):
    first = ray(jobs(), lab, store, Silent())
    watching = Watching()
    assert ray(jobs(), lab, store, watching) == first
    assert watching.runs == []


class Killing(Watching):
    """Kills a worker that is at work, once the first student is done."""

    killed = False

    def finished(self, run):
        super().finished(run)
        if not self.killed:
            self.killed = True
            os.kill(next(at_work()), signal.SIGKILL)


def at_work():
    """Processes of this cluster that train a cohort; Ray names them after their function."""
    while True:
        yield from (
            p.pid for p in psutil.Process().children(recursive=True) if "work_on" in p.name()
        )
        time.sleep(0.02)


def test_a_worker_killed_in_the_middle_changes_nothing(ray, lab, store, tmp_path):
    killing = Killing()
    asked = jobs(6, epochs=60)
    found = ray(asked, lab, store, killing)
    assert [text for text in killing.said if "a worker died" in text]
    with Store(tmp_path / "serial.sqlite") as other:
        assert digits(found) == digits(serial.execute(asked, lab, other, Silent()))
    assert len(killing.runs) == len(store.runs()) == 6
    assert killing.steps == killing.total
