"""How long a plan of 10,000 cells takes to be read, expanded and reported on.

Run: python benchmarks/bench_plan.py [--done 5000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path


def plan_text(cells: int) -> str:
    seeds = cells // (2 * 5 * 10)
    methods = '"random", "herding", "el2n", "k-center", "forgetting"'
    budgets = ", ".join(f'"ipc={n}"' for n in range(1, 11))
    return (
        f'[plan]\nname = "grid"\nsources = ["digits", "cifar10"]\nmethods = [{methods}]\n'
        f'budgets = [{budgets}]\nprotocols = ["ddranking-hard@1"]\nseeds = {list(range(seeds))}\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--done", type=int, default=5_000)
    asked = parser.parse_args()

    start = time.perf_counter()
    from hydrometer.bench import plan as plans
    from hydrometer.bench import results, run

    print(f"import (torch included)   {time.perf_counter() - start:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.toml"
        path.write_text(plan_text(asked.cells))
        start = time.perf_counter()
        plan = plans.read(path)
        print(f"read, plug-ins imported  {time.perf_counter() - start:.2f} s")
        start = time.perf_counter()
        plan = plans.read(path)
        print(f"read, {len(plan.cells):,} cells     {time.perf_counter() - start:.2f} s")
        run.prepare(plan)
        for cell in plan.cells[: asked.done]:
            # Written plainly: the harness is not what is measured.
            made = results.CellResult(
                digest=cell.digest,
                source=cell.source,
                method=cell.method,
                budget=cell.budget,
                seed=cell.seed,
                protocol=cell.protocol,
                status="done",
                seconds=1.0,
            )
            (plan.out / "cells" / f"{cell.digest}.json").write_text(made.model_dump_json())
        start = time.perf_counter()
        found = results.progress(plan)
        print(f"status, {found.done:,} done        {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
