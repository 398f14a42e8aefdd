"""How long a plan of 10,000 cells takes from the command to its status, each time in a new process.

Run: python benchmarks/bench_plan.py [--done 5000] [--rounds 5]
A cell is one verdict of many trials, so this is far more than 10,000 trials. Wall time, with that of
the processor in brackets, which other jobs on the machine do not lengthen.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hydrometer.bench import plan as plans
from hydrometer.bench.plan import Plan
from hydrometer.bench.results import CellResult
from hydrometer.store import Store
from tabulate_results import spread

STATUS = [sys.executable, "-c", "from hydrometer.cli import main; main()", "bench", "status"]


def plan_text(cells: int) -> str:
    seeds = cells // (2 * 5 * 10 * 2)
    methods = '"random", "herding", "el2n(policy=hard)", "k-center", "forgetting"'
    budgets = ", ".join(f'"ipc={n}"' for n in range(1, 11))
    return (
        f'[plan]\nname = "grid"\nsources = ["digits", "cifar10"]\nmethods = [{methods}]\n'
        f'budgets = [{budgets}]\nprotocols = ["ddranking-hard@1"]\n'
        f'students = ["ConvNet-3", "ResNet-18"]\nseeds = {list(range(seeds))}\n'
    )


def finish(plan: Plan, cells: int) -> None:
    """Results of the first cells and a verdict of each; the harness is not what is measured."""
    (plan.out / "cells").mkdir(parents=True)
    with Store(plan.store):
        pass
    with sqlite3.connect(plan.store) as db:
        rows = [(c.digest, "protocol", c.digest, "source", 0.0, "{}") for c in plan.cells[:cells]]
        db.executemany("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", rows)
    db.close()
    for cell in plan.cells[:cells]:
        made = CellResult(
            **vars(cell) | {"digest": cell.digest},
            status="done",
            set_digest=cell.digest,
            judged_as="protocol",
            seconds=1.0,
        )
        (plan.out / "cells" / f"{cell.digest}.json").write_text(made.model_dump_json())


def status(path: Path) -> tuple[float, float]:
    """Wall and processor seconds of one `bench status` in a new process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*STATUS, str(path)], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--done", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.toml"
        path.write_text(plan_text(asked.cells))
        plan = plans.read(path)
        for done in (0, asked.done):
            if done:
                finish(plan, done)
            walls, times = zip(*(status(path) for _ in range(asked.rounds)), strict=True)
            print(
                f"{len(plan.cells):,} cells, {done:,} done, n={asked.rounds}: "
                f"{spread(walls)} s [processor {spread(times)} s]"
            )


if __name__ == "__main__":
    main()
