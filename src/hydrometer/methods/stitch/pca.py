"""Prune-Combine-Augment: easy real images, shrunk and tiled, trained on one tile at a time.

Xiao, Liu, He and Wang, arXiv 2502.06434. Three independent switches: `prune` and `policy` say which
sources, `factor`, `filter` and `grouping` how they are combined, and the third, the augmentation, is
the protocol's: see `rethink-hard@1`, which reads the factor from the card.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hydrometer import registry
from hydrometer.artifact.composites import combined, filter_named
from hydrometer.methods.budget import per_class
from hydrometer.methods.features import embed
from hydrometer.methods.stitch.combine import check_grouping, group, sources_needed, tiles_a_side
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, HydrometerError, Scalar, Source, Spec


@register("method")
def pca(
    source: Source,
    budget: Budget,
    *,
    prune: str = "el2n",
    policy: str | None = None,
    factor: int = 0,
    filter: str = "nearest",
    grouping: str = "consecutive",
    features: str = "pixels",
    rng: np.random.Generator,
) -> CompressedSet:
    """Tile f² pruned sources of a class into each image; the budget counts the composites.

    `prune` is any selection method, `random` included; `policy` is handed to it, `easy` unless said
    otherwise, where it takes one. `factor` 0 is 2 above 64 pixels, else 1. `filter` is `nearest`
    (the paper's), `area` or `bicubic`; `grouping` `consecutive` ranks (the paper's), `strided` or
    `diverse` in `features` (`pixels` or `network`).

    The card names every switch and lists the source rows of each composite. Deviations: composites
    are stored losslessly, where the released step writes JPEG of quality 75; classes may have
    different budgets; sources are ordered by the pruning method, not by file name.

    Raises:
        HydrometerError: A class holds fewer than f² sources for each composite; found before
            anything is trained.
    """
    factor = tiles_a_side(factor, source)
    filter_named(filter)
    check_grouping(grouping)
    wanted = sources_needed(source, per_class(source, budget), factor)
    selection = _selection(prune, policy)
    pruned = _pruned(source, wanted, selection, rng)
    start = time.perf_counter()
    spread = features if grouping == "diverse" and factor > 1 else None
    points, spent = _points(source, pruned, spread)
    switches: dict[str, Scalar] = {"factor": factor, "prune": prune}
    switches |= {"policy": p} if (p := selection.kwargs.get("policy")) else {}
    switches |= {"filter": filter, "grouping": grouping} if factor > 1 else {}
    switches |= {"features": spread} if spread else {}
    return combined(
        source,
        pruned,
        _composites(pruned, wanted, points, factor, grouping),
        filter=filter,
        method=str(Spec("pca", tuple(sorted(switches.items())))),
        budget=str(budget),
        seconds=pruned.card.seconds + spent + time.perf_counter() - start,
    )


def _selection(prune: str, policy: str | None) -> Spec:
    """The spec of the pruning method, with the policy among its arguments where it takes one."""
    spec = registry.parse(prune)
    takes = "policy" in inspect.signature(registry.get("method", spec.name)).parameters
    if policy is not None and not takes:
        raise HydrometerError(
            f"policy={policy!r}: method {spec.name!r} takes no policy; leave it out"
        )
    if not takes:
        return spec
    chosen = policy or spec.kwargs.get("policy", "easy")
    return Spec(spec.name, tuple(sorted((spec.kwargs | {"policy": chosen}).items())))


def _pruned(
    source: Source, wanted: Sequence[int], selection: Spec, rng: np.random.Generator
) -> CompressedSet:
    """At least the wanted number of real images of each class, by any selection method."""
    pruned: CompressedSet = registry.build(
        "method", selection, source, _enough(source, wanted), rng=rng
    )
    if pruned.index is None or pruned.soft is not None:
        raise HydrometerError(
            f"prune={str(selection)!r} makes images or labels of its own; give a selection method"
        )
    return pruned


def _enough(source: Source, wanted: Sequence[int]) -> Budget:
    """The least budget that surely holds the wanted number of each class; equal numbers exactly."""
    if len(set(wanted)) == 1:
        return Budget(per_class=wanted[0])
    sizes = np.bincount(source.train.labels.numpy(), minlength=len(wanted))
    # One more than wanted, because the shares of a fraction may be rounded down.
    shares = [(want + 1) / size for want, size in zip(wanted, sizes, strict=True) if want]
    return Budget(fraction=min(1.0, max(shares)))


def _composites(
    pruned: CompressedSet, wanted: Sequence[int], points: Tensor, factor: int, grouping: str
) -> Tensor:
    """Rows of `pruned` (n, f²) behind each composite: the first wanted of each class, in its order."""
    found = []
    for label, want in enumerate(wanted):
        members = (pruned.labels == label).nonzero().flatten()
        if len(members) < want:
            name = pruned.card.classes[label]
            raise HydrometerError(
                f"{pruned.card.method} left {len(members)} images of class {name!r} where {want} "
                "are needed; choose another method or a smaller budget"
            )
        found.append(members[:want][group(points[members[:want]], factor, grouping)])
    return torch.cat(found)


def _points(source: Source, pruned: CompressedSet, features: str | None) -> tuple[Tensor, float]:
    """Features (n, d) of the pruned images, and seconds of training behind them; None needs none."""
    if features is None:
        return torch.empty(len(pruned), 0), 0.0
    if features == "pixels":
        return pruned.images.flatten(1).float(), 0.0
    every, seconds = embed(source, features)
    if pruned.index is None:
        raise ValueError("a selection without index has no features")
    order = source.train.index.argsort()
    return every[order[torch.searchsorted(source.train.index[order], pruned.index)]], seconds
