r"""What trust costs beside one training of the same observer on the full data: processor time, memory.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/trust_cost.py --source digits+symmetric:0.4
    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/trust_cost.py --source cifar10+symmetric:0.4 \
        --student "convnet(depth=3,norm=instance,width=32)"

Each part runs in a process of its own, so that peaks of memory are its own; caches are empty at first and
passed on. `training` is the observer's network on all of `train` for the epochs that are recorded,
without recording; `evidence` is everything gathered once: the recorded run, a brief network for features,
the out-of-fold probe. A round is what TAD repeats: mixtures, anchors, recall, and from the second on a
probe on what is trusted. Processor time is of all threads, so that other work on the machine
disturbs it little. Writes docs/results/trust-cost-BASE.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from hydrometer import sources
from hydrometer.artifact.rows import whole
from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.methods import recording
from hydrometer.methods import trust as trusts
from hydrometer.methods.trust import evidence, tad
from hydrometer.methods.trust.evidence import Evidence
from hydrometer.sources import sealed
from hydrometer.types import Source, Trial
from tabulate_results import command, environment_line, publish, table

RESULTS = Path(__file__).parents[1] / "docs" / "results"
PARTS = ("loading", "training", "evidence", "round 1", "rounds 1 and 2")
GOAL, MOST_BYTES = 0.15, 3e9


@dataclass(frozen=True)
class Measured:
    """Processor and wall seconds of a part, without imports and loading; peak memory with them."""

    part: str
    processor: float
    wall: float
    peak: int


def measured(part: str, source: Source, student: str) -> Measured:
    """Run one part in this process."""
    work = prepared(part, source, student)
    wall, processor = time.perf_counter(), time.process_time()
    work()
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Measured(part, processor, wall, peak)


def prepared(part: str, source: Source, student: str) -> Callable[[], object]:
    """What is to be timed; what it needs is there when this returns."""
    if part == "loading":
        return lambda: None
    if part == "training":
        return lambda: train(source, student)
    if part == "evidence":
        return lambda: gathered(source, student)
    found, rounds = gathered(source, student), 1 if part == "round 1" else 2
    return lambda: tad.diverted(found, rounds=rounds, rng=trusts.draws(1))


def train(source: Source, student: str) -> None:
    """The recorded student, trained as the recorded run trains it."""
    data = whole(source)
    recipe = recording.recipe(source, evidence.epochs_for(source), student=student)
    Lab(source, default_device()).teach(Trial(data.digest, source.digest, recipe, seed=0), data)


def gathered(source: Source, student: str) -> Evidence:
    return evidence.gather(source, "network", student, rng=trusts.draws(0))


def child(part: str, source: str, student: str) -> Measured:
    """One part in a process of its own."""
    words = [sys.executable, __file__, "--source", source, "--student", student, "--part", part]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = Measured(**json.loads(done.stdout.splitlines()[-1]))
    print(f"{time.strftime('%H:%M:%S')} {found}", flush=True)
    return found


def page(source: str, found: dict[str, Measured]) -> str:
    training = found["training"].processor
    second = max(0.0, found["rounds 1 and 2"].processor - found["round 1"].processor)
    rounds = {"round 1": found["round 1"].processor, "round 2": second}
    dearest, peak = max(rounds.values()) / training, max(m.peak for m in found.values())
    rows = [
        [
            m.part,
            f"{m.processor:.2f}",
            f"{m.wall:.2f}",
            f"{m.processor / training:.1%}",
            f"{m.peak / 1e9:.2f}",
        ]
        for m in found.values()
    ]
    head = ["part", "processor s", "wall s", "of training", "peak GB"]
    return "\n".join(
        [
            f"# What trust costs: {source}\n",
            f"Made by `{command()}`; one run of each "
            f"part, load average at the end {os.getloadavg()[0]:.1f}. Training is of "
            f"{evidence.epochs_for(sources.load(source))} epochs.\n",
            table(head, rows),
            f"\nRound 2 alone: {second:.2f} s. The dearest round takes {dearest:.1%} of one training "
            f"(goal: at most {GOAL:.0%}); the peak is {peak / 1e9:.2f} GB (goal: under "
            f"{MOST_BYTES / 1e9:.0f} GB), of which {found['loading'].peak / 1e9:.2f} GB are libraries and data.\n",
            environment_line(default_device()),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="digits+symmetric:0.4")
    parser.add_argument("--student", default="", help="else the field's for the size")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    if asked.part:
        found = measured(asked.part, sealed(sources.load(asked.source)), asked.student)
        print(json.dumps(asdict(found)))
        return
    base = sources.dissect(asked.source)[0].partition(":")[0]
    with tempfile.TemporaryDirectory() as cache:
        os.environ["HYDROMETER_CACHE"] = cache
        sources.load(asked.source)
        found = {part: child(part, asked.source, asked.student) for part in PARTS}
    publish(asked.page or RESULTS / f"trust-cost-{base}.md", page(asked.source, found))


if __name__ == "__main__":
    main()
