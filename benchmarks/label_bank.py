"""The label bank: throughput of writing and replaying, bytes of every form, and what each costs.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/label_bank.py [speed|bytes|accuracy ...]

Throughput is of images of one student on CIFAR-10 at ten images per class (ConvNet-3-BN, CutMix, batch
50), in turn with hard-label training of the same student on the same views: *replay* is training from
the bank. Writing trains nobody: *overhead* is the time of writing a bank against the bare work it cannot
do without, drawing the views and asking the teacher; *writing* is its images per second against those of
hard-label training. Ratios are taken within each turn. Bytes are of written files, 1000 classes. Accuracy
is that of `rd3-quick@1` on digits, ten random images per class, all students on the views of seed 0.
Writes docs/results/label-bank.md, or --page: the parts that are asked for anew, the others as they were.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from hydrometer import protocols, seeds, sources, students, verdict
from hydrometer.artifact.container import make
from hydrometer.artifact.rows import from_rows
from hydrometer.engine import loop
from hydrometer.engine.environment import default_device
from hydrometer.engine.loop import Cohort, Job
from hydrometer.execute import Silent
from hydrometer.execute.lab import Lab
from hydrometer.execute.relabel import Form, relabel
from hydrometer.execute.serial import execute
from hydrometer.labels import shards
from hydrometer.labels.shards import LabelBank
from hydrometer.sources.draw import draw
from hydrometer.stats import paired
from hydrometer.store import Store
from hydrometer.types import CompressedSet, Recipe, Source, Spec, Trial
from tabulate_results import environment_line, spread, table

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "label-bank.md"
STUDENT = students.spec("convnet-3-bn")
CUTMIX = (Spec("cutmix", (("alpha", 1.0), ("per_batch", True))),)


class Taught(Lab):
    """A lab whose one teacher has random weights: its speed and its bytes are those of a trained one."""

    def teachers(self, names, student, labels="teacher"):  # type: ignore[no-untyped-def]
        """The network, where one is asked for."""
        shape, classes = self.source.shape, len(self.source.classes)
        model = students.create(STUDENT, shape, classes, seeds.key(0, "teacher")).eval()
        return [model.to(self.device).requires_grad_(False)] if names else []


def recipe(epochs: int, **changes: object) -> Recipe:
    plain = Recipe(
        student=STUDENT,
        optimiser=Spec("adamw", (("decay_vectors", False), ("weight_decay", 0.01))),
        lr=0.001,
        schedule=Spec("cosine"),
        epochs=epochs,
        batch=50,
        augment=CUTMIX,
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall, and of this process on the processor: what an idle machine would take."""
    wall, own = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - own


def ask(cohort: Cohort) -> None:
    """Draw every view and ask the teacher, and keep nothing."""
    with torch.no_grad():
        for batch in cohort.batches():
            cohort.view(batch, cohort.draws(batch.view, 1)[:, 0])


