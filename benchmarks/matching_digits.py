"""Matching methods against random real images on scikit-learn's digits, one image per class.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/matching_digits.py [--methods dm dc mtt] [--ipc 1]

Sets are made with each method's defaults, from one seed, and kept under --out, so that the script can
be resumed; students are those of `ddranking-hard-quick@1`, rates chosen on `val`, without its arm on
the full data. Prints test accuracy by seed and the seconds each method took. On digits such numbers
show that a method works; they rank nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from hydrometer import methods, protocols, registry, seeds, sources, verdict
from hydrometer.artifact import container
from hydrometer.engine.environment import default_device
from hydrometer.execute import Silent
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute
from hydrometer.store import Store
from hydrometer.types import ArmResult, Budget, CompressedSet, Source
from tabulate_results import environment_line, table


def obtain(source: Source, name: str, ipc: int, seed: int, out: Path) -> CompressedSet:
    """The set of a method, from an earlier run or made now."""
    path = out / f"{name}-ipc{ipc}-seed{seed}.safetensors"
    if not path.is_file():
        rng = seeds.numpy_rng(seed, f"method/{name}")
        spec, budget = registry.parse(name), Budget(per_class=ipc)
        container.save(methods.compress(source, spec, budget, rng=rng, seed=seed), path)
    return container.load(path)


def judge(made: CompressedSet, protocol: str, lab: Lab, store: Store) -> dict[str, ArmResult]:
    """The arms of set and random images."""
    plan = verdict.plan(made, protocols.load(protocol), lab)
    arms = tuple(arm for arm in plan.arms if arm.name in ("subject", "random"))
    jobs = tuple(job for arm in arms for job in verdict.jobs_of(arm, lab.source))
    plan = dataclasses.replace(plan, arms=arms, jobs=jobs)
    runs = execute(plan.jobs, lab, store, Silent())
    return {arm.name: verdict.result(arm, lab.source, runs) for arm in arms}


def row(label: str, found: ArmResult, seconds: float) -> list[str]:
    mean = sum(found.accuracy) / len(found.accuracy)
    each = " ".join(f"{100 * a:.1f}" for a in found.accuracy)
    return [label, f"{100 * mean:.1f}", each, f"{found.lr:g}", f"{seconds:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=["dm", "dc", "mtt"])
    parser.add_argument("--ipc", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the methods")
    parser.add_argument("--out", type=Path, default=Path(".out/matching"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    lab = Lab(sources.load("digits"), default_device())
    protocol = f"ddranking-hard-quick@1{{seeds={asked.seeds}}}"
    rows: list[list[str]] = []
    with Store(asked.out / "runs.sqlite") as store:
        for name in asked.methods:
            made = obtain(lab.source, name, asked.ipc, asked.seed, asked.out)
            for note in made.card.notes:
                print(f"{name}: {note}")
            found = judge(made, protocol, lab, store)
            if not rows:
                rows.append(row("random", found["random"], 0))
            rows.append(row(made.card.method, found["subject"], made.card.seconds))
    print(table(["images", "accuracy, %", "each seed", "rate", "seconds to make"], rows))
    print(environment_line(lab.device))


if __name__ == "__main__":
    main()
