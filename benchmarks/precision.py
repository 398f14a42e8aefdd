"""Does bfloat16 change a student's accuracy? The same seeds, draws and weights in both precisions.

    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/precision.py [--seeds 20]

Writes docs/results/precision.md, all rows from .out/precision.sqlite where they are there. A student is
admitted to reduced precision (CLEARED in hydrometer/protocols) only when its row here shows no
significant difference over 20 seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from hydrometer import protocols, seeds, sources, students
from hydrometer.artifact.rows import from_rows
from hydrometer.cli.console import watching
from hydrometer.engine.environment import default_device
from hydrometer.engine.loop import Job
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute
from hydrometer.report import text
from hydrometer.sources.draw import draw
from hydrometer.stats import bootstrap, paired
from hydrometer.store import Store
from hydrometer.types import Trial
from tabulate_results import command, environment_line, publish, table

CASES = (
    ("digits", "convnet-2", 10, 100),
    ("cifar10", "convnet-3", 10, 100),
)


def main() -> None:
    """Train every case in both precisions and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    Path(".out").mkdir(exist_ok=True)
    rows = []
    with Store(Path(".out/precision.sqlite")) as store:
        for case in CASES:
            if args.only in case[0]:
                rows.append(compare(store, args.seeds, *case))
                print(rows[-1], flush=True)
    head = [
        "source",
        "student",
        "ipc",
        "epochs",
        "n",
        "float32, %",
        "bfloat16, %",
        "difference, points",
        "sign-flip p",
    ]
    publish(
        Path("docs/results/precision.md"),
        f"# bfloat16 against float32\n\nMade by `{command()}`: random real images, DSA, "
        "SGD 0.01, the same seeds in both; 95 % intervals over paired seeds.\n\n"
        + table(head, rows)
        + "\n\n"
        + environment_line(default_device()),
    )


def compare(store: Store, count: int, name: str, student: str, ipc: int, epochs: int) -> list[str]:
    """One row of the table."""
    source = sources.load(name)
    lab = Lab(source, default_device())
    settings = dataclasses.replace(
        protocols.load("ddranking-hard@1").settings, student=students.spec(student), epochs=epochs
    )
    accuracy = {}
    for precision in ("bfloat16", "float32"):
        recipe = protocols.recipe(settings, source, lr=0.01, precision=precision)
        jobs = []
        for seed in range(count):
            rows = draw(source, [ipc] * len(source.classes), seed)
            data = from_rows(source, rows, method="random", budget=f"ipc={ipc}", seed=seed)
            jobs.append(Job(Trial(data.digest, source.digest, recipe, seed), data))
        with watching() as observer:
            runs = execute(jobs, lab, store, observer)
        accuracy[precision] = np.array([run.test_accuracy for run in runs.values()])
    difference = accuracy["bfloat16"] - accuracy["float32"]
    rng = seeds.numpy_rng(0, "precision")
    found = bootstrap.interval(lambda d: d.mean(-1), [difference], rng=rng)
    p = paired.sign_flip(difference, rng=rng)
    return [
        name,
        student,
        str(ipc),
        str(epochs),
        str(count),
        text.percent(accuracy["float32"].mean(), 2),
        text.percent(accuracy["bfloat16"].mean(), 2),
        f"{100 * found.value:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]",
        f"{p:.2f}",
    ]


if __name__ == "__main__":
    main()