def speed(turns: int, epochs: int) -> list[str]:
    source = sources.load("cifar10")
    lab = Taught(source, default_device())
    data = from_rows(source, draw(source, [10] * 10, 0), method="random", budget="ipc=10")
    soft = {"labels": "teacher", "loss": Spec("kl"), "teacher": ("t",)}
    online, lens = recipe(epochs, **soft), lab.lens(None)

    def cohort(how: Recipe, bank: LabelBank | None = None) -> Cohort:
        job = Job(Trial(data.digest, source.digest, how, 0), data)
        return Cohort([job], source, lens, lab.teachers(how.teacher, lens), bank)

    times: dict[str, list[float]] = {
        name: [] for name in ("hard", "replay", "online", "ask", "write")
    }
    with tempfile.TemporaryDirectory() as folder:
        bank = relabel(data, online, lab, Path(folder) / "bank")
        banked = recipe(epochs, labels="bank", loss=Spec("kl"), bank=bank.contents.digest)
        for turn in range(turns + 1):
            once = {
                "hard": seconds(lambda: loop.train(cohort(recipe(epochs)))),
                "replay": seconds(lambda: loop.train(cohort(banked, bank))),
                "online": seconds(lambda: loop.train(cohort(online))),
                "ask": seconds(lambda: ask(cohort(online))),
                "write": seconds(
                    lambda: relabel(data, online, lab, Path(folder) / f"turn{turn}")  # noqa: B023
                ),
            }
            if turn:  # the first warms up
                for name, value in once.items():
                    times[name].append(value)
    images = epochs * len(data)
    wall, own = ({k: np.array(v)[:, i] for k, v in times.items()} for i in (0, 1))
    rows = [
        [what, f"{np.median(images / own[name]):.0f}", f"{np.median(images / wall[name]):.0f}"]
        for name, what in (
            ("hard", "training, hard labels"),
            ("replay", "training, replayed bank"),
            ("online", "training, online teacher"),
            ("ask", "views and teacher alone"),
            ("write", "writing a bank"),
        )
    ]
    ratios = [
        [what, spread(own[below] / own[name]), spread(wall[below] / wall[name])]
        for what, name, below in (
            ("replay / hard labels", "replay", "hard"),
            ("writing / views and teacher alone", "write", "ask"),
            ("writing / hard labels", "write", "hard"),
            ("online teacher / hard labels", "online", "hard"),
        )
    ]
    return [
        "## Throughput",
        "",
        f"CIFAR-10, 100 images, ConvNet-3-BN (student and teacher), CutMix, batch 50, {epochs} epochs a "
        f"turn, n = {turns} turns after one to warm up; images per second, medians.",
        "",
        table(["work", "images per CPU second", "per second on the wall"], rows),
        "",
        table(["ratio of throughputs, median (least to most)", "CPU time", "wall"], ratios),
        "",
        f"Load average {load()} on {os.cpu_count()} processors: the wall is shared with other work, CPU time is not.",
    ]


def load() -> str:
    return f"{os.getloadavg()[0]:.0f}"


def thousand() -> Source:
    """Two random 8 x 8 images of each of 1000 classes: labels weigh the same whatever they label."""
    digits = sources.load("digits")
    rng = np.random.default_rng(0)
    labels = torch.arange(1000).repeat_interleave(2)
    images = torch.from_numpy(rng.integers(0, 256, (2_000, 1, 8, 8), dtype=np.uint8))
    train = dataclasses.replace(
        digits.train, images=images, labels=labels, index=torch.arange(2_000)
    )
    classes = tuple(map(str, range(1000)))
    return dataclasses.replace(
        digits, name="noise", train=train, classes=classes, digest="noise-1000"
    )


