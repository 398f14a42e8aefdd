"""Prune-Combine-Augment against the controls its paper lacks, as one table.

    python benchmarks/pca_controls.py --source cifar10 --ipc 10 --name pca_cifar10_ipc10

Every set is made with the same seed and evaluated by the same protocol; runs are kept in a store, so
the command goes on where it was stopped. It writes docs/results/NAME.md.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hydrometer import methods, protocols, registry, seeds, sources, verdict
from hydrometer.cli.console import watching
from hydrometer.engine.environment import default_device, environment
from hydrometer.execute.lab import Lab
from hydrometer.protocols import Protocol
from hydrometer.report import text
from hydrometer.store import Store
from hydrometer.types import Budget, Estimate, Spec, Verdict

RESULTS = Path(__file__).parents[1] / "docs" / "results"
FREE = "random-resized-crop"


@dataclass(frozen=True)
class Contender:
    """One row: a method at a budget, under the protocol or under one with a changed augmentation."""

    name: str
    method: str
    ipc: int
    confined: bool = True


@dataclass(frozen=True)
class Row:
    """What a contender reached; `seconds` are of making the set, and of training its students."""

    name: str
    method: str
    protocol: str
    bytes: int
    accuracy: Estimate
    gain: Estimate
    seconds: tuple[float, float]
    notices: tuple[str, ...]


def contenders(ipc: int, factor: int, prune: str, filter: str) -> list[Contender]:
    """The methods, PCA without and with composites, and the controls."""
    tiles = f"factor={factor},filter={filter}"
    pca = f"pca({tiles},prune={prune})"
    return [
        Contender("random", "random", ipc),
        Contender(f"easy {prune}", scored(prune, "easy"), ipc),
        Contender(f"hard {prune}", scored(prune, "hard"), ipc),
        Contender("PCA, f=1", f"pca(factor=1,prune={prune})", ipc),
        Contender(f"PCA, f={factor}", pca, ipc),
        Contender("control: random, combine, augment", f"pca({tiles},prune=random)", ipc),
        Contender(
            f"control: prune, no combine ({factor**2}× bytes)",
            scored(prune, "easy"),
            ipc * factor**2,
        ),
        Contender("control: prune, combine, no augment", pca, ipc, confined=False),
    ]


def scored(prune: str, policy: str) -> str:
    """The text of a scored method with a policy."""
    spec = registry.parse(prune)
    return str(Spec(spec.name, tuple(sorted((spec.kwargs | {"policy": policy}).items()))))


def main(
    source: str = "cifar10",
    ipc: int = 10,
    protocol: str = "rethink-hard-small@1",
    seed_count: Annotated[int, typer.Option("--seeds")] = 5,
    factor: int = 2,
    prune: str = "el2n",
    filter: str = "nearest",
    store: Path = Path("runs.sqlite"),
    name: str = "pca_controls",
    out: Path = RESULTS,
    quiet: bool = False,
) -> None:
    """Make and evaluate every contender, print the table, and write it to docs/results."""
    asked = protocols.load(protocol).changed({"seeds": str(seed_count)})
    lab = Lab(sources.load(source), default_device())
    with Store(store) as runs:
        rows = [
            judge(contender, asked, lab, runs, quiet)
            for contender in contenders(ipc, factor, prune, filter)
        ]
    page = render(rows, lab, asked, ipc, seed_count)
    print(page)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.md").write_text(page)


def judge(contender: Contender, asked: Protocol, lab: Lab, runs: Store, quiet: bool) -> Row:
    """Make a contender's set, evaluate it, and read its row from the verdict."""
    spec = registry.parse(contender.method)
    made = methods.compress(
        lab.source,
        spec,
        Budget(per_class=contender.ipc),
        rng=seeds.numpy_rng(0, f"method/{spec}"),
        seed=0,
    )
    chosen = asked if contender.confined else freed(asked)
    with watching(quiet) as observer:
        found = verdict.evaluate(verdict.plan(made, chosen, lab), lab, runs, observer)
    return Row(
        name=contender.name,
        method=f"{made.card.method}, {made.card.budget}",
        protocol=found.protocol,
        bytes=made.card.bytes.total,
        accuracy=found.estimates["accuracy"],
        gain=found.estimates["ior"],
        seconds=(made.card.seconds, trained_seconds(found, runs)),
        notices=found.notices,
    )


def freed(protocol: Protocol) -> Protocol:
    """The protocol with crops that may cross tiles; its name says so."""
    specs = protocol.settings.augment
    free = [str(s).replace("tile-crop", FREE) for s in specs]
    return protocol.changed({"augment": "|".join(free)})


def trained_seconds(found: Verdict, runs: Store) -> float:
    """Wall time of the subject's students, whenever they were trained."""
    [subject] = [arm for arm in found.arms if arm.name == "subject"]
    return sum(run.seconds for run in runs.get_many(subject.runs).values())


def render(rows: list[Row], lab: Lab, asked: Protocol, ipc: int, seed_count: int) -> str:
    """The page: command, table, what each row is, notices, machine."""
    command = " ".join(["python", "benchmarks/pca_controls.py", *sys.argv[1:]])
    lines = [
        f"# Prune-Combine-Augment and its controls: {lab.source.name}, {ipc} images per class",
        "",
        f"`{command}`",
        "",
        f"Protocol `{asked.name}`, n = {seed_count} seeds. Accuracy on test, percent, with the 95 % "
        "expanded bootstrap interval over students; one set per method, made with seed 0, except "
        "that the random arm of the gain is redrawn with every seed. The gain of a composite is over "
        "random composites of as many sources under the same crops.",
        "",
        "| set | bytes | accuracy | interval | gain over random | n | made s | trained s |",
        "|---|---|---|---|---|---|---|---|",
        *map(line, rows),
        "",
        *(f"- {row.name}: `{row.method}`, `{row.protocol}`" for row in rows),
        "",
        *(f"- Note: {note}" for note in dict.fromkeys(n for row in rows for n in row.notices)),
        "",
        machine(lab),
        "",
    ]
    return "\n".join(lines)


def line(row: Row) -> str:
    """One row of the table."""
    low, high = (f"{100 * v:.1f}" for v in (row.accuracy.low, row.accuracy.high))
    gain = f"{100 * row.gain.value:+.1f} [{100 * row.gain.low:+.1f}, {100 * row.gain.high:+.1f}]"
    made, trained = row.seconds
    return (
        f"| {row.name} | {text.bytes(row.bytes)} | {100 * row.accuracy.value:.1f} | {low} to {high} "
        f"| {gain} | {row.accuracy.n} | {made:.1f} | {trained:.1f} |"
    )


def machine(lab: Lab) -> str:
    """Where it ran, and with what."""
    here = environment(lab.device)
    return (
        f"Hydrometer {here.hydrometer}, torch {here.torch}, Python {here.python} on {here.device}, "
        f"{here.threads} threads, {platform.platform()}; source digest {lab.source.digest}."
    )


if __name__ == "__main__":
    typer.run(main)
