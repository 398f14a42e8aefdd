"""How many rows a second one store takes from several processes, none of them lost.

Run: python benchmarks/store_speed.py [--writers 4] [--rows 500] [--rounds 5]
Each round is a fresh store. The clock runs from the moment all writers are told to start until the
last of them has its last row on disk; every row is the size of a real run, and every add is durable.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hydrometer import digest
from hydrometer.store import Store
from hydrometer.types import Environment, Run

CLASSES, STRETCHES = 10, 100


def row(key: str) -> Run:
    """A row as large as that of a student of CIFAR-10."""
    return Run(
        key=key,
        set_digest=digest.of("set"),
        source_digest=digest.of("source"),
        recipe_digest=digest.of("recipe"),
        recipe='{"augment":["dsa"],"batch":256,"epochs":1000,"labels":"hard","lr":0.01}' * 4,
        seed=0,
        status="done",
        val_hits=(300,) * CLASSES,
        val_totals=(500,) * CLASSES,
        test_hits=(600,) * CLASSES,
        test_totals=(1000,) * CLASSES,
        losses=tuple(1 / (1 + i) for i in range(STRETCHES)),
        steps=1000,
        seconds=100.0,
        environment=Environment(hydrometer="0", torch="2", python="3", device="cpu", threads=1),
    )


def write(path: Path, name: str, rows: int) -> None:
    """Be one writer: wait for the word, add the rows, and say that all of them were new."""
    made = [row(f"{name}-{i}") for i in range(rows)]
    with Store(path) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        new = sum(store.add(run) for run in made)
    print(new, flush=True)


def measure(folder: Path, writers: int, rows: int) -> float:
    """Rows a second over all writers; every row must be there in the end."""
    path = folder / "runs.sqlite"
    words = [sys.executable, __file__, "--as-writer", str(path), "--rows", str(rows), "--name"]
    started = [
        subprocess.Popen([*words, str(i)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for i in range(writers)
    ]
    for each in started:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    begun = time.perf_counter()
    for each in started:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    said = [each.communicate()[0] for each in started]
    seconds = time.perf_counter() - begun
    with Store(path) as store:
        kept = {run.key for run in store.runs()}
    wanted = {f"{i}-{j}" for i in range(writers) for j in range(rows)}
    if kept != wanted or sum(map(int, said)) != len(wanted):
        sys.exit(f"{len(wanted - kept)} of {len(wanted)} rows lost, writers said {said}")
    return len(wanted) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, help="where the stores lie; by default a temporary one"
    )
    parser.add_argument("--as-writer", type=Path)
    parser.add_argument("--name", default="")
    asked = parser.parse_args()
    if asked.as_writer:
        write(asked.as_writer, asked.name, asked.rows)
        return
    rates = []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            rates.append(measure(Path(folder), asked.writers, asked.rows))
    print(
        f"{asked.writers} writers x {asked.rows} rows, none lost: median "
        f"{statistics.median(rates):.0f} rows/s (n={len(rates)}, {min(rates):.0f} to {max(rates):.0f})"
    )


if __name__ == "__main__":
    main()
