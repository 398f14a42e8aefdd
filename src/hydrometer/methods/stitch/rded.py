"""RDED: the crops a teacher finds most realistic, stitched together."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hydrometer.artifact.container import make
from hydrometer.artifact.rows import believed, believing
from hydrometer.engine.environment import default_device
from hydrometer.engine.teachers import Teacher, recall, recipe_of
from hydrometer.execute.lab import Lab
from hydrometer.methods.budget import per_class
from hydrometer.methods.features import observer_recipe
from hydrometer.methods.stitch.combine import group, sources_needed, tiles_a_side
from hydrometer.methods.stitch.crops import random_crops
from hydrometer.registry import register
from hydrometer.sources.draw import draw_class
from hydrometer.types import Budget, CompressedSet, HydrometerError, Scalar, Source, Spec, Trial

_SCORED = 256
"""Crops the teacher sees at a time."""
_NOTE = "source row:top:left:side of each tile: "


@register("method")
def rded(
    source: Source,
    budget: Budget,
    *,
    factor: int = 0,
    candidates: int = 300,
    crops: int = 5,
    scale_min: float = 0.08,
    teacher: str = "network",
    student: str = "",
    rng: np.random.Generator,
) -> CompressedSet:
    """Tile f x f crops: of each image the one a teacher finds likeliest, of those the likeliest.

    Of `candidates` random images of each class (0 is all, and never fewer than are needed), `crops`
    random square crops of `scale_min` to all of the area are resized to the side of a tile and
    padded with the mean colour to full size; the teacher's cross entropy scores them. The best crop
    of each image is kept, and of those the m f² best; composite j tiles those of rank j, j + m, ...
    The card lists row and box of each tile, and the teacher. Sun, Shi, Yu and Lin, "On the
    Diversity and Realism of Distilled Dataset" (RDED, CVPR 2024, arXiv 2312.03526).

    `factor` 0 is 2 above 64 pixels, else 1, as in the paper. `teacher` is `network`, the briefly
    trained one of all methods here, of `student` or else the field's for the size, or the digest of a
    cached teacher. Deviations: labels are hard,
    so that the teacher need not be stored; a protocol with an online teacher adds its own. Crops
    are scored as they are stored, in 8 bits and lossless, where the released code writes JPEG.

    Raises:
        HydrometerError: A class holds fewer than m f² images, or an argument is out of range; found
            before any training.
    """
    _check(candidates, crops, scale_min)
    factor = tiles_a_side(factor, source)
    if any(side % factor for side in source.shape[1:]):
        raise HydrometerError(
            f"factor={factor} does not divide images of {source.shape[1:]} pixels"
        )
    needed = sources_needed(source, per_class(source, budget), factor)
    judge = _teacher(source, teacher, student)
    start = time.perf_counter()
    crop = _Cropping(factor, crops, scale_min, rng)
    kept = [
        _likeliest(source, judge, _drawn(source, label, need, candidates, rng), need, crop)
        for label, need in enumerate(needed)
    ]
    args: dict[str, Scalar] = {
        "factor": factor,
        "candidates": candidates,
        "crops": crops,
        "scale_min": scale_min,
    }
    args |= {"teacher": teacher} | ({"student": student} if student else {})
    return make(
        torch.cat([_mosaics(found.images, factor) for found in kept]),
        torch.arange(len(needed)).repeat_interleave(torch.tensor(needed) // factor**2),
        source=source,
        method=str(Spec("rded", tuple(sorted(args.items())))),
        budget=str(budget),
        seed=None,
        seconds=time.perf_counter() - start + judge.card.seconds,
        notes=(
            judge.card.note,
            _NOTE + " ".join(place for found in kept for place in found.places),
        ),
    )


@dataclass(frozen=True)
class _Cropping:
    factor: int
    crops: int
    scale_min: float
    rng: np.random.Generator


@dataclass(frozen=True)
class _Kept:
    """Tiles (need, c, h, w) uint8 in the order of composites, and where each was cut."""

    images: Tensor
    places: list[str]


def _check(candidates: int, crops: int, scale_min: float) -> None:
    if candidates < 0 or crops < 1:
        raise HydrometerError(
            f"rded: candidates={candidates} and crops={crops} are out of range; "
            "candidates are 0 (all) or more, crops 1 or more"
        )
    if not 0 < scale_min <= 1:
        raise HydrometerError(f"rded: scale_min={scale_min} is out of range; above 0, to 1")


def _teacher(source: Source, teacher: str, student: str) -> Teacher:
    lab = Lab(source, default_device())
    if teacher != "network":
        if student:
            raise HydrometerError(
                f"rded: student={student!r} is for teacher=network; {teacher!r} is trained already"
            )
        return recall(teacher, source, lab.lens(recipe_of(teacher).whiten))
    data, how = believed(source), believing(observer_recipe(source, student), source)
    return lab.teach(Trial(data.digest, source.digest, how, seed=0), data)


def _drawn(
    source: Source, label: int, need: int, candidates: int, rng: np.random.Generator
) -> Tensor:
    """Rows of `train` to crop from; none where no composite is asked for."""
    size = int((source.train.labels == label).sum())
    count = min(size, max(candidates or size, need))
    return draw_class(source, label, count if need else 0, rng)


def _likeliest(source: Source, judge: Teacher, rows: Tensor, need: int, how: _Cropping) -> _Kept:
    """The `need` best of the best crops of each of these images of one class."""
    _, h, w = source.shape
    size = (h // how.factor, w // how.factor)
    cut = random_crops(
        source.train.images[rows], how.crops, size, scale_min=how.scale_min, rng=how.rng
    )
    labels = source.train.labels[rows].repeat_interleave(how.crops)
    loss, best = (
        _losses(judge, cut.images.flatten(0, 1), labels, (h, w)).view(len(rows), how.crops).min(1)
    )
    ranked = loss.argsort(stable=True)[:need]
    order = ranked[group(ranked[:, None], how.factor, "strided").flatten()]
    box = [part[order, best[order]] for part in (cut.boxes.top, cut.boxes.left, cut.boxes.height)]
    where = torch.stack([source.train.index[rows[order]], *box], dim=1).tolist()
    return _Kept(cut.images[order, best[order]], [":".join(map(str, place)) for place in where])


@torch.no_grad()
def _losses(judge: Teacher, crops: Tensor, labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Cross entropy (n,) of crops, centred in full-size images of the mean colour."""
    down, right = size[0] - crops.shape[-2], size[1] - crops.shape[-1]
    frame = (right // 2, right - right // 2, down // 2, down - down // 2)
    found = [
        F.cross_entropy(judge.model(F.pad(judge.lens(part), frame)).cpu(), wanted, reduction="none")
        for part, wanted in zip(
            torch.split(crops, _SCORED), torch.split(labels, _SCORED), strict=True
        )
        if len(part)
    ]
    return torch.cat(found) if len(crops) else torch.empty(0)


def _mosaics(tiles: Tensor, factor: int) -> Tensor:
    """Tiles (m f², c, h, w), each f² in turn laid f x f, as (m, c, f h, f w)."""
    n, c, h, w = tiles.shape
    grid = tiles.view(n // factor**2, factor, factor, c, h, w)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(n // factor**2, c, factor * h, factor * w)
