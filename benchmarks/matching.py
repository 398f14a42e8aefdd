"""Matching methods against random real images, at one and ten images per class.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/matching.py --source digits
    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/matching.py --source cifar10

Digits take each method's defaults; CIFAR-10 the reduced runs of `REDUCED`, which a processor can make:
narrower networks, fewer iterations and real images, two experts of few epochs. Sets are made from one
seed and kept under --out with all students, so the command goes on where it was stopped. Students are
those of the field's published evaluation, at one rate; random images are drawn anew by each seed. Writes
docs/results/matching-SOURCE.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydrometer import digest, methods, metrics, protocols, registry, seeds, sources, verdict
from hydrometer.artifact import container
from hydrometer.engine.environment import default_device
from hydrometer.execute import Silent
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute
from hydrometer.report import text
from hydrometer.store import Store
from hydrometer.types import ArmResult, Budget, CompressedSet, Source
from tabulate_results import command, environment_line, publish, table, write

RESULTS = Path(__file__).parents[1] / "docs" / "results"
METHODS = ("dm", "dsa", "mtt")
_SMALL_MTT = "span=1,rate=0.03,lr_rate=1e-5,experts=2,epochs=4,width=64"
_GROWING = "first_bound=2,grown=50"
REDUCED = {
    ("dm", 1): "dm(iterations=1000,batch=64,width=64)",
    ("dm", 10): "dm(iterations=1000,batch=64,width=64)",
    ("dsa", 1): "dsa(iterations=300,batch=64,width=64)",
    ("dsa", 10): "dsa(iterations=40,outer=5,inner=10,batch=64,width=64)",
    ("mtt", 1): f"mtt(iterations=200,steps=20,max_start=2,{_SMALL_MTT})",
    ("mtt", 10): f"mtt(iterations=100,steps=10,max_start=3,{_SMALL_MTT})",
    ("datm", 1): f"datm(iterations=200,steps=20,max_start=2,skip_above=1.5,{_SMALL_MTT})",
    (
        "datm",
        10,
    ): f"datm(iterations=100,steps=10,max_start=3,{_GROWING},skip_above=1.5,{_SMALL_MTT})",
}
"""What stands for a method on CIFAR-10, by name and images per class."""
EPOCHS = {1: 300, 10: 60}
"""Epochs of students on CIFAR-10 by images per class, of the published 1000."""


@dataclass(frozen=True)
class Row:
    """Students of an arm of a set, and of random images, at one number of images per class."""

    made: CompressedSet
    ipc: int
    arm: str
    subject: ArmResult
    random: ArmResult


def obtain(source: Source, name: str, ipc: int, asked: argparse.Namespace) -> CompressedSet:
    """The set of a method, from an earlier run or made now."""
    known = REDUCED if source.name == "cifar10" else {}
    spec = registry.parse(known.get((name, ipc), name))
    key = digest.of([source.digest, str(spec), ipc, asked.seed])[:8]
    path = asked.out / f"{spec.name}-ipc{ipc}-{key}.safetensors"
    if not path.is_file():
        rng = seeds.numpy_rng(asked.seed, f"method/{spec}")
        made = methods.compress(source, spec, Budget(per_class=ipc), rng=rng, seed=asked.seed)
        container.save(made, path)
    return container.load(path)


def protocol_of(asked: argparse.Namespace, ipc: int) -> protocols.Protocol:
    """The published evaluation with what was asked, and fewer epochs on CIFAR-10."""
    epochs = asked.epochs or (EPOCHS.get(ipc) if asked.source == "cifar10" else None)
    changes = {"seeds": str(asked.students), "precision": asked.precision}
    return protocols.load(asked.protocol).changed(
        changes | ({"epochs": str(epochs)} if epochs else {})
    )


def judge(
    made: CompressedSet, ipc: int, protocol: protocols.Protocol, lab: Lab, store: Store
) -> list[Row]:
    """Every arm of the set beside random images; other arms are left out."""
    every = verdict.plan(made, protocol, lab).arms
    arms = tuple(arm for arm in every if arm.name == "random" or arm.name.startswith("subject"))
    if "random" not in {arm.name for arm in arms}:
        sys.exit(f"{protocol.name} has no arm of random images; give another --protocol")
    jobs = tuple(job for arm in arms for job in verdict.jobs_of(arm, lab.source))
    runs = execute(jobs, lab, store, Silent())
    found = {arm.name: verdict.result(arm, lab.source, runs) for arm in arms}
    random = found.pop("random")
    return [Row(made, ipc, arm, result, random) for arm, result in found.items()]


def lines(rows: Sequence[Row], asked: argparse.Namespace, lab: Lab) -> Iterator[str]:
    """The page: command, a table for each budget, how each set was made, machine."""
    yield f"# Matching methods: {asked.source}\n"
    yield (
        f"Made by `{command()}`. Test accuracy after "
        f"the last step, 95 % intervals over {asked.students} students; one set per method, made from "
        f"seed {asked.seed}, its iterate chosen on `val`. Random images are drawn anew by each seed, "
        "and gains are over them, seed by seed.\n"
    )
    for ipc in dict.fromkeys(row.ipc for row in rows):
        here = [row for row in rows if row.ipc == ipc]
        yield f"## {ipc} per class: `{protocol_of(asked, ipc).name}`\n"
        base = metrics.estimate("accuracy", {"subject": here[0].random})
        head = ["images", "accuracy, %", "gain over random", "each student", "minutes to make"]
        random = ["random", text.interval(base), "", each(here[0].random), ""]
        yield table(head, [random, *map(cells, here)])
        yield ""
        sets = [row for row in here if row.arm == "subject"]
        yield from (f"- `{row.made.card.method}`" for row in sets)
        yield from (f"- {name_of(row)}: {note}" for row in sets for note in notes_of(row))
        yield ""
    yield f"{environment_line(lab.device)} Source digest {lab.source.digest}."


def cells(row: Row) -> list[str]:
    """One line of the table."""
    found = metrics.estimate("accuracy", {"subject": row.subject})
    gain = metrics.estimate("ior", {"subject": row.subject, "random": row.random})
    minutes = row.made.card.seconds / 60
    return [
        name_of(row), text.interval(found), text.estimate(gain, "ior"), each(row.subject), f"{minutes:.1f}"
    ]  # fmt: skip


def name_of(row: Row) -> str:
    """What a row is called: its method without arguments, and its arm where the protocol has several."""
    name = registry.parse(row.made.card.method).name
    return name + row.arm.removeprefix("subject").replace("_", ", ")


def notes_of(row: Row) -> list[str]:
    """How `val` went and in what space, without where files are."""
    return [note for note in row.made.card.notes if not note.startswith("intermediate")]


def each(found: ArmResult) -> str:
    return " ".join(text.percent(accuracy) for accuracy in found.accuracy)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="digits")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--ipc", nargs="+", type=int, default=[1, 10])
    parser.add_argument("--students", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the methods")
    parser.add_argument("--protocol", default="as-dc@1{augment=dsa}")
    parser.add_argument("--epochs", type=int, help="of students")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, default=Path(".out/matching"))
    parser.add_argument("--only-make", action="store_true", help="make the sets, judge none")
    parser.add_argument("--page", type=Path)
    return parser.parse_args()


def main() -> None:
    asked = parsed()
    asked.out.mkdir(parents=True, exist_ok=True)
    lab = Lab(sources.load(asked.source), default_device())
    page = asked.page or RESULTS / f"matching-{asked.source}.md"
    rows: list[Row] = []
    with Store(asked.out / "runs.sqlite") as store:
        for ipc in asked.ipc:
            for name in asked.methods:
                made = obtain(lab.source, name, ipc, asked)
                clock = time.strftime("%H:%M:%S")
                print(f"{clock} {made.card.method}: {made.card.seconds:.0f} s", flush=True)
                if asked.only_make:
                    continue
                judged = judge(made, ipc, protocol_of(asked, ipc), lab, store)
                rows += judged
                print(*(" | ".join(cells(row)) for row in judged), sep="\n", flush=True)
                write(page, "\n".join(lines(rows, asked, lab)))
    if rows:
        publish(page, "\n".join(lines(rows, asked, lab)))


if __name__ == "__main__":
    main()
