"""How fast and how large a report of many rows is, in headless Chromium and from disk.

    .venv/bin/python benchmarks/site_speed.py [--rows 1000] [--repeats 10]

Rows are the committed entries of board/ under other names, budgets, sources and accuracies; each has
its own page with curves, classes and recipes, and shares one of the committed contact sheets. Load
is from navigation to the end of the load event and the first frame after it; sorting and filtering
are from the press to the next frame. The main thread's processor time is what a machine with nothing
else to do would take at least. Needs playwright and Debian's chromium.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from playwright.sync_api import CDPSession, Page, sync_playwright

from hydrometer.board import entry as entries
from hydrometer.board import sheets
from hydrometer.board.entry import Entry
from hydrometer.site import build

BOARD = Path(__file__).parent.parent / "board"
PER_TABLE = 20
FRAME = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        start = time.perf_counter()
        board = build.Board(many(asked.rows), {}, sheets.read_all(BOARD))
        build.write(site, board, title="Many rows", command="benchmarks/site_speed.py")
        print(f"built {asked.rows:,} rows in {time.perf_counter() - start:.1f} s")
        sizes = [p.stat().st_size for p in site.rglob("*") if p.is_file()]
        index = (site / "index.html").stat().st_size
        print(f"{sum(sizes):,} bytes in {len(sizes):,} files, index.html {index:,} bytes")
        for name, seconds in measured((site / "index.html").as_uri(), asked.repeats).items():
            print(line(name, seconds))
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def many(count: int) -> list[Entry]:
    """Entries in tables of 20, whose numbers differ."""
    templates = entries.read_all(BOARD)
    rng = np.random.default_rng(0)
    return [
        varied(templates[i % len(templates)], i, float(rng.normal(0, 0.05))) for i in range(count)
    ]


def varied(entry: Entry, i: int, shift: float) -> Entry:
    """An entry of another method, its accuracies moved by `shift`, in the table of its number."""
    table = i // PER_TABLE
    name = f"accuracy:{entry.subject.name}"
    arms = tuple(
        arm.model_copy(
            update={"accuracy": tuple(min(1.0, max(0.0, a + shift)) for a in arm.accuracy)}
        )
        if arm.name == entry.subject.name
        else arm
        for arm in entry.arms
    )
    value = statistics.fmean(next(a for a in arms if a.name == entry.subject.name).accuracy)
    old = entry.estimates[name]
    moved = old.model_copy(
        update={"value": value, "low": old.low + shift, "high": old.high + shift}
    )
    bare, bracket, rest = entry.card.method.partition("(")
    card = entry.card.model_copy(
        update={"method": f"{bare}-{i}{bracket}{rest}", "budget": f"ipc={1 + table % 10}"}
    )
    return entry.model_copy(
        update={
            "card": card,
            "arms": arms,
            "estimates": {**entry.estimates, name: moved},
            "source": f"{entry.source}-{table // 10 % 5}",
            "source_digest": f"{entry.source_digest}{table // 10 % 5}",
        }
    )


def measured(address: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of each thing that a reader does, `repeats` times: by the clock, and of its thread."""
    found: dict[str, list[float]] = defaultdict(list)
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        for _ in range(repeats):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(600_000)
            for name, (wall, thread) in visit(page, address).items():
                found[name].append(wall)
                found[f"{name}, main thread's processor time"].append(thread)
            page.close()
        browser.close()
    return found


def visit(page: Page, address: str) -> dict[str, tuple[float, float]]:
    """Wall and thread seconds of loading, sorting and filtering."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    press = "document.querySelector('[data-key=accuracy] button').click()"
    find = "(f => { f.text.value = 'herding'; f.dispatchEvent(new Event('input')) })(controls)"
    steps = {
        "load": lambda: page.goto(address),
        "sort": lambda: page.evaluate(press),
        "filter": lambda: page.evaluate(find),
    }
    found = {}
    for name, step in steps.items():
        start, before = time.perf_counter(), busy(session)
        step()
        page.evaluate(FRAME)
        wall = time.perf_counter() - start
        found[name] = (wall, busy(session) - before)
    return found


def busy(session: CDPSession) -> float:
    """Seconds that the page's main thread has worked since it began."""
    told = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    return float(told["TaskDuration"])


def line(name: str, seconds: Sequence[float]) -> str:
    """Median, spread and n."""
    return (
        f"{name}: median {statistics.median(seconds):.3f} s "
        f"(least {min(seconds):.3f}, most {max(seconds):.3f}, n = {len(seconds)})"
    )


if __name__ == "__main__":
    main()
