"""Faults a plan survives, counted: killed drivers, damaged files, a full store, a newer one.

Run: python benchmarks/faults.py [--kills 20]
Every line says how many faults were made and after how many of them the plan ended with all rows,
none of them twice, and the digits of an undisturbed run.
"""

from __future__ import annotations

import argparse
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROGRAM = [sys.executable, "-c", "from hydrometer.cli import main; main()"]
PLAN = """
[plan]
name = "grid"
sources = ["digits"]
methods = ["random", "herding(features=pixels)", "k-center(features=pixels)"]
budgets = ["ipc=1", "ipc=2"]
protocols = ['ddranking-hard-quick@1{augment=none,epochs=5,full.epochs=1,full.least_steps=0,\
precision=float32,rates=0.01,student=convnet(depth=2,width=8)}']
"""
Rows = dict[str, tuple[int, ...]]


def begin(plan: Path) -> subprocess.Popen[bytes]:
    words = [*PROGRAM, "bench", "run", str(plan), "--quiet"]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(plan: Path) -> bytes:
    running = begin(plan)
    return running.communicate()[1]


def rows(plan: Path) -> tuple[Rows, int]:
    """Test hits by key, and the number of verdicts."""
    from hydrometer.store import Store

    with Store(plan.parent / "grid" / "runs.sqlite") as store:
        return {run.key: run.test_hits for run in store.runs()}, len(store.verdicts())


def kills(plan: Path, times: int) -> int:
    """Kill the driver so many times at random moments; a plan that is done starts over."""
    draw, killed = random.Random(0), 0
    while killed < times:
        running = begin(plan)
        try:
            running.wait(draw.uniform(3.0, 9.0))
            wipe(plan.parent / "grid")
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            running.wait()
            killed += 1
        if running.stderr is not None:
            running.stderr.close()
    return killed


def wipe(folder: Path) -> None:
    folder.rename(folder.with_name(f"done-{time.time_ns()}"))


def cut_sets(plan: Path) -> int:
    """Cut every set in half and forget the cells, so that all sets are asked for again."""
    cut = list((plan.parent / "grid" / "sets").iterdir())
    for file in cut:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    wipe(plan.parent / "grid" / "cells")
    return len(cut)


def cut_cells(plan: Path) -> int:
    """Cut every cell's result in half."""
    cut = list((plan.parent / "grid" / "cells").iterdir())
    for file in cut:
        file.write_text(file.read_text()[:50])
    return len(cut)


def survived(name: str, fault: Callable[[Path], int], plan: Path, wanted: tuple[Rows, int]) -> bool:
    made = fault(plan)
    said = finish(plan)
    same = rows(plan) == wanted
    print(f"{name}: {made} made, {'survived' if same else 'NOT survived'} {said.decode()}".rstrip())
    return same


def refused(name: str, fault: Callable[[Path], object], word: bytes, plan: Path) -> bool:
    """A store that cannot be used must be refused in one sentence, and stay as it is."""
    store = plan.parent / "grid" / "runs.sqlite"
    whole = store.read_bytes()
    fault(store)
    broken = store.read_bytes()
    (plan.parent / "grid" / "cells").mkdir(exist_ok=True)
    said = finish(plan)
    fine = word in said and said.count(b"\n") == 1 and store.read_bytes() == broken
    store.write_bytes(whole)
    print(f"{name}: {'refused' if fine else 'NOT refused'}: {said.decode().strip()}")
    return fine


def newer(store: Path) -> None:
    with sqlite3.connect(store) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def damaged(store: Path) -> None:
    raw = bytearray(store.read_bytes())
    raw[100:4096] = b"\xff" * 3996
    store.write_bytes(raw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as calm, tempfile.TemporaryDirectory() as rough:
        plans = [Path(folder) / "plan.toml" for folder in (calm, rough)]
        for plan in plans:
            plan.write_text(PLAN)
        finish(plans[0])
        wanted, plan = rows(plans[0]), plans[1]
        print(f"undisturbed: {len(wanted[0])} rows, {wanted[1]} verdicts")
        fine = [
            survived("driver killed", lambda p: kills(p, asked.kills), plan, wanted),
            survived("sets cut in half", cut_sets, plan, wanted),
            survived("cell results cut in half", cut_cells, plan, wanted),
            refused("store of a newer version", newer, b"upgrade", plan),
            refused("store with a damaged page", damaged, b"damaged", plan),
        ]
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
