"""Random workers of a local Ray cluster killed in the middle of their cohorts, and the runs counted.

Run: python benchmarks/faults_ray.py [--kills 20] [--workers 2]
Plans of tiny cohorts run one after the other until so many workers were killed (SIGKILL) while they
trained. Lost: runs that are not in the store at the end. Doubled: runs that were stored, or reported to
the observer, more than once. Wrong: rows that differ from an undisturbed serial run of the same plan.
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
from hydrometer.execute import Executor, Silent, executor, serial
from hydrometer.execute.lab import Lab
from hydrometer.store import Store
from hydrometer.types import Recipe, Run, Spec, Trial

COHORTS = 12
"""Students of a plan."""


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

    def __init__(self, left: int, draw: random.Random) -> None:
        super().__init__(daemon=True)
        self.left, self.draw = left, draw
        self.killed: set[int] = set()
        self.over = threading.Event()

    def run(self) -> None:
        """Wait and kill."""
        while len(self.killed) < self.left and not self.over.wait(self.draw.uniform(0.2, 2.0)):
            # A killed process keeps its name until Ray has noticed; it does not count twice.
            if busy := [pid for pid in at_work() if pid not in self.killed]:
                victim = self.draw.choice(busy)
                os.kill(victim, signal.SIGKILL)
                self.killed.add(victim)


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
    execute: Executor, jobs: list[Job], lab: Lab, folder: Path, kills: int, draw: random.Random
) -> tuple[int, int, int, int, int]:
    """One plan under fire: kills, deaths noticed, lost, doubled, wrong."""
    keys = {digest.of_trial(job.trial) for job in jobs}
    counting, killer = Counting(), Killer(kills, draw)
    with Store(folder / "runs.sqlite") as store, Store(folder / "serial.sqlite") as other:
        wanted = serial.execute(jobs, lab, other, Silent())
        killer.start()
        try:
            execute(jobs, lab, store, counting)
        finally:
            killer.over.set()
            killer.join()
        stored = Counter(run.key for run in store.runs())
        rows = store.get_many(keys)
    lost = len(keys - stored.keys())
    doubled = sum(count > 1 for told in (stored, counting.runs) for count in told.values())
    wrong = sum(digits(rows[key]) != digits(wanted[key]) for key in rows)
    return len(killer.killed), counting.deaths, lost, doubled, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lab = Lab(sources.load("digits"), torch.device("cpu"))
    draw, start = random.Random(0), time.monotonic()
    total, plans = [0] * 5, 0
    with executor(f"ray:{asked.workers}") as execute:
        while total[0] < asked.kills:
            with tempfile.TemporaryDirectory() as folder:
                left = asked.kills - total[0]
                found = disturbed(execute, plan(lab, plans), lab, Path(folder), left, draw)
            total = [a + b for a, b in zip(total, found, strict=True)]
            plans += 1
            print(f"plan {plans}: {found[0]} killed, {found[1]} noticed in the middle", flush=True)
    killed, noticed, lost, doubled, wrong = total
    print(
        f"{killed} workers killed, {noticed} in the middle of a cohort; {plans * COHORTS} students in "
        f"{plans} plans on {asked.workers} workers: {lost} lost, {doubled} doubled, {wrong} with "
        f"other digits; {time.monotonic() - start:.0f} s"
    )
    sys.exit(bool(lost or doubled or wrong))


if __name__ == "__main__":
    main()
