"""Random workers of a local Ray cluster killed in the middle of their cohorts, and the runs counted.

Run: python benchmarks/faults_ray.py [--kills 20] [--workers 2]
Plans of tiny cohorts run one after the other until so many workers were killed (SIGKILL) while they
trained. A cohort that meets four kills is given up, and its plan run again, as its user would. Lost: runs
that are not in the store at the end. Doubled: runs that were stored, or reported to the observer, more
than once. Wrong: rows that differ from an undisturbed serial run of the same plan.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from hydrometer import digest, sources
from hydrometer.artifact.rows import from_rows
from hydrometer.engine.loop import Job
from hydrometer.execute import Silent, executor, serial
from hydrometer.execute.lab import Lab
from hydrometer.execute.ray import Cluster
from hydrometer.store import Store
from hydrometer.types import HydrometerError, Recipe, Run, Spec, Trial

COHORTS = 12
"""Students of a plan."""
IDLE = 5
"""Plans without a single kill after which nothing more is expected."""


class Counting(Silent):
    """Counts what is reported."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.deaths = 0

    def finished(self, run: Run) -> None:
        """Count the run."""
        self.runs[run.key] += 1

    def say(self, text: str) -> None:
        """Count the worker that died."""
        self.deaths += "a worker died" in text


class Killer(threading.Thread):
    """Kills workers that train, at random moments, until there were enough or it is told to stop."""

    def __init__(self, left: int, draw: random.Random, pace: float) -> None:
        super().__init__(daemon=True)
        self.left, self.draw, self.pace = left, draw, pace
        self.killed: set[int] = set()
        self.over = threading.Event()

    def run(self) -> None:
        """Wait and kill."""
        while len(self.killed) < self.left and not self.over.wait(self._pause()):
            # A killed process keeps its name until Ray has noticed; it does not count twice.
            if busy := [pid for pid in at_work() if pid not in self.killed]:
                victim = self.draw.choice(busy)
                os.kill(victim, signal.SIGKILL)
                self.killed.add(victim)

    def _pause(self) -> float:
        """Seconds to the next kill, one to four times those of a cohort: most come to their end."""
        return self.pace * self.draw.uniform(1.0, 4.0)


def at_work() -> list[int]:
    """Processes of our cluster that train a cohort; Ray names them after their function."""
    import psutil  # Ray brings it

    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "work_on" in process.name():
                found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def plan(lab: Lab, number: int) -> list[Job]:
    """Students that train for a second or so."""
    data = from_rows(lab.source, torch.arange(0, 200, 10), method="some", budget="some")
    student = Spec("convnet", (("depth", 2), ("norm", "instance"), ("width", 8)))
    recipe = Recipe(student, Spec("sgd"), 0.01, Spec("step"), epochs=100, batch=10)
    seeds = range(number * COHORTS, (number + 1) * COHORTS)
    return [Job(Trial(data.digest, lab.source.digest, recipe, seed), data) for seed in seeds]


def digits(run: Run) -> dict[str, object]:
    """All of a run that does not depend on when and where it was trained."""
    return run.model_dump(exclude={"seconds", "environment"})


def disturbed(
    execute: Cluster, jobs: list[Job], lab: Lab, folder: Path, kills: int, draw: random.Random
) -> tuple[int, int, int, int, int, int]:
    """One plan under fire: kills, deaths noticed, students given up at first, lost, doubled, wrong."""
    keys = {digest.of_trial(job.trial) for job in jobs}
    counting, given_up = Counting(), 0
    with Store(folder / "runs.sqlite") as store, Store(folder / "serial.sqlite") as other:
        start = time.monotonic()
        wanted = serial.execute(jobs, lab, other, Silent())
        killer = Killer(kills, draw, (time.monotonic() - start) / len(jobs))
        killer.start()
        try:
            execute(jobs, lab, store, counting)
        except HydrometerError:
            given_up = len(execute.failed)
        finally:
            killer.over.set()
            killer.join()
        if given_up:
            execute.failed.clear()
            execute(jobs, lab, store, counting)
        stored = Counter(run.key for run in store.runs())
        rows = store.get_many(keys)
    lost = len(keys - stored.keys())
    doubled = sum(count > 1 for told in (stored, counting.runs) for count in told.values())
    wrong = sum(digits(rows[key]) != digits(wanted[key]) for key in rows)
    return len(killer.killed), counting.deaths, given_up, lost, doubled, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lab = Lab(sources.load("digits"), torch.device("cpu"))
    draw, start = random.Random(0), time.monotonic()
    total, plans, idle = [0] * 6, 0, 0
    with executor(f"ray:{asked.workers}") as execute:
        while total[0] < asked.kills:
            with tempfile.TemporaryDirectory() as folder:
                left = asked.kills - total[0]
                found = disturbed(execute, plan(lab, plans), lab, Path(folder), left, draw)
            total = [a + b for a, b in zip(total, found, strict=True)]
            plans += 1
            print(f"plan {plans}: {found[0]} killed, {found[1]} noticed in the middle", flush=True)
            idle = 0 if found[0] else idle + 1
            if idle == IDLE:
                sys.exit(f"no worker was seen at work in {IDLE} plans")
    killed, noticed, given_up, lost, doubled, wrong = total
    print(
        f"{killed} workers killed, {noticed} in the middle of a cohort; {plans * COHORTS} students in "
        f"{plans} plans on {asked.workers} workers: {given_up} given up at first, {lost} lost, {doubled} doubled, {wrong} with "
        f"other digits; {time.monotonic() - start:.0f} s"
    )
    sys.exit(bool(lost or doubled or wrong))


if __name__ == "__main__":
    main()
