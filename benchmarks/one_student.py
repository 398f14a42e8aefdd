"""What one CIFAR-10 student costs: training against its one reading of val and test, and peak memory.

HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/one_student.py [--epochs 1000]
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import time

import torch

from hydrometer import protocols, sources
from hydrometer.artifact.rows import from_rows
from hydrometer.engine import loop
from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.sources.draw import draw
from hydrometer.types import Trial
from tabulate_results import environment_line


def main() -> None:
    """Train one student as `ddranking-hard@1` does and print its seconds and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    source = sources.load("cifar10")
    lab = Lab(source, default_device())
    data = from_rows(source, draw(source, [10] * 10, 0), method="random", budget="ipc=10")
    settings = dataclasses.replace(
        protocols.load("ddranking-hard@1").settings, epochs=args.epochs, precision=args.precision
    )
    recipe = protocols.recipe(settings, source, lr=0.01)
    trial = Trial(data.digest, source.digest, recipe, 0)
    lens, exams = lab.lens(None), lab.exams(None)
    start = time.perf_counter()
    cohort = loop.Cohort([loop.Job(trial, data)], source, lens, ())
    program, _ = loop.train(cohort)
    trained = time.perf_counter()
    splits = (source.val, source.test)
    found = [loop.hits(program, x, s.labels, 10) for x, s in zip(exams, splits, strict=True)]
    tested = time.perf_counter()
    accuracy = int(found[1].sum()) / len(source.test)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{args.epochs} epochs of {len(data)} images in {recipe.precision}: training "
        f"{trained - start:.1f} s, val and test {tested - trained:.1f} s "
        f"({(tested - trained) / (tested - start):.0%}), accuracy {accuracy:.1%}, "
        f"peak memory {peak:.2f} GiB, {torch.get_num_threads()} threads"
    )
    print(environment_line(lab.device))


if __name__ == "__main__":
    main()
