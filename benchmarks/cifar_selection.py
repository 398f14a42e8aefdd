"""Every selection and stitching method at one number of images per class, as one table.

    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/cifar_selection.py --ipc 10

CIFAR-10, ConvNet-3, hard labels, `rethink-hard-small@1`, five seeds. All scores of training dynamics
read one recorded run, all others one network's features. Sets and runs are kept in .out/selection, so
the command goes on where it was stopped, and two processes of it share the work. A method that fails
is reported and left out. Writes docs/results/selection-ipcN.md, and again after every method.
"""

from __future__ import annotations

import inspect
import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hydrometer import digest, methods, metrics, protocols, registry, seeds, sources, verdict
from hydrometer.artifact import container
from hydrometer.cli.console import watching
from hydrometer.engine.environment import default_device
from hydrometer.execute.claims import free_if_dead
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute
from hydrometer.methods.recording import record
from hydrometer.methods.select.observer import network
from hydrometer.protocols import Case, Protocol
from hydrometer.report import text
from hydrometer.sources import sealed
from hydrometer.store import Store
from hydrometer.types import ArmResult, Budget, CompressedSet, Scalar, Spec
from tabulate_results import command, environment_line, table, write

RESULTS = Path(__file__).parents[1] / "docs" / "results"
FAMILIES = ("hydrometer.methods.select.", "hydrometer.methods.stitch.")
FREE = "random-resized-crop"
LEASE_SECONDS = 12 * 3600.0
WAIT_SECONDS = 5.0
ENDS = ("easy", "hard")
CONTROLS = ("PCA, random sources", "PCA, no combine", "PCA, crops across tiles")


@dataclass(frozen=True)
class Contender:
    """One row: a method at a budget, under the protocol or under one with crops across tiles.

    `family` is what `--methods` knows it by. `shares` is what its scores are read from, which one
    process makes for all: `recorded` or `observed`; or `alone`, from a network of its own.
    """

    name: str
    family: str
    method: Spec
    ipc: int
    shares: str
    confined: bool = True


@dataclass(frozen=True)
class Row:
    """What the students of a contender, or of a redrawn random arm, reached."""

    name: str
    method: str
    result: ArmResult
    bytes: int
    seconds: tuple[float, float]
    """Charged to the method, what it shares included; and without that."""


@dataclass(frozen=True)
class Bench:
    """What all contenders have in common."""

    lab: Lab
    protocol: Protocol
    store: Store
    folder: Path
    ipc: int
    recorder_epochs: int


def contenders(
    ipc: int, factor: int, recorder_epochs: int, both_ends: str = "all"
) -> list[Contender]:
    """All methods of selection and stitching, asked scores also at both ends, and PCA's controls."""
    known = [name for name in registry.names("method") if name not in ("random", "pca")]
    asked = known if both_ends == "all" else both_ends.split(",")
    every = [
        contender
        for name in known
        if _ours(name)
        for contender in _rows(name, ipc, recorder_epochs, ENDS if name in asked else ())
    ]
    return [*every, *_pca(ipc, factor, recorder_epochs)]


def _ours(name: str) -> bool:
    return str(registry.get("method", name).__module__).startswith(FAMILIES)


def _rows(name: str, ipc: int, recorder_epochs: int, ends: Sequence[str]) -> Iterator[Contender]:
    """A method as it is, and where it takes a policy, with these policies as well."""
    takes = inspect.signature(registry.get("method", name)).parameters
    recorded = {"epochs", "runs"} <= set(takes)
    args: dict[str, Scalar] = {"epochs": recorder_epochs} if recorded else {}
    shares = "recorded" if recorded else "alone" if "epochs" in takes else "observed"
    policies = list(ends) if "policy" in takes else []
    own = takes["policy"].default if "policy" in takes else None
    for policy in dict.fromkeys((own, *policies)):
        how = args | ({"policy": policy} if policy else {})
        label = f"{name}, {policy}" if policy else name
        yield Contender(label, name, Spec(name, tuple(sorted(how.items()))), ipc, shares)


def _pca(ipc: int, factor: int, recorder_epochs: int) -> list[Contender]:
    """PCA with two filters, and the controls that are not a redrawn random arm."""
    prune = f"el2n(epochs={recorder_epochs})"

    def pca(**args: Scalar) -> Spec:
        return Spec("pca", tuple(sorted({"prune": prune, "factor": factor, **args}.items())))

    whole = Spec("el2n", (("epochs", recorder_epochs), ("policy", "easy")))
    return [
        Contender("PCA", "pca", pca(), ipc, "recorded"),
        Contender("PCA, area filter", "pca", pca(filter="area"), ipc, "recorded"),
        Contender(CONTROLS[1], "pca", whole, ipc * factor**2, "recorded"),
        Contender(CONTROLS[2], "pca", pca(), ipc, "recorded", confined=False),
    ]


