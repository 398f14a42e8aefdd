"""Faults a plan survives, counted: kills, Ctrl-C, full disks, damaged files, clocks set back.

Run: python benchmarks/faults.py [--kills 20] [--only NAME ...]
Every line says how many faults were made, and whether the plan then ended with all rows, none of them
twice, and the digits of an undisturbed run. A full and a read-only disk are small ones of their own,
which only root may mount; for anyone else these lines say that they were not tried.
"""

from __future__ import annotations

import argparse
import importlib
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drivers import PATIENCE, Driver, finish, mount, small_disk
from hydrometer.bench import names, results
from hydrometer.bench import plan as plans
from hydrometer.store import Store
from hydrometer.types import HydrometerError

PLAN = """
[plan]
name = "grid"
sources = ["digits"]
methods = ["random", "el2n(epochs=1)", "k-center(features=pixels)"]
budgets = ["ipc=1", "ipc=2"]
protocols = ['ddranking-hard-quick@1{augment=none,epochs=5,full.epochs=1,full.least_steps=0,\
full.seeds=2,precision=float32,rates=0.01,seeds=2,student=convnet(depth=2,width=8)}']
"""
WORKERS = 3


@dataclass(frozen=True)
class Held:
    """What a finished plan holds: test hits by key, how many verdicts, and cells done."""

    rows: dict[str, tuple[int, ...]]
    verdicts: int
    cells: int


@dataclass
class Trouble:
    """Makes faults on one plan, and knows what it must end with."""

    plan: Path
    wanted: Held
    seconds: float
    """Of the undisturbed run."""
    draw: random.Random
    said: str = ""

    @property
    def out(self) -> Path:
        """Where the plan keeps all it makes."""
        return self.plan.parent / "grid"

    @property
    def store(self) -> Path:
        """Where it keeps its students."""
        return self.out / "runs.sqlite"

    def ends_well(self) -> bool:
        """Go on to the end, undisturbed: the same rows, once each."""
        code, self.said = finish(self.plan)
        return code == 0 and held(self.plan) == self.wanted

    def refused(self, *words: str) -> bool:
        """A run must end at once with code 2 and one sentence that holds one of the words."""
        code, self.said = finish(self.plan)
        return code == 2 and self.said.count("\n") == 1 and any(w in self.said for w in words)

    def forget(self) -> None:
        """Start over."""
        for name in ("grid", "cache"):
            shutil.rmtree(self.plan.parent / name, ignore_errors=True)

    def forget_cells(self) -> None:
        """Have every set and student asked for again."""
        shutil.rmtree(self.out / "cells")
        with sqlite3.connect(self.store) as db:
            db.execute("DELETE FROM verdicts")
        db.close()

    def is_training(self, driver: Driver) -> bool:
        """Whether a process holds a claim on a student."""
        if not self.store.is_file():
            return False
        with Store(self.store) as store:
            return any(owner.endswith(f":{driver.process.pid}") for owner in store.claimants())


def held(plan: Path) -> Held:
    """What the store and the results hold; two rows of one key would be told here."""
    read = plans.read(plan)
    with Store(read.store) as store:
        runs, verdicts = store.runs(), store.verdicts()
    rows = {run.key: run.test_hits for run in runs}
    if len(rows) < len(runs):
        raise SystemExit("a row is there twice")
    return Held(rows, len(verdicts), results.progress(read).done)


def driver_kills(trouble: Trouble, times: int) -> tuple[int, bool, str]:
    """Kill -9 the one driver, every other time while a student trains, else at a random moment."""
    killed = trained = ends = 0
    fine, span = True, trouble.seconds
    while killed < times:
        driver = in_training(trouble) if killed % 2 else Driver(trouble.plan)
        if driver.ended(trouble.draw.uniform(0.0, 0.02 if killed % 2 else 0.9) * span):
            code, trouble.said = driver.end()
            fine &= code == 0 and held(trouble.plan) == trouble.wanted
            ends += 1
            # So that one driver in some gets to its end, however fast the machine is now.
            span *= 0.8
            trouble.forget()
        else:
            span *= 1.05
            trained += trouble.is_training(driver)
            driver.kill()
            killed += 1
    fine &= trouble.ends_well()
    return killed, fine, f"{trained} while a student trained, {ends + 1} ends compared"


