"""How fast decoupled methods synthesise at each image size, and what a full `rd3@1` verdict would take.

    HYDROMETER_DATA=../shared/data OMP_NUM_THREADS=1 .venv/bin/python benchmarks/decouple_speed.py

Every method runs from end to end at 8 x 8 (digits), 32 (CIFAR-10), 64 (Tiny-ImageNet, 20 photographs of each class) and 224
pixels (photographs of ImageNet), with few steps and with teachers of random weights: a step costs the
same whatever they know. Printed are images per second of the optimisation, an image optimised for one
step being one. A step of `rd3@1` is then timed as it is, student and teacher ResNet-18 at 224 pixels with
1000 outputs, and multiplied. Writes docs/results/decoupled-speed.md or --page; finished rows are kept, so
the command can be stopped and run again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from torch.nn import functional as F

from hydrometer import digest, methods, protocols, registry, seeds, sources, students
from hydrometer.artifact.rows import from_rows
from hydrometer.engine import teachers
from hydrometer.engine.data import Lens
from hydrometer.engine.environment import default_device
from hydrometer.engine.loop import Cohort, Job
from hydrometer.engine.teachers import Teacher, TeacherCard
from hydrometer.execute.lab import Lab
from hydrometer.methods.decouple import recover
from hydrometer.sources.place import default_root
from hydrometer.types import Budget, Source, Split, Trial
from tabulate_results import environment_line, publish, table

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "decoupled-speed.md"
METHODS = ("sre2l", "cda", "dwa", "g-vbsm", "edc")
PER_CLASS = 20
"""Training images of a class, at most: statistics of all of train are not what is timed."""


def photographs(size: int, classes: int) -> Source:
    """The sample of ImageNet, a photograph of each of 100 classes, dealt into `classes` groups."""
    found = sorted((default_root() / "imagenet_sample_100").glob("*.JPEG"))
    images = []
    for path in found:
        with Image.open(path) as image:
            square = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        images.append(torch.from_numpy(np.array(square)).permute(2, 0, 1))
    stack, labels = torch.stack(images), torch.arange(len(images)) % classes
    whole = Split(stack, labels, torch.arange(len(images)))
    few = Split(stack[:10], labels[:10], torch.arange(10))
    names = tuple(f"group {i}" for i in range(classes))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return Source(
        "photographs", whole, few, few, names, mean, std, f"photos{size}-{classes}", "none"
    )


def tiny_sample(classes: int) -> Source:
    """The photographs of Tiny-ImageNet at hand, at 64 pixels."""
    root = default_root() / "tiny_imagenet_20"
    folders = sorted(p for p in (root / "train").iterdir() if p.is_dir())[:classes]
    images, labels = [], []
    for label, folder in enumerate(folders):
        for path in sorted(folder.rglob("*.*"))[:PER_CLASS]:
            with Image.open(path) as image:
                images.append(torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1))
            labels.append(label)
    whole = Split(torch.stack(images), torch.tensor(labels), torch.arange(len(images)))
    few = Split(whole.images[:10], whole.labels[:10], whole.index[:10])
    names = tuple(folder.name for folder in folders)
    return Source("tiny_imagenet_20", whole, few, few, names, (0.48, 0.45, 0.4), (0.28, 0.27, 0.28),
                  "tiny-sample", "none")  # fmt: skip


def fewer(source: Source) -> Source:
    """The source with few training images of each class."""
    train = source.train
    rows = torch.cat(
        [(train.labels == c).nonzero().flatten()[:PER_CLASS] for c in range(len(source.classes))]
    )
    kept = Split(train.images[rows], train.labels[rows], train.index[rows])
    return dataclasses.replace(source, train=kept, digest=f"{source.digest}-few")


SIZES: dict[int, Callable[[], Source]] = {
    8: lambda: fewer(sources.load("digits")),
    32: lambda: fewer(sources.load("cifar10")),
    64: lambda: tiny_sample(10),
    224: lambda: photographs(224, 10),
}


def untrained(source: Source, network: str, epochs: int) -> Teacher:
    """A teacher of random weights; kept in the cache, so that RDED finds it by its digest."""
    lab = Lab(source, default_device())
    spec = students.spec(network)
    recipe = dataclasses.replace(recover.observer_recipe(source), student=spec)
    model = students.create(spec, source.shape, len(source.classes), seeds.key(0, network))
    weights = {k: v.detach().clone().contiguous() for k, v in model.state_dict().items()}
    card = TeacherCard(
        digest=digest.of(["untrained", source.digest, network]),
        recipe=digest.canonical(recipe),
        source=source.name,
        source_digest=source.digest,
        classes=source.classes,
        seed=0,
        val_accuracy=1.0,
        bytes=sum(v.numel() * v.element_size() for v in weights.values()),
        seconds=1e-9,
    )
    teachers.unpack(card.digest, save(weights, metadata={"card": card.model_dump_json()}))
    return teachers.recall(card.digest, source, lab.lens(None))


class Clock:
    """Optimises a batch a few times over, and keeps images per second, by processor and wall."""

    def __init__(self, repeats: int) -> None:
        self.repeats = repeats
        self.own: list[float] = []
        self.wall: list[float] = []

    def __call__(self, begun, labels, watched, how, *, rng):  # type: ignore[no-untyped-def]
        """Optimise, the first time to warm up."""
        warm = dataclasses.replace(how, steps=1, ascent=min(1, how.ascent))
        OPTIMISE(begun, labels, watched, warm, rng=np.random.default_rng(0))
        for _ in range(self.repeats):
            wall, own = time.perf_counter(), time.process_time()
            found = OPTIMISE(begun, labels, watched, how, rng=rng)
            images = len(begun) * how.steps
            self.wall.append(images / (time.perf_counter() - wall))
            self.own.append(images / (time.process_time() - own))
        return found


OPTIMISE = recover.optimise


def synthesis(size: int, name: str, steps: int, repeats: int) -> dict[str, list[float]]:
    source, clock = SIZES[size](), Clock(repeats)
    recover._squeezed, recover.optimise = untrained, clock
    init = ",init=real" if size == 224 and name == "edc" else ""
    spec = registry.parse(f"{name}(steps={steps}{init})")
    made = methods.compress(source, spec, Budget(per_class=1), rng=seeds.numpy_rng(0, name))
    if made.images.shape[1:] != source.shape or len(made) != len(source.classes):
        raise SystemExit(f"{name} made {tuple(made.images.shape)} at {size} pixels")
    return {"own": sorted(clock.own), "wall": sorted(clock.wall)}


def rd3_step(repeats: int) -> dict[str, float]:
    """Seconds of a step of `rd3@1` as it is, and of a forward pass of an image, the least of a few."""
    source = photographs(224, 100)
    source = dataclasses.replace(source, classes=tuple(f"class {i}" for i in range(1000)))
    device = default_device()
    lens = Lens(source, None, device)
    teacher = students.create(students.spec("resnet-18"), source.shape, 1000, 0).to(device).eval()
    settings = protocols.load("rd3@1").settings
    recipe = protocols.recipe(
        settings, source, labels="teacher", loss=settings.loss, teacher=("t",)
    )
    data = from_rows(source, torch.arange(100), method="random", budget="images=100")
    job = Job(Trial(data.digest, source.digest, recipe, 0), data)
    cohort = Cohort([job], source, lens, [teacher.requires_grad_(False)])
    program, batch = cohort.program(), next(cohort.batches())
    draws, steps, tests = cohort.draws(0, 1)[:, 0], [], []
    for _ in range(repeats):
        wall, own = time.perf_counter(), time.process_time()
        images, target = cohort.view(batch, draws)
        program.step(images, target, [0.001])
        steps.append((time.perf_counter() - wall, time.process_time() - own))
        wall, own = time.perf_counter(), time.process_time()
        program.logits(images[0])
        tests.append((time.perf_counter() - wall, time.process_time() - own))
    taught = []
    for _ in range(repeats):
        wall, own = time.perf_counter(), time.process_time()
        loss = F.cross_entropy(program.model(images[0]), data.labels[:50].to(device))  # type: ignore[union-attr]
        torch.autograd.grad(loss, program.params)
        taught.append((time.perf_counter() - wall, time.process_time() - own))
    keep = {"step": steps, "test": tests, "train": taught}
    return {
        f"{k}_{c}": min(t[i] for t in v)
        for k, v in keep.items()
        for i, c in enumerate(("wall", "own"))
    }


def verdict_rows(found: dict[str, float]) -> list[list[str]]:
    """Seconds to days, of every part of the verdict."""
    each = 400 * (10 * 1000 // 50)
    parts = [
        ("6 students (set and random, 3 seeds), 80,000 steps each", 6 * each, "step", 1.0),
        ("testing them, 50,000 images each", 6 * 50_000 / 50, "test", 1.0),
        (
            "the teacher, 90 epochs of 1,281,167 images, once for all sets",
            90 * 1_281_167 / 50,
            "train",
            1.0,
        ),
    ]
    return [
        [what, f"{count:,.0f}", *(f"{found[f'{k}_{c}']:.2f}" for c in ("own", "wall")),
         *(f"{count * found[f'{k}_{c}'] / 86_400:,.1f}" for c in ("own", "wall"))]
        for what, count, k, _ in parts
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--out", type=Path, default=Path(".out/decouple-speed"))
    parser.add_argument("--page", type=Path, default=RESULTS)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    os.environ["HYDROMETER_CACHE"] = str(asked.out / "cache")
    rows = []
    for size in asked.sizes:
        for name in METHODS:
            found = kept(
                asked.out / f"{name}-{size}.json",
                partial(synthesis, size, name, asked.steps, asked.repeats),
            )
            rows.append([f"{size} x {size}", name, told(found["own"]), told(found["wall"])])
            print(*rows[-1], flush=True)
    step = kept(asked.out / "rd3.json", lambda: rd3_step(asked.repeats))
    publish(asked.page, page(rows, step, asked.steps, asked.repeats))


def told(rates: list[float]) -> str:
    middle, least, most = (
        f"{float(f'{x:.3g}'):,g}" for x in (np.median(rates), rates[0], rates[-1])
    )
    return f"{middle} ({least} to {most})"


T = TypeVar("T")


def kept(path: Path, make: Callable[[], dict[str, T]]) -> dict[str, T]:
    if not path.is_file():
        path.write_text(json.dumps(make()))
    found: dict[str, T] = json.loads(path.read_text())
    return found


def page(rows: list[list[str]], step: dict[str, float], steps: int, repeats: int) -> str:
    return "\n".join(
        [
            "# Decoupled methods: speed, and the price of a full verdict",
            "",
            f"Made by `python benchmarks/decouple_speed.py`, n = {repeats} runs of {steps} optimisation steps a row after one step to warm up, median (least to "
            "most), one image per class and ten classes, teachers of random weights (ConvNet-2, -3 and -4 with batch norm, "
            "ResNet-18 above 64 pixels; G-VBSM and EDC have a second network). An image optimised for one step "
            "counts as one; DWA's dozen steps uphill are in its few steps, where a thousand would hide them. CPU seconds are this process's own: the machine was shared.",
            "",
            table(["pixels", "method", "images per CPU second", "per second on the wall"], rows),
            "",
            "At 224 pixels EDC started from real images; elsewhere from those RDED chose.",
            "",
            "## ImageNet-1K, ten images per class, `rd3@1`",
            "",
            f"From a measured step (least of {repeats}): ResNet-18 student and teacher, 50 photographs at 224 "
            "pixels, 1000 outputs, crops, flips, CutMix and AdamW included.",
            "",
            table(
                ["part", "batches of 50", "CPU s each", "wall s each", "CPU days", "wall days"],
                verdict_rows(step),
            ),
            "",
            "Assumed: time is proportional to batches; reading and decoding images costs nothing; the teacher "
            "costs a forward and a backward pass of 50 images a batch, without augmentation; one process with "
            "the threads below; 6 students one after another. Not measured: an accelerator, where steps of "
            "several students run as one.",
            "",
            environment_line(default_device()),
            "",
        ]
    )


if __name__ == "__main__":
    main()
