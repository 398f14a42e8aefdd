"""What the protocols of the benchmark of dataset compression share: arms, and equal cost.

Xiao, Liu, He and Wang, "Rethinking Large-scale Dataset Compression", arXiv 2502.06434.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from hydrometer import registry
from hydrometer.artifact.composites import combined
from hydrometer.artifact.rows import from_rows
from hydrometer.protocols import Case, Settings, random_sets, seeds_of
from hydrometer.sources.draw import draw
from hydrometer.types import Arm, Card, CompressedSet, HydrometerError, Recipe, Spec

FLIP = Spec("flip")
ADAMW = Spec("adamw", (("decay_vectors", False), ("weight_decay", 0.01)))
REFERENCE = 10
"""Images per class of the set whose cost the others are held to, where cost is held."""


def contestants(case: Case, settings: Settings, base: Recipe) -> list[Arm]:
    """The subject, and random images in its own format, from the same seeds.

    The subject of a method `pca` with f > 1 meets random composites of as many sources, through the
    same filter and the same crops, so that they differ in the choice of sources alone; as many plain
    random images, cropped plainly, stand beside them as the arm `random_whole`.
    """
    factor, filter = stitching(case.subject.card)

    def arm(name: str, sets: tuple[CompressedSet, ...], tiles: int) -> Arm:
        augment = tuple(confined(spec, tiles) for spec in base.augment)
        how = dataclasses.replace(base, augment=augment)
        return Arm(name, sets, how, settings.rates, seeds_of(settings))

    subject, plain = arm("subject", (case.subject,), factor), random_sets(case, settings)
    if factor == 1:
        return [subject, arm("random", plain, 1)]
    stitched = random_composites(case, settings, factor, filter)
    return [subject, arm("random", stitched, factor), arm("random_whole", plain, 1)]


def stitching(card: Card) -> tuple[int, str]:
    """Tiles a side and filter of the composites of method `pca`, from the card; 1 for any other.

    RDED's crops are not confined, as in the paper's bench: its tiles are scenes cut to be seen together.
    """
    try:
        method = registry.parse(card.method)
    except HydrometerError:
        # The method of a foreign set may be any text.
        return 1, "nearest"
    factor, filter = method.kwargs.get("factor"), method.kwargs.get("filter", "nearest")
    if method.name != "pca" or not isinstance(factor, int):
        return 1, "nearest"
    return factor, str(filter)


def confined(augmentation: Spec, factor: int) -> Spec:
    """A `tile-crop` without a factor, with the factor of the set it is for; others as they are.

    A plain image is one tile, so its crop is a `random-resized-crop`, whichever way tiles are drawn.
    """
    if augmentation.name != "tile-crop" or "factor" in augmentation.kwargs:
        return augmentation
    if factor == 1:
        crop = tuple((name, value) for name, value in augmentation.args if name != "tile")
        return Spec("random-resized-crop", crop)
    return Spec("tile-crop", tuple(sorted((*augmentation.args, ("factor", factor)))))


def random_composites(
    case: Case, settings: Settings, factor: int, filter: str
) -> tuple[CompressedSet, ...]:
    """For each seed, the subject's count of composites of random sources, alike for every subject."""
    counts = case.subject.labels.bincount(minlength=len(case.source.classes)).tolist()
    return tuple(_composites(case, counts, seed, factor, filter) for seed in seeds_of(settings))


def _composites(
    case: Case, counts: list[int], seed: int, factor: int, filter: str
) -> CompressedSet:
    rows = draw(case.source, [count * factor**2 for count in counts], seed)
    return combined(
        case.source,
        from_rows(case.source, rows, method="random", budget=f"images={len(rows)}"),
        torch.arange(len(rows)).view(-1, factor**2),
        filter=filter,
        method=f"pca(factor={factor},filter={filter},prune=random)",
        budget=f"images={sum(counts)}",
        seed=seed,
    )


def equal_steps(arms: list[Arm], settings: Settings) -> list[Arm]:
    """The arms, each trained for the optimiser steps that ten images per class take in `epochs`.

    Epochs are whole, so the steps are equal up to half an epoch.
    """

    def steps(images: int) -> int:
        return -(-images // settings.batch)

    return [_as_costly(arm, steps, settings) for arm in arms]


def equal_compute(arms: list[Arm], settings: Settings) -> list[Arm]:
    """The arms, each shown the number of images that ten per class show in `epochs`.

    With one student at one image size, that is equal arithmetic, whatever the batches; up to half
    an epoch.
    """
    return [_as_costly(arm, lambda images: images, settings) for arm in arms]


def _as_costly(arm: Arm, cost: Callable[[int], int], settings: Settings) -> Arm:
    data = arm.sets[0]
    reference = cost(REFERENCE * len(data.card.classes))
    epochs = max(1, round(settings.epochs * reference / max(1, cost(len(data)))))
    return dataclasses.replace(arm, recipe=dataclasses.replace(arm.recipe, epochs=epochs))