def worker_kills(trouble: Trouble, times: int) -> tuple[int, bool, str]:
    """Kill -9 one of several processes that share a plan, every other time one that trains; replace it."""
    killed = trained = ends = 0
    fine = True
    while killed < times:
        trouble.forget()
        workers = [Driver(trouble.plan) for _ in range(WORKERS)]
        while killed < times:
            time.sleep(0.0 if killed % 2 else trouble.draw.uniform(0.0, 1.0) * trouble.seconds)
            busy = working(trouble, workers) if killed % 2 else []
            if any(worker.ended(0) for worker in workers):
                break
            victim = trouble.draw.choice(busy or range(WORKERS))
            trained += trouble.is_training(workers[victim])
            workers[victim].kill()
            killed += 1
            workers[victim] = Driver(trouble.plan)
        ended = [worker.end() for worker in workers]
        trouble.said = " ".join(said for code, said in ended if code)
        fine &= not any(code for code, _ in ended) and held(trouble.plan) == trouble.wanted
        ends += 1
    return killed, fine, f"{trained} while it trained a student, {ends} ends compared"


def working(trouble: Trouble, workers: list[Driver]) -> list[int]:
    """Workers that train students, once there are some; none if one of them ends before."""
    deadline = time.monotonic() + PATIENCE
    while not any(worker.ended(0.01) for worker in workers) and time.monotonic() < deadline:
        busy = [i for i, worker in enumerate(workers) if trouble.is_training(worker)]
        if busy:
            return busy
    return []


def interrupts(trouble: Trouble, times: int) -> tuple[int, bool, str]:
    """Ctrl-C while students train: code 130, one sentence, and no claim left behind."""
    made, fine = 0, True
    while made < times:
        driver = in_training(trouble)
        time.sleep(trouble.draw.uniform(0.0, 0.3))
        driver.interrupt()
        code, trouble.said = driver.end()
        if code:
            made += 1
            fine &= code == 130 and trouble.said.startswith("hydrometer: stopped; finished")
            fine &= trouble.said.count("\n") == 1 and not trouble.is_training(driver)
    return made, trouble.ends_well() and fine, "code 130, one sentence, no claim left"


def clocks(trouble: Trouble, times: int) -> tuple[int, bool, str]:
    """Kill a driver in training; the next one lives minutes to years earlier, and must not wait."""
    fine = True
    for back in (300.0, 3600.0, 86_400.0, 1e9)[:times]:
        trouble.forget()
        in_training(trouble).kill()
        code, trouble.said = finish(trouble.plan, back)
        fine &= code == 0 and held(trouble.plan) == trouble.wanted
    return times, fine, "back by 5 min, 1 h, 1 day, 32 years"


def in_training(trouble: Trouble) -> Driver:
    """A driver that has just begun to train a student; a plan that is done starts over."""
    while True:
        driver, deadline = Driver(trouble.plan), time.monotonic() + PATIENCE
        while not driver.ended(0.05) and time.monotonic() < deadline:
            if trouble.is_training(driver):
                return driver
        code, said = driver.end(0.0)
        if code:
            raise HydrometerError(f"the driver failed: {said}")
        trouble.forget()


def cut_sets(trouble: Trouble, times: int) -> tuple[int, bool, str]:
    """Cut every set and recorded training run in half."""
    runs = (trouble.plan.parent / "cache" / "recordings").glob("*/*.npy")
    cut = [*(trouble.out / "sets").iterdir(), *runs]
    for file in cut:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    trouble.forget_cells()
    return len(cut), trouble.ends_well(), ""


def cut_cells(trouble: Trouble, times: int) -> tuple[int, bool, str]:
    """Cut every cell's result in half."""
    cut = list((trouble.out / "cells").iterdir())
    for file in cut:
        file.write_text(file.read_text()[:50])
    return len(cut), trouble.ends_well(), ""


