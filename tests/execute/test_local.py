"""With two real worker processes, which most tests of this file share."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

import tiny
from hydrometer import digest
from hydrometer.engine.choice import on_threads
from hydrometer.execute import Manner, Silent, executor, local, manner, pace, serial
from hydrometer.execute.lab import Lab, Pace
from hydrometer.execute.local import Local
from hydrometer.store import Store
from hydrometer.types import HydrometerError, Spec

SOURCE = tiny.source()
LONG = 600
"""Epochs that take a worker longer than it keeps to itself how far it is."""


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "runs.sqlite") as opened:
        yield opened


@pytest.fixture
def starting(monkeypatch):
    """Any work is worth a process, and memory holds two."""
    monkeypatch.setattr(local, "WORTH_STARTING", 0.0)
    monkeypatch.setattr(local, "_fitting", lambda: 2)


@pytest.fixture
def pair(starting):
    with Local(2).staffed() as executor:
        yield executor


class Dummy:
    def dismiss(self):
        pass


def jobs(count=4, **changes):
    return [tiny.job(SOURCE, seed=s, **changes) for s in range(count)]


def judged(runs):
    return {key: (run.val_hits, run.test_hits, run.losses) for key, run in runs.items()}


def test_side_by_side_students_come_to_the_digits_of_one_thread(pair, store, tmp_path):
    asked, watching = jobs(), tiny.Watching()
    found = pair(asked, Lab(SOURCE, tiny.CPU), store, watching)
    assert len(pair.hands) == 2
    with on_threads(1), Store(tmp_path / "other.sqlite") as other:
        alone = serial.execute(asked, Lab(SOURCE, tiny.CPU), other, Silent())
    assert judged(found) == judged(alone)
    assert watching.steps == watching.total == sum(map(serial.steps_of, asked))
    assert len(watching.runs) == len(store.runs()) == 4
    assert {run.environment.threads for run in found.values()} == {1}


def test_short_work_stays_here_and_comes_to_the_same(store, tmp_path, monkeypatch):
    with Local(2).staffed() as pair:
        here = pair(jobs(), Lab(SOURCE, tiny.CPU), store, Silent())
        assert pair.hands == []
    assert {run.environment.threads for run in here.values()} == {1}
    monkeypatch.setattr(local, "WORTH_STARTING", 0.0)
    with Local(2).staffed() as pair, Store(tmp_path / "other.sqlite") as other:
        assert judged(pair(jobs(), Lab(SOURCE, tiny.CPU), other, Silent())) == judged(here)


def test_a_worker_that_dies_is_done_without(pair, store):
    class Killing(tiny.Watching):
        def finished(self, run):
            super().finished(run)
            if len(self.runs) == 1:
                os.kill(next(h for h in pair.hands if h.key).process.pid, signal.SIGKILL)

    watching = Killing()
    found = pair(jobs(5, epochs=60), Lab(SOURCE, tiny.CPU), store, watching)
    assert len(found) == len(store.runs()) == 5
    assert watching.steps == watching.total
    assert any("SIGKILL" in said for said in watching.said)
    assert pair.most == 1


def test_steps_of_a_worker_that_dies_are_taken_back(pair, store):
    class Killing(tiny.Watching):
        killed = False

        def stepped(self, steps):
            super().stepped(steps)
            hand = next((h for h in pair.hands if h.key and h.told), None)
            if hand and not self.killed:
                self.killed = True
                os.kill(hand.process.pid, signal.SIGKILL)

    watching = Killing()
    found = pair(jobs(2, epochs=LONG), Lab(SOURCE, tiny.CPU), store, watching)
    assert watching.killed and len(found) == 2
    assert watching.steps == watching.total


def test_the_last_worker_s_death_is_told_and_nothing_stays_claimed(starting, store):
    class Killing(Silent):
        def stepped(self, steps):
            for hand in alone.hands:
                os.kill(hand.process.pid, signal.SIGKILL)

    with Local(2).staffed() as alone, pytest.raises(HydrometerError, match="--on serial"):
        alone(jobs(2, epochs=40000), Lab(SOURCE, tiny.CPU), store, Killing())
    key = digest.of_trial(jobs(2, epochs=40000)[0].trial)
    assert store.claim(key, "someone else", 1.0)


def test_a_student_that_fails_does_not_take_its_neighbour_along(pair, store):
    wrong = tiny.job(SOURCE, student=Spec("convnet", (("depth", 9),)))
    right = tiny.job(SOURCE, epochs=30)
    lab = Lab(SOURCE, tiny.CPU)
    for job in (wrong, right):
        lab.paces[pace.kind_of([job], lab, 1)] = Pace(1.0, 1.0)
    with pytest.raises(HydrometerError, match="depth"):
        pair([right, wrong], lab, store, Silent())
    assert [run.key for run in store.runs()] == [digest.of_trial(right.trial)]


def test_after_a_failure_no_student_is_begun(pair, store):
    pair(jobs(2), Lab(SOURCE, tiny.CPU), store, Silent())  # both workers have started
    right, later = tiny.job(SOURCE, seed=8, epochs=LONG), tiny.job(SOURCE, seed=9)
    wrong = tiny.job(SOURCE, epochs=LONG - 1, student=Spec("convnet", (("depth", 9),)))
    with pytest.raises(HydrometerError, match="depth"):
        pair([later, right, wrong], Lab(SOURCE, tiny.CPU), store, Silent())
    keys = {run.key for run in store.runs()}
    assert digest.of_trial(right.trial) in keys and digest.of_trial(later.trial) not in keys


def test_large_sources_are_opened_by_name_and_others_sent(monkeypatch):
    from hydrometer import sources

    digits = sources.load("digits")
    there = Local(2)
    assert there.parcel(digits) is digits
    monkeypatch.setattr(local, "SENT_BYTES", 0)
    large = Local(2)
    assert large.parcel(digits) is None
    assert large.parcel(SOURCE) is SOURCE


def test_a_bank_is_read_here(pair, store):
    pair.staff(2)
    here = Lab(SOURCE, tiny.CPU)
    banked = [tiny.job(SOURCE, seed=s, bank="0" * 20) for s in range(2)]
    assert pair._worthwhile(jobs(2), here) and not pair._worthwhile(banked, here)
    with pytest.raises(HydrometerError, match="not at hand"):
        pair(banked, here, store, Silent())


def test_memory_bounds_how_many_train(monkeypatch, starting):
    monkeypatch.setattr(local, "_fitting", lambda: 0)
    with Local(8).staffed() as executor:
        executor.staff(8)
        monkeypatch.setattr(local, "_fitting", lambda: 2)
        for _ in range(3):
            executor.staff(8)
        assert len(executor.hands) == 1


def test_the_dead_are_not_replaced_and_one_is_left_to_another_attempt(monkeypatch, starting):
    monkeypatch.setattr(local, "_Hand", Dummy)
    executor, here = Local(8), Lab(SOURCE, tiny.CPU)
    executor.staff(8)
    executor.lost(executor.hands[0])
    executor.staff(8)
    assert len(executor.hands) == 1 and executor._worthwhile(jobs(1), here)
    executor.lost(executor.hands[0])
    assert executor.most == 0 and executor._worthwhile(jobs(2), here)
    executor.staff(8)
    assert len(executor.hands) == 1


def test_a_container_s_limit_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(local, "GROUP", tmp_path)
    assert local._left_to_group() == float("inf")
    (tmp_path / "memory.max").write_text("max")
    (tmp_path / "memory.current").write_text("1024")
    assert local._left_to_group() == float("inf")
    (tmp_path / "memory.max").write_text("11264")
    assert local._left_to_group() == 10


def test_a_script_without_a_guard_is_told(monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_name", local.WORKER)
    with pytest.raises(HydrometerError, match="__main__"):
        local._Hand()


@pytest.mark.skipif(not Path("/proc/meminfo").is_file(), reason="needs proc(5)")
def test_free_memory_is_counted_in_workers():
    assert 1 <= local._fitting() < 10_000


def test_its_manner_is_known_to_forecasts(monkeypatch):
    lab, asked = Lab(SOURCE, tiny.CPU), jobs(4)
    for job in asked:
        lab.paces[pace.kind_of([job], lab, 1)] = Pace(1.0, 2.0)
    steps = serial.steps_of(asked[0])
    assert pace.wall(asked, lab, manner(Local(2))) == 2 * (steps + 2.0)
    assert pace.wall(asked, lab, manner(Local(16))) == steps + 2.0
    assert manner(serial.execute) == Manner()


@pytest.mark.parametrize("place", ["0", "x", "-1", "1.5"])
def test_a_wrong_number_is_refused(place):
    with pytest.raises(HydrometerError, match="side by side"), executor(f"local:{place}"):
        pass


def test_as_many_as_threads_unless_told(monkeypatch):
    monkeypatch.setattr(local, "default_device", lambda: tiny.CPU)
    with executor("local") as found:
        assert manner(found) == Manner(1, torch.get_num_threads())
    with executor("local:3") as found:
        assert manner(found) == Manner(1, 3)
    monkeypatch.setattr(local, "default_device", lambda: torch.device("cuda"))
    with executor("local") as found:
        assert found is serial.execute


def test_workers_do_not_hear_what_stops_the_driver(starting, store):
    """Ctrl-C reaches all processes of a terminal, workers that still import as well."""
    with local.Local(1).staffed() as execute:
        execute.staff(1)
        os.kill(execute.hands[0].process.pid, signal.SIGINT)
        found = execute(jobs(1), Lab(SOURCE, tiny.CPU), store, Silent())
        assert len(found) == 1 and execute.hands[0].process.is_alive()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def test_workers_end_when_their_driver_is_killed(tmp_path):
    script = textwrap.dedent(
        f"""
        import sys, tiny
        from hydrometer.execute import Silent, local
        from hydrometer.execute.lab import Lab
        from hydrometer.store import Store

        class Telling(Silent):
            def stepped(self, steps):
                print(*(hand.process.pid for hand in pair.hands), flush=True)

        if __name__ == "__main__":
            local.WORTH_STARTING = 0.0
            source = tiny.source()
            with local.Local(2).staffed() as pair, Store({str(tmp_path / "r.sqlite")!r}) as store:
                asked = [tiny.job(source, seed=s, epochs=100000) for s in range(2)]
                pair(asked, Lab(source, tiny.CPU), store, Telling())
        """
    )
    path = tmp_path / "driver.py"
    path.write_text(script)
    around = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, env=around) as driver:
        pids = [int(word) for word in driver.stdout.readline().split()]
        driver.kill()
    assert len(pids) == 2
    deadline = time.monotonic() + 30
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, pids))


def alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:4]
    except OSError:
        return False