def main(
    ipc: int = 10,
    source: str = "cifar10",
    protocol: str = "rethink-hard-small@1",
    epochs: Annotated[int | None, typer.Option(help="Of students; else the protocol's.")] = None,
    precision: str = "auto",
    asked: Annotated[
        str | None, typer.Option("--methods", help="Only rows of these, such as el2n,pca.")
    ] = None,
    seed_count: Annotated[int, typer.Option("--seeds")] = 5,
    recorder_epochs: Annotated[int, typer.Option("--epochs-recorder")] = 10,
    factor: Annotated[int, typer.Option(help="Tiles a side of PCA's composites.")] = 2,
    both_ends: Annotated[
        str, typer.Option(help="Scores to take easiest and hardest first as well: all or names.")
    ] = "all",
    folder: Path = Path(".out/selection"),
    out: Path | None = None,
) -> None:
    """Make and judge every set, and write the table."""
    changes = {"seeds": str(seed_count), "precision": precision}
    changes |= {"epochs": str(epochs)} if epochs else {}
    lab = Lab(sources.load(source), default_device())
    plan = wanted(contenders(ipc, factor, recorder_epochs, both_ends), asked)
    name = f"selection-ipc{ipc}" if source == "cifar10" else f"selection-{source}-ipc{ipc}"
    page = out or RESULTS / f"{name}.md"
    folder.mkdir(parents=True, exist_ok=True)
    with Store(folder / "runs.sqlite") as store:
        chosen = protocols.load(protocol).changed(changes)
        bench = Bench(lab, chosen, store, folder, ipc, recorder_epochs)
        rows, failed = run(bench, plan, page)
    print(page.read_text(encoding="utf-8"))
    raise typer.Exit(1 if failed and not rows else 0)


def wanted(every: list[Contender], asked: str | None) -> list[Contender]:
    """The contenders whose method or family is asked for, in their order."""
    if not asked:
        return every
    names = {name.strip() for name in asked.split(",")}
    if unknown := names - {c.family for c in every}:
        raise registry.unknown("method", min(unknown), sorted({c.family for c in every}))
    return [c for c in every if c.family in names]


def run(bench: Bench, plan: list[Contender], page: Path) -> tuple[dict[str, Row], dict[str, str]]:
    """Judge what no other process is at, then what is left with it, and write the page as it grows."""
    rows, failed, pending, helping = dict[str, Row](), dict[str, str](), list(plan), False
    while pending:
        moved = False
        for contender in list(pending):
            start = time.perf_counter()
            with alone(bench.store, f"contender/{key_of(contender, bench)}") as mine:
                if not (mine or helping):
                    continue
                found = attempt(contender, bench, failed)
            if found is None and contender.name not in failed:
                continue
            moved = True
            pending.remove(contender)
            rows |= found or {}
            told(contender, rows, failed, len(plan) - len(pending), len(plan), start)
            put(page, bench, plan, rows, failed)
        if pending and not moved:
            time.sleep(WAIT_SECONDS if helping else 0)
            helping = True
    put(page, bench, plan, rows, failed)
    return rows, failed


def attempt(contender: Contender, bench: Bench, failed: dict[str, str]) -> dict[str, Row] | None:
    """A contender's rows; None where another process is making its set, or it failed."""
    try:
        made = obtained(contender, bench)
        return None if made is None else judged(contender, made, bench)
    except Exception as error:
        failed[contender.name] = f"{type(error).__name__}: {error}"
        return None


def obtained(contender: Contender, bench: Bench) -> CompressedSet | None:
    """The contender's set, from the folder or made now; None while another process makes its kind."""
    path = bench.folder / f"{key_of(contender, bench)}.safetensors"
    if path.is_file():
        return container.load(path)
    with alone(bench.store, f"{contender.shares}/{bench.lab.source.digest}") as mine:
        if not mine:
            return None
        made = methods.compress(
            bench.lab.source,
            contender.method,
            Budget(per_class=contender.ipc),
            rng=seeds.numpy_rng(0, f"method/{contender.method}"),
            seed=0,
        )
        container.save(made, path)
        return made


def judged(contender: Contender, made: CompressedSet, bench: Bench) -> dict[str, Row]:
    """The row of a contender; beside it those of plain and, for PCA, of composite random images."""
    chosen = bench.protocol if contender.confined else freed(bench.protocol)
    arms = {arm.name: arm for arm in chosen.arms(Case(made, bench.lab.source))}
    roles = {"subject": contender.name}
    if contender.ipc == bench.ipc:
        roles["random_whole" if "random_whole" in arms else "random"] = "random"
    if contender.name == "PCA":
        roles["random"] = CONTROLS[0]
    named = {name: arms[role] for role, name in roles.items()}
    jobs = [job for arm in named.values() for job in verdict.jobs_of(arm, bench.lab.source)]
    with watching(quiet=not sys.stderr.isatty()) as observer:
        runs = execute(jobs, bench.lab, bench.store, observer)
    shared = shared_seconds(contender, bench)
    return {
        name: Row(
            name=name,
            method=arm.sets[0].card.method if name == contender.name else "drawn anew by each seed",
            result=verdict.result(arm, bench.lab.source, runs),
            bytes=arm.sets[0].card.bytes.total,
            seconds=(made.card.seconds, max(0.0, made.card.seconds - shared))
            if name == contender.name
            else (0.0, 0.0),
        )
        for name, arm in named.items()
    }


