"""The same students one after the other on all threads, and side by side on one thread each, in turn.

    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/side_by_side.py [--rounds 3]

Students as `ddranking-hard-quick@1` trains them (random images, full data not among them), with the
processes of `--on local` already started: a plan starts them once. Prints wall seconds of both sides
and how much faster the second is; on a busy machine the ratio says little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch

from hydrometer import protocols, sources
from hydrometer.artifact.rows import from_rows
from hydrometer.engine.environment import default_device
from hydrometer.engine.loop import Job
from hydrometer.execute import Executor, Silent, local, serial
from hydrometer.execute.lab import Lab
from hydrometer.execute.local import Local
from hydrometer.sources.draw import draw
from hydrometer.store import Store
from hydrometer.types import Trial
from tabulate_results import environment_line, spread, table

CASES = (
    ("digits", 1, 10, 200, "float32"),
    ("digits", 10, 10, 100, "float32"),
    ("cifar10", 10, 4, 20, "float32"),
    ("cifar10", 10, 4, 40, "bfloat16"),
)
"""Source, images per class, students, epochs, precision."""


def jobs(lab: Lab, ipc: int, count: int, epochs: int, precision: str) -> list[Job]:
    """Students that differ by their seeds."""
    source = lab.source
    counts = [ipc] * len(source.classes)
    data = from_rows(source, draw(source, counts, 0), method="random", budget=f"ipc={ipc}")
    chosen = protocols.load("ddranking-hard-quick@1").changed(
        {"precision": precision, "epochs": str(epochs)}
    )
    recipe = protocols.recipe(chosen.settings, source, lr=0.01)
    return [Job(Trial(data.digest, source.digest, recipe, seed), data) for seed in range(count)]


def seconds(execute: Executor, asked: Sequence[Job], lab: Lab) -> float:
    """Wall seconds for all of them, into an empty store."""
    with Store(":memory:") as store:
        start = time.perf_counter()
        execute(asked, lab, store, Silent())
        return time.perf_counter() - start


def main() -> None:
    """Train every case on both sides, in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    local.WORTH_STARTING = 0.0
    rows = []
    for name, ipc, count, epochs, precision in CASES:
        lab = Lab(sources.load(name), default_device())
        students = jobs(lab, ipc, count, epochs, precision)
        with Local(torch.get_num_threads()).staffed() as abreast:
            for execute in (serial.execute, abreast):
                seconds(execute, students[:2], lab)
            timed = [
                [seconds(execute, students, lab) for execute in (serial.execute, abreast)]
                for _ in range(asked.rounds)
            ]
        ratios = [alone / side for alone, side in timed]
        what = f"{name}, {ipc} per class, {count} students of {epochs} epochs, {precision}"
        rows.append(
            [what, *(spread(side) for side in zip(*timed, strict=True)), f"{spread(ratios)}x"]
        )
        print(rows[-1], flush=True)
    head = ["students", "one by one, s", "side by side, s", f"faster (n={asked.rounds})"]
    print(table(head, rows))
    print(environment_line(default_device()))


if __name__ == "__main__":
    main()
