"""Expert trajectories: the weights of networks in training on the real images, epoch by epoch.

One file for each expert, under `experts` in the cache, in a folder named by source and recipe: a
safetensors file with the flat float32 weights (epochs + 1, p), the initial ones first, and a card
with their digest. Experts that are complete are never trained again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hydrometer import digest, seeds, students
from hydrometer.artifact.rows import whole
from hydrometer.artifact.writing import whole as written_whole
from hydrometer.engine.data import Lens
from hydrometer.engine.loop import Cohort, Job, train
from hydrometer.engine.program import Program, Solo, Stack
from hydrometer.types import HydrometerError, Recipe, Source, Spec, Stored, Trial

LAYOUT = "experts@1"
"""Changes when the same expert would be trained or stored otherwise."""
TOGETHER = 10
"""Experts trained as one cohort on an accelerator; a processor gains nothing from it."""
_SNAPSHOTS = "snapshots"


class ExpertCard(Stored):
    """What is known of one expert."""

    layout: str = LAYOUT
    source: str
    source_digest: str
    recipe: str
    seed: int
    digest: str
    seconds: float
    """Wall time of its training, its share of a cohort's."""


@dataclass(frozen=True)
class Expert:
    """One expert on disk, read epoch by epoch."""

    path: Path
    card: ExpertCard

    def at(self, epoch: int) -> Tensor:
        """Weights (p,) after so many epochs; zero is the initialisation."""
        with safe_open(str(self.path), framework="pt") as file:
            found: Tensor = file.get_slice(_SNAPSHOTS)[epoch : epoch + 1][0]
        return found

    @cached_property
    def epochs(self) -> int:
        """Epochs of training, one fewer than there are snapshots."""
        return digest.recipe_from(self.card.recipe).epochs


def recipe(student: Spec, *, epochs: int, lr: float, batch: int, whiten: Spec | None) -> Recipe:
    """How an expert is trained: plain SGD, no momentum or decay, with DSA.

    Cazenavette et al., "Dataset Distillation by Matching Training Trajectories" (CVPR 2022, arXiv
    2203.11932): rate 0.01, batches of 256, 50 epochs for CIFAR.
    """
    return Recipe(
        student=student,
        optimiser=Spec("sgd", (("momentum", 0.0), ("weight_decay", 0.0))),
        lr=lr,
        schedule=Spec("constant"),
        epochs=epochs,
        batch=batch,
        augment=(Spec("dsa"),),
        whiten=whiten,
    )


def bytes_needed(source: Source, how: Recipe, count: int) -> int:
    """Bytes on disk of some experts, cards aside: 4 p (epochs + 1) each.

    100 experts of 50 epochs of the ConvNet-3 of CIFAR-10 take 6.5 GB.
    """
    model = students.create(how.student, source.shape, len(source.classes), seed_key=0)
    return 4 * sum(p.numel() for p in model.parameters()) * (how.epochs + 1) * count


def folder(source: Source, how: Recipe) -> Path:
    """Where experts of a recipe are kept, under $HYDROMETER_CACHE or ~/.cache/hydrometer."""
    home = os.environ.get("HYDROMETER_CACHE") or "~/.cache/hydrometer"
    name = digest.of([LAYOUT, source.digest, digest.of(how)])
    return Path(home).expanduser() / "experts" / name


def obtain(source: Source, lens: Lens, how: Recipe, count: int) -> list[Expert]:
    """The experts of seeds 0 to `count` - 1, each from the cache or trained now.

    After a kill those that were complete are there.

    Raises:
        HydrometerError: `count` is below one, the disk is full, an expert diverged, or a file is
            damaged or of another recipe.
    """
    if count < 1:
        raise HydrometerError(f"experts is {count}; give at least 1")
    home = folder(source, how)
    home.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in range(count) if not _path(home, seed).is_file()]
    together = 1 if lens.device.type == "cpu" else TOGETHER
    for first in range(0, len(missing), together):
        _train(source, lens, how, missing[first : first + together], home)
    return [_recall(_path(home, seed), source, how, seed) for seed in range(count)]


def _path(home: Path, seed: int) -> Path:
    return home / f"{seed:04d}.safetensors"


def _train(source: Source, lens: Lens, how: Recipe, group: Sequence[int], home: Path) -> None:
    """Train a cohort of experts, and write each to its file."""
    start = time.perf_counter()
    data = whole(source)
    jobs = [Job(Trial(data.digest, source.digest, how, seed), data) for seed in group]
    shots = [_initial(source, how, group)]

    def keep(_: int, program: Program) -> None:
        shots.append(_weights(program))

    _, losses = train(Cohort(jobs, source, lens, ()), on_epoch=keep)
    if not torch.isfinite(losses).all():
        raise HydrometerError(f"an expert of {source.name} diverged; lower its rate {how.lr}")
    seconds = (time.perf_counter() - start) / len(group)
    for seed, snapshots in zip(group, torch.stack(shots, dim=1), strict=True):
        card = ExpertCard(
            source=source.name,
            source_digest=source.digest,
            recipe=digest.canonical(how),
            seed=seed,
            digest=digest.of_tensors(snapshots),
            seconds=seconds,
        )
        with written_whole(_path(home, seed)) as draft:
            save_file(
                {_SNAPSHOTS: snapshots.contiguous()},
                draft,
                metadata={"card": card.model_dump_json()},
            )


def _initial(source: Source, how: Recipe, group: Sequence[int]) -> Tensor:
    """Weights (k, p) of the students before their first step, made as the loop makes them."""
    models = [
        students.create(
            how.student, source.shape, len(source.classes), seeds.key(seed, "initialise")
        )
        for seed in group
    ]
    return torch.stack([torch.cat([p.detach().flatten() for p in m.parameters()]) for m in models])


def _weights(program: Program) -> Tensor:
    """A copy (k, p) on the CPU; concatenating copies, where `detach().cpu()` would alias."""
    if isinstance(program, Stack):
        return torch.cat([p.detach().flatten(1) for p in program.params], dim=1).cpu()
    if not isinstance(program, Solo):
        raise TypeError(f"cannot read the weights of {type(program).__name__}")
    return torch.cat([p.detach().flatten() for p in program.params])[None].cpu()


def _recall(path: Path, source: Source, how: Recipe, seed: int) -> Expert:
    try:
        with safe_open(str(path), framework="pt") as file:
            card = ExpertCard.model_validate_json(file.metadata()["card"])
            snapshots = file.get_tensor(_SNAPSHOTS)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise HydrometerError(f"expert {path} is damaged ({error}); delete it") from None
    known = (card.layout, card.source_digest, card.recipe, card.seed)
    if known != (LAYOUT, source.digest, digest.canonical(how), seed):
        raise HydrometerError(f"expert {path} is of another source or recipe; delete it")
    if digest.of_tensors(snapshots) != card.digest:
        raise HydrometerError(f"expert {path} was altered: not {card.digest}; delete it")
    return Expert(path, card)
