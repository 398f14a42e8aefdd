import subprocess
import sys
import textwrap

import pytest
import torch

import tiny
from hydrometer import digest, students
from hydrometer.execute import Silent, serial
from hydrometer.execute.lab import Lab
from hydrometer.store import Store

SOURCE = tiny.source()
DROPPING = students.spec("torchvision:mobilenet_v2")


class Counting(Silent):
    def __init__(self):
        self.runs = []

    def finished(self, run):
        self.runs.append(run)


def jobs(count=3):
    return [tiny.job(SOURCE, seed=s, epochs=2) for s in range(count)]


def test_every_job_is_trained_and_stored_once(tmp_path):
    with Store(tmp_path / "runs.sqlite") as store:
        observer = Counting()
        asked = jobs()
        found = serial.execute(asked + asked[:1], Lab(SOURCE, tiny.CPU), store, observer)
        assert set(found) == {digest.of_trial(j.trial) for j in asked}
        assert len(observer.runs) == len(store.runs()) == 3


def test_a_second_time_nothing_is_trained(tmp_path):
    with Store(tmp_path / "runs.sqlite") as store:
        lab = Lab(SOURCE, tiny.CPU)
        first = serial.execute(jobs(), lab, store, Silent())
        observer = Counting()
        assert serial.execute(jobs(), lab, store, observer) == first
        assert observer.runs == []


def test_a_stop_keeps_finished_students_and_frees_the_others(tmp_path):
    class Stopping(Counting):
        def finished(self, run):
            super().finished(run)
            raise KeyboardInterrupt

    path = tmp_path / "runs.sqlite"
    with Store(path) as store:
        with pytest.raises(KeyboardInterrupt):
            serial.execute(jobs(), Lab(SOURCE, tiny.CPU), store, Stopping())
        assert len(store.runs()) == 1
    with Store(path) as store:
        observer = Counting()
        serial.execute(jobs(), Lab(SOURCE, tiny.CPU), store, observer)
        assert len(observer.runs) == 2


def test_kill_loses_at_most_the_running_student(tmp_path):
    """A process that dies in its second student leaves the first, and its claims lapse."""
    path = tmp_path / "runs.sqlite"
    script = textwrap.dedent(
        f"""
        import os, signal, sys
        sys.path.insert(0, {str(sys.path[0])!r}); sys.path.insert(0, "tests")
        import tiny
        from hydrometer.execute import Silent, serial
        from hydrometer.execute.lab import Lab
        from hydrometer.store import Store
        source = tiny.source()
        class Dying(Silent):
            done = 0
            def finished(self, run): self.done += 1
            def stepped(self, steps):
                if self.done: os.kill(os.getpid(), signal.SIGKILL)
        jobs = [tiny.job(source, seed=s, epochs=2) for s in range(3)]
        serial.execute(jobs, Lab(source, tiny.CPU), Store({str(path)!r}), Dying())
        """
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()[-500:]
    with Store(path) as store:
        assert len(store.runs()) == 1
        found = serial.execute(jobs(), Lab(SOURCE, tiny.CPU), store, Silent())
        assert len(found) == len(store.runs()) == 3


def test_out_of_memory_halves_the_cohort(tmp_path, monkeypatch):
    sizes = []
    real = serial.loop.run

    def cramped(cohort, *rest):
        sizes.append(len(cohort))
        if len(cohort) > 1:
            raise torch.OutOfMemoryError("no")
        return real(cohort, *rest)

    monkeypatch.setattr(serial.loop, "run", cramped)
    monkeypatch.setattr(serial, "cohorts", lambda jobs, *rest: [jobs])
    with Store(tmp_path / "runs.sqlite") as store:
        found = serial.execute(jobs(4), Lab(SOURCE, tiny.CPU), store, Silent())
    assert len(found) == 4
    assert sizes == [4, 2, 1, 1, 2, 1, 1]


def test_cohorts_on_an_accelerator_hold_students_of_one_shape():
    gpu = torch.device("cuda")
    mixed = [*jobs(2), tiny.job(SOURCE, epochs=2, lr=0.5), tiny.job(SOURCE, epochs=3)]
    assert [len(c) for c in serial.cohorts(mixed, SOURCE, gpu)] == [3, 1]
    assert [len(c) for c in serial.cohorts(mixed, SOURCE, gpu, 2)] == [2, 1, 1]


def test_what_cannot_be_batched_runs_singly_and_says_so(tmp_path):
    """Two students with dropout are two cohorts on an accelerator, named once to a verbose user."""
    gpu = torch.device("cuda")
    plain = jobs(2)
    dropping = [tiny.job(SOURCE, seed=s, student=DROPPING) for s in (0, 1)]
    assert [len(c) for c in serial.cohorts([*dropping, *plain], SOURCE, gpu)] == [1, 1, 2]
    [said] = serial.singly([*dropping, *plain], SOURCE, gpu)
    assert said.startswith(f"{DROPPING} has layers that draw")
    assert serial.singly(plain, SOURCE, gpu) == []

    class Listening(Silent):
        def __init__(self):
            self.heard = []

        def say(self, text):
            self.heard.append(text)

    listener = Listening()
    with Store(tmp_path / "runs.sqlite") as store:
        serial.execute(jobs(2), Lab(SOURCE, tiny.CPU), store, listener)
        serial.execute(jobs(2), Lab(SOURCE, tiny.CPU), store, listener)
    assert listener.heard == ["students train one by one on a processor"]