def sizes(epochs: int = 10) -> list[str]:
    source = thousand()
    lab = Taught(source, default_device())
    data = make(source.train.images, source.train.labels, source=source, method="noise",
                budget="ipc=2", seed=0, seconds=0.0)  # fmt: skip
    online = recipe(epochs, labels="teacher", loss=Spec("kl"), teacher=("t",), batch=100,
                    student=students.spec("convnet-2-bn"))  # fmt: skip
    forms = [("all, fp16", Form()), ("top 100", Form(top=100)), ("top 50", Form(top=50)),
             ("top 10", Form(top=10)), ("a tenth of the epochs", Form(epochs=epochs // 10)),
             ("both", Form(epochs=epochs // 10, top=10))]  # fmt: skip
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, form in forms:
            bank = relabel(data, online, lab, Path(folder) / name.replace(" ", "-"), form=form)
            found.append((name, bank.bytes, sum(f.stat().st_size for f in bank.folder.iterdir())))
    whole = found[0][1]
    rows = [
        [
            name,
            f"{size:,}",
            f"{folder:,}",
            f"{100 * size / whole:.2f} %",
            f"{size * 300 / epochs * 5 / 1e9:.3f}",
        ]
        for name, size, folder in found
    ]
    return [
        "## Bytes",
        "",
        f"1000 classes, two images each, {epochs} epochs written; last column: the same form for ten images "
        "per class and 300 epochs, GB, by proportion. Boxes, flips, partners and shares are not stored.",
        "",
        table(
            [
                "form",
                "bytes of shards",
                "bytes of folder",
                "of the full bank",
                "ten per class, 300 epochs, GB",
            ],
            rows,
        ),
    ]


def accuracy(count: int, store: Path) -> list[str]:
    protocol = protocols.load("rd3-quick@1").changed({"seeds": str(count)})
    lab = Lab(sources.load("digits"), default_device())
    rows_ = draw(lab.source, [10] * 10, 0)
    data, online = verdict.relabelled(
        from_rows(lab.source, rows_, method="random", budget="ipc=10"), protocol, lab
    )
    full = trained(data, online, None, lab, store.parent / "full", count, store)
    with unrounded():
        exact = trained(data, online, None, lab, store.parent / "unrounded", count, store)
    rows = [
        row("all logits, fp16", full[1], full[0], full[0]),
        row("all logits, fp32 (no form of ours)", exact[1], exact[0], full[0]),
    ]
    for name, form in (
        ("top 5 of 10", Form(top=5)),
        ("top 3 of 10", Form(top=3)),
        ("50 of 100 epochs", Form(epochs=50)),
        ("10 of 100 epochs", Form(epochs=10)),
        ("10 epochs, top 5", Form(epochs=10, top=5)),
    ):
        folder = store.parent / name.replace(" ", "-").replace(",", "")
        found, size = trained(data, online, form, lab, folder, count, store)
        rows.append(row(name, size, found, full[0]))
    with Store(store) as runs:
        jobs = [Job(Trial(data.digest, lab.source.digest, online, s), data) for s in range(count)]
        done = execute(jobs, lab, runs, Silent())
        free = np.array([run.test_accuracy for run in done.values()])
    rows.append(row("online teacher, views of each seed", 0, free, full[0]))
    return [
        "## What the forms cost",
        "",
        f"digits, ten random images per class, `{protocol.name}`, n = {count} seeds: test accuracy, percent, "
        "and the difference to the full bank, paired by seed, with a 95 % interval.",
        "",
        table(["labels", "bytes", "accuracy", "difference, points"], rows),
        "",
        "Students of a bank share its views. The last row has views of its own for each seed, so it says what "
        "sharing them does.",
    ]


@contextmanager
def unrounded() -> Iterator[None]:
    """Banks keep float32 here, which tells what fp16 costs on the same views."""
    rounded, shards._half = shards._half, lambda logits: logits
    try:
        yield
    finally:
        shards._half = rounded


def trained(
    data: CompressedSet,
    online: Recipe,
    form: Form | None,
    lab: Lab,
    folder: Path,
    count: int,
    store: Path,
) -> tuple[np.ndarray, int]:
    bank = relabel(data, online, lab, folder, form=form)
    name = lab.add_bank(bank)
    how = dataclasses.replace(online, labels="bank", teacher=(), bank=name)
    with Store(store) as runs:
        jobs = [Job(Trial(data.digest, lab.source.digest, how, s), data) for s in range(count)]
        done = execute(jobs, lab, runs, Silent())
    return np.array([run.test_accuracy for run in done.values()]), bank.bytes


def row(name: str, size: int, found: np.ndarray, full: np.ndarray) -> list[str]:
    each = f"{100 * found.mean():.2f} ± {100 * found.std(ddof=1):.2f}"
    if found is full:
        return [name, f"{size:,}", each, "0"]
    apart = paired.compare(found, full, rng=seeds.numpy_rng(0, "label-bank")).difference
    told = f"{100 * apart.value:+.2f} [{100 * apart.low:+.2f}, {100 * apart.high:+.2f}]"
    return [name, f"{size:,}" if size else "none", each, told]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["speed", "bytes", "accuracy"])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--store", type=Path, default=Path(".out/label-bank/runs.sqlite"))
    parser.add_argument("--page", type=Path, default=RESULTS)
    asked = parser.parse_args()
    asked.store.parent.mkdir(parents=True, exist_ok=True)
    parts = {
        "speed": lambda: speed(asked.turns, asked.epochs),
        "bytes": sizes,
        "accuracy": lambda: accuracy(asked.seeds, asked.store),
    }
    sections = written(asked.page)
    for name in asked.parts:
        made = parts[name]()
        sections[made[0]] = "\n".join([*made, "", environment_line(default_device())])
        print(sections[made[0]], flush=True)
        asked.page.write_text("\n\n".join([HEAD, *sections.values()]) + "\n")


HEAD = """# The label bank: throughput, bytes, accuracy

Made by `python benchmarks/label_bank.py`."""


def written(page: Path) -> dict[str, str]:
    """The sections of a page, by heading."""
    body = page.read_text() if page.is_file() else ""
    found = ["## " + part.strip() for part in body.split("\n## ")[1:]]
    return {section.partition("\n")[0]: section for section in found}


if __name__ == "__main__":
    main()
