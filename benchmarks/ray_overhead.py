"""What a cohort costs on a local Ray cluster beyond its training: the same cohorts serially and on Ray.

Run: python benchmarks/ray_overhead.py [--rounds 5] [--cohorts 50]
The cohorts are empty: students of no epochs on digits, which are made, tested and stored. One worker
trains them one after the other, so that the difference to a serial run is what Ray adds. The rounds of
both sides alternate, for the machine is shared; the first round of each is thrown away.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from hydrometer import sources
from hydrometer.artifact.rows import from_rows
from hydrometer.engine.loop import Job
from hydrometer.execute import Executor, Silent, executor, ray, serial
from hydrometer.execute.lab import Lab
from hydrometer.store import Store
from hydrometer.types import Recipe, Spec, Trial

TARGET = 0.050


def cohorts(lab: Lab, count: int, first: int) -> list[Job]:
    """Students of no epochs, with seeds of their own."""
    data = from_rows(lab.source, torch.arange(10), method="some", budget="some")
    student = Spec("convnet", (("depth", 1), ("norm", "instance"), ("width", 4)))
    recipe = Recipe(student, Spec("sgd"), 0.01, Spec("step"), epochs=0, batch=10)
    seeds = range(first, first + count)
    return [Job(Trial(data.digest, lab.source.digest, recipe, seed), data) for seed in seeds]


def seconds(execute: Executor, jobs: list[Job], lab: Lab) -> float:
    """Wall time of an execution, per cohort, into a store of its own."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "runs.sqlite") as store:
        start = time.perf_counter()
        execute(jobs, lab, store, Silent())
        return (time.perf_counter() - start) / len(jobs)


@dataclass
class Driver:
    """Time the driver spends on cohorts itself, waiting left out."""

    spent: float = 0.0

    def timed(self, call: Callable) -> Callable:
        """The call, its time counted."""

        def wrapped(*args):
            start = time.perf_counter()
            try:
                return call(*args)
            finally:
                self.spent += time.perf_counter() - start

        return wrapped


@contextmanager
def driver():
    """Counts the time in handing out and taking back, the two things only the driver can do."""
    found, kind = Driver(), ray._Attempt
    before = kind._give, kind._ended
    kind._give, kind._ended = map(found.timed, before)
    try:
        yield found
    finally:
        kind._give, kind._ended = before


@dataclass(frozen=True)
class Overhead:
    """Seconds per cohort, one value for each round."""

    added: list[float]
    driver: list[float]


def measure(rounds: int, count: int) -> Overhead:
    """Alternate serial and Ray rounds."""
    torch.set_num_threads(1)
    lab = Lab(sources.load("digits"), torch.device("cpu"))
    added, own = [], []
    with executor("ray:1") as on_ray:
        for number in range(rounds + 1):
            jobs = cohorts(lab, count, number * count)
            here = seconds(serial.execute, jobs, lab)
            with driver() as found:
                there = seconds(on_ray, jobs, lab)
            if number:
                added.append(there - here)
                own.append(found.spent / count)
    return Overhead(added, own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cohorts", type=int, default=50)
    asked = parser.parse_args()
    found = measure(asked.rounds, asked.cohorts)
    for name, values in (("added by Ray", found.added), ("driver's own", found.driver)):
        low, middle, high = (1000 * f(values) for f in (min, statistics.median, max))
        print(
            f"{name} per cohort: {middle:.1f} ms (n={len(values)} rounds of {asked.cohorts}, "
            f"{low:.1f} to {high:.1f})"
        )
    verdict = "reached" if statistics.median(found.added) < TARGET else "MISSED"
    load = os.getloadavg()[0]
    print(
        f"under {1000 * TARGET:.0f} ms: {verdict}; load {load:.1f} on {os.cpu_count()} processors"
    )


if __name__ == "__main__":
    main()
