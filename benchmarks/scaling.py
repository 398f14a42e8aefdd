"""How long a plan would take on 1 to 1000 workers, simulated from measured cohorts and overhead.

Run: python benchmarks/scaling.py [--source cifar10] [--out docs/results/scaling.md]
Measures steps and exams of every kind of student in the plan and what Ray adds to a cohort
(ray_overhead.py), then plays the plan through event by event. Nothing here ran on 100 machines.
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from hydrometer import digest, methods, protocols, registry, seeds, sources, verdict
from hydrometer.engine import timing
from hydrometer.engine.environment import environment
from hydrometer.engine.loop import Job
from hydrometer.execute.lab import Lab
from hydrometer.execute.ray import QUEUED
from hydrometer.execute.serial import steps_of
from hydrometer.types import Budget
from ray_overhead import Overhead, measure
from tabulate_results import publish

WORKERS = (1, 10, 100, 1000)
TEXT = """# Scaling to many workers, simulated

Made by `python benchmarks/scaling.py --source {source} --protocol {protocol} --sets {sets}` on {device}
({threads} thread per student, load {load:.1f} on {processors} processors while measuring). **A simulation: no
cluster of this size was used.**

The plan: {sets} sets of {source} ({budget}) under {protocol}: {cohorts:,} students, the shared baselines
counted once, {hours:,.1f} hours of training one after the other. The longest student takes {longest:,.0f} s.

| workers | plan at once | speed-up | efficiency | cell by cell | speed-up |
|---|---|---|---|---|---|
{rows}

**Measured.** Training steps and exams of the {kinds} kinds of students, {repeats} times each; Ray adds
{added:.1f} ms to a cohort (median of {rounds} rounds, {added_low:.1f} to {added_high:.1f}), of which the driver is
busy for {driver:.1f} ms.

**Assumed.**

- Every worker is as fast as this machine's, and a cohort takes one of the times measured for its kind:
  its steps times a step, plus an exam. On processors a cohort is one student.
- The driver does one thing at a time. It spends half of its time on a cohort when it hands it out, which it
  does in the order of the plan, and half when it stores its runs; it keeps {queued} cohorts per worker in Ray.
- What Ray adds beyond the driver's time passes on the worker. It does not grow with the number of workers,
  which was measured with one.
- The source is on every worker. Making sets and training teachers, which the driver does alone, are left
  out, and so are failures.
- `plan at once` hands the executor all students together, `cell by cell` waits for each verdict before
  it begins the next: `bench run --ahead {sets}` and `--ahead 1`.
"""


@dataclass(frozen=True)
class Cost:
    """What a cohort costs beyond its training, in seconds."""

    driver: float
    worker: float


def makespan(times: Sequence[float], workers: int, cost: Cost) -> float:
    """Seconds until the driver has stored the last of some cohorts."""
    clock, waiting = 0.0, list(times)[::-1]
    free, ends = [0.0] * workers, []
    while waiting or ends:
        if waiting and len(ends) < QUEUED * workers:
            clock += cost.driver / 2
            begin = max(heapq.heappop(free), clock)
            end = begin + cost.worker + waiting.pop()
            heapq.heappush(free, end)
            heapq.heappush(ends, end)
        else:
            clock = max(clock, heapq.heappop(ends)) + cost.driver / 2
    return clock


def cells(lab: Lab, protocol: str, sets: int, budget: Budget) -> list[list[Job]]:
    """The students of every verdict of the plan that no earlier verdict has trained."""
    chosen, known, plan = protocols.load(protocol), set(), []
    for number in range(sets):
        rng = seeds.numpy_rng(number, "method/random")
        made = methods.compress(lab.source, registry.parse("random"), budget, rng=rng, seed=number)
        jobs = verdict.plan(made, chosen, lab).jobs
        fresh = {digest.of_trial(job.trial): job for job in jobs}
        plan.append([job for key, job in fresh.items() if key not in known])
        known |= fresh.keys()
    return plan


def measured(plan: list[list[Job]], lab: Lab, repeats: int) -> dict[object, list[float]]:
    """Seconds of a whole student of every kind, so many times."""
    found: dict[object, list[float]] = {}
    for job in (job for cell in plan for job in cell):
        if kind(job) not in found:
            lens = lab.lens(job.trial.recipe.whiten)
            steps = steps_of(job)
            once = [timing.measure([job], lab.source, lens, most=3) for _ in range(repeats)]
            found[kind(job)] = [steps * step + exam for step, exam in once]
    return found


def kind(job: Job) -> object:
    """Students of one kind take equally long."""
    return replace(job.trial.recipe, lr=0.0), len(job.data)


def table(plan: list[list[float]], cost: Cost) -> str:
    """A row for each number of workers."""
    every = [seconds for cell in plan for seconds in cell]
    rows = []
    for workers in WORKERS:
        whole = makespan(every, workers, cost)
        split = sum(makespan(cell, workers, cost) for cell in plan)
        rows.append(
            f"| {workers} | {whole / 60:,.1f} min | {sum(every) / whole:,.1f} | "
            f"{sum(every) / whole / workers:.0%} | {split / 60:,.1f} min | {sum(every) / split:,.1f} |"
        )
    return "\n".join(rows)


def report(asked: argparse.Namespace, lab: Lab, found: Overhead) -> str:
    jobs = cells(lab, asked.protocol, asked.sets, Budget(per_class=asked.ipc))
    times = measured(jobs, lab, asked.repeats)
    draw = random.Random(0)
    plan = [[draw.choice(times[kind(job)]) for job in cell] for cell in jobs]
    every = [seconds for cell in plan for seconds in cell]
    driver, added = statistics.median(found.driver), statistics.median(found.added)
    where = environment(lab.device)
    return TEXT.format(
        source=asked.source,
        protocol=asked.protocol,
        sets=asked.sets,
        device=where.device,
        threads=where.threads,
        load=os.getloadavg()[0],
        processors=os.cpu_count(),
        budget=Budget(per_class=asked.ipc),
        cohorts=len(every),
        hours=sum(every) / 3600,
        longest=max(every),
        rows=table(plan, Cost(driver, max(0.0, added - driver))),
        kinds=len(times),
        repeats=asked.repeats,
        rounds=len(found.added),
        added=1000 * added,
        added_low=1000 * min(found.added),
        added_high=1000 * max(found.added),
        driver=1000 * driver,
        queued=QUEUED,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="cifar10")
    parser.add_argument("--protocol", default="ddranking-hard@1")
    parser.add_argument("--sets", type=int, default=40)
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("docs/results/scaling.md"))
    asked = parser.parse_args()
    found = measure(asked.rounds, 50)
    text = report(asked, Lab(sources.load(asked.source), torch.device("cpu")), found)
    publish(asked.out, text)


if __name__ == "__main__":
    main()