def shared_seconds(contender: Contender, bench: Bench) -> float:
    """What training the recorded or the observing network took, whenever that was."""
    if contender.shares == "alone":
        return 0.0
    source = sealed(bench.lab.source)
    if contender.shares == "recorded":
        return record(source, epochs=bench.recorder_epochs).seconds
    return network(source).card.seconds


def key_of(contender: Contender, bench: Bench) -> str:
    """The name of a contender's set, and of the claim on judging it."""
    told = [bench.lab.source.digest, contender.method, contender.ipc, contender.confined]
    plain = re.sub(r"\W+", "-", contender.name.lower())
    return f"{plain}-ipc{contender.ipc}-{digest.of(told)[:8]}"


@contextmanager
def alone(store: Store, key: str) -> Iterator[bool]:
    """Whether this process may do a thing that only one should; a dead one's claim is void."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    free_if_dead(key, store)
    mine = store.claim(key, owner, LEASE_SECONDS)
    try:
        yield mine
    finally:
        if mine:
            store.release(key, owner)


def freed(protocol: Protocol) -> Protocol:
    """The protocol with crops that may cross tiles; its name says so."""
    specs = [str(s).replace("tile-crop", FREE) for s in protocol.settings.augment]
    return protocol.changed({"augment": "|".join(specs)})


def told(
    contender: Contender,
    rows: dict[str, Row],
    failed: dict[str, str],
    done: int,
    total: int,
    start: float,
) -> None:
    """Say what came of a contender."""
    row = rows.get(contender.name)
    what = f"FAILED: {failed.get(contender.name)}"
    if row is not None:
        accuracy = metrics.estimate("accuracy", {"subject": row.result})
        what = (
            f"{text.interval(accuracy, '%')}, gain {gain(row, rows)}, scored in "
            f"{row.seconds[0]:.1f} s ({row.seconds[1]:.1f} s of its own)"
        )
    clock = time.strftime("%H:%M:%S")
    took = time.perf_counter() - start
    print(f"{clock} {done}/{total} {contender.name}: {what}; took {took:.0f} s", flush=True)


def gain(row: Row, rows: dict[str, Row], over: str = "random") -> str:
    """The gain of a row over another, seed by seed, with its interval."""
    if over not in rows:
        return ""
    pair = {"subject": row.result, "random": rows[over].result}
    return text.estimate(metrics.estimate("ior", pair), "ior")


def put(
    page: Path, bench: Bench, plan: list[Contender], rows: dict[str, Row], failed: dict[str, str]
) -> None:
    """Write the page with the rows there are."""
    write(page, "\n".join(lines(bench, plan, rows, failed)))


def lines(
    bench: Bench, plan: list[Contender], rows: dict[str, Row], failed: dict[str, str]
) -> Iterator[str]:
    """The page: command, table, comparisons, what each row is, failures, machine."""
    source = bench.lab.source
    yield f"# Selection and stitching: {source.name}, {bench.ipc} images per class\n"
    yield (
        f"Made by `{command()}`, "
        f"{len([c for c in plan if c.name in rows])} of {len(plan)} contenders. Protocol "
        f"`{bench.protocol.name}`, hard labels; test accuracy after the last step, 95 % intervals over "
        "students. One set per method, made with seed 0; random sets are drawn anew by each seed, and "
        "gains are over those of `random`, seed by seed. Scoring is charged whole to every method: "
        "the recorded run or the observing network that all share, and its own part.\n"
    )
    ranked = sorted(rows.values(), key=lambda row: -_mean(row.result.accuracy))
    heads = ["images", "accuracy, %", "gain over random", "n", "bytes", "scoring s", "of it own"]
    yield table(heads, [cells(row, rows) for row in ranked])
    if pairs := comparisons(rows):
        yield "\n## Seed by seed\n"
        yield table(["this", "less that", "difference"], pairs)
    yield ""
    yield from (f"- {row.name}: `{row.method}`" for row in ranked)
    yield from (f"- Not in the table, because it failed: {n}: {why}" for n, why in failed.items())
    yield f"\n{environment_line(bench.lab.device)} Source digest {source.digest}."


def cells(row: Row, rows: dict[str, Row]) -> Sequence[str]:
    """One line of the table."""
    found = metrics.estimate("accuracy", {"subject": row.result})
    over = "" if row.name == "random" else gain(row, rows)
    scoring = [f"{s:.1f}" for s in row.seconds]
    return [row.name, text.interval(found), over, str(found.n), text.bytes(row.bytes), *scoring]


def comparisons(rows: dict[str, Row]) -> list[list[str]]:
    """Easy first against hard first of every score, and PCA against its controls."""
    scores = [name.removesuffix(", easy") for name in rows if name.endswith(", easy")]
    pairs = [(f"{s}, easy", f"{s}, hard") for s in scores]
    pairs += [("PCA", other) for other in (*CONTROLS, "el2n, easy", "PCA, area filter")]
    there = [(a, b) for a, b in pairs if a in rows and b in rows]
    return [[a, b, gain(rows[a], rows, b)] for a, b in there]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    typer.run(main)
