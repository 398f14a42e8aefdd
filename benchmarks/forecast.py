"""How well a student's cost is foretold: seconds promised from its first steps beside those it takes.

    .venv/bin/python benchmarks/forecast.py [--rounds 5]

Digits only. Each round foretells and trains one student of each case; `old` is the rule before
`engine/timing.py`: the fastest of three steps on one batch, and an exam by one answer to 64 images.
"""

from __future__ import annotations

import argparse
import dataclasses
import time

from hydrometer import protocols, sources
from hydrometer.artifact.rows import from_rows, whole
from hydrometer.engine import loop, timing
from hydrometer.engine.environment import default_device
from hydrometer.engine.loop import Cohort, Job
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import steps_of
from hydrometer.sources.draw import draw
from hydrometer.types import Trial
from tabulate_results import environment_line, spread, table


def promised(job: Job, lab: Lab) -> float:
    """What `evaluate` says a student will take."""
    step, exam = timing.measure([job], lab.source, lab.lens(None))
    return step * steps_of(job) + exam


def promised_before(job: Job, lab: Lab) -> float:
    """What it said before."""
    cohort = Cohort([job], lab.source, lab.lens(None), ())
    program, batch, draws = cohort.program(), next(cohort.batches()), cohort.draws(0, 1)[:, 0]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        images, target = cohort.view(batch, draws)
        program.step(images, target, [0.0])
        times.append(time.perf_counter() - start)
    seen, start = images[0][:64], time.perf_counter()
    program.logits(seen)
    forward = (time.perf_counter() - start) / len(seen)
    return min(times) * steps_of(job) + forward * (len(lab.source.val) + len(lab.source.test))


def taken(job: Job, lab: Lab) -> float:
    """What training and examining it takes."""
    exams, start = lab.exams(None), time.perf_counter()
    loop.run([job], lab.source, lab.lens(None), lambda: exams)
    return time.perf_counter() - start


def cases(lab: Lab, epochs: int) -> dict[str, Job]:
    """A small set, whose epochs are one step, and all of digits."""
    settings = protocols.load("ddranking-hard@1").settings
    source = lab.source
    small = from_rows(source, draw(source, [10] * 10, 0), method="random", budget="ipc=10")
    found = {}
    for name, data, count in (("10 per class", small, epochs), ("all", whole(source), epochs // 5)):
        recipe = protocols.recipe(settings, source, lr=0.01, precision="float32")
        recipe = dataclasses.replace(recipe, epochs=count)
        found[name] = Job(Trial(data.digest, source.digest, recipe, 0), data)
    return found


def main() -> None:
    """Print the ratio of promised to taken seconds of every case, by both rules."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=100)
    asked = parser.parse_args()
    lab = Lab(sources.load("digits"), default_device())
    rows = []
    for name, job in cases(lab, asked.epochs).items():
        ratios: dict[str, list[float]] = {"now": [], "old": []}
        spent = []
        for _ in range(asked.rounds):
            now, old = promised(job, lab), promised_before(job, lab)
            spent.append(taken(job, lab))
            ratios["now"].append(now / spent[-1])
            ratios["old"].append(old / spent[-1])
        rows.append([name, *(spread(r) for r in ratios.values()), spread(spent), str(asked.rounds)])
    print(table(["digits", "promised / taken", "old", "taken, s", "n"], rows))
    print(environment_line(lab.device))


if __name__ == "__main__":
    main()
