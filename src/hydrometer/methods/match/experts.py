"""Expert trajectories: the weights of networks in training on the real images, epoch by epoch.

One file for each expert, under `experts` in the cache, in a folder named by source and recipe: a
safetensors file with the flat float32 weights (epochs + 1, p), the initial ones first, and a card
with their digest. Experts that are complete are never trained again.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hydrometer import digest, seeds, students, units
from hydrometer.artifact.rows import believed, believing
from hydrometer.artifact.writing import whole as written_whole
from hydrometer.engine.data import Lens
from hydrometer.engine.loop import Cohort, Job, train
from hydrometer.engine.program import Program, Solo, Stack
from hydrometer.sources.cache import directory
from hydrometer.types import HydrometerError, Recipe, Source, Spec, Stored, Trial

LAYOUT = "experts@1"
"""Changes when the same expert would be trained or stored otherwise."""
TOGETHER = 10
"""Experts trained as one cohort on an accelerator; a processor gains nothing from it."""
FLAT_RADIUS = 0.01
"""How far FTD's experts look uphill, in its authors' code."""
_LOG = logging.getLogger(__name__)
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


def recipe(
    student: Spec, *, epochs: int, lr: float, batch: int, whiten: Spec | None, flat: float = 0.0
) -> Recipe:
    """How an expert is trained: plain SGD, no momentum or decay, with DSA; or into flat minima.

    Cazenavette et al., "Dataset Distillation by Matching Training Trajectories" (CVPR 2022, arXiv
    2203.11932): rate 0.01, batches of 256, 50 epochs for CIFAR. `flat` above 0 is the weight α of GSAM
    with ρ = 0.01: Du et al., "Minimizing the Accumulated Trajectory Error to Improve Dataset
    Distillation" (FTD, CVPR 2023, arXiv 2211.11004), where α is 0.3 or 1.

    Raises:
        HydrometerError: `flat` is negative.
    """
    if flat < 0:
        raise HydrometerError(f"flat is {flat}; give 0 for plain experts, 0.3 or 1 for FTD's")
    plain = (("momentum", 0.0), ("weight_decay", 0.0))
    gsam = Spec("gsam", (("alpha", float(flat)), ("rho", FLAT_RADIUS), *plain))
    return Recipe(
        student=student,
        optimiser=gsam if flat else Spec("sgd", plain),
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
    """Where experts of a recipe are kept, under `experts` in the cache."""
    return directory() / "experts" / digest.of([LAYOUT, source.digest, digest.of(how)])


def obtain(source: Source, lens: Lens, how: Recipe, count: int) -> list[Expert]:
    """The experts of seeds 0 to `count` - 1, each from the cache or trained now.

    Where labels of the source are believed unequally they learn its soft targets, by weight. After a
    kill those that were complete are there. What is missing is logged with its size before it is
    trained.

    Raises:
        HydrometerError: `count` is below one, the disk cannot hold them, an expert diverged, or a
            file is damaged or of another recipe.
    """
    if count < 1:
        raise HydrometerError(f"experts is {count}; give at least 1")
    how = believing(how, source)
    home = folder(source, how)
    home.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in range(count) if not _path(home, seed).is_file()]
    if missing:
        _announce(source, how, len(missing), home)
    together = 1 if lens.device.type == "cpu" else TOGETHER
    for first in range(0, len(missing), together):
        _train(source, lens, how, missing[first : first + together], home)
    return [_recall(_path(home, seed), source, how, seed) for seed in range(count)]


def _announce(source: Source, how: Recipe, count: int, home: Path) -> None:
    """Say what is going to be trained and what it takes; refuse a disk that cannot hold it."""
    needed, free = bytes_needed(source, how, count), shutil.disk_usage(home).free
    what = f"experts to train: {count} of {how.student}, {how.epochs} epochs, {units.bytes(needed)}"
    if needed > free:
        raise HydrometerError(
            f"{what}: {home} has {units.bytes(free)} left; free some, lower experts or epochs, or "
            "set HYDROMETER_CACHE to a folder on a larger disk"
        )
    _LOG.info("%s in %s", what, home)


def _path(home: Path, seed: int) -> Path:
    return home / f"{seed:04d}.safetensors"


def _train(source: Source, lens: Lens, how: Recipe, group: Sequence[int], home: Path) -> None:
    """Train a cohort of experts, and write each to its file."""
    start = time.perf_counter()
    data = believed(source)
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