def damaged_pages(trouble: Trouble, times: int) -> tuple[int, bool, str]:
    """Overwrite a page of the store: refused or harmless; without the store all is made again."""
    whole, fine, refusals = trouble.store.read_bytes(), True, 0
    pages = [0, *trouble.draw.sample(range(1, len(whole) // 4096), times - 1)]
    for page in pages:
        raw = bytearray(whole)
        # The first 100 bytes say that this is a database of ours at all.
        raw[4096 * page + (100 if page == 0 else 0) : 4096 * (page + 1)] = trouble.draw.randbytes(
            4096 - (100 if page == 0 else 0)
        )
        trouble.store.write_bytes(raw)
        shutil.rmtree(trouble.out / "cells")
        if trouble.refused("damaged", "cannot be read"):
            refusals += 1
            fine &= trouble.store.read_bytes() == bytes(raw)
            trouble.store.unlink()
            fine &= trouble.ends_well()
        else:
            fine &= held(trouble.plan) == trouble.wanted
        trouble.store.write_bytes(whole)
    return times, fine, f"{refusals} refused untouched, {times - refusals} not needed"


def newer(trouble: Trouble, times: int) -> tuple[int, bool, str]:
    """Give the store the mark of a newer version: refused, untouched."""
    with sqlite3.connect(trouble.store) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    marked = trouble.store.read_bytes()
    fine = trouble.refused("upgrade") and trouble.store.read_bytes() == marked
    trouble.forget()
    return 1, fine, trouble.said.strip()


def full_disks(trouble: Trouble, times: int) -> tuple[int, bool, str]:
    """Run on a disk that fills up on the way; then it grows, and the plan must go on."""
    needed = sum(f.stat().st_size for f in trouble.plan.parent.rglob("*") if f.is_file()) // 1024
    fine, met = True, 0
    while met < times:
        place = trouble.plan.parent / "small"
        place.mkdir(exist_ok=True)
        # A disk that turns out to be large enough does not count.
        with small_disk(place, max(32, int(needed * trouble.draw.uniform(0.1, 1.2)))):
            there = Trouble(place / "plan.toml", trouble.wanted, trouble.seconds, trouble.draw)
            there.plan.write_text(PLAN)
            code, trouble.said = finish(there.plan)
            met += code != 0
            clear = "full" in trouble.said or "No space" in trouble.said
            fine &= code == 0 or (code == 2 and clear and trouble.said.count("\n") == 1)
            mount("-o", "remount,size=64m", str(place))
            fine &= not results.progress(plans.read(there.plan)).failed
            fine &= there.ends_well()
    return met, fine, trouble.said.strip()


def read_only(trouble: Trouble, times: int) -> tuple[int, bool, str]:
    """Run where nothing can be written, before the plan and in the middle of it."""
    place, fine = trouble.plan.parent / "small", True
    place.mkdir(exist_ok=True)
    with small_disk(place, 65_536):
        there = Trouble(place / "plan.toml", trouble.wanted, trouble.seconds, trouble.draw)
        there.plan.write_text(PLAN)
        for _ in range(2):
            mount("-o", "remount,ro", str(place))
            fine &= there.refused("Read-only", "read-only", "permission")
            trouble.said = there.said
            mount("-o", "remount,rw", str(place))
            in_training(there).kill()
        fine &= there.ends_well()
    return 2, fine, trouble.said.strip()


FAULTS: dict[str, tuple[Callable[[Trouble, int], tuple[int, bool, str]], int]] = {
    "driver killed": (driver_kills, 0),
    "one of 3 workers killed": (worker_kills, 0),
    "Ctrl-C": (interrupts, 5),
    "clock set back": (clocks, 4),
    "artifacts cut in half": (cut_sets, 0),
    "cell results cut in half": (cut_cells, 0),
    "store page damaged": (damaged_pages, 5),
    "disk full": (full_disks, 5),
    "disk read-only": (read_only, 2),
    "store of a newer version": (newer, 1),
}
"""Each fault, and how often it is made; 0 is as often as there are kills, or files."""


def report(name: str, trouble: Trouble, kills: int) -> bool:
    fault, times = FAULTS[name]
    try:
        trouble.ends_well()
        made, fine, more = fault(trouble, times or kills)
    except subprocess.CalledProcessError:
        print(f"{name}: not tried, mounting a disk needs root", flush=True)
        return True
    except HydrometerError as error:
        made, fine, more = 1, False, str(error)
    end = "survived" if fine else f"NOT survived: {trouble.said.strip()}"
    print(f"{name}: {made} made, {end}{f' ({more})' if more and fine else ''}", flush=True)
    return fine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--only", nargs="*", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as calm, tempfile.TemporaryDirectory() as rough:
        for folder in (calm, rough):
            (Path(folder) / "plan.toml").write_text(PLAN)
        # Imported here and not in every fork: what drivers need.
        importlib.import_module("hydrometer.bench.run")
        names.read(Path(calm) / "plan.toml")
        start = time.perf_counter()
        code, said = finish(Path(calm) / "plan.toml")
        if code:
            sys.exit(f"the undisturbed run failed: {said}")
        seconds, wanted = time.perf_counter() - start, held(Path(calm) / "plan.toml")
        print(
            f"undisturbed: {len(wanted.rows)} rows, {wanted.verdicts} verdicts, {seconds:.0f} s "
            f"({sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]):.1f} of the processor)",
            flush=True,
        )
        trouble = Trouble(Path(rough) / "plan.toml", wanted, seconds, random.Random(asked.seed))
        fine = [report(name, trouble, asked.kills) for name in asked.only]
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
